/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The beginning and the end of a G. What lies between is in park.c and yield.c.
 *
 * Both cost little when the P has dead Gs: the next one is taken from there with its stack, and only what
 * it is to start with is written. One that ends leaves its stack for the next G that is at hand
 * (switch.h), or over g0.
 */
#include <errno.h>
#include <stdlib.h>

#include "sched/panic.h"
#include "sched/switch.h"

/* ---- Creation ---- */

void g_entry(void)
{
	struct g *g = g_self();

	hart_unlock();
	g->fn(g->arg);
	go_exit();
}

void g_link(struct g *g)
{
	struct g *head = load_relaxed(&sched.all_gs);
	do
		g->all_next = head;
	/* Release: a reader of the list finds the G filled in. */
	while (!atomic_compare_exchange_weak_explicit(&sched.all_gs, &head, g, memory_order_release,
						      memory_order_relaxed));
}

static struct g *g_alloc(void)
{
	struct g *g = calloc(1, sizeof(*g));
	if (g == NULL || !timers_reserve(m_self()->p)) {
		free(g);
		return NULL;
	}
	g->timer.flags_ = TIMER_KEPT;
	g->waiter.g = g;
	g_bare(g);
	g->number = atomic_fetch_add_explicit(&sched.g_numbers, 1, memory_order_relaxed) + 1;
	atomic_fetch_add_explicit(&sched.g_structs, 1, memory_order_relaxed);
	g_change(g, G_IDLE, G_DEAD);
	g_link(g);
	return g;
}

void sched_each_goroutine(void (*fn)(struct hart_goroutine *))
{
	/* Sequentially consistent: a cycle's flush comes between what it leaves out and its
	   look at the count. */
	atomic_fetch_add_explicit(&sched.g_walkers, 1, memory_order_seq_cst);
	/* Acquire: pairs with the release in g_link(). */
	for (struct g *g = load_acquire(&sched.all_gs); g != NULL; g = g->all_next)
		fn(&g->kernel);
	/* Release: it is done with them. Pairs with the fence in wait_for_others() in gfree.c. */
	atomic_fetch_sub_explicit(&sched.g_walkers, 1, memory_order_release);
}

/* None is at hand: from the global pools, or new memory. With a stack and a context, or with neither. */
static NOINLINE struct g *g_dead(struct p *p, size_t stack_max)
{
	bool is_default = stack_max <= HART_STACK_DEFAULT;
	struct g *g = is_default ? gfree_get(p) : NULL;
	if (g == NULL)
		g = gfree_get_bare(p);
	if (g == NULL)
		g = g_alloc();
	if (g == NULL && (g = gfree_get(p)) != NULL && !is_default) {
		hart_stack_free(&g->stack);
		g_bare(g);
	}
	if (g == NULL)
		return NULL;
	/* A large one is bound at once, so that the caller hears of it if there are no addresses for it. */
	if (!is_default && hart_stack_alloc(&g->stack, stack_max) != 0) {
		gfree_put(p, g);
		return NULL;
	}
	if (g->stack.top != 0) {
		hart_stack_own(&g->stack, g);
		g->long_way = 0;
		g->sp = hart_context_new(g->stack.top, g_entry);
	}
	return g;
}

static ALWAYS_INLINE struct g *g_begin(struct p *p, void (*fn)(void *), void *arg, size_t stack_max,
				       uintptr_t created_by)
{
	struct g *g;

	/* The usual case: one with a stack is at hand, or one without. */
	if (__builtin_expect((g = p->gfree.first) != NULL && stack_max <= HART_STACK_DEFAULT, 1)) {
		p->gfree.first = g->schedlink;
		p->gfree.count--;
		g->sp = hart_context_new(g->stack.top, g_entry);
	} else if ((g = p->gfree_bare.first) != NULL && stack_max <= HART_STACK_DEFAULT) {
		p->gfree_bare.first = g->schedlink;
		p->gfree_bare.count--;
	} else if ((g = g_dead(p, stack_max)) == NULL) {
		return NULL;
	}
	g->fn = fn;
	g->arg = arg;
	g->created_by = created_by;
	g->run_ticks = 0;
	g->kernel.error = 0;
	g_change(g, G_DEAD, G_RUNNABLE);
	g_count_add(p, 1);
	return g;
}

static NOINLINE int go_again(void (*fn)(void *), void *arg, size_t stack_max, const char *name,
			     uintptr_t created_by);

static ALWAYS_INLINE int go_inline(void (*fn)(void *), void *arg, size_t stack_max, const char *name,
				   uintptr_t created_by, bool last)
{
	hart_lock();
	struct p *p = m_self()->p;
	struct g *g = g_begin(p, fn, arg, stack_max, created_by);
	if (__builtin_expect(g == NULL, 0)) {
		hart_unlock();
		return last ? -1 : go_again(fn, arg, stack_max, name, created_by);
	}
	g->name = name;
	trace(TRACE_CREATE, g, (uintptr_t)fn, (uintptr_t)name);
	submit_next(p, g);
	hart_unlock();
	return 0;
}

static NOINLINE int go_from(void (*fn)(void *), void *arg, size_t stack_max, const char *name,
			    uintptr_t created_by)
{
	return go_inline(fn, arg, stack_max, name, created_by, false);
}

/*
 * There was no memory for a goroutine. As long as others run a cycle nearly always finds something, which
 * need not be what is wanted here; and others may be faster. So a few times.
 */
static NOINLINE int go_again(void (*fn)(void *), void *arg, size_t stack_max, const char *name,
			     uintptr_t created_by)
{
	for (int i = 0; i < 3 && sched_reclaim(); i++)
		if (go_inline(fn, arg, stack_max, name, created_by, true) == 0)
			return 0;
	errno = ENOMEM;
	return -1;
}

static noreturn NOINLINE void no_function(void)
{
	go_panic("go: the function is NULL");
}

int go_try(void (*fn)(void *), void *arg, const struct go_attr *attr)
{
	uintptr_t created_by = (uintptr_t)__builtin_return_address(0);

	if (fn == NULL)
		no_function();
	if (attr == NULL)
		return go_from(fn, arg, 0, NULL, created_by);
	if (attr->stack_max > HART_STACK_MAX) {
		errno = EINVAL;
		return -1;
	}
	return go_from(fn, arg, attr->stack_max, attr->name, created_by);
}

void go(void (*fn)(void *), void *arg)
{
	if (__builtin_expect(fn == NULL, 0))
		no_function();
	if (go_inline(fn, arg, 0, NULL, (uintptr_t)__builtin_return_address(0), false) != 0)
		go_panic("go: out of memory");
}

void go_from_timer(void (*fn)(void *), void *arg)
{
	if (go_from(fn, arg, 0, NULL, (uintptr_t)go_timer_call) != 0)
		hart_fatal("go_timer_call: out of memory for a goroutine");
}

bool go_first(void (*fn)(void *), const char *name, uintptr_t created_by)
{
	return go_from(fn, NULL, 0, name, created_by) == 0;
}

int go_count(void)
{
	int32_t count = 0;
	for (unsigned id = 0; id < hart_count(); id++)
		count += load_acquire(&p_get(id)->g_count);
	return count;
}

/* ---- End ---- */

static void exit_on_g0(void *arg)
{
	struct g *g = arg;
	struct m *m = g_stop(g);

	if (g->lock_count != 0) {
		g->lock_count = 0;
		locked_remove(m, g);
	}
	if (trace_on()) /* the depth is asked for only then: hosted, it takes a system call */
		trace_write(TRACE_END, g, hart_stack_depth(&g->stack), 0);
	g_change(g, G_RUNNING, G_DEAD);
	if (g->stack.size != HART_STACK_DEFAULT) {
		hart_stack_free(&g->stack);
		g_bare(g);
	}
	gfree_put(m->p, g);
	g_count_end(m->p);
	schedule();
}

static NOINLINE void g_tidy_up(struct g *g)
{
	g->exiting = true;
	block_leave_to(g, 0);
	panic_run_all_deferred(g);
	panic_g_end(g);
	g->tidy_up = false;
}

/* Is next a G without a stack, which can have that of one that ends? */
static bool may_have_stack(const struct p *p, const struct g *next)
{
	return next->long_way == G_UNBOUND && p->gfree_bare.count < GFREE_MAX;
}

void go_exit(void)
{
	struct g *g = g_self(), *next = NULL;
	bool inherit;

	if (g->tidy_up)
		g_tidy_up(g);
	if (load_relaxed(&g->kernel.line) != NULL)
		hart_goroutine_end();
	hart_lock();
	struct m *m = m_self();
	struct p *p = m->p;
	int64_t now;
	/* The pool takes g while g is still on its stack, but gives it to nobody: this M
	   alone takes from there. */
	if (g->stack.size == HART_STACK_DEFAULT && p->gfree.count < GFREE_MAX)
		next = next_at_hand(m, p, &now, &inherit);
	if (!runs_here(next) && (next == NULL || !may_have_stack(p, next))) {
		put_back(next);
		hart_mcall(&g->sp, exit_on_g0, g);
		__builtin_unreachable();
	}
	if (trace_on()) {
		trace_write(TRACE_END, g, hart_stack_depth(&g->stack), 0);
		trace_start(p, next);
	}
	g_change(g, G_RUNNING, G_DEAD);
	g_count_end(p);
	account(m, g, next, now);
	m->hart.g = next;
	if (next->long_way == 0) {
		pool_push(&p->gfree, g);
		hart_gogo(next->sp);
	}
	next->stack = g->stack;
	hart_stack_own(&next->stack, next);
	next->long_way = 0;
	g_bare(g);
	pool_push(&p->gfree_bare, g);
	hart_restart(next->stack.top, g_entry);
}
