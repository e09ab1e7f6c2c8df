/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pools of dead Gs.
 *
 * A dead G keeps its stack, if that is of the default size, and waits in a pool of its P for the next go();
 * those without one are in a pool of their own. A pool of over 64 gives 32 to the global pool; an empty one
 * takes 32 from there. So the global pools' lock is for balance only; and those 32 stay together, so that
 * under it nobody walks from one to the next.
 *
 * A reclaim cycle gives back to the heap those that the pools can spare. Until then a G's memory is a G's for
 * ever, and much relies on it: a waker may look at the G that it has made runnable, a report at the list of
 * all Gs, a thief at what it did not get. Each of them does so in a critical section. So a G that is to go is
 * first left out of the list of all Gs, as nobody can find it elsewhere; then comes the cycle's flush, before
 * which each hart's stores are seen; and when each hart has been seen out of a critical section after that,
 * nobody can have found it before. A hart that is not seen so makes them wait for the next cycle. Only the
 * one walk that is no critical section is counted (g_walkers).
 *
 * A million may have died, and a cycle may not keep its hart for all of them: so each step does some, and
 * goes on from there the next time.
 */
#include <stdlib.h>

#include "sched/sched.h"

/* at other harts, which mostly take some tens of instructions in a critical section */
#define SPARE_LOOKS 1000
/* A cycle goes through the list of all Gs only if it takes one in so many out of it. */
#define SPARE_SHARE 16

static ALWAYS_INLINE struct g *pool_pop(struct g_pool *pool)
{
	struct g *g = pool->first;

	if (g != NULL) {
		pool->first = g->schedlink;
		pool->count--;
	}
	return g;
}

/* ---- The global pool, under gfree_lock ---- */

static void count_add(struct g_batches *global, int n)
{
	store_relaxed(&global->count, load_relaxed(&global->count) + (uint32_t)n);
}

static void batch_push(struct g_batches *global, struct g *batch)
{
	batch->wake_param = global->first;
	global->first = batch;
}

static struct g_pool batch_pop(struct g_batches *global)
{
	struct g_pool pool = { global->first, GFREE_BATCH };

	if (pool.first != NULL) {
		global->first = pool.first->wake_param;
	} else {
		pool = global->rest;
		global->rest = (struct g_pool){ 0 };
	}
	count_add(global, -(int)pool.count);
	return pool;
}

static void push_one(struct g_batches *global, struct g *g)
{
	pool_push(&global->rest, g);
	count_add(global, 1);
	if (global->rest.count == GFREE_BATCH) {
		batch_push(global, global->rest.first);
		global->rest = (struct g_pool){ 0 };
	}
}

/* ---- A P's ---- */

static NOINLINE void give(struct g_pool *pool, struct g_batches *global)
{
	struct g *batch = pool->first, *last = batch;

	for (int i = 1; i < GFREE_BATCH; i++)
		last = last->schedlink;
	pool->first = last->schedlink;
	pool->count -= GFREE_BATCH;
	last->schedlink = NULL;
	spin_acquire(&sched.gfree_lock);
	batch_push(global, batch);
	count_add(global, GFREE_BATCH);
	spin_release(&sched.gfree_lock);
}

static NOINLINE void take(struct g_pool *pool, struct g_batches *global)
{
	spin_acquire(&sched.gfree_lock);
	*pool = batch_pop(global);
	spin_release(&sched.gfree_lock);
}

static ALWAYS_INLINE void put(struct g_pool *pool, struct g_batches *global, struct g *g)
{
	pool_push(pool, g);
	if (__builtin_expect(pool->count > GFREE_MAX, 0))
		give(pool, global);
}

static struct g *get(struct g_pool *pool, struct g_batches *global)
{
	/* A look without the lock, to leave it alone while there is nothing. */
	if (pool->first == NULL && load_relaxed(&global->count) != 0)
		take(pool, global);
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

static void flush(struct g_pool *pool, struct g_batches *global)
{
	spin_acquire(&sched.gfree_lock);
	for (struct g *g; (g = pool_pop(pool)) != NULL;)
		push_one(global, g);
	spin_release(&sched.gfree_lock);
}

/* ---- What a reclaim cycle does. By the M that runs it ---- */

/* Of those that were there as it began: others die meanwhile, and it is to come to an end. */
static uint32_t to_release, to_choose;
static bool counted;          /* those to choose, in this cycle */

void gfree_begin(void)
{
	to_release = load_relaxed(&sched.gfree.count);
	counted = false;
}

/* So many, if there are. The batch may hold fewer than others do. */
static struct g_pool take_some(struct g_batches *global, uint32_t *left)
{
	struct g_pool batch;

	take(&batch, global);
	*left = batch.count < *left && batch.count != 0 ? *left - batch.count : 0;
	return batch;
}

bool gfree_release(size_t most)
{
	for (size_t n = 0; to_release != 0 && n < most; n += GFREE_BATCH) {
		struct g_pool batch = take_some(&sched.gfree, &to_release);
		for (struct g *g = batch.first; g != NULL; g = g->schedlink) {
			hart_stack_free(&g->stack);
			g_bare(g);
		}
		flush(&batch, &sched.gfree_bare);
	}
	return to_release != 0;
}

void gfree_flush(struct p *p)
{
	flush(&p->gfree, &sched.gfree);
	flush(&p->gfree_bare, &sched.gfree_bare);
}

static enum { SPARE_NONE, SPARE_CHOOSE, SPARE_LEAVE_OUT, SPARE_WAIT, SPARE_FREE } state;
static struct g *spare;       /* those that go, linked through schedlink; G_IDLE */
static struct g_pool kept;    /* those that were looked at, and do not go */
static struct g *left_out_to; /* all_gs has been looked through up to it, and it stays. NULL: nothing has */
static uint32_t seen_outside; /* harts seen out of a critical section since all were left out: bits */

static bool in_a_heap(const struct g *g)
{
	return load_relaxed(&g->timer.heap_) != NULL;
}

/* Of those at the list's head: a new G may be pushed there meanwhile, but nobody else takes one out. */
static struct g *leave_out_first(void)
{
	struct g *g = load_acquire(&sched.all_gs);

	while (g != NULL && load_relaxed(&g->status) == G_IDLE)
		if (atomic_compare_exchange_strong_explicit(&sched.all_gs, &g, g->all_next,
							    memory_order_acq_rel, memory_order_acquire))
			g = g->all_next;
	return g;
}

static void leave_out(size_t most)
{
	struct g *g = left_out_to != NULL ? left_out_to : leave_out_first(), *next = NULL;

	for (size_t n = 0; n < most && g != NULL && (next = g->all_next) != NULL; n++)
		if (load_relaxed(&next->status) == G_IDLE)
			__atomic_store_n(&g->all_next, next->all_next, __ATOMIC_RELAXED);
		else
			g = next;
	left_out_to = next == NULL ? NULL : g;
	if (next == NULL) {
		state = SPARE_WAIT;
		seen_outside = 0;
	}
}

/* How many may go; 0 also if they are too few. The pool keeps some. */
static uint32_t count_spare(void)
{
	uint32_t there = load_relaxed(&sched.gfree_bare.count);
	uint32_t stay = procs_now() * GFREE_BATCH;
	uint32_t n = there > stay ? there - stay : 0;

	return n >= load_relaxed(&sched.g_structs) / SPARE_SHARE ? n : 0;
}

static void choose(size_t most)
{
	for (size_t n = 0; to_choose != 0; n += GFREE_BATCH) {
		if (n >= most)
			return;
		struct g_pool batch = take_some(&sched.gfree_bare, &to_choose);
		for (struct g *g; (g = pool_pop(&batch)) != NULL;) {
			if (in_a_heap(g)) {
				pool_push(&kept, g);
				continue;
			}
			g_change(g, G_DEAD, G_IDLE);
			g->schedlink = spare;
			spare = g;
		}
	}
	flush(&kept, &sched.gfree_bare);
	state = spare != NULL ? SPARE_LEAVE_OUT : SPARE_NONE;
}

bool gfree_spare(size_t most)
{
	if (state == SPARE_NONE && !counted && (to_choose = count_spare()) != 0)
		state = SPARE_CHOOSE;
	counted = true;
	if (state == SPARE_CHOOSE)
		choose(most);
	if (state == SPARE_LEAVE_OUT)
		leave_out(most);
	return state == SPARE_CHOOSE || state == SPARE_LEAVE_OUT;
}

bool gfree_awaits_flush(void)
{
	return state == SPARE_WAIT;
}

/* One that waits for this cycle holds its hart, but no G's address (cycle_wait()). */
static bool all_seen_outside(void)
{
	uint32_t all = 0;

	seen_outside |= bit(m_self()->hart.id) | ms_parked() | load_relaxed(&sched.cycle_waiters);
	for (unsigned id = 0; id < hart_count(); id++) {
		all |= bit(id);
		if (!in_critical_section(m_get(id)))
			seen_outside |= bit(id);
	}
	return (seen_outside & all) == all && load_relaxed(&sched.g_walkers) == 0;
}

static void wait_for_others(void)
{
	for (unsigned looks = 0; !all_seen_outside(); hart_relax())
		if (++looks == SPARE_LOOKS)
			return;
	/* Acquire: what those harts did there comes before what malloc's next owner does. They stored
	   `locks` plainly (hart_unlock()); but whoever walks all Gs branches on what it read of each,
	   so its loads are done by then. */
	atomic_thread_fence(memory_order_acquire);
	state = SPARE_FREE;
}

static struct g *spare_pop(void)
{
	struct g *g = spare;

	if (g != NULL)
		spare = g->schedlink;
	return g;
}

static void spare_put_back(void)
{
	for (struct g *g; (g = spare_pop()) != NULL;) {
		g_change(g, G_IDLE, G_DEAD);
		g_link(g);
		pool_push(&kept, g);
	}
	flush(&kept, &sched.gfree_bare);
	state = SPARE_NONE;
}

bool gfree_spare_end(bool flushed, size_t most)
{
	if (state == SPARE_WAIT && flushed)
		wait_for_others();
	else if (state == SPARE_WAIT)
		spare_put_back();
	if (state != SPARE_FREE)
		return false;
	for (struct g *g; most-- != 0 && (g = spare_pop()) != NULL;) {
		timers_unreserve();
		atomic_fetch_sub_explicit(&sched.g_structs, 1, memory_order_relaxed);
		free(g);
	}
	if (spare == NULL)
		state = SPARE_NONE;
	return spare != NULL;
}
