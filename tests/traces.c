/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A trace that the program starts: anew each time, as large as the first one. tests/test_trace.py
 * reads what it leaves.
 *
 * @test harts=1,4
 */
#include <errno.h>
#include <gump/trace.h>

#include "test.h"

enum { EVENTS = 1000 };

static go_waitgroup all;

static void before_it(void *unused)
{
	go_waitgroup_done(&all);
}

static void in_the_first(void *unused)
{
	go_yield();
	go_waitgroup_done(&all);
}

static void in_the_second(void *unused)
{
	go_yield();
	go_waitgroup_done(&all);
}

static void after_it(void *unused)
{
	go_waitgroup_done(&all);
}

static void start_some(void (*fn)(void *), int n)
{
	go_waitgroup_add(&all, n);
	for (int i = 0; i < n; i++)
		go(fn, NULL);
	go_waitgroup_wait(&all);
}

static void started_and_stopped(void)
{
	start_some(before_it, 10);
	CHECK_EQ(go_trace_start(EVENTS), 0);
	start_some(in_the_first, EVENTS); /* the ring goes round */
	CHECK_EQ(go_trace_start(EVENTS), 0);
	CHECK_EQ(go_trace_start(100 * EVENTS), -1); /* larger rings than it has */
	CHECK_EQ(errno, ENOMEM);
	start_some(after_it, 10); /* that stopped the trace */
	CHECK_EQ(go_trace_start(EVENTS), 0);
	start_some(in_the_second, 20);
	go_trace_stop();
	start_some(after_it, 10);
}

int main(int argc, char **argv)
{
	TESTS(TEST(started_and_stopped));
	return test_main(argc, argv, tests);
}
