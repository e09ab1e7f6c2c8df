/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pools of dead Gs.
 *
 * A dead G keeps its stack, if that is of the default size, and waits in a pool of its P for the next go(); those
 * without one are in a pool of their own. A pool of over 64 gives 32 to the global pool; an empty one takes 32 from
 * there. So the global pools' lock is for balance only.
 */
#include "sched/sched.h"

/* A global pool's is looked at without the lock: get(). */
static ALWAYS_INLINE void pool_set_first(struct g_pool *pool, struct g *g)
{
	__atomic_store_n(&pool->first, g, __ATOMIC_RELAXED);
}

static ALWAYS_INLINE struct g *pool_pop(struct g_pool *pool)
{
	struct g *g = pool->first;

	if (g != NULL) {
		pool_set_first(pool, g->schedlink);
		pool->count--;
	}
	return g;
}

static ALWAYS_INLINE void pool_push(struct g_pool *pool, struct g *g)
{
	g->schedlink = pool->first;
	pool_set_first(pool, g);
	pool->count++;
}

static NOINLINE void pool_move(struct g_pool *from, struct g_pool *to, uint32_t n)
{
	spin_acquire(&sched.gfree_lock);
	for (struct g *g; n > 0 && (g = pool_pop(from)) != NULL; n--)
		pool_push(to, g);
	spin_release(&sched.gfree_lock);
}

static ALWAYS_INLINE void put(struct g_pool *pool, struct g_pool *global, struct g *g)
{
	pool_push(pool, g);
	if (__builtin_expect(pool->count > GFREE_MAX, 0))
		pool_move(pool, global, GFREE_BATCH);
}

static struct g *get(struct g_pool *pool, struct g_pool *global)
{
	/* A look without the lock, to leave it alone while there is nothing. */
	if (pool->first == NULL && __atomic_load_n(&global->first, __ATOMIC_RELAXED) != NULL)
		pool_move(global, pool, GFREE_BATCH);
	return pool_pop(pool);
}

void gfree_put(struct p *p, struct g *g)
{
	if (g->stack.top != 0)
		put(&p->gfree, &sched.gfree, g);
	else
		put(&p->gfree_bare, &sched.gfree_bare, g);
}

struct g *gfree_get(struct p *p)
{
	return get(&p->gfree, &sched.gfree);
}

struct g *gfree_get_bare(struct p *p)
{
	return get(&p->gfree_bare, &sched.gfree_bare);
}

/* Those of the global pool give their stacks back. */
void gfree_release(void)
{
	spin_acquire(&sched.gfree_lock);
	for (struct g *g; (g = pool_pop(&sched.gfree)) != NULL;) {
		hart_stack_free(&g->stack);
		g_bare(g);
		pool_push(&sched.gfree_bare, g);
	}
	spin_release(&sched.gfree_lock);
}

void gfree_flush(struct p *p)
{
	pool_move(&p->gfree, &sched.gfree, UINT32_MAX);
	pool_move(&p->gfree_bare, &sched.gfree_bare, UINT32_MAX);
}
