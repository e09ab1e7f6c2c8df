/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The short way from one G to the next.
 *
 * A G that stops mostly knows who comes next: the G in runnext, or the first one of the ring. Then it does
 * what the scheduler would do, and switches there itself, without going over g0. Everything else is left to
 * the long way, hart_mcall() and schedule(): a preemption or a stop of the world that is due, timers that
 * are, the look at the global queue, an M with locked Gs or without a P, nothing to run.
 *
 * Until the switch the G that stops is still on its stack, and nobody may run it. So what lets others
 * at it is one store, which hart_switch() makes when the context is saved: the release of the lock of
 * the queue it waits in; of a select, which waits in several, its select_state; or, since a G that yields is
 * in its P's ring by then, its own status, for which a thief waits (runq_steal()).
 *
 * What is seldom needed is in functions that nothing comes after, so that the short way saves
 * no registers for it.
 *
 * The inline half of waking is here, too; park.c has the rest.
 *
 * The hart's timer needs no look here, as it does in run(): a slice that is inherited was armed, one that is
 * new ends later than that of the G that stops, and if the timer has come since, `preempt` is set.
 */
#ifndef SCHED_SWITCH_H
#define SCHED_SWITCH_H

#include "sched/sched.h"
#include "sched/trace.h"

static inline void slice_begin(struct p *p, int64_t now)
{
	p->sched_tick++;
	p->slice_end = now + fuzz_slice(sched.quantum);
}

/*
 * The G to run next, off its queue, or NULL: the scheduler is to look. It may be one for another M: see
 * runs_here(). *inherit: in the slice that runs. On a G's stack, locks > 0.
 */
static ALWAYS_INLINE struct g *next_at_hand(struct m *m, struct p *p, int64_t *now, bool *inherit)
{
	if ((m->long_way | m->hart.preempt) != 0)
		return NULL;
	*now = now_ticks();
	if (timers_due(p, *now))
		return NULL;
	struct g *next = runq_get_next(p);
	*inherit = next != NULL;
	if (next == NULL) {
		if (--p->look_in < 0 || !runq_get_first(p, &next))
			return NULL;
		next = fuzz_pick(p, next);
		slice_begin(p, *now);
	}
	return next;
}

/* False: the long way, for which put_back() leaves next in runnext, where the scheduler finds it. */
static inline bool runs_here(const struct g *next)
{
	return next != NULL && next->long_way == 0;
}

static inline void put_back(struct g *next)
{
	/* Nobody but this M puts one there, and that is where it looks first. */
	if (next != NULL)
		store_release(&m_self()->p->runnext, next);
}

/* park.c: what was in runnext goes to the ring, and an M is woken. */
void submit_displaced(struct p *p, struct g *g);

/* g, which nobody has, runs here next, unless an M that this wakes is faster. */
static ALWAYS_INLINE void submit_next(struct p *p, struct g *g)
{
	struct g *displaced = runq_swap_next(p, g);
	if (displaced != NULL)
		submit_displaced(p, displaced);
	else
		wake_p();
}

/* park.c: what is left of ready_unlock_inline() in each of the unusual cases. True, as that. */
bool ready_rest_unlock(struct g *g);
bool displaced_unlock(struct p *p, struct g *displaced);
bool wake_p_unlock(void);

/*
 * ready_unlock(). True, so that go_recv() can end with it. The unusual cases are jumps out of whatever ends
 * with this, but for one call that comes back: a compiler makes a frame for that, and none on the usual
 * way.
 */
static ALWAYS_INLINE bool ready_unlock_inline(struct g *g)
{
	struct p *p = m_self()->p;

	fuzz_wait(FUZZ_READY);
	g_change(g, G_WAITING, G_RUNNABLE);
	if (__builtin_expect(g->locked_m != NULL, 0) || fuzz_is_on())
		return ready_rest_unlock(g);
	struct g *displaced = runq_swap_next(p, g);
	if (displaced != NULL)
		return displaced_unlock(p, displaced);
	if (wake_p_due())
		return wake_p_unlock();
	if (hart_unlock_due()) {
		sched_preempt();
		__asm__ volatile(""); /* comes back: see above */
	}
	return true;
}

static inline void trace_start(struct p *p, const struct g *g)
{
	trace_write(TRACE_START, g, p->id | (uint64_t)p->sched_tick << 32, runq_length(p));
}

/* next, which is at hand, is about to run on, and it is g that stops. */
static inline void account(struct m *m, struct g *g, struct g *next, int64_t now)
{
	g->run_ticks += now;
	next->run_ticks -= now;
	g_runs(next);
	check_about_to_run(m, next);
}

#endif
