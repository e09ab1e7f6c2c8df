/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A mutex that nobody else wants.
 */
#include "bench.h"

static go_mutex mutex;

static void lock_unlock(long n)
{
	for (long i = 0; i < n; i++) {
		go_mutex_lock(&mutex);
		go_mutex_unlock(&mutex);
	}
}

void bench_mutex(void)
{
	per_op("mutex", 2000000, lock_unlock);
}
