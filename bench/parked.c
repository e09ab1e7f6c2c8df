/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 100,000 goroutines that wait on one channel: what it takes until the last of them waits, on
 * stacks that nobody had before, and until all have been woken by its closing and have ended.
 */
#include "bench.h"

enum { PARKED = 100000 };

static go_chan *gate;
static go_waitgroup group;

static void wait_at_gate(void *unused)
{
	(void)unused;
	go_waitgroup_done(&group);
	go_recv(gate, NULL);
	go_waitgroup_done(&group);
}

void bench_park(void)
{
	gate = go_chan_make(0, 0);
	go_waitgroup_add(&group, PARKED);
	int64_t start = go_now();
	for (int i = 0; i < PARKED; i++)
		go(wait_at_gate, NULL);
	go_waitgroup_wait(&group);
	result("park", (double)(go_now() - start) / PARKED);

	go_sleep(50 * MS); /* the last ones may not wait yet */
	go_waitgroup_add(&group, PARKED);
	start = go_now();
	go_close(gate);
	go_waitgroup_wait(&group);
	result("wake", (double)(go_now() - start) / PARKED);
}
