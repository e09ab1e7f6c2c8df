/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pools of dead Gs.
 *
 * A dead G keeps its stack, if that is of the default size, and waits in a pool of its P for the next go(). A pool of
 * over 64 gives 32 to the global pool; an empty one takes 32 from there. So the global pool's lock is for balance only.
 */
#include "sched/sched.h"

void gfree_put(struct p *p, struct g *g)
{
	g->schedlink = p->gfree;
	p->gfree = g;
	if (++p->gfree_count <= GFREE_MAX)
		return;
	spin_acquire(&sched.gfree_lock);
	for (int i = 0; i < GFREE_BATCH; i++) {
		struct g *moved = p->gfree;
		p->gfree = moved->schedlink;
		moved->schedlink = sched.gfree;
		store_relaxed(&sched.gfree, moved);
	}
	sched.gfree_count += GFREE_BATCH;
	spin_release(&sched.gfree_lock);
	p->gfree_count -= GFREE_BATCH;
}

struct g *gfree_get(struct p *p)
{
	/* A look without the lock, to leave it alone while there is nothing. */
	if (p->gfree == NULL && __atomic_load_n(&sched.gfree, __ATOMIC_RELAXED) != NULL) {
		spin_acquire(&sched.gfree_lock);
		while (p->gfree_count < GFREE_BATCH && sched.gfree != NULL) {
			struct g *g = sched.gfree;
			store_relaxed(&sched.gfree, g->schedlink);
			sched.gfree_count--;
			g->schedlink = p->gfree;
			p->gfree = g;
			p->gfree_count++;
		}
		spin_release(&sched.gfree_lock);
	}
	struct g *g = p->gfree;
	if (g != NULL) {
		p->gfree = g->schedlink;
		p->gfree_count--;
	}
	return g;
}

/* Memory is out: a dead G that has a stack still, from among those that have none. */
struct g *gfree_get_with_stack(struct p *p)
{
	struct g *bare = NULL, *g;
	while ((g = gfree_get(p)) != NULL && g->stack.size == 0) {
		g->schedlink = bare;
		bare = g;
	}
	while (bare != NULL) {
		struct g *next = bare->schedlink;
		gfree_put(p, bare);
		bare = next;
	}
	return g;
}

void gfree_flush(struct p *p)
{
	spin_acquire(&sched.gfree_lock);
	for (struct g *g; (g = p->gfree) != NULL; sched.gfree_count++) {
		p->gfree = g->schedlink;
		g->schedlink = sched.gfree;
		store_relaxed(&sched.gfree, g);
	}
	p->gfree_count = 0;
	spin_release(&sched.gfree_lock);
}
