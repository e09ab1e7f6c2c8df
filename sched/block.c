/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blocking sections, Go's system calls: code that holds the hart but not the scheduler.
 *
 * go_block_enter() leaves the P behind in the state BLOCKED, marked with the hart's number, without a lock;
 * go_block_leave() takes it back by one compare-and-swap if nobody has. Somebody is a parked M that has no P
 * of its own: a timer interrupt of the hart kicks one when the section has lasted for RETAKE_NS, and it takes
 * the P if there is work anywhere: in a queue, a timer that is due, the network. An M that parks before then
 * sets its own timer. Where each parked M waits for a G that is locked to it, one of those does so
 * (hartlock.c). Thieves with Ps need not take the P, they take its work.
 */
#include "sched/sched.h"
#include "sched/trace.h"

#define RETAKE_NS 20000 /* a section shorter than this keeps its P: Go's sysmon looks every 20 us */

static uint32_t blocked_by(struct m *m)
{
	return P_BLOCKED + (m->hart.id << 8);
}

void go_block_enter(void)
{
	struct g *g = g_self();

	if (g->block_depth++ != 0)
		return;
	hart_lock();
	struct m *m = m_self();
	struct p *p = m->p;
	g_change(g, G_RUNNING, G_BLOCKING);
	m->now = now_ticks();
	g->wait_since = m->now;
	g->tidy_up = true;
	m->long_way++;
	m->old_p = p;
	m->p = NULL;
	m->old_slice_end = p->slice_end;
	/* read by whoever thinks of taking it */
	p->slice_end = m->now + (int64_t)hart_ns_to_ticks(RETAKE_NS);
	trace(TRACE_BLOCKING, g, p->id, 0);
	fuzz_leave_p();
	p_leave_blocked(p, blocked_by(m));
	check_m(m, M_BLOCKING);
	/* Pairs with the fence in m_idle(), and wherever else an M parks: it sees the P as we left it, or we
	   see that it is parked. */
	fence_store_load();
	/* All Ps are in use and Ms are parked: one of those could have ours. */
	if (!fuzz_saw_no_idle_m() && load_relaxed(&sched.idle_ps) == 0 && ms_parked() != 0)
		sysmon_arm_blocked(m);
	hart_unlock();
}

struct p *p_from_section(struct m *m, bool work, int64_t *too_early)
{
	int64_t now = now_ticks();

	for (uint32_t i = 0; i < procs_now() && !sched.stopping; i++) {
		struct p *p = p_get(i);
		/* Acquire: what was written with it is the time of this section. */
		uint32_t status = load_acquire(&p->status);
		if ((status & 0xff) != P_BLOCKED || (!work && runq_empty(p) && sched.runq.size == 0))
			continue;
		int64_t when = peek_time(&p->slice_end);
		if (when > now) {
			*too_early = when < *too_early ? when : *too_early;
		} else if (p_take_blocked(p, status, P_IDLE)) {
			trace(TRACE_HANDOFF, NULL, p->id, m->hart.id);
			return p;
		}
	}
	return NULL;
}

bool p_retake_blocked(struct m *m, bool work)
{
	int64_t too_early = INT64_MAX;
	struct p *p = NULL;

	spin_acquire(&sched.lock);
	if (load_relaxed(&sched.idle_ms) & bit(m->hart.id))
		p = p_from_section(m, work, &too_early);
	if (p != NULL) {
		idle_m_remove(m);
		m->spinning = false;
		p_acquire(m, p);
	}
	spin_release(&sched.lock);
	if (p == NULL) /* whoever left it may have looked before we parked */
		sysmon_arm(m, too_early);
	return p != NULL;
}

/* What waits in the ring of p, whose section lasts, goes to the global queue. */
static void p_relieve(struct p *p)
{
	/* Acquire: as in p_from_section(). */
	uint32_t status = load_acquire(&p->status);

	if ((status & 0xff) != P_BLOCKED || runq_empty(p))
		return;
	spin_acquire(&sched.lock);
	bool taken = !sched.stopping && peek_time(&p->slice_end) <= now_ticks() &&
		     p_take_blocked(p, status, P_IDLE);
	if (taken) {
		p->m = NULL;
		runq_drain(p);
		idle_p_add(p);
		start_tied_ms();
	}
	spin_release(&sched.lock);
	if (taken)
		wake_p(); /* an M may have parked meanwhile */
}

void sections_relieve(void)
{
	if (sched.stopping || ms_parked() != 0) /* one of those takes the P */
		return;
	for (uint32_t i = 0; i < procs_now(); i++) {
		struct p *p = p_get(i);

		p_relieve(p);
		if ((load_relaxed(&p->status) & 0xff) != P_RUNNING && timers_due(p, now_ticks()))
			timers_run(p); /* a P that runs has its own looked after */
	}
}

/* The P is gone: any idle P will do, or the G waits in the global queue and the M parks. */
static void leave_on_g0(void *arg)
{
	struct g *g = arg;
	struct m *m = g_stop(g);

	g_change(g, G_BLOCKING, G_RUNNABLE);
	m_without_p(m, g);
	schedule();
}

void go_block_leave(void)
{
	struct g *g = g_self();

	if (g->block_depth == 0)
		go_panic("go_block_leave: not in a blocking section");
	if (--g->block_depth != 0)
		return;
	hart_lock();
	struct m *m = m_self();
	struct p *p = m->old_p;
	uint32_t mine = blocked_by(m);

	m->old_p = NULL;
	m->long_way--;
	fuzz_wait(FUZZ_BLOCK);
	if (p_take_blocked(p, mine, P_RUNNING)) {
		m->p = p;
		check_m(m, M_WORKING);
		p->slice_end = m->old_slice_end;
		sysmon_arm_slice(m, p);
		/* The kick of whoever stops the world came when there was no P to ask back, and comes
		   once. The slice's end may have come then, too, and may so again in the next section. */
		if (load_relaxed(&sched.stopping) || p->slice_end <= now_ticks())
			m->hart.preempt = 1;
		g_change(g, G_BLOCKING, G_RUNNING);
		trace(TRACE_UNBLOCKING, g, 1, 0);
	} else {
		trace(TRACE_UNBLOCKING, g, 0, 0);
		hart_mcall(&g->sp, leave_on_g0, g);
	}
	hart_unlock();
}

void block_misused(struct g *g)
{
	hart_stop_others();
	hart_print("fatal: a call that may wait, in a blocking section\n");
	g_describe("", g);
	hart_backtrace_saved(g->sp);
	hart_poweroff(2);
}

void block_leave_to(struct g *g, uint32_t depth)
{
	while (g->block_depth > depth)
		go_block_leave();
}
