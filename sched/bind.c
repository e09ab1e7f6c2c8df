/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A G's stack is bound to it when it first runs.
 *
 * go() takes a dead G with its stack if one is at hand, and then writes only what the new one starts with.
 * Else the new G has none: a million that were created and have not run cost their structures, and whoever
 * ends in the meantime leaves a stack for one of them. Such a G goes the long way (g->long_way), over the
 * scheduler, which calls g_bind(); or gets the stack of the G that ends just before it (go_exit()), and
 * then costs nothing more.
 *
 * While there is no memory for stacks, Gs that have none wait for one in sched.unbound, and those that have
 * one go on: whoever ends leaves its own. An M looks there when it finds nothing else to do
 * (find_runnable()), and at times (look_around()), so also after what it ran last has freed memory. If no G
 * is left that could, the machine ends with a report.
 */
#include "sched/sched.h"

/* A dead G's stack, still warm, if one is in reach. */
static bool take_over(struct p *p, struct g *g)
{
	struct g *dead = gfree_get(p);

	if (dead == NULL)
		return false;
	g->stack = dead->stack;
	g_bare(dead);
	gfree_put(p, dead);
	return true;
}

static bool new_stack(struct g *g, bool last_resort)
{
	reclaim_if_short(m_self());
	return hart_stack_alloc(&g->stack, 0) == 0 ||
	       (reclaim_now(m_self(), last_resort) && hart_stack_alloc(&g->stack, 0) == 0);
}

static bool bind(struct p *p, struct g *g, bool last_resort)
{
	if (!take_over(p, g) && !new_stack(g, last_resort))
		return false;
	hart_stack_own(&g->stack, g);
	g->sp = hart_context_new(g->stack.top, g_entry);
	g->long_way = 0;
	return true;
}

static bool bind_or_wait(struct p *p, struct g *g, bool last_resort)
{
	if (bind(p, g, last_resort))
		return true;
	spin_acquire(&sched.lock);
	glist_push(&sched.unbound, g);
	store_relaxed(&sched.unbound_count, sched.unbound.size);
	spin_release(&sched.lock);
	return false;
}

bool g_bind(struct p *p, struct g *g)
{
	return bind_or_wait(p, g, false);
}

struct g *unbound_get(struct p *p, bool last_resort)
{
	struct g *g;

	spin_acquire(&sched.lock);
	g = glist_pop(&sched.unbound);
	store_relaxed(&sched.unbound_count, sched.unbound.size);
	spin_release(&sched.lock);
	return g != NULL && bind_or_wait(p, g, last_resort) ? g : NULL;
}

noreturn void unbound_report(void)
{
	const char *what = hart_stacks_used_up() ? "addresses for" : "memory growing";

	hart_print("fatal: out of %s the stack of a goroutine that has not run yet, and no other "
		   "can run; %u wait for a stack\n", what, (unsigned)sched.unbound.size);
	g_describe("", sched.unbound.head);
	hart_poweroff(2);
}
