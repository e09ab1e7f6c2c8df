/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A G stops and goes on: parked, made ready, yielding, preempted.
 *
 * It leaves its stack by hart_switch() for the next G if that is at hand (switch.h), and else by
 * hart_mcall(), which runs the rest of the transition on g0, where nothing depends on the G any more.
 * Either way it is published when its context is saved, and not before; from then on another M may
 * resume it at once.
 */
#include "sched/switch.h"

#define relaxed memory_order_relaxed

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
static void to_global_queue(struct g *g)
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

/* ---- Yielding ---- */

static void yield_global_on_g0(void *arg)
{
	struct m *m = g_stop(arg);
	struct g *next = NULL;

	trace(TRACE_YIELD, arg, 0, 0);
	g_change(arg, G_RUNNING, G_RUNNABLE);
	spin_acquire(&sched.lock);
	/* The one lock serves both ways: this P is going to look there next. */
	if (runq_none(m->p) && sched.runq.head != NULL && !runs_elsewhere(sched.runq.head, m))
		next = globrunq_get(m->p, 0);
	globrunq_put_one(arg);
	spin_release(&sched.lock);
	wake_p();
	if (next != NULL)
		runq_put_next(m->p, next);
	m->p->slice_end = 0;
	schedule();
}

/* Is there nothing for this P to do but the G that runs? */
static bool alone(struct p *p)
{
	return runq_none(p) && atomic_load_explicit(&sched.runq_size, relaxed) == 0 &&
	       !atomic_load_explicit(&sched.netpoll_ready, relaxed) &&
	       !atomic_load_explicit(&sched.stopping, relaxed) && !timers_due(p, now_ticks());
}

static NOINLINE void yield_global(void)
{
	struct g *g = g_self();

	if (!alone(m_self()->p))
		hart_mcall(&g->sp, yield_global_on_g0, g);
	hart_unlock();
}

/* g is in the ring already, in the state RUNNING, and a thief waits until that changes: see switch.h. */
static void yield_on_g0(void *arg)
{
	struct g *g = arg;

	g_stop(g);
	check_g(g, G_RUNNING, G_RUNNABLE);
	/* Release: pairs with the acquire in wait_until_left(). */
	store_release(&g->status, G_RUNNABLE);
	schedule();
}

static NOINLINE void yield_long(struct g *next)
{
	struct g *g = g_self();

	put_back(next);
	hart_mcall(&g->sp, yield_on_g0, g);
	hart_unlock();
}

static ALWAYS_INLINE void yield_switch(struct m *m, struct g *g, struct g *next, int64_t now)
{
	check_g(g, G_RUNNING, G_RUNNABLE);
	account(m, g, next, now);
	hart_switch(&g->sp, next->sp, next, &g->status, G_RUNNABLE);
	hart_unlock();
}

/* g is in the ring; whoever comes next. */
static NOINLINE void yield_to_any(struct m *m, struct p *p)
{
	struct g *g = g_self();
	int64_t now;
	bool inherit;
	struct g *next = next_at_hand(m, p, &now, &inherit);

	if (!runs_here(next)) {
		yield_long(next);
		return;
	}
	if (inherit)
		slice_begin(p, now);
	if (trace_on())
		trace_start(p, next);
	if (next != g) /* if it is, a thief took the others */
		yield_switch(m, g, next, now);
	else
		hart_unlock();
}

static NOINLINE void yield_behind_any(struct m *m, struct p *p, uint32_t tail)
{
	struct g *g = g_self();

	if (g->locked_m != NULL) {
		yield_global();
		return;
	}
	trace(TRACE_YIELD, g, 0, 0);
	runq_put_last(p, g, tail);
	yield_to_any(m, p);
}

/* The next one, by what go_yield() has seen: in runnext, or the ring's at `head`. False: look again. */
static ALWAYS_INLINE bool next_seen(struct p *p, uint32_t head, bool none_next, struct g **next)
{
	if (none_next)
		return --p->look_in >= 0 && runq_get_at(p, head, next);
	return (*next = runq_get_next(p)) != NULL;
}

/*
 * Behind those that are in the ring, which has room at `tail`. g goes there before the next one is taken, so
 * that no M that looks for work for the last time finds the ring empty in between: so this is no submission.
 *
 * Mostly the next one is the ring's first: this is next_at_hand() without what go_yield() has seen already.
 * If the head has not moved since then, the G there was before g.
 */
static ALWAYS_INLINE void yield_behind(struct m *m, struct p *p, uint32_t head, uint32_t tail, bool none_next)
{
	struct g *g = g_self(), *next;

	if ((m->long_way | m->hart.preempt) != 0) {
		yield_behind_any(m, p, tail);
		return;
	}
	runq_put_last(p, g, tail);
	int64_t now = now_ticks();
	if (timers_due(p, now) || !next_seen(p, head, none_next, &next)) {
		yield_to_any(m, p);
		return;
	}
	if (none_next)
		next = fuzz_pick(p, next);
	slice_begin(p, now);
	if (next->long_way != 0)
		yield_long(next);
	else if (GUMP_CHECKS && next == g)
		hart_unlock();
	else
		yield_switch(m, g, next, now);
}

/*
 * As Go's Gosched: to the end of the global queue. While that is empty the end of the own ring will do: for
 * this P it comes to the same, and takes no lock.
 */
SWITCHES void go_yield(void)
{
	hart_lock();
	struct m *m = m_self();
	struct p *p = m->p;
	/* Acquire: as in runq_put(). */
	uint32_t head = atomic_load_explicit(&p->runq_head, memory_order_acquire);
	uint32_t tail = atomic_load_explicit(&p->runq_tail, relaxed);
	bool none_next = atomic_load_explicit(&p->runnext, relaxed) == NULL;

	if ((head == tail && none_next) || tail - head >= RUNQ_SIZE ||
	    atomic_load_explicit(&sched.runq_size, relaxed) != 0)
		yield_global();
	else if (trace_on())
		yield_behind_any(m, p, tail);
	else
		yield_behind(m, p, head, tail, none_next);
}

static void yield_local_on_g0(void *arg)
{
	struct g *g = arg;
	struct m *m = g_stop(g);

	trace(TRACE_YIELD, g, 0, 0);
	g_change(g, G_RUNNING, G_RUNNABLE);
	if (g->locked_m != NULL)
		to_global_queue(g);
	else
		runq_put(m->p, g);
	schedule();
}

void yield_local(void)
{
	struct g *g = g_self();

	hart_lock();
	hart_mcall(&g->sp, yield_local_on_g0, g);
	hart_unlock();
}

/* ---- Preemption ---- */

static void preempt_on_g0(void *arg)
{
	struct m *m = g_stop(arg);

	trace(TRACE_PREEMPT, arg, sched.stopping, 0);
	g_change(arg, G_RUNNING, G_PREEMPTED);
	/* A stop of the world is not the G's fault: it goes on first, on its own P. */
	if (sched.stopping) {
		runq_put_next(m->p, arg);
	} else {
		to_global_queue(arg);
		m->p->slice_end = 0;
	}
	atomic_fetch_add_explicit(&m->p->preemptions, 1, relaxed);
	reclaim_at_times(m);
	/* Others have not polled, or the G's slice would not have come to its end. */
	struct glist list = { 0 };
	if (netpoll(&list))
		ready_list(&list);
	schedule();
}

/* Was it meant for the G that runs? One that switched here after the interrupt may have begun a new slice. */
static bool preemption_is_due(struct m *m)
{
	if (fuzz_is_on()) /* at random, too */
		return true;
	return m->p->slice_end <= now_ticks() || atomic_load_explicit(&sched.stopping, relaxed) ||
		reclaim_wanted();
}

/* On a G's stack, locks == 0: its slice is over, or a stop of the world or a reclaim cycle is asked for. */
void sched_preempt(void)
{
	struct g *g = g_self();
	uintptr_t sp = (uintptr_t)__builtin_frame_address(0);

	if (!hart_stack_holds(&g->stack, sp))
		overflow_report(g, sp);
	hart_lock();
	struct m *m = m_self();
	/* What asks for a preemption after this line sets the flag again. */
	m->hart.preempt = 0;
	atomic_signal_fence(memory_order_seq_cst);
	if (m->p != NULL) { /* not in a blocking section: there is a P to give away */
		if (preemption_is_due(m))
			hart_mcall(&g->sp, preempt_on_g0, g);
		else
			sysmon_arm_slice(m, m->p); /* the interrupt left that to the G that runs */
	} else if (m->old_p != NULL) {
		if (reclaim_wanted())
			reclaim_in_section();
		sysmon_arm_blocked(m); /* it came on the way into the section, and armed neither */
	}
	hart_unlock();
}
