/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sleeping: many at once, how late one wakes, and how late it wakes beside an endless loop.
 */
#include "bench.h"

/* ---- The work of all harts for 100,000 that sleep once, 1 to 100 ms ---- */

enum { SLEEPERS = 100000 };

static _Atomic(long) slept;

static void sleep_once(void *ms)
{
	go_sleep((long)ms * MS);
	atomic_fetch_add(&slept, 1);
}

void bench_sleepers(void)
{
	const char *ops = getenv("OPS"); /* bench/profile */
	long sleepers = ops != NULL ? atol(ops) : SLEEPERS;
	int64_t start = cpu_time();
	if (start < 0)
		return;
	for (long i = 0; i < sleepers; i++)
		go(sleep_once, (void *)(1 + i % 100));
	while (atomic_load(&slept) < sleepers)
		go_sleep(MS);
	result("sleepers", (double)(cpu_time() - start));
}

/* ---- How late a sleep of 1 ms ends ---- */

static void lateness(int64_t *late, int count)
{
	for (int i = 0; i < count; i++) {
		int64_t deadline = go_now() + MS;
		go_sleep(MS);
		late[i] = go_now() - deadline;
	}
}

void bench_sleep(void)
{
	static int64_t late[1000];
	lateness(late, 1000);
	result_spread("sleep", late, 1000, "p99", 99);
}

/* ---- The same when the only P also has an endless loop to run ---- */

static _Atomic(bool) enough;

static void loop(void *unused)
{
	(void)unused;
	while (!atomic_load_explicit(&enough, memory_order_relaxed))
		;
}

void bench_hog(void)
{
	static int64_t late[50];
	int procs = go_maxprocs(1);
	go(loop, NULL);
	lateness(late, 50);
	atomic_store(&enough, true);
	go_maxprocs(procs);
	result_spread("hog", late, 50, "max", 100);
}
