/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random scheduling, in the build with checks only: the rest of the scheduler calls these hooks, which are
 * nothing in the release build. fuzz.c has the seed, and tells what is done how often.
 *
 * Each of them only does what the scheduler's design allows to happen anyway: a run queue promises
 * no order among its Gs, runnext may be taken by a thief, a slice may end at any time, and a hart
 * may be slow anywhere.
 */
#ifndef SCHED_FUZZ_H
#define SCHED_FUZZ_H

#include <stdbool.h>
#include <stdint.h>

struct g;
struct p;

enum fuzz_point { /* where a race's window is held open */
	FUZZ_PUBLISH,     /* before a G goes into a queue */
	FUZZ_PUBLISHED,   /* after that, before the fence and the look at the idle sets */
	FUZZ_ANNOUNCE,    /* before an M is put into idle_ms and its P into idle_ps */
	FUZZ_ANNOUNCED,   /* an M is in idle_ms, and has not looked for work yet */
	FUZZ_LOOK,        /* between the queues that it looks at */
	FUZZ_SLEEP,       /* has looked, and is about to sleep */
	FUZZ_WOKEN,       /* a hart sleeps no more, and has not seen why */
	FUZZ_START,       /* an M is taken from idle_ms and has no P yet */
	FUZZ_PARK,        /* a G's context is saved, the G is not published */
	FUZZ_PARKED,      /* its lock is released, so it may run elsewhere already */
	FUZZ_READY,       /* the waiter is out of its queue, and not ready yet */
	FUZZ_STEAL,       /* between the reads of a victim's queue and the swap */
	FUZZ_TIMER_LOOK,  /* between the look at a heap's earliest time and its lock */
	FUZZ_TIMER_FIRE,  /* a timer is out of its heap, its function not called yet */
	FUZZ_TIMER_FIRED, /* called, and m->firing still set */
	FUZZ_TIMER_SET,   /* a timer that is set anew is in no heap, and another may set it */
	FUZZ_BLOCK,       /* around a blocking section's hand-over of the P */
	FUZZ_STOP,        /* on the way into a stop of the world */
	FUZZ_STOPPING,    /* the stopper has looked at the Ps, before it kicks their Ms and after that */
	FUZZ_POLL,        /* between netpoll_ready's fall and the poll */
	FUZZ_POINTS,
};

#if GUMP_CHECKS

void fuzz_init(void);                          /* the seed, from the environment or the clock */
bool fuzz_is_on(void);                         /* not with seed=0 */
void fuzz_wait(enum fuzz_point point);
struct g *fuzz_pick(struct p *p, struct g *g); /* g came from the head of p's ring: another one of it? */
bool fuzz_refuse_runnext(void);                /* the ring will do */
bool fuzz_migrate(void);                       /* a woken G goes to the global queue */
int64_t fuzz_slice(int64_t quantum);           /* the length of a slice */
bool fuzz_preempt(void);                       /* a critical section ends, and the goroutine's slice */
bool fuzz_interrupt(void);                     /* the interrupted slice is over */

/*
 * A load may be carried out before the stores in front of it, unless a fence stands between. What a hart
 * can do for some nanoseconds these do for as long as a window is held open: a submitter's look at the
 * idle sets, an idle M's look at the queues, a blocking section's look for idle Ms is carried out before
 * it publishes, and used afterwards; but a fence forgets it. So a missing fence loses wake-ups, on
 * machines of any memory model.
 */
void fuzz_publish(void);                       /* before the store that publishes a G */
void fuzz_announce(void);                      /* before the store that announces an idle M */
void fuzz_leave_p(void);                       /* before the store that leaves a P to a blocking section */
void fuzz_fence(void);
bool fuzz_saw_no_idle_p(void);
bool fuzz_saw_no_work(void);
bool fuzz_saw_no_idle_m(void);
/* For tests: this hart's next window at that point is held open until enough(). locks > 0. */
void fuzz_hold(enum fuzz_point point, bool (*enough)(void));

#else

static inline void fuzz_init(void) {}
static inline bool fuzz_is_on(void) { return false; }
static inline void fuzz_wait(enum fuzz_point point) { (void)point; }
static inline struct g *fuzz_pick(struct p *p, struct g *g) { (void)p; return g; }
static inline bool fuzz_refuse_runnext(void) { return false; }
static inline bool fuzz_migrate(void) { return false; }
static inline int64_t fuzz_slice(int64_t quantum) { return quantum; }
static inline bool fuzz_interrupt(void) { return false; }
static inline void fuzz_publish(void) {}
static inline void fuzz_announce(void) {}
static inline void fuzz_leave_p(void) {}
static inline void fuzz_fence(void) {}
static inline bool fuzz_saw_no_idle_p(void) { return false; }
static inline bool fuzz_saw_no_work(void) { return false; }
static inline bool fuzz_saw_no_idle_m(void) { return false; }
static inline void fuzz_hold(enum fuzz_point point, bool (*enough)(void)) { (void)point; (void)enough; }

#endif

#endif
