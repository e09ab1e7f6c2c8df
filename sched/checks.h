/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Assertions of the build with checks, which cost too much for the release build, where they are nothing.
 * states.c has the tables of the changes of state that are allowed, lostwake.c watches for Gs that wait while
 * an M sleeps. The lock order is in kernel/lockrank.h.
 */
#ifndef SCHED_CHECKS_H
#define SCHED_CHECKS_H

#include <stdbool.h>

struct g;
struct p;
struct m;

/* An M's state is implied by what it holds and which sets it is in; only the checks give it a name. */
enum m_state {
	M_OFF,      /* its hart has not started */
	M_WORKING,  /* has a P: runs a G, or looks for one without counting as spinning */
	M_SPINNING, /* has a P and looks around */
	M_IDLE,     /* in idle_ms: sleeps until it has a P */
	M_STARTED,  /* taken out of idle_ms or parked_locked by a waker, who gives it a P */
	M_TIED,     /* in parked_locked: waits for its locked G */
	M_BLOCKING, /* in a blocking section, without its P */
};

#if GUMP_CHECKS

void checks_start(void);                               /* from here on */
void check_g(struct g *g, uint32_t from, uint32_t to); /* before the change */
void check_g_runs(struct g *g);                        /* the same: in a queue before, to running */
void check_p(struct p *p, uint32_t to);                /* before the change */
void check_p_won(struct p *p, uint32_t from, uint32_t to); /* after a change by compare-and-swap */
void check_m(struct m *m, enum m_state to);            /* after the change */
void check_m_taken(struct m *m);                       /* out of a set of parked Ms: started, if by another */
void check_about_to_run(struct m *m, struct g *g);     /* everything is in order for g to go on */
void check_parks(void);                                /* a G is about to, with one lock */
void check_spinner(void);                              /* sched.spinning goes up: before it does */
void check_no_wakeup_lost(struct m *m);                /* m is about to run a G */
void check_asleep(struct m *m);                        /* the hart is about to sleep */
void check_awake(struct m *m);
bool check_sleeps(struct m *m);                         /* in hart_idle(), with nothing that would end it */

#else

static inline void checks_start(void) {}
static inline void check_g(struct g *g, uint32_t from, uint32_t to) { (void)g; (void)from; (void)to; }
static inline void check_g_runs(struct g *g) { (void)g; }
static inline void check_p(struct p *p, uint32_t to) { (void)p; (void)to; }
static inline void check_p_won(struct p *p, uint32_t from, uint32_t to) { (void)p; (void)from; (void)to; }
static inline void check_m(struct m *m, enum m_state to) { (void)m; (void)to; }
static inline void check_m_taken(struct m *m) { (void)m; }
static inline void check_about_to_run(struct m *m, struct g *g) { (void)m; (void)g; }
static inline void check_parks(void) {}
static inline void check_spinner(void) {}
static inline void check_asleep(struct m *m) { (void)m; }
static inline void check_awake(struct m *m) { (void)m; }
static inline bool check_sleeps(struct m *m) { (void)m; return false; }

#endif

#endif
