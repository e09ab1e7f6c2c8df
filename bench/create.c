/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Goroutines: their creation and end, and yielding.
 */
#include "bench.h"

/* ---- Create, run, exit: each at once, as the creator yields to it; and all after the last ---- */

static void nothing(void *unused)
{
	(void)unused;
}

static void create(long n)
{
	for (long i = 0; i < n; i++) {
		go(nothing, NULL);
		go_yield();
	}
}

static void finish(void *group)
{
	go_waitgroup_done(group);
}

static void create_many(long n)
{
	static go_waitgroup group;
	go_waitgroup_add(&group, (int)n);
	for (long i = 0; i < n; i++)
		go(finish, &group);
	go_waitgroup_wait(&group);
}

void bench_create(void)
{
	per_op("create", 100000, create);
	per_op("create-many", 100000, create_many);
}

/* ---- Yields: of two to each other, and of one that has nobody to yield to ---- */

static _Atomic(long) finished;

static void yield_half(void *rounds)
{
	for (long i = 0; i < (long)rounds; i++)
		go_yield();
	atomic_fetch_add(&finished, 1);
}

static void yield_two(long n)
{
	long half = n / 2;
	atomic_store(&finished, 0);
	go(yield_half, (void *)half);
	yield_half((void *)half);
	wait_for(&finished, 2);
}

static void yield_alone(long n)
{
	for (long i = 0; i < n; i++)
		go_yield();
}

void bench_yield(void)
{
	per_op("yield", 400000, yield_two);
	per_op("yield-alone", 400000, yield_alone);
}
