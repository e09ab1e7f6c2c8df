/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stacks: what a page costs at the first touch, and the bytes that a goroutine takes of the machine's memory,
 * all counted that it needs: created only, waiting, and waiting after a reclaim cycle. And what such a cycle
 * takes: beside 100,000 that it has packed already, and for each of 10,000 that it packs.
 */
#include "bench.h"

enum { PAGE = 4096 };

/* ---- A page fault ---- */

static go_chan *over;

static __attribute__((noinline)) void touch(long pages)
{
	volatile char *low = __builtin_alloca((size_t)pages * PAGE);

	for (long i = pages; i-- > 0;)
		low[i * PAGE] = 0;
}

/* It keeps its stack, so that the next one's is new, too. */
static void touch_and_stay(void *pages)
{
	touch((long)pages);
	go_send(over, NULL);
	go_recv(NULL, NULL);
}

static void fault(long n)
{
	struct go_attr attr = { .stack_max = (size_t)64 << 20 };

	over = go_chan_make(0, 0);
	if (go_try(touch_and_stay, (void *)n, &attr) != 0)
		go_panic("no memory for a stack");
	go_recv(over, NULL);
	go_chan_free(over);
}

void bench_fault(void)
{
	per_op("fault", 16000, fault);
}

/* ---- Bytes ---- */

enum { MANY = 100000, FEW = 10000 /* that are created within a slice, so that none runs */ };

static go_chan *gate;
static _Atomic(long) began;

static void wait_at_gate(void *unused)
{
	(void)unused;
	atomic_fetch_add(&began, 1);
	go_recv(gate, NULL);
}

static void result_bytes(const char *name, size_t free_before, int n)
{
	struct go_memory now;

	go_memory(&now);
	result(name, (double)(free_before - now.free) / n);
}

void bench_bytes(void)
{
	struct go_memory before;

	gate = go_chan_make(0, 0);
	go_memory(&before);
	go_yield();
	for (int i = 0; i < FEW; i++)
		go(wait_at_gate, NULL);
	result_bytes("bytes-created", before.free, FEW);
	for (int i = FEW; i < MANY; i++)
		go(wait_at_gate, NULL);
	while (atomic_load(&began) < MANY)
		go_yield();
	go_sleep(10 * MS); /* the last ones may not wait yet */
	result_bytes("bytes-waiting", before.free, MANY);
	go_reclaim();
	result_bytes("bytes-reclaimed", before.free, MANY);
}

/* ---- A reclaim cycle ---- */

static void start_and_wait(int n)
{
	long all = atomic_load(&began) + n;

	for (int i = 0; i < n; i++)
		go(wait_at_gate, NULL);
	while (atomic_load(&began) < all)
		go_yield();
	go_sleep(10 * MS);
}

static double cycle(void)
{
	int64_t start = go_now();

	go_reclaim();
	return (double)(go_now() - start);
}

void bench_reclaim(void)
{
	gate = go_chan_make(0, 0);
	start_and_wait(MANY);
	go_reclaim();
	double alone = cycle();
	result("reclaim", alone);
	start_and_wait(FEW);
	result("reclaim-each", (cycle() - alone) / FEW);
}
