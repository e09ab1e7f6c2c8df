/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler's data: G, M, P, and what is global. Names are those of Go's runtime where it has the thing.
 *
 * A P's run queue is written by the M that holds the P; thieves take from its head. A hart's M and
 * the P of the same number lie in the hart's own block of memory, so that with M i on P i, which
 * is what the scheduler tries to keep, the fast paths touch no other hart's cache lines.
 *
 * Locks are taken in the order of kernel/lockrank.h. (L): under sched.lock.
 * A critical section runs with locks > 0 (kernel/hart.h), so its holder is not preempted.
 *
 * Inside the scheduler time is counted in the ticks of hart_ticks(), which cost one instruction to read.
 */
#ifndef SCHED_GMP_H
#define SCHED_GMP_H

#include <gump.h>
#include <stdatomic.h>

#include "kernel/hart.h"
#include "sched/netpoll.h" /* struct glist */

#define RUNQ_SIZE 256u
#define GLOBAL_TICK 61         /* every 61st new slice looks at the global queue first */
#define STEAL_ROUNDS 4
#define QUANTUM_NS INT64_C(10000000)
#define SPIN_NS 4000           /* how long an M looks again before it sleeps: half a wake-up's cost */
#define RUNNEXT_BACKOFF_NS 3000
#define NETPOLL_PAUSE_NS 1000000 /* the longest time for which goroutines come before the network */
#define GFREE_MAX 64           /* dead Gs on a P; over that, half go to the global pool */
#define GFREE_BATCH 32

#define NOINLINE __attribute__((noinline))
#define ALWAYS_INLINE inline __attribute__((always_inline))

struct p;
struct m;

enum g_status {
	G_IDLE,      /* new memory, or out of all pools and about to go to the heap (gfree.c) */
	G_RUNNABLE,  /* in a queue */
	G_RUNNING,   /* on a hart; one that yields is in the ring already (switch.h) */
	G_WAITING,   /* parked */
	G_DEAD,      /* in a pool of dead Gs */
	/* in a queue, not at its own wish: all its registers are on its stack. Go calls that runnable; its
	   _Gpreempted is in no queue */
	G_PREEMPTED,
	G_BLOCKING,  /* on a hart, in a blocking section: _Gsyscall */
};

enum wait_reason {
	WAIT_NONE,
	WAIT_CHAN_SEND,
	WAIT_CHAN_RECEIVE,
	WAIT_CHAN_NULL,
	WAIT_SELECT,
	WAIT_SELECT_NO_CASES,
	WAIT_SLEEP,
	WAIT_IO,
	WAIT_MUTEX,
	WAIT_RWMUTEX_READ,
	WAIT_RWMUTEX_WRITE,
	WAIT_COND,
	WAIT_WAITGROUP,
	WAIT_SEMAPHORE,
};

enum select_state {
	SELECT_OPEN,     /* waits in all its queues */
	SELECT_WON,
	SELECT_CHOOSING, /* is in some of them, and still on its stack: it opens in an instant */
};

/*
 * A G that waits for a channel or a go_sem. It is in the G: who wakes many goes from one waiter to the next,
 * and their stacks would be a page each that no cache knows. Only select has others, one a case, on its
 * stack. (go_cond and sema.c have their own.)
 */
struct waiter {
	struct g *g;
	struct waiter *next, *prev;
	void *elem;
	bool in_select;
	bool ok;                        /* set by the waker: by a value, not by close */
};

struct waitq {
	struct waiter *head, *tail;
};

struct g {
	struct hart_goroutine kernel;  /* first: hart_g() points to it */
	uintptr_t sp;                  /* context, while it does not run */
	_Atomic(uint32_t) status;      /* enum g_status; written by the M it runs on or its waker */
	uint16_t wait_reason;          /* enum wait_reason; set before it parks */
	bool exiting;                  /* go_exit() was called: nothing stops it any more */
	/* it has used what go_exit() has to see to: defer, call, blocking sections */
	bool tidy_up;
	struct g *schedlink;           /* in whichever queue or pool it is */
	/* of enum g_long_way: why only the scheduler may have it run (switch.h) */
	uint64_t long_way;
	/* go_lock_hart(): the only M it may run on. Not NULL: also in long_way */
	struct m *locked_m;
	uint32_t lock_count;
	uint32_t block_depth;          /* go_block_enter()s without their leave */
	_Atomic(uint32_t) select_state; /* enum select_state; the waker that sets WON owns the wake-up */
	uint32_t number;               /* for reports only */
	void *wake_param;              /* waker to wakened: which waiter, or NULL for a deadline */
	struct waiter waiter;          /* outside of select; its g and in_select never change */
	struct hart_stack stack;       /* top 0: none yet, and it will be of the default size: see bind.c */
	go_timer timer;                /* sleep, deadlines */
	int64_t wait_since;            /* ticks: when it parked, or entered a blocking section */
	/* CPU time up to its last stop; less the time of its start while it runs */
	int64_t run_ticks;
	struct deferred *deferred;     /* last first */
	struct call *call;             /* innermost go_call under way */
	struct panicking *panicking;   /* panics whose deferred calls run, last first */
	char *panic_message;           /* of the last caught panic; malloc'd */
	void (*fn)(void *);
	void *arg;
	const char *name;
	uintptr_t created_by;          /* pc of the caller of go() */
	struct g *all_next;            /* all Gs there are, dead ones included; left out by gfree.c only */
};

/* A size class of the heap: a million of them are 32 MB less than of the next. */
_Static_assert(sizeof(struct g) <= 288, "struct g");

enum g_long_way { G_LOCKED = 1, G_UNBOUND = 2 /* has no stack yet */ };

/* Dead Gs, linked through schedlink. */
struct g_pool {
	struct g *first;
	uint32_t count;
};

/*
 * The global pool: full batches of GFREE_BATCH, whose first Gs are linked through wake_param, and the rest.
 */
struct g_batches {
	struct g *first;
	struct g_pool rest;
	_Atomic(uint32_t) count; /* Gs in both */
};

enum p_status {
	P_IDLE,    /* in idle_ps */
	P_RUNNING, /* an M has it */
	P_STOPPED, /* the world is stopped: _Pgcstop */
	P_DEAD,    /* beyond GOMAXPROCS */
	P_BLOCKED, /* left in a blocking section, by the hart whose number is in the upper bits: _Psyscall */
};

struct timer_entry { /* timer_heap.h */
	int64_t when;    /* ns; beside the pointer, so that comparing does not touch the timers */
	go_timer *timer; /* NULL: stopped, and maybe gone */
};

struct p {
	/* The holder's own, and first, where short offsets reach. */
	uint32_t id;
	_Atomic(uint32_t) status;          /* enum p_status; BLOCKED is left by compare-and-swap */
	struct m *m;                       /* who holds it, or left it in a section; written by it or (L) */
	uint32_t sched_tick;               /* ++ for each new slice */
	int32_t look_in;                   /* slices until look_around(); an interrupt clears it */
	/* ticks: when the running slice is over; 0: it was used up. BLOCKED: when the P may be taken */
	int64_t slice_end;
	struct g_pool gfree, gfree_bare;   /* dead Gs with a stack of the default size, and with none */
	_Atomic(int32_t) g_count;          /* goroutines begun less those ended with this P; the sum counts */
	uint32_t global_tick;              /* sched_tick when the global queue last came first */
	uint64_t random;
	_Atomic(uint64_t) steals, preemptions;
	struct m *old_m;                   /* who gave it up to a stop of the world; NULL: nobody did */

	/* Timers: a 4-ary heap under its own lock; anyone may run what has expired. */
	struct spinlock timer_lock __attribute__((aligned(CACHE_LINE)));
	uint32_t timer_count, timer_capacity;
	uint32_t timer_dead;               /* of timer_count, entries of timers that were stopped */
	uint32_t timer_hole;               /* where one such may be that the next timer can have */
	struct timer_entry *timers;
	/* ticks: none is earlier, INT64_MAX for none; written under the lock */
	_Atomic(int64_t) timer_when;
	uint32_t timer_reserved;           /* goroutines created here: each has a place in some P's heap */

	/* Thieves move head by compare-and-swap; only the holder moves tail. */
	_Atomic(uint32_t) runq_head __attribute__((aligned(CACHE_LINE)));
	_Atomic(uint32_t) runq_tail __attribute__((aligned(CACHE_LINE)));
	_Atomic(struct g *) runnext;       /* runs next, in the current slice; thieves may take it */
	_Atomic(struct g *) runq[RUNQ_SIZE];
};

struct m {
	struct hart hart;                  /* first: hart_self() points to it */
	struct p *p;                       /* held P, NULL while parked or in a blocking section */
	/* how many reasons there are to go over g0 (switch.h): locked Gs, a section, GUMPDEBUG=pack */
	uint32_t long_way;
	/* up to which of sched.heap_trims it has given back what it keeps */
	uint32_t heap_trims;
	struct p *old_p;                   /* the P left by go_block_enter() */
	_Atomic(struct p *) next_p;        /* given to this parked M by its waker, under sched.lock */
	bool spinning;                     /* looks for work with a P; counted in sched.spinning */
	uint32_t locked_gs;                /* go_lock_hart(): how many Gs run here only */
	_Atomic(bool) locked_ready;        /* is any of them in locked_runq? set under sched.lock */
	struct glist locked_runq;          /* those that others found runnable; under sched.lock */
	int64_t timer_deadline;            /* ticks: the hart's timer is set to this */
	_Atomic(go_timer *) firing;        /* timer whose function runs here; see go_timer_stop() */
	int64_t old_slice_end;             /* of old_p, when it was left */
	/* ticks at the last stop over g0, or look for work; the short way does not write it */
	int64_t now;
};

struct hart_block { /* what sched_hart_size reserves for each hart */
	struct m m;
	struct p p;
};

struct sched {
	struct spinlock lock;
	struct glist runq;                 /* global queue; under lock, size read without */
	_Atomic(uint32_t) runq_size;
	struct glist unbound;              /* Gs that wait for memory for a stack; as above */
	_Atomic(uint32_t) unbound_count;

	/* Sets of Ms and Ps as bits by number. Written under lock. Every parked M that waits for any
	   P is in idle_ms. There may be fewer of those than idle Ps: others wait in parked_locked. */
	_Atomic(uint32_t) idle_ps, idle_ms;
	_Atomic(uint32_t) parked_locked;   /* those that wait in park_locked(), for their locked G */

	_Atomic(uint32_t) locked_ms;       /* how many Ms have locked Gs */

	_Atomic(uint32_t) spinning __attribute__((aligned(CACHE_LINE))); /* Ms */
	_Atomic(uint32_t) netpoll_ready;   /* the device has work */
	_Atomic(uint32_t) netpoll_busy;    /* an M is in the poll function */
	_Atomic(uint32_t) netpoll_waiters; /* goroutines parked in netpoll_wait() */
	_Atomic(int64_t) netpoll_after;    /* ticks: before then goroutines come first */

	_Atomic(bool) stopping;            /* the world is stopped or stops; written under lock */
	_Atomic(bool) reclaim_wanted;      /* sched_reclaim_soon(): a cycle is to come */
	_Atomic(int64_t) reclaim_due;      /* ticks: when to look for something to gain; or AT_ONCE */
	_Atomic(uint32_t) cycle_waiters;   /* Ms that wait for another's reclaim cycle: bits */
	/* how often all Ms were asked to give back what they keep of the heap */
	_Atomic(uint32_t) heap_trims;
	_Atomic(uint32_t) stop_wait;       /* Ps that still run; written under lock */
	uint32_t procs;                    /* GOMAXPROCS; written with the world stopped */
	int64_t quantum, spin;             /* ticks: QUANTUM_NS or QUANTUM_US=, SPIN_NS */

	struct spinlock gfree_lock __attribute__((aligned(CACHE_LINE)));
	struct g_batches gfree, gfree_bare; /* under gfree_lock */
	_Atomic(struct g *) all_gs;
	_Atomic(uint32_t) g_numbers;       /* given out */
	_Atomic(uint32_t) g_structs;       /* struct g there are */
	_Atomic(uint32_t) g_walkers;       /* who goes through all_gs outside of a critical section */
};

extern struct sched sched;

static inline struct m *m_self(void) /* locks > 0 */
{
	return (struct m *)hart_self();
}

static inline struct m *m_get(unsigned id)
{
	return (struct m *)hart_get(id);
}

/* The P in m's own hart block, whoever holds it. */
static inline struct p *p_beside(struct m *m)
{
	return &((struct hart_block *)m)->p;
}

static inline int64_t now_ticks(void)
{
	return (int64_t)hart_ticks();
}

/* sched.procs, for an M without a P: the world may be stopped, and the number change meanwhile. */
static inline uint32_t procs_now(void)
{
	return __atomic_load_n(&sched.procs, __ATOMIC_RELAXED);
}

static inline struct p *p_get(unsigned id)
{
	return &((struct hart_block *)hart_get(id))->p;
}

static inline struct g *g_self(void)
{
	return hart_g();
}

#endif
