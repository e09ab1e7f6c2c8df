/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Goroutines that wait at a gate, for tests of the reclaim cycle: start() has them wait, finish() lets them go on
 * and end, and fails if one of them has counted something wrong.
 */
#ifndef TESTS_PARKED_H
#define TESTS_PARKED_H

#include "test.h"

enum { MANY = 2000, PAGE = 4096 };

static bool packs = true; /* else what a goroutine waits with stays where it is, in a page of its own */
static go_chan *gate;
static _Atomic(int) arrived, wrong, ended;

TEST_FN size_t in_stacks(void)
{
	struct go_memory memory;
	go_memory(&memory);
	return memory.stacks;
}

TEST_FN void start(int n, void (*fn)(void *))
{
	arrived = ended = wrong = 0;
	gate = go_chan_make(0, 0);
	for (int i = 0; i < n; i++)
		go(fn, (void *)(intptr_t)i);
	WAIT_FOR(arrived == n);
	/* the last of them have parked, most likely: the bounds below leave room for some */
	go_sleep(5 * MS);
}

TEST_FN void finish(int n)
{
	go_close(gate);
	WAIT_FOR(ended == n);
	WAIT_FOR(go_count() == 1);
	CHECK_EQ(wrong, 0);
	go_chan_free(gate);
}

TEST_FN void only_wait(void *unused)
{
	arrived++;
	go_recv(gate, NULL);
	ended++;
}

/* Hosted, where nothing is packed, the @test lines say PACKS=0. */
TEST_FN void parked_begin(void)
{
	packs = getenv("PACKS") == NULL;
}

#endif
