/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A G gives its hart to others and stays runnable: it yields, or is preempted.
 *
 * Go's rule for both is the end of the global queue. A yield goes to the end of the own ring while the global
 * queue is empty: for this P it comes to the same, and takes no lock. It leaves its stack as park.c tells; in
 * the short way it is in the ring before it has left (switch.h).
 */
#include "sched/switch.h"

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
	/* Through runnext, to come first; but not in the slice of the one that yields. */
	if (next != NULL)
		runq_put_next(m->p, next);
	m->p->slice_end = 0;
	schedule();
}

/* Is there nothing for m and its P to do but the G that runs? */
static bool alone(struct m *m, struct p *p)
{
	return runq_none(p) && load_relaxed(&sched.runq_size) == 0 && !load_relaxed(&m->locked_ready) &&
	       !load_relaxed(&sched.netpoll_ready) && !load_relaxed(&sched.stopping) &&
	       !timers_due(p, now_ticks());
}

static NOINLINE void yield_global(void)
{
	struct g *g = g_self();

	if (!alone(m_self(), m_self()->p))
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
	else if (GUMP_CHECKS && next == g) /* only fuzz_pick() can draw g itself */
		hart_unlock();
	else
		yield_switch(m, g, next, now);
}

/*
 * As Go's Gosched. See above for the end of which queue.
 */
SWITCHES void go_yield(void)
{
	hart_lock();
	struct m *m = m_self();
	struct p *p = m->p;
	/* Acquire: as in runq_put(). */
	uint32_t head = load_acquire(&p->runq_head);
	uint32_t tail = load_relaxed(&p->runq_tail);
	bool none_next = load_relaxed(&p->runnext) == NULL;

	if ((head == tail && none_next) || tail - head >= RUNQ_SIZE ||
	    load_relaxed(&sched.runq_size) != 0)
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
	atomic_fetch_add_explicit(&m->p->preemptions, 1, memory_order_relaxed);
	sections_relieve();
	reclaim_heap_trim_if_asked(m); /* one that is tied to its hart does not come to look_around() */
	reclaim_at_times(m);
	/* The device may have asked while the slice ran. (Go's sysmon polls when nobody has for 10 ms.) */
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
	return m->p->slice_end <= now_ticks() || load_relaxed(&sched.stopping) || reclaim_wanted();
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
