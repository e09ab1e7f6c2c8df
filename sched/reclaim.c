/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When a reclaim cycle comes: it takes the place that garbage collection has in Go. What one does is in
 * cycle.c.
 *
 * It comes once in a while, when there is something to gain; when memory is short; and on call. The hart that
 * runs it runs no goroutine meanwhile. So unless memory is wanted it is done in parts, and others run in
 * between: that on call goes on in its caller's slices, the periodic one takes a hundredth of the time.
 *
 * When memory becomes little the periodic one comes at once, and takes a fifth of the time: so that where
 * goroutines go on one after the other, each with a stack that was packed, it does not become short, for
 * which all would wait.
 *
 * Ms look for the periodic one as they look around, when they preempt a G, and before they go idle. For the
 * last one that does the hart's timer is set (sysmon_arm_idle()): once, for when there is nothing to gain any
 * more a machine that is idle stays so.
 */
#include "sched/cycle.h"

#define PERIOD_NS INT64_C(10000000000)
#define LITTLE ((size_t)1 << 20) /* bytes of stacks: a periodic cycle does not come for less */
#define STACK_LEAST 4096         /* bytes that each has, of the Gs that have run */
#define AT_ONCE INT64_MIN        /* reclaim_due: memory is little */
#define STEP ((size_t)1 << 20)   /* by which stacks grow before it is wanted: a quarter of the reserve */
#define VAIN_NS INT64_C(1000000) /* a shorter cycle counts as this long: see is_vain() */

static _Atomic(size_t) in_after;  /* bytes that stacks had after the last cycle that asked all */
static _Atomic(int64_t) ended;    /* ns: when that was, */
static _Atomic(int64_t) duration; /* and how long it took */
static _Atomic(size_t) in_ended;  /* bytes that stacks had after the last cycle */
static _Atomic(size_t) in_looked; /* of those, what it had left, or what a look for nothing found */
/* Of the last part of any cycle, for those who look without having it. */
static _Atomic(bool) left_warm;     /* cycle.left_warm */
static _Atomic(bool) periodic_left; /* there are more parts of a periodic one to come */

void reclaim_init(void)
{
	cycle_init();
	store_relaxed(&sched.reclaim_due, now_ticks() + (int64_t)hart_ns_to_ticks(PERIOD_NS));
}

/* A part is over. After the last one of a cycle that asked all, what stacks still have they need. */
static void end(void)
{
	size_t in = hart_stacks_in();

	if (!cycle.unfinished && !cycle.periodic) {
		store_relaxed(&in_after, in);
		store_relaxed(&duration, cycle.took);
		store_relaxed(&ended, hart_now());
		store_relaxed(&sched.reclaim_wanted, false);
	} else if (in < load_relaxed(&in_after)) {
		store_relaxed(&in_after, in);
	}
	if (!cycle.unfinished) {
		/* Whose have come since it began it was not to ask. */
		size_t left = cycle.in > cycle.bytes ? cycle.in - cycle.bytes : 0;
		store_relaxed(&in_looked, left < in ? left : in);
		store_relaxed(&in_ended, in);
	}
	store_relaxed(&left_warm, cycle.left_warm);
	store_relaxed(&periodic_left, cycle.unfinished && cycle.periodic);
	cycle_leave();
}

/* ---- When memory is short ---- */

/* Is less than a quarter of memory free, and more in stacks than the last cycle had to leave there? */
static bool is_short(void)
{
	size_t total = hart_memory_total(), in = hart_stacks_in();

	return hart_memory_free() < total / 4 && in > load_relaxed(&in_after) + total / 16;
}

void reclaim_if_short(struct m *m)
{
	while (reclaim_wanted() || is_short()) {
		if (!cycle_take()) {
			/* Else the caller would take what comes free, a page here and there. */
			cycle_wait(m);
			continue;
		}
		cycle_begin(m, false);
		cycle_part(m, true);
		end();
		break;
	}
}

bool sched_reclaim_soon(void)
{
	/* Not for each page, if the last cycle could not help. */
	size_t step = hart_memory_total() / 32;
	bool gain = hart_stacks_in() > load_relaxed(&in_after) + (step < STEP ? step : STEP);

	if (gain)
		store_relaxed(&sched.reclaim_wanted, true);
	return gain;
}

/* Has the last cycle only just looked, and nothing grown since? Nine tenths of the time are for others. */
static bool is_vain(void)
{
	int64_t took = load_relaxed(&duration);

	return hart_stacks_in() <= load_relaxed(&in_after) &&
	       hart_now() - load_relaxed(&ended) < 10 * (took > VAIN_NS ? took : VAIN_NS);
}

bool reclaim_now(struct m *m, bool last_resort)
{
	/* If no other P runs anything, a cycle takes no time from anybody. */
	if ((is_vain() && !(last_resort && no_other_runs(m->p))) || !cycle_take())
		return false;
	cycle_begin(m, false);
	bool any = cycle_part(m, true) != 0;
	end();
	return any;
}

/* ---- The periodic one ---- */

void sched_stack_grew(void)
{
	/* Not while it is under way, and not again for what it had to leave. */
	if (!load_relaxed(&periodic_left) &&
	    hart_stacks_in() > load_relaxed(&in_ended) + hart_memory_total() / 16)
		store_relaxed(&sched.reclaim_due, AT_ONCE);
}

static void put_off(int64_t ns)
{
	store_relaxed(&sched.reclaim_due, now_ticks() + (int64_t)hart_ns_to_ticks(ns));
}

bool reclaim_pays(void)
{
	size_t in = hart_stacks_in(), before = load_relaxed(&in_looked);
	/* If they have shrunk, others may have come in the place of those that were asked. */
	bool changed = in > before + before / 4 + LITTLE || in + LITTLE < before;
	/* Those that have ended have not shrunk, and a cycle frees all of the global pool. */
	bool ended_since = load_relaxed(&sched.gfree.count) > LITTLE / STACK_LEAST;

	return load_relaxed(&periodic_left) ||
	       (in > LITTLE && (changed || ended_since || load_relaxed(&left_warm)));
}

/* The next part comes when a hundred times as much has passed, or, in need, four times. */
static void periodic_part(struct m *m)
{
	int64_t start = hart_now();

	if (!cycle.unfinished)
		cycle_begin(m, true);
	cycle_part(m, false);
	if (cycle.unfinished)
		put_off((hart_memory_is_little() ? 4 : 100) * (hart_now() - start));
}

void reclaim_if_due(struct m *m)
{
	if (reclaim_wanted()) {
		reclaim_if_short(m);
		return;
	}
	bool in_need = load_relaxed(&sched.reclaim_due) == AT_ONCE;
	put_off(PERIOD_NS);
	if (!in_need && !reclaim_pays()) {
		store_relaxed(&in_looked, hart_stacks_in());
		timers_shrink();
		return;
	}
	if (!cycle_take())
		return;
	if (cycle.unfinished && !cycle.periodic) { /* on call, between two parts */
		cycle_leave();
		return;
	}
	periodic_part(m);
	end();
}

/* ---- On call ---- */

struct call_on_g0 {
	struct g *g;
	bool anew, all;
	size_t bytes; /* that came free */
	bool more;
};

static void call_on_g0(void *arg)
{
	struct call_on_g0 *call = arg;
	struct g *g = call->g;
	struct m *m = g_stop(g);

	/* Its stack may be written to: it runs, if only not now, and so is not cold. */
	if (call->anew)
		cycle_begin(m, false);
	call->bytes += cycle_part(m, call->all);
	call->more = cycle.unfinished;
	end();
	/* The end of its slice may have come meanwhile, and there was nobody to preempt. */
	if (m->p != NULL && m->p->slice_end <= m->now)
		m->hart.preempt = 1;
	else if (m->p != NULL && sysmon_slice_unarmed(m, m->p))
		sysmon_arm_slice(m, m->p);
	g->run_ticks -= m->now;
	m->hart.g = g;
	hart_gogo(g->sp);
}

/* locks == 1 */
static void cycle_from_g(struct call_on_g0 *call)
{
	call->g = g_self();
	hart_mcall(&call->g->sp, call_on_g0, call);
}

/* locks == 1. The one that is under way serves as well: it waits for nothing but interrupt handlers. */
static bool cycle_or_wait(void)
{
	struct call_on_g0 call = { .anew = true, .all = true };
	int64_t before = load_relaxed(&ended);

	while (!cycle_take())
		cycle_wait(m_self());
	if (load_relaxed(&ended) != before) {
		cycle_leave();
		return true;
	}
	cycle_from_g(&call);
	return call.bytes != 0;
}

bool sched_reclaim(void)
{
	if (is_vain())
		return false;
	hart_lock();
	bool any = m_self()->hart.locks == 1 && cycle_or_wait();
	hart_unlock();
	return any;
}

void reclaim_in_section(void)
{
	if (!is_vain())
		cycle_or_wait();
}

/* In a critical section, as cycle_take() leaves it. */
static void take_from_g(void)
{
	for (;;) {
		hart_lock();
		if (cycle_take())
			return;
		hart_unlock();
		go_yield(); /* the one that is under way ends soon */
	}
}

size_t go_reclaim(void)
{
	struct call_on_g0 call = { .anew = true };

	do {
		take_from_g();
		if (call.anew || (cycle.unfinished && !cycle.periodic)) {
			cycle_from_g(&call);
		} else { /* another one has ended it */
			call.more = false;
			cycle_leave();
		}
		hart_unlock();
		call.anew = false;
	} while (call.more);
	return call.bytes;
}
