/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event trace: what the scheduler did, by hart.
 *
 * Each M writes into a ring of its own, with locks > 0 and never from an interrupt, so a slot needs no atomic
 * operation. The rings lie in RAM, where qemu/trace finds them after the machine has ended by the symbol
 * gump_trace: nothing is copied out while the program runs, and a machine that crashed leaves its trace, too.
 */
#ifndef SCHED_TRACE_H
#define SCHED_TRACE_H

#include "sched/sched.h"

/* qemu/trace knows these by number. g: the goroutine concerned; what `a` and `b` hold is said here. */
enum trace_event {
	TRACE_CREATE = 1,    /* a: pc of its function; b: address of its name, or 0 */
	TRACE_START = 2,     /* a: P; b: length of the P's queue << 1 | slice inherited */
	TRACE_BLOCK = 3,     /* a: wait reason */
	TRACE_YIELD = 4,
	TRACE_PREEMPT = 5,   /* a: 1 for a stop of the world */
	TRACE_END = 6,
	TRACE_UNBLOCK = 7,   /* g became runnable; a: the G that did it, 0 for the scheduler */
	TRACE_STEAL = 8,     /* g: the one to run; a: from P; b: how many */
	TRACE_HANDOFF = 9,   /* a: P; b: M that gets it */
	TRACE_IDLE = 10,     /* a: P given up */
	TRACE_WAKE = 11,     /* a: P got */
	TRACE_TIMER = 12,    /* a: how late, ns */
	TRACE_NETPOLL = 13,  /* a: goroutines that became ready */
	TRACE_BLOCKING = 14, /* enters a blocking section; a: P left behind */
	TRACE_UNBLOCKING = 15, /* leaves it; a: 1 if it got its P back at once */
	TRACE_STOP_WORLD = 16,
	TRACE_START_WORLD = 17, /* a: number of Ps */
};

struct trace_record {
	int64_t ticks;
	uint32_t g;
	uint16_t event, hart;
	uint64_t a, b;
};

struct trace_ring {
	struct trace_record *records;
	_Atomic(uint64_t) count; /* ever written; the ring holds the last `capacity` of them */
} __attribute__((aligned(CACHE_LINE)));

struct trace {
	char magic[16];
	uint64_t ticks_per_second;
	uint32_t harts, on;
	uint64_t capacity; /* records in a ring, a power of two */
	struct trace_ring rings[HARTS_MAX];
};

extern struct trace gump_trace;

void trace_write(enum trace_event event, const struct g *g, uint64_t a, uint64_t b);

static inline bool trace_on(void)
{
	return __builtin_expect(gump_trace.on, 0);
}

/* locks > 0, not from an interrupt. Where an argument costs something, ask trace_on() first. */
static inline void trace(enum trace_event event, const struct g *g, uint64_t a, uint64_t b)
{
	if (trace_on())
		trace_write(event, g, a, b);
}

#endif
