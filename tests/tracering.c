/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The trace's ring from inside: it holds the last records, each where its number says.
 *
 * @test harts=1
 */
#include <errno.h>
#include <gump/trace.h>

#include "sched/trace.h"
#include "test.h"

enum { ROOM = 64 };

static void last_records_in_order(void)
{
	struct trace_ring *ring = &gump_trace.rings[0];

	CHECK_EQ(go_trace_start(ROOM), 0);
	CHECK_EQ(gump_trace.capacity, ROOM);
	for (uint64_t written = 1; written <= 3 * ROOM; written++) {
		hart_lock(); /* nothing else is traced here meanwhile */
		trace_write(TRACE_TIMER, NULL, written, ~written);
		uint64_t count = ring->count;
		const struct trace_record *last = &ring->records[(count - 1) % ROOM];
		CHECK_EQ(last->event, TRACE_TIMER);
		CHECK_EQ(last->a, written);
		CHECK_EQ(last->b, ~written);
		hart_unlock();
	}
	go_trace_stop();
}

/* The rings of the first trace serve a later one that needs no larger ones. */
static void memory_is_used_again(void)
{
	CHECK_EQ(go_trace_start(ROOM / 2), 0);
	go_trace_stop();
	CHECK_EQ(go_trace_start(2 * ROOM), -1);
	CHECK_EQ(errno, ENOMEM);
	CHECK_EQ(go_trace_start(ROOM), 0);
	go_trace_stop();
}

int main(int argc, char **argv)
{
	TESTS(TEST(last_records_in_order), TEST(memory_is_used_again));
	return test_main(argc, argv, tests);
}
