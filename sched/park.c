/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A G waits, and is made ready again. (yield.c: it gives its hart away, and stays runnable.)
 *
 * It leaves its stack by hart_switch() for the next G if that is at hand (switch.h), and else by
 * hart_mcall(), which runs the rest of the transition on g0, where nothing depends on the G any more.
 * Either way it is published when its context is saved, and not before; from then on another M may
 * resume it at once.
 */
#include "sched/switch.h"

/* ---- Parking ---- */

/* g, whose context is saved, is about to wait. */
static void g_park(struct g *g, struct m *m)
{
	if (__builtin_expect(g->block_depth != 0, 0))
		block_misused(g);
	g->wait_since = m->now;
	g_change(g, G_RUNNING, G_WAITING);
}

struct parking {
	struct g *g;
	bool (*commit)(struct g *g, void *arg);
	void *arg;
};

static void park_on_g0(void *arg)
{
	/* Lies on the G's stack: read before commit() publishes the G. */
	struct parking parking = *(struct parking *)arg;
	struct g *g = parking.g;
	struct m *m = g_stop(g);

	trace(TRACE_BLOCK, g, g->wait_reason, 0);
	g_park(g, m);
	fuzz_wait(FUZZ_PARK);
	if (!parking.commit(g, parking.arg)) {
		trace_unblock(g, 0);
		g_change(g, G_WAITING, G_RUNNABLE);
		runq_put_next(m->p, g);
	}
	fuzz_wait(FUZZ_PARKED);
	reclaim_parked(g);
	schedule();
}

void park(bool (*commit)(struct g *g, void *arg), void *arg, enum wait_reason reason)
{
	struct parking parking = { g_self(), commit, arg };

	check_parks();
	parking.g->wait_reason = reason;
	hart_mcall(&parking.g->sp, park_on_g0, &parking);
	hart_unlock();
}

static void park_unlock_on_g0(void *lock)
{
	struct g *g = hart_g();
	struct m *m = g_stop(g);

	trace(TRACE_BLOCK, g, g->wait_reason, (uintptr_t)lock);
	g_park(g, m);
	fuzz_wait(FUZZ_PARK);
	spin_release(lock);
	fuzz_wait(FUZZ_PARKED);
	reclaim_parked(g);
	schedule();
}

static void park_select_on_g0(void *arg)
{
	struct g *g = arg;

	g_park(g, g_stop(g));
	fuzz_wait(FUZZ_PARK);
	/* Release: pairs with the acquire in select_win(). */
	store_release(&g->select_state, SELECT_OPEN);
	fuzz_wait(FUZZ_PARKED);
	reclaim_parked(g);
	schedule();
}

static NOINLINE void park_unlock_long(struct spinlock *lock, struct g *next)
{
	put_back(next);
	hart_mcall(&g_self()->sp, park_unlock_on_g0, lock);
	hart_unlock();
}

/* g waits, published by that store, and next goes on. */
static ALWAYS_INLINE void wait_from(struct m *m, struct g *g, struct g *next, int64_t now,
				    _Atomic(uint32_t) *word, uint32_t value)
{
	g->wait_since = now;
	g_change(g, G_RUNNING, G_WAITING);
	fuzz_wait(FUZZ_PARK);
	account(m, g, next, now);
	hart_switch(&g->sp, next->sp, next, word, value);
}

static ALWAYS_INLINE void park_unlock_short(struct spinlock *lock, enum wait_reason reason, bool traced)
{
	struct g *g = g_self();
	struct m *m = m_self();
	int64_t now;
	bool inherit;

	check_parks();
	g->wait_reason = reason;
	struct g *next = next_at_hand(m, m->p, &now, &inherit);
	if (!runs_here(next)) {
		park_unlock_long(lock, next);
		return;
	}
	if (traced) {
		trace_write(TRACE_BLOCK, g, reason, (uintptr_t)lock);
		trace_start(m->p, next);
	}
	lockrank_released(lock);
	wait_from(m, g, next, now, &lock->owner, lockrank_bits(lock));
	hart_unlock();
}

static NOINLINE void park_unlock_traced(struct spinlock *lock, enum wait_reason reason)
{
	park_unlock_short(lock, reason, true);
}

SWITCHES void park_unlock(struct spinlock *lock, enum wait_reason reason)
{
	if (trace_on())
		park_unlock_traced(lock, reason);
	else
		park_unlock_short(lock, reason, false);
}

void park_select(void)
{
	struct g *g = g_self();
	struct m *m = m_self();
	int64_t now;
	bool inherit;

	check_parks();
	struct g *next = next_at_hand(m, m->p, &now, &inherit);
	if (!runs_here(next)) {
		put_back(next);
		hart_mcall(&g->sp, park_select_on_g0, g);
		return;
	}
	if (trace_on())
		trace_start(m->p, next);
	wait_from(m, g, next, now, &g->select_state, SELECT_OPEN);
}

/* ---- Waking ---- */

/*
 * An M that is about to sleep looks at the queues one after the other: it may miss this G, and the next
 * one, which this M takes from its own queue meanwhile. So this is a submission like any other.
 */
void to_global_queue(struct g *g)
{
	spin_acquire(&sched.lock);
	globrunq_put_one(g);
	spin_release(&sched.lock);
	wake_p();
}

NOINLINE void submit_displaced(struct p *p, struct g *g)
{
	runq_put(p, g);
	wake_p();
}

/* g is runnable already. */
static ALWAYS_INLINE void submit_runnable(struct g *g)
{
	struct p *p = m_self()->p;

	if (__builtin_expect(g->locked_m != NULL, 0) && ready_locked(g))
		return;
	if (fuzz_migrate())
		to_global_queue(g);
	else
		submit_next(p, g);
}

void ready_taken(struct g *g)
{
	fuzz_wait(FUZZ_READY);
	g_change(g, G_WAITING, G_RUNNABLE);
	submit_runnable(g);
}

void ready_unlock(struct g *g)
{
	ready_unlock_inline(g);
}

NOINLINE bool ready_rest_unlock(struct g *g)
{
	submit_runnable(g);
	hart_unlock();
	return true;
}

NOINLINE bool displaced_unlock(struct p *p, struct g *displaced)
{
	submit_displaced(p, displaced);
	hart_unlock();
	return true;
}

NOINLINE bool wake_p_unlock(void)
{
	wake_p_slow();
	hart_unlock();
	return true;
}

void ready(struct g *g)
{
	trace_unblock(g, 0);
	ready_taken(g);
}

/*
 * Oldest first: into the ring, or the global queue when that is full; and one M is woken,
 * which wakes the next.
 */
void ready_list(struct glist *list)
{
	struct p *p = m_self()->p;
	struct glist batch = { 0 };

	if (list->head == NULL)
		return;
	for (struct g *g; (g = glist_pop(list)) != NULL;) {
		trace_unblock(g, 0);
		g_change(g, G_WAITING, G_RUNNABLE);
		if (g->locked_m != NULL && ready_locked(g))
			continue;
		if (fuzz_migrate())
			to_global_queue(g);
		else
			glist_push(&batch, g);
	}
	runq_put_list(p, &batch);
	wake_p();
}
