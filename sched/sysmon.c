/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sysmon: what Go's monitor thread does, from each hart's own timer interrupt.
 *
 * A hart's timer is set to whichever comes first of the end of the slice of the G that it runs and the
 * earliest timer of the P with the hart's number, whoever holds that P. It is set only when that moves
 * forward: an interrupt that comes too early sets it anew. So a hart that runs many short Gs has an
 * interrupt each 10 ms at most, and one that is idle with no timer in its P has none.
 *
 * The handler takes no lock. It preempts a G whose slice is over. It kicks a parked M when there is a P for
 * it, idle or left in a blocking section, and something to do: expired timers, the network, that P's queue.
 * sched_netpoll_ready(), the network's interrupt, kicks in the same way, and is here, too.
 */
#include "sched/sched.h"

/*
 * Only an interrupt handler of this hart changes timer_deadline meanwhile. If it comes after the first
 * look, which found the timer set early enough, it arms for all that the caller has published before it
 * called. If it comes before interrupts are off, for a kick by whoever set an earlier timer, it has armed
 * for that one: so look again.
 */
void sysmon_arm(struct m *m, int64_t deadline)
{
	if (deadline >= m->timer_deadline)
		return;
	bool on = hart_irq_off();
	if (deadline < m->timer_deadline) {
		m->timer_deadline = deadline;
		hart_timer_set(hart_ticks_to_ns((uint64_t)deadline));
	}
	hart_irq_restore(on);
}

static int64_t watched_when(struct m *m)
{
	return load_relaxed(&p_beside(m)->timer_when);
}

/* When to look next whether the P that m left in a blocking section is of use to others. */
static int64_t blocked_look(struct m *m, int64_t now)
{
	/* Whoever has the P by now may write it: then it is too early or late once. */
	int64_t first = peek_time(&m->old_p->slice_end);
	return first > now ? first : now + sched.quantum;
}

void sysmon_arm_slice(struct m *m, struct p *p)
{
	int64_t when = watched_when(m);
	/* What is due is for the P's holder, who comes to it at its next switch. An interrupt
	   has told of it. */
	sysmon_arm(m, when > m->now && when < p->slice_end ? when : p->slice_end);
}

/*
 * What was due when the caller looked is for an M with a P: whoever goes idle next looks for it first. What
 * has become due since nobody has seen: it is armed, and the interrupt comes at once. So it does not matter
 * that nothing orders the reading of the clock (rdtime, rdtsc) among loads and stores: a clock that was
 * read too early makes a timer nanoseconds late. One that another hart sets after our look comes with a
 * kick, which is latched.
 */
void sysmon_arm_idle(struct m *m, int64_t looked)
{
	int64_t when = watched_when(m);

	if (when > looked && when < m->timer_deadline) {
		/* The sleep may be long: not for a timer that was stopped or put off. */
		when = timers_first(p_beside(m));
		if (when > looked)
			sysmon_arm(m, when);
	}
	/* Who runs Gs comes by. The last to sleep sees that all others do. */
	when = load_relaxed(&sched.reclaim_due);
	if (when > looked && when < m->timer_deadline &&
	    load_relaxed(&sched.idle_ps) == all_ps() && reclaim_pays())
		sysmon_arm(m, when);
}

void sysmon_arm_blocked(struct m *m)
{
	/* The first look: if the way here was long it is due, and the interrupt comes at once. */
	int64_t now = now_ticks(), when = watched_when(m), look = peek_time(&m->old_p->slice_end);
	sysmon_arm(m, when > now && when < look ? when : look);
}

void sysmon_timers_changed(struct p *p)
{
	struct m *m = m_self();

	if (p->id == m->hart.id)
		sysmon_arm(m, load_relaxed(&p->timer_when));
	else
		hart_kick(p->id);
}

/* From a handler: lets a parked M look for work, if there is a P for it and nobody looks already. */
static void kick_parked(struct m *m)
{
	uint32_t idle = load_relaxed(&sched.idle_ms);

	if (idle == 0) /* one that waits for its locked G serves others, too: hartlock.c */
		idle = load_relaxed(&sched.parked_locked);
	if (idle == 0 || load_relaxed(&sched.spinning) != 0)
		return;
	/* This hart, if it is parked, is awake now and looks by itself. */
	if (!(idle & bit(m->hart.id)))
		hart_kick((unsigned)__builtin_ctz(idle));
}

/* All Ps may be with Ms that run, and this one has none: whoever has looks as its G goes. */
static void kick_running(struct m *m)
{
	uint32_t parked = ms_parked();

	for (unsigned id = 0; id < hart_count(); id++)
		if (id != m->hart.id && !(parked & bit(id)))
			hart_kick(id);
}

bool sched_interrupt(enum hart_event event)
{
	hart_stop_if_asked();

	struct m *m = m_self();
	struct p *p = m->p;
	int64_t now = now_ticks(), next = watched_when(m);

	if (event == HART_TIMER)
		m->timer_deadline = INT64_MAX;
	if (p != NULL && load_relaxed(&sched.netpoll_ready))
		p->look_in = 0;
	if (next <= now) {
		if (load_relaxed(&sched.idle_ps) != 0)
			kick_parked(m);
		next = INT64_MAX;
	}
	bool over = p != NULL && (p->slice_end <= now || load_relaxed(&sched.stopping) ||
				  reclaim_wanted() || fuzz_interrupt());
	if (p == NULL) {
		/* In a blocking section: a parked M, or one that parks later, may want the P (block.c). */
		if (m->old_p != NULL) {
			/* its stack grew out of the reserve: sched_preempt() asks others */
			over = event == HART_KICK && reclaim_wanted();
			int64_t look = blocked_look(m, now);
			/* one that waits for its locked G has no use for it beside an idle P */
			if (load_relaxed(&sched.idle_ms) != 0 || load_relaxed(&sched.idle_ps) == 0)
				kick_parked(m);
			if (look < next)
				next = look;
		}
	} else if (!over && p->slice_end < next) {
		next = p->slice_end;
	}
	/* The G that runs next arms its slice. If this one goes on for now, under a lock,
	   timers are watched still. */
	sysmon_arm(m, next);
	return over;
}

void sched_netpoll_ready(void)
{
	fuzz_publish();
	/* Release: the poll function sees the ring as the device left it. */
	store_release(&sched.netpoll_ready, 1);
	/* Pairs with the fence in m_idle(), as a submitter's does. */
	fence_store_load();
	struct m *m = m_self();
	if (load_relaxed(&sched.idle_ps) != 0)
		kick_parked(m);
	/* If this interrupts the M as it counts down, that is lost, and the look comes at its usual time. */
	if (m->p != NULL)
		m->p->look_in = 0;
	else if (load_relaxed(&sched.idle_ps) == 0)
		kick_running(m);
}
