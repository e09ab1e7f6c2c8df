/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changes of state of a G, a P, an M go through one of these, so that the build with checks can compare them
 * with the tables in states.c, which say who may do it and under which lock. A yield, whose store publishes
 * the G, calls check_g() itself (yield.c). Included by sched.h.
 */
#ifndef SCHED_STATES_H
#define SCHED_STATES_H

static inline void g_change(struct g *g, enum g_status from, enum g_status to)
{
	check_g(g, from, to);
	/* Relaxed: the queue that the G goes through next orders it. */
	store_relaxed(&g->status, to);
}

/* Out of all queues, and next here. */
static inline void g_runs(struct g *g)
{
	check_g_runs(g);
	store_relaxed(&g->status, G_RUNNING);
}

static inline void p_change(struct p *p, enum p_status to)
{
	check_p(p, to);
	store_relaxed(&p->status, to);
}

/* The holder leaves p behind in a blocking section; `blocked` is P_BLOCKED with the hart's number. */
static inline void p_leave_blocked(struct p *p, uint32_t blocked)
{
	check_p(p, P_BLOCKED);
	/* Release: pairs with the acquire in p_take_blocked() and p_from_section(). From here on it may be
	   another's. */
	store_release(&p->status, blocked);
}

/* Takes p from a blocking section; false: somebody was faster. */
static inline bool p_take_blocked(struct p *p, uint32_t blocked, enum p_status to)
{
	/* Acquire: pairs with the release in p_leave_blocked(). */
	bool won = atomic_compare_exchange_strong_explicit(&p->status, &blocked, to, memory_order_acquire,
							   memory_order_relaxed);
	if (won)
		check_p_won(p, P_BLOCKED, to);
	return won;
}

/* It has a P, or is about to. */
static inline void m_spin_start(struct m *m)
{
	check_spinner();
	m->spinning = true;
	atomic_fetch_add_explicit(&sched.spinning, 1, memory_order_relaxed);
}

/* How many spun before. The M works on, or goes idle and says so. */
static inline uint32_t m_spin_end(struct m *m)
{
	m->spinning = false;
	return atomic_fetch_sub_explicit(&sched.spinning, 1, memory_order_relaxed);
}

#endif
