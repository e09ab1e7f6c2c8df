/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 64 goroutines that only compute: how much sooner two harts are done than one.
 */
#include "bench.h"

enum { WORKERS = 64, ROUNDS = 1500000 };

static _Atomic(long) finished;

static void compute(void *seed)
{
	unsigned long x = (unsigned long)seed + 1;
	for (int i = 0; i < ROUNDS; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
	}
	atomic_fetch_add(&finished, x != 0);
}

static int64_t time_with(int procs)
{
	go_maxprocs(procs);
	atomic_store(&finished, 0);
	int64_t start = go_now();
	for (long i = 0; i < WORKERS; i++)
		go(compute, (void *)i);
	while (atomic_load(&finished) < WORKERS)
		go_sleep(MS);
	return go_now() - start;
}

void bench_speedup(void)
{
	int64_t one = INT64_MAX, two = INT64_MAX;
	if (go_harts() < 2)
		return;
	int procs = go_maxprocs(2);
	for (int i = 0; i < 3; i++) {
		int64_t took = time_with(1);
		one = took < one ? took : one;
		took = time_with(2);
		two = took < two ? took : two;
	}
	go_maxprocs(procs);
	result("speedup", (double)one / (double)two);
}
