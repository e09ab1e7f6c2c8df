/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that is allocated and freed again at once.
 */
#include "bench.h"

static void malloc_free(long n)
{
	for (long i = 0; i < n; i++) {
		void *p = malloc(64);
		__asm__ volatile("" : "+r"(p) : : "memory"); /* a compiler may leave out both calls else */
		free(p);
	}
}

void bench_malloc(void)
{
	per_op("malloc", 1000000, malloc_free);
}
