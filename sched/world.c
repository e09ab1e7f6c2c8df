/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stopping the world, and changing the number of Ps while it is stopped.
 *
 * The goroutine that stops it keeps its P and runs on with locks > 0. Idle Ps and those in blocking
 * sections are taken at once; a running M is kicked, its G is preempted into its own P's runnext, and the M
 * gives the P up at its next scheduling point and parks. Each P keeps its queue, and starting gives it to the
 * M that it was taken from, so that Gs go on where they were.
 */
#include "sched/sched.h"
#include "sched/trace.h"

static go_mutex world; /* one stop at a time */

void p_stop(struct p *p)
{
	p_change(p, P_STOPPED);
	/* Release: the stopper, which acquires, finds the P's queue as it is now. */
	atomic_fetch_sub_explicit(&sched.stop_wait, 1, memory_order_release);
}

void stop_here(struct m *m)
{
	fuzz_wait(FUZZ_STOP);
	spin_acquire(&sched.lock);
	if (!sched.stopping) {
		spin_release(&sched.lock);
		return;
	}
	struct p *p = m->p;
	m->p = NULL;
	p->m = NULL;
	p->old_m = m;
	if (m->spinning)
		m_spin_end(m);
	trace(TRACE_IDLE, NULL, TRACE_NO_P, 0);
	idle_m_add(m);
	p_stop(p);
	spin_release(&sched.lock);
	m_park_until_p(m);
}

/* Takes the Ps that no M runs; sched.lock held. */
static void stop_unused(void)
{
	for (struct p *p; (p = idle_p_take(0)) != NULL;)
		p_stop(p);
	for (uint32_t i = 0; i < sched.procs; i++) {
		struct p *p = p_get(i);
		uint32_t status = load_relaxed(&p->status);
		if ((status & 0xff) == P_BLOCKED &&
		    p_take_blocked(p, status, P_IDLE)) {
			p->m = NULL;
			p_stop(p);
		}
	}
}

/* Raises locks for as long as the world is stopped. */
static void stop_the_world(void)
{
	hart_lock();
	trace(TRACE_STOP_WORLD, hart_g(), sched.procs, 0);
	spin_acquire(&sched.lock);
	for (uint32_t i = 0; i < sched.procs; i++)
		p_get(i)->old_m = NULL;
	store_relaxed(&sched.stopping, true);
	store_relaxed(&sched.stop_wait, sched.procs - 1);
	stop_unused();
	spin_release(&sched.lock);
	fuzz_wait(FUZZ_STOPPING);
	for (unsigned id = 0; id < hart_count(); id++)
		if (id != m_self()->hart.id)
			hart_kick(id);
	fuzz_wait(FUZZ_STOPPING);
	/* Acquire: pairs with p_stop(). An M may enter a blocking section instead of stopping. */
	while (load_acquire(&sched.stop_wait) != 0) {
		spin_acquire(&sched.lock);
		stop_unused();
		spin_release(&sched.lock);
		for (int i = 0; i < 100; i++)
			hart_relax();
	}
}

/* The Ps with work whose Ms are there: before others take those. The set of them; sched.lock held. */
static uint32_t start_on_old_ms(void)
{
	uint32_t started = 0;

	for (uint32_t i = 0; i < sched.procs; i++) {
		struct p *p = p_get(i);
		if (p != m_self()->p && p->old_m != NULL && !runq_empty(p) &&
		    m_start_this(p->old_m, p, false))
			started |= bit(i);
	}
	return started;
}

static void start_the_world(void)
{
	trace(TRACE_START_WORLD, hart_g(), sched.procs, 0);
	gump_trace.procs = sched.procs;
	spin_acquire(&sched.lock);
	store_relaxed(&sched.stopping, false);
	for (uint32_t i = 0; i < sched.procs; i++)
		if (p_get(i) != m_self()->p)
			p_change(p_get(i), P_IDLE);
	uint32_t started = start_on_old_ms();
	for (uint32_t i = 0; i < sched.procs; i++) {
		struct p *p = p_get(i);
		if (p == m_self()->p || started & bit(i))
			continue;
		if (!runq_empty(p)) {
			if (m_start(p, false))
				continue;
			runq_drain(p);
		}
		idle_p_add(p);
	}
	start_tied_ms();
	spin_release(&sched.lock);
	wake_p();
	hart_unlock();
}

/* A P that goes leaves its Gs, timers and pools to others. World stopped. */
static void retire(struct p *p)
{
	struct m *m = m_self();

	if (m->p == p) {
		m->p = NULL;
		p->m = NULL;
		p_acquire(m, p_get(0));
		m->p->slice_end = p->slice_end;
	}
	spin_acquire(&sched.lock);
	runq_drain(p);
	spin_release(&sched.lock);
	p_change(p, P_DEAD); /* before its timers go: lock_room() finds no more room there */
	timers_move(p, p_get(0));
	gfree_flush(p);
}

int go_maxprocs(int n)
{
	if (n < 1)
		return (int)sched.procs;
	if (n > (int)hart_count())
		n = (int)hart_count();
	if (g_self()->block_depth != 0) {
		hart_lock();
		park(NULL, NULL, WAIT_NONE); /* ends the machine: its P would be stopped, too */
	}
	go_mutex_lock(&world);
	int old = (int)sched.procs;
	if (n != old) {
		stop_the_world();
		for (int i = n; i < old; i++)
			retire(p_get((unsigned)i));
		/* parked Ms look: procs_now() */
		__atomic_store_n(&sched.procs, (uint32_t)n, __ATOMIC_RELAXED);
		start_the_world();
	}
	go_mutex_unlock(&world);
	return old;
}
