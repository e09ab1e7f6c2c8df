/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pools of dead Gs.
 *
 * A dead G keeps its stack, if that is of the default size, and waits in a pool of its P for the next go(); those
 * without one are in a pool of their own. A pool of over 64 gives 32 to the global pool; an empty one takes 32 from
 * there. So the global pools' lock is for balance only.
 *
 * A reclaim cycle gives back to the heap those that the pools can spare. Until then a G's memory is a G's for ever,
 * and much relies on it: a waker may look at the G that it has made runnable, a report at the list of all Gs, a thief at
 * what it did not get. Each of them does so in a critical section. So a G that is to go is first left out of the list of
 * all Gs, as nobody can find it elsewhere; then comes the cycle's flush, before which each hart's stores are seen; and when
 * each hart has been seen out of a critical section after that, nobody can have found it before. A hart that is
 * not seen so makes them wait for the next cycle. Only the one walk that is no critical section is counted (g_walkers).
 */
#include <stdlib.h>

#include "sched/sched.h"

#define SPARE_LOOKS 1000 /* at other harts, which mostly take some tens of instructions in a critical section */

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

/* ---- Back to the heap. By the M that runs a reclaim cycle ---- */

static struct g *spare;       /* left out of all_gs, linked through schedlink; G_IDLE */
static uint32_t seen_outside; /* harts that have been seen out of a critical section since then, as bits */

static bool in_a_heap(const struct g *g)
{
	return atomic_load_explicit(&g->timer.heap_, memory_order_relaxed) != NULL;
}

/* From the head: a new G may be pushed there meanwhile, but nobody else takes one out. */
static void leave_out_spare(void)
{
	struct g *g = atomic_load_explicit(&sched.all_gs, memory_order_acquire), *next;

	while (g != NULL && atomic_load_explicit(&g->status, memory_order_relaxed) == G_IDLE)
		if (atomic_compare_exchange_strong_explicit(&sched.all_gs, &g, g->all_next, memory_order_acq_rel,
							    memory_order_acquire))
			g = g->all_next;
	for (; g != NULL && (next = g->all_next) != NULL;)
		if (atomic_load_explicit(&next->status, memory_order_relaxed) == G_IDLE)
			__atomic_store_n(&g->all_next, next->all_next, __ATOMIC_RELAXED);
		else
			g = next;
}

void gfree_spare(void)
{
	struct g_pool pool, kept = { 0 };

	if (spare != NULL) /* some of the last cycle's wait still */
		return;
	spin_acquire(&sched.gfree_lock);
	pool = sched.gfree_bare;
	sched.gfree_bare.count = 0;
	pool_set_first(&sched.gfree_bare, NULL);
	spin_release(&sched.gfree_lock);
	for (struct g *g; (g = pool_pop(&pool)) != NULL;) {
		if (kept.count < procs_now() * GFREE_BATCH || in_a_heap(g)) {
			pool_push(&kept, g);
			continue;
		}
		g_change(g, G_DEAD, G_IDLE);
		g->schedlink = spare;
		spare = g;
	}
	pool_move(&kept, &sched.gfree_bare, UINT32_MAX);
	seen_outside = 0;
	if (spare != NULL)
		leave_out_spare();
}

static bool all_seen_outside(void)
{
	uint32_t all = 0;

	seen_outside |= bit(m_self()->hart.id) | atomic_load_explicit(&sched.idle_ms, memory_order_relaxed) |
			atomic_load_explicit(&sched.parked_locked, memory_order_relaxed);
	for (unsigned id = 0; id < hart_count(); id++) {
		all |= bit(id);
		if (*(volatile uint32_t *)&hart_get(id)->locks == 0)
			seen_outside |= bit(id);
	}
	return (seen_outside & all) == all && atomic_load_explicit(&sched.g_walkers, memory_order_relaxed) == 0;
}

void gfree_spare_end(bool flushed)
{
	struct g *g;
	unsigned looks = 0;

	while (spare != NULL && flushed && !all_seen_outside()) {
		if (++looks == SPARE_LOOKS)
			return;
		hart_relax();
	}
	/* Acquire: what those harts did there comes before what malloc's next owner does. */
	atomic_thread_fence(memory_order_acquire);
	while ((g = spare) != NULL) {
		spare = g->schedlink;
		if (flushed) {
			timers_unreserve();
			atomic_fetch_sub_explicit(&sched.g_structs, 1, memory_order_relaxed);
			free(g);
			continue;
		}
		g_change(g, G_IDLE, G_DEAD);
		g_link(g);
		spin_acquire(&sched.gfree_lock);
		pool_push(&sched.gfree_bare, g);
		spin_release(&sched.gfree_lock);
	}
}
