/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler's loop, on g0: find a G, run it.
 *
 * Work is looked for nearest first: what was just made ready here (runnext), the P's own ring, the
 * global queue, the network, Gs without a stack (bind.c), other Ps. Three things may come before the P's own
 * queue: Gs locked to this M; at every 61st new slice the global queue, so that Gs which refill the ring for
 * ever cannot starve it (two that wake each other through runnext share one slice, and its end sees to that);
 * and the network, when its device asks. Before all but the first the P's own expired timers are run, since
 * they make Gs ready.
 *
 * Stealing takes half of a victim's ring. The Ps are visited in a random order, four times; only in the
 * last round are the victim's timers run, and its runnext taken. At most half as many Ms as there are
 * busy Ps look around like that: more would only get in each other's way. What they do when they find
 * nothing is in idle.c.
 */
#include "sched/switch.h"

uint32_t random_next(uint64_t *state)
{
	/* xorshift64*, Marsaglia 2003, Vigna 2016: three shifts and a multiplication. */
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (uint32_t)(*state * UINT64_C(0x2545f4914f6cdd1d) >> 32);
}

static bool coprime(uint32_t a, uint32_t b)
{
	while (b != 0) {
		uint32_t rest = a % b;
		a = b;
		b = rest;
	}
	return a == 1;
}

/* A step by which one comes to each of n Ps once, from wherever one starts. */
static uint32_t random_step(uint64_t *random, uint32_t n)
{
	uint32_t step = 1 + random_next(random) % n;
	while (!coprime(step, n))
		step = step % n + 1;
	return step;
}

/* One look at every P, in a random order. */
static struct g *steal_round(struct m *m, bool last, bool *inherit)
{
	uint32_t n = sched.procs, at = random_next(&m->p->random) % n;
	uint32_t step = random_step(&m->p->random, n);

	for (uint32_t i = 0; i < n; i++, at = (at + step) % n) {
		struct p *victim = p_get(at);
		if (load_relaxed(&sched.stopping))
			return NULL;
		if (last && timers_due(victim, m->now) && timers_run(victim)) {
			/* What the timers made ready is in our own queue. */
			struct g *g = runq_get(m->p, inherit);
			if (g != NULL)
				return g;
		}
		if (victim == m->p || load_relaxed(&sched.idle_ps) & bit(at))
			continue;
		struct g *g = runq_steal(m->p, victim, last);
		if (g != NULL) {
			atomic_fetch_add_explicit(&m->p->steals, 1, memory_order_relaxed);
			if (trace_on())
				trace_write(TRACE_STEAL, g, victim->id, runq_length(m->p) + 1);
			*inherit = false;
			return g;
		}
	}
	return NULL;
}

static uint32_t busy_ps(void)
{
	return sched.procs - (uint32_t)__builtin_popcount(load_relaxed(&sched.idle_ps));
}

static bool others_are_busy(const struct p *p)
{
	return (all_ps() & ~load_relaxed(&sched.idle_ps) & ~bit(p->id)) != 0;
}

/* At most half of the busy Ps spin; true if this M does now. */
static bool may_spin(struct m *m)
{
	if (m->spinning)
		return true;
	uint32_t spinning = load_relaxed(&sched.spinning);
	/* This M's own P is busy: for the first there is room. */
	if (spinning != 0 && 2 * spinning >= busy_ps())
		return false;
	m_spin_start(m);
	check_m(m, M_SPINNING);
	return true;
}

static struct g *steal(struct m *m, bool *inherit)
{
	for (int round = 0; round < STEAL_ROUNDS; round++) {
		struct g *g = steal_round(m, round == STEAL_ROUNDS - 1, inherit);
		if (g != NULL)
			return g;
	}
	return NULL;
}

static struct g *from_global(struct p *p, uint32_t max)
{
	if (load_relaxed(&sched.runq_size) == 0)
		return NULL;
	spin_lock(&sched.lock);
	struct g *g = globrunq_get(p, max);
	spin_unlock(&sched.lock);
	return g;
}

static struct g *from_unbound(struct p *p, bool last_resort)
{
	return load_relaxed(&sched.unbound_count) != 0 ? unbound_get(p, last_resort) : NULL;
}

static struct g *from_netpoll(void)
{
	struct glist list = { 0 };
	if (!netpoll(&list) || list.head == NULL)
		return NULL;
	struct g *g = glist_pop(&list);
	trace_unblock(g, 0);
	g_change(g, G_WAITING, G_RUNNABLE);
	ready_list(&list);
	return g;
}

/*
 * What comes before the P's own queue: the network when an interrupt has told of it, for all Ps may be
 * busy for long, and at each 61st slice the global queue, for Gs that yield to one another for ever.
 */
static struct g *look_around(struct m *m, struct p *p)
{
	struct glist list = { 0 };
	struct g *g = NULL;

	if (netpoll_in_turn(m->now, &list))
		ready_list(&list);
	if (p->sched_tick - p->global_tick >= GLOBAL_TICK) {
		p->global_tick = p->sched_tick;
		sections_relieve();
		reclaim_heap_trim_if_asked(m);
		reclaim_at_times(m); /* there may be no end of a slice for long, and no hart without work */
		/* 61 is odd: they take turns, as each may never be empty. */
		bool unbound_first = p->sched_tick % 2 != 0;
		g = unbound_first ? from_unbound(p, false) : from_global(p, 1);
		if (g == NULL)
			g = unbound_first ? from_global(p, 1) : from_unbound(p, false);
	}
	/* While the network waits for its turn, each time. */
	p->look_in = load_relaxed(&sched.netpoll_ready)
			   ? 1 : (int32_t)(GLOBAL_TICK - (p->sched_tick - p->global_tick));
	return g;
}

/*
 * Go's findRunnable(): a G for m, which has a P, maybe another one when this returns. NULL: m may run only
 * its own locked Gs (exclusive()), and has none at hand. *inherit: the G goes on with the slice that ran.
 */
static struct g *find_runnable(struct m *m, bool *inherit)
{
	int64_t spin_until = 0;
	bool tried_alone = false;

	for (;;) {
		if (load_relaxed(&sched.stopping)) {
			stop_here(m);
			if (exclusive(m)) /* its P may be another one, with others' work */
				return NULL;
		}
		struct p *p = m->p;
		struct g *g;
		*inherit = false;
		/* Before a locked one, too: while it computes and all others are busy nobody comes by. */
		if (timers_due(p, m->now))
			timers_run(p);
		if (m->locked_gs != 0 && (g = take_locked(m)) != NULL) {
			/* One that yielded is in the own queue, and nobody was woken for it: it was next. */
			if (!runq_none(p))
				wake_p();
			return g;
		}
		if (p->look_in <= 0 && (g = look_around(m, p)) != NULL)
			return g;
		if ((g = runq_get(p, inherit)) != NULL || (g = from_global(p, 0)) != NULL ||
		    (g = from_netpoll()) != NULL || (g = from_unbound(p, true)) != NULL)
			return g;
		if (may_spin(m)) {
			if ((g = steal(m, inherit)) != NULL)
				return g;
			m->now = now_ticks();
			if (spin_until == 0)
				spin_until = m->now + sched.spin;
			/* Only another running M could bring work before an interrupt does. */
			if (m->now < spin_until && others_are_busy(p)) {
				hart_relax();
				continue;
			}
		}
		reclaim_at_times(m);
		m_idle(m, &tried_alone);
		if (exclusive(m))
			return NULL;
		spin_until = 0;
	}
}

/* ---- Running what was found ---- */

/* What rarely has to be done before g runs. */
static NOINLINE noreturn void run_rest(struct m *m, struct g *g)
{
	struct p *p = m->p;

	if (trace_on())
		trace_start(p, g);
	if (m->hart.preempt == 0)
		sysmon_arm_slice(m, p);
	hart_gogo(g->sp);
}

static ALWAYS_INLINE noreturn void run(struct m *m, struct g *g, bool inherit)
{
	struct p *p = m->p;

	m->hart.g = g;
	g->run_ticks -= m->now;
	g_runs(g);
	check_about_to_run(m, g);
	/* A slice that ended by preemption leaves nothing to inherit. */
	if (!inherit || p->slice_end == 0) {
		p->look_in--;
		slice_begin(p, m->now);
	}
	/* What asked for a preemption before this line is looked at again, what asks after it finds
	   the flag cleared already. An inherited slice may be over. */
	m->hart.preempt = 0;
	atomic_signal_fence(memory_order_seq_cst);
	if (load_relaxed(&sched.stopping) || p->slice_end <= m->now)
		m->hart.preempt = 1;
	if (trace_on() || sysmon_slice_unarmed(m, p))
		run_rest(m, g);
	hart_gogo(g->sp);
}

void spinning_end(struct m *m)
{
	uint32_t before = m_spin_end(m);
	check_m(m, M_WORKING);
	if (before != 1)
		return;
	/* Who made a G ready and saw this M spin has woken nobody: the head of idle.c. */
	fence_store_load();
	if (load_relaxed(&sched.idle_ps) != 0 && work_somewhere(now_ticks()))
		wake_p_slow();
}

/* Whatever there is to do; a function of its own so that schedule() saves no registers for it. */
static NOINLINE noreturn void schedule_slow(struct m *m, struct g *g)
{
	for (;;) {
		bool inherit = false;
		if (g == NULL) {
			if (m->p == NULL || exclusive(m)) {
				/* It was woken to look around, and meanwhile may not. */
				if (m->spinning)
					spinning_end(m);
				if (!park_locked(m)) {
					m_park_until_p(m);
					continue;
				}
			}
			g = find_runnable(m, &inherit);
			if (m->spinning)
				spinning_end(m);
		}
		if (g == NULL) /* it may not look for others' work any more */
			continue;
		if (g->long_way & G_UNBOUND && !g_bind(m->p, g)) {
			g = NULL;
			continue;
		}
		if (!runs_elsewhere(g, m))
			run(m, g, inherit);
		start_locked(m, g);
		g = NULL;
	}
}

void schedule(void)
{
	struct m *m = m_self();
	struct p *p = m->p;
	struct g *g = NULL;

	/* The usual case: nothing is asked for, and the next G is in the own queue. */
	if (p != NULL && p->look_in > 0 && m->locked_gs == 0 && !timers_due(p, m->now) &&
	    !load_relaxed(&sched.stopping)) {
		bool inherit;
		g = runq_get(p, &inherit);
		if (g != NULL && g->long_way == 0)
			run(m, g, inherit);
	}
	schedule_slow(m, g);
}
