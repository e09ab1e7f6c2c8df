/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the benchmarks share. bench/run builds and boots them, on their own and beside their
 * twins in bench/go/; `qemu/run bench NAME...` runs some by hand.
 *
 * A benchmark measures with go_now() and prints its figures, each a line
 *
 *     result NAME NANOSECONDS
 *
 * Under QEMU's -icount shift=0 with one hart, go_now() counts instructions. That clock ticks
 * every 100 instructions on riscv64, so what is measured takes at least a million.
 */
#ifndef BENCH_H
#define BENCH_H

#include <gump.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define US INT64_C(1000)
#define MS INT64_C(1000000)

void bench_create(void);
void bench_yield(void);
void bench_unbuffered(void);
void bench_buffered(void);
void bench_many(void);
void bench_select(void);
void bench_ring(void);
void bench_mutex(void);
void bench_malloc(void);
void bench_park(void);
void bench_skynet(void);
void bench_timer(void);
void bench_deadline(void);
void bench_nap(void);
void bench_sleepers(void);
void bench_sleep(void);
void bench_hog(void);
void bench_speedup(void);
void bench_fault(void);
void bench_bytes(void);
void bench_reclaim(void);

/*
 * Prints what one of n operations takes in op(n), which is run a few times: the shortest time
 * counts, and an empty loop of n rounds is taken off.
 */
void per_op(const char *name, long n, void (*op)(long n));

void result(const char *name, double ns);

/* Sorts the times and prints two of them: the median, and the one at `rank` of 100. */
void result_spread(const char *name, int64_t *times, int count, const char *high, int rank);

/* Lets others run until the counter is n. */
void wait_for(_Atomic(long) *counter, long n);

/* The time that all harts together did not idle since boot; -1 if that is not known. */
int64_t cpu_time(void);

#endif
