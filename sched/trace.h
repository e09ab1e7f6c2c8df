/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event trace: what the scheduler did, by hart.
 *
 * Each M writes into a ring of its own, with locks > 0 and never from an interrupt, so a slot needs no atomic
 * operation. The rings lie in RAM, where qemu/trace finds them after the machine has ended by the symbol
 * gump_trace: nothing is copied out while the program runs, and a machine that crashed leaves its trace, too.
 *
 * A hart's clock is not read in step with its loads and stores (sysmon.c), so times do not tell which of two
 * harts' events came first: each record also has a number from one counter, which all harts share. An event
 * is recorded before what it tells of is published (a G before it is put into a queue), or under the lock
 * that protects it; so the numbers put cause before effect, and the goroutines that wait for one object in
 * the order in which they wait. tests/lib/tracecheck.py relies on that.
 */
#ifndef SCHED_TRACE_H
#define SCHED_TRACE_H

#include "sched/sched.h"

/* qemu/trace knows these by number. g: the goroutine concerned; what `a` and `b` hold is said here. */
enum trace_event {
	TRACE_CREATE = 1,    /* a: pc of its function; b: address of its name, or 0 */
	TRACE_START = 2,     /* a: P, and the number of its slice << 32; b: length of its queue */
	/* a: wait reason; b: address of the lock that is released when it is parked, or 0 */
	TRACE_BLOCK = 3,
	TRACE_YIELD = 4,
	TRACE_PREEMPT = 5,   /* a: 1 for a stop of the world */
	TRACE_END = 6,
	/* g becomes runnable; a: the G that does it, 0 for the scheduler; b: queue it was in */
	TRACE_UNBLOCK = 7,
	TRACE_STEAL = 8,     /* g: the one to run; a: from P; b: how many */
	TRACE_HANDOFF = 9,   /* a: P; b: M that gets it */
	TRACE_IDLE = 10,     /* the hart sleeps; a: P that nobody has now, or TRACE_NO_P */
	TRACE_WAKE = 11,     /* a: P got */
	TRACE_TIMER = 12,    /* a: how late, ns */
	TRACE_NETPOLL = 13,  /* a: goroutines that became ready */
	TRACE_BLOCKING = 14, /* enters a blocking section; a: P left behind */
	TRACE_UNBLOCKING = 15, /* leaves it; a: 1 if it got its P back at once */
	TRACE_STOP_WORLD = 16, /* a: number of Ps */
	TRACE_START_WORLD = 17, /* a: number of Ps */
	/* Queues of waiters: a: trace_queue(). A channel's and a go_sem's have no WAIT: BLOCK says it. */
	TRACE_WAIT = 18,     /* g is going to wait in it; b: 1: before the others */
	TRACE_TAKE = 19,     /* g is taken out; UNBLOCK, without a queue, follows if it was parked */
	TRACE_LOCK_HART = 20, /* g is tied to this hart from here on; a: 0: it is not any more */
	/* A reclaim cycle, in which the others go on; but all harts are interrupted for the flush. */
	TRACE_RECLAIM = 21,  /* a: 1: of all that wait; 0: of those that have for a second */
	TRACE_RECLAIM_FLUSH = 22, /* a: ns that it took */
	TRACE_RECLAIM_END = 23, /* a: bytes that came free; b: stacks packed */
};

#define TRACE_NO_P 0xffffffffu

struct trace_record {
	uint64_t sequence; /* of all harts' records */
	int64_t ticks;
	uint32_t g;
	uint16_t event, hart;
	uint64_t a, b;
};

struct trace_ring {
	struct trace_record *records;
	_Atomic(uint64_t) count; /* ever written; the ring holds the last `capacity` of them */
	uint64_t start;          /* count when the trace was started */
} __attribute__((aligned(CACHE_LINE)));

struct trace {
	char magic[16];
	uint64_t ticks_per_second;
	uint32_t harts;
	uint32_t on;       /* a plain word, so that asking is one instruction and a branch */
	uint64_t capacity; /* records in a ring, a power of two */
	uint64_t first;    /* sequence of the trace's first record: older ones are another trace's */
	int64_t quantum;   /* ticks */
	uint32_t procs;    /* number of Ps at the end */
	uint32_t idle;     /* set of Ms in idle_ms when it was started */
	_Atomic(uint64_t) sequence __attribute__((aligned(CACHE_LINE)));
	struct trace_ring rings[HARTS_MAX];
};

extern struct trace gump_trace;

void trace_write(enum trace_event event, const struct g *g, uint64_t a, uint64_t b);

static inline bool trace_on(void)
{
	return __builtin_expect(__atomic_load_n(&gump_trace.on, __ATOMIC_RELAXED), 0);
}

/* locks > 0, not from an interrupt. Where an argument costs something, ask trace_on() first. */
static inline void trace(enum trace_event event, const struct g *g, uint64_t a, uint64_t b)
{
	if (trace_on())
		trace_write(event, g, a, b);
}

/* A queue of waiters: what they wait for, and why; a channel has two. */
static inline uint64_t trace_queue(const volatile void *object, enum wait_reason reason)
{
	return ((uintptr_t)object & (UINT64_MAX >> 8)) | (uint64_t)reason << 56;
}

void trace_write_unblock(const struct g *g, uint64_t queue);

/* g becomes runnable. If it was taken out of a queue: under the queue's lock; else queue is 0. */
static inline void trace_unblock(const struct g *g, uint64_t queue)
{
	if (trace_on())
		trace_write_unblock(g, queue);
}

#endif
