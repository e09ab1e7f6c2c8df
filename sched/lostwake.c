/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * No hart sleeps while a G waits: watched as the machine runs, in the build with checks.
 *
 * An M that is about to run a G, or whose G leaves a critical section, looks: does another wait, in its own
 * queue or in the global one, while a P is idle and an M sleeps that could take it? That is allowed for a
 * moment, as long as somebody is on the way to see to it: a spinning M, one that has just stopped spinning or
 * submitted the G and has not called wake_p() yet, one that has announced itself idle and is about to look.
 * All of these are in critical sections. So:
 *
 *     the look finds a G, an idle P, a sleeping M, none that spins
 *     each other hart is seen in no critical section, or asleep with no kick on its way
 *     the look finds the same again, and no M has begun to spin, to sleep, or to wake since the first look
 *
 * Whoever was on the way at the first look has arrived since, and nobody else has taken over from him: the
 * wake-up is lost. No clock and no patience is in this, so however slow the host, it says nothing wrong.
 */
#include "sched/sched.h"

static _Atomic(uint32_t) events;        /* an M begins to spin, to sleep, or to wake */
static _Atomic(bool) asleep[HARTS_MAX]; /* in hart_idle() */

void check_spinner(void)
{
	atomic_fetch_add(&events, 1);
}

void check_asleep(struct m *m)
{
	lockrank_none_held("a hart's sleep", 1);
	atomic_fetch_add(&events, 1);
	atomic_store(&asleep[m->hart.id], true);
}

void check_awake(struct m *m)
{
	atomic_store(&asleep[m->hart.id], false);
	atomic_fetch_add(&events, 1);
}

bool check_sleeps(struct m *m)
{
	return atomic_load(&asleep[m->hart.id]) && atomic_load(&m->hart.kicked) == 0 &&
	       atomic_load(&m->next_p) == NULL;
}

/* Is there a G in m's own queue that another M may run? A thief may take it meanwhile. */
static bool has_for_others(struct m *m)
{
	struct p *p = m->p;
	struct g *g = atomic_load(&p->runnext);
	uint32_t head = atomic_load(&p->runq_head), tail = atomic_load(&p->runq_tail);

	if (m->locked_gs == 0)
		return g != NULL || head != tail;
	if (g != NULL && peek(&g->locked_m) != m)
		return true;
	for (; head != tail; head++)
		if (peek(&atomic_load(&p->runq[head % RUNQ_SIZE])->locked_m) != m)
			return true;
	return false;
}

static bool sleeper_could_take(struct m *m)
{
	if (sched.stopping || atomic_load(&sched.spinning) != 0 || atomic_load(&sched.idle_ps) == 0)
		return false;
	if (atomic_load(&sched.runq_size) == 0 && !has_for_others(m))
		return false;
	for (unsigned id = 0; id < hart_count(); id++)
		if (atomic_load(&sched.idle_ms) & bit(id) && check_sleeps(m_get(id)))
			return true;
	return false;
}

void check_no_wakeup_lost(struct m *m)
{
	uint32_t before = atomic_load(&events);

	if (!sleeper_could_take(m))
		return;
	for (unsigned id = 0; id < hart_count(); id++)
		if (id != m->hart.id && in_critical_section(m_get(id)) && !check_sleeps(m_get(id)))
			return;
	if (sleeper_could_take(m) && atomic_load(&events) == before)
		hart_fatal("lost wake-up: %u goroutines wait in the global queue, %u in that of P %u, and "
			   "M %d sleeps", (unsigned)sched.runq_size, (unsigned)runq_length(m->p),
			   (unsigned)m->p->id, __builtin_ctz(sched.idle_ms));
}

/*
 * Declared in kernel/hart.h. What this hart has submitted it has seen to: wake_p() comes in the same section.
 */
bool sched_check_unlock(void)
{
	struct m *m = m_self();

	if (m->hart.locks != 1 || m->hart.in_trap != 0 || m->hart.g == NULL || m->p == NULL)
		return false;
	check_no_wakeup_lost(m);
	return fuzz_preempt();
}
