/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages of a stack that are hidden while its goroutine runs, as a reclaim cycle does that took it for one that
 * waits just before it went on: it never notices, wherever it is, on the way out of a preemption too.
 *
 * @test machines=virt,q35,microvm harts=2,4 env=QUANTUM_US=100
 */
#include "kernel/hart.h"
#include "kernel/vm.h"
#include "test.h"

#define RUNNERS 3 /* for each hart, so that they are preempted */

static _Atomic(uintptr_t) top[64], sp[64];
static _Atomic(bool) over;
static _Atomic(int) ended;

/* Nothing here waits, or calls what does: it is preempted only. */
static __attribute__((noinline)) uint64_t count_up(int me)
{
	volatile uint64_t kept[8] = { 0 };
	uint64_t n = 0;

	sp[me] = (uintptr_t)kept;
	while (!over) {
		n++;
		for (int i = 0; i < 8; i++)
			kept[i]++;
	}
	for (int i = 0; i < 8; i++)
		CHECK_EQ(kept[i], n);
	return n;
}

static void run(void *number)
{
	int me = (int)(intptr_t)number;

	hart_lock();
	top[me] = sched_stack_of_current().top;
	hart_unlock();
	CHECK(count_up(me) > 0);
	ended++;
}

static void hidden_while_it_runs(void)
{
	int n = RUNNERS * go_harts(), rounds = test_part(20000), flushed = 0;
	int64_t until = go_now() + 4 * SECOND;

	for (intptr_t i = 0; i < n; i++)
		go(run, (void *)i);
	for (int i = 0; i < n; i++)
		WAIT_FOR(sp[i] != 0);
	hart_lock(); /* the others have the other harts to themselves */
	while (flushed < rounds && go_now() < until) {
		for (int i = 0; i < n; i++)
			hart_trim_hide(top[i], sp[i]);
		CHECK(arch_vm_flush());
		flushed++;
	}
	hart_unlock();
	over = true;
	WAIT_FOR(ended == n);
	printf("\t%d flushes\n", flushed);
}

int main(int argc, char **argv)
{
	TESTS(TEST(hidden_while_it_runs));
	return test_main(argc, argv, tests);
}
