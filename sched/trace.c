/* SPDX-License-Identifier: BSD-2-Clause */
/* The event trace's rings: see trace.h. */
#include "sched/trace.h"

#include <errno.h>
#include <gump/trace.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_MAX ((size_t)1 << 26)

struct trace gump_trace;

void trace_write(enum trace_event event, const struct g *g, uint64_t a, uint64_t b)
{
	struct m *m = m_self();
	struct trace_ring *ring = &gump_trace.rings[m->hart.id];
	uint64_t n = load_relaxed(&ring->count);

	/* Pairs with the release in go_trace_start(): whoever sees `on` sees the ring. */
	fence_after_load(&gump_trace.on);
	ring->records[n & (gump_trace.capacity - 1)] = (struct trace_record){
		/* Relaxed: locks and queues order the harts' records; on one variable that is enough. */
		atomic_fetch_add_explicit(&gump_trace.sequence, 1, memory_order_relaxed),
		now_ticks(), g != NULL ? g->number : 0, (uint16_t)event, (uint16_t)m->hart.id, a, b,
	};
	/* Release: a record is counted when it is whole. */
	store_release(&ring->count, n + 1);
}

void trace_write_unblock(const struct g *g, uint64_t queue)
{
	const struct g *waker = hart_g();
	trace_write(TRACE_UNBLOCK, g, waker != NULL ? waker->number : 0, queue);
}

/*
 * The rings of an earlier trace are kept, and go on: another hart may still be writing its last record, which
 * a reader knows by its sequence.
 */
static int rings_alloc(uint64_t capacity)
{
	if (gump_trace.capacity != 0)
		return gump_trace.capacity >= capacity ? 0 : -1;
	for (unsigned id = 0; id < hart_count(); id++) {
		gump_trace.rings[id].records = calloc(capacity, sizeof(struct trace_record));
		if (gump_trace.rings[id].records == NULL) {
			while (id-- > 0)
				free(gump_trace.rings[id].records);
			return -1;
		}
	}
	gump_trace.capacity = capacity;
	return 0;
}

int go_trace_start(size_t events)
{
	uint64_t capacity = 64;
	while (capacity < events && capacity < EVENTS_MAX)
		capacity *= 2;

	go_trace_stop();
	if (rings_alloc(capacity) != 0) {
		errno = ENOMEM;
		return -1;
	}
	for (unsigned id = 0; id < hart_count(); id++) {
		struct trace_ring *ring = &gump_trace.rings[id];
		ring->start = load_relaxed(&ring->count);
	}
	memcpy(gump_trace.magic, "gump trace 2", 13);
	gump_trace.ticks_per_second = hart_ns_to_ticks(1000000000);
	gump_trace.harts = hart_count();
	gump_trace.first = load_relaxed(&gump_trace.sequence);
	gump_trace.quantum = sched.quantum;
	gump_trace.procs = sched.procs;
	__atomic_store_n(&gump_trace.on, 1, __ATOMIC_RELEASE);
	/* After `on`: an M that parks or wakes from here on says so. */
	gump_trace.idle = load_relaxed(&sched.idle_ms);
	return 0;
}

void go_trace_stop(void)
{
	__atomic_store_n(&gump_trace.on, 0, __ATOMIC_RELAXED);
}
