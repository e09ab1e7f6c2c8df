/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages of stacks that are hidden. While its goroutine runs, as a reclaim cycle does that took it for one that
 * waits just before it went on: it never notices, wherever it is, on the way out of a preemption too. And
 * while a hart sleeps that knows where they were.
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

/* ---- Harts that sleep ---- */

static uint32_t sleep_of(unsigned id)
{
	return load_acquire(&hart_get(id)->arch.vm_sleep);
}

static bool others_sleep(bool stale)
{
	for (unsigned id = 0; id < hart_count(); id++)
		if (id != hart_self()->id && sleep_of(id) != VM_ASLEEP_STALE && (stale || sleep_of(id) != VM_ASLEEP))
			return false;
	return true;
}

/* Something else may wake one of them in that instant, but not each time. */
static void a_flush_leaves_them_asleep(void)
{
	bool left = false;

	for (int i = 0; i < 20 && !left; i++) {
		hart_lock();
		CHECK(HELD_UNTIL(others_sleep(false), 5 * SECOND));
		CHECK(arch_vm_flush());
		left = others_sleep(true);
		hart_unlock();
	}
	CHECK(left);
}

enum { VALUES = 16, OTHERS = 200, LUMP = 1 << 20 };

static volatile uint64_t *values[VALUES];
static _Atomic(int) arrived, readings, wrong;
static _Atomic(unsigned) reader_hart;
static go_chan *gate, *turn;

static void keep_one(void *number)
{
	int i = (int)(intptr_t)number;
	volatile uint64_t value = 1000 + (uint64_t)i;

	if (i < VALUES)
		values[i] = &value;
	arrived++;
	go_recv(gate, NULL);
	wrong += value != 1000 + (uint64_t)i;
	ended++;
}

static void read_twice(void *unused)
{
	(void)unused;
	go_lock_hart();
	hart_lock();
	reader_hart = hart_self()->id;
	hart_unlock();
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < VALUES; i++)
			wrong += *values[i] != 1000 + (uint64_t)i;
		readings++;
		go_recv(turn, NULL);
	}
	go_unlock_hart();
	ended++;
}

/* What was free is written over. */
static void use_half_of_the_memory(void)
{
	struct go_memory memory;
	go_memory(&memory);
	size_t n = memory.free / 2 / LUMP;
	void **lumps = calloc(n, sizeof(*lumps));

	for (size_t i = 0; i < n; i++)
		if ((lumps[i] = malloc(LUMP)) != NULL)
			memset(lumps[i], 0xa5, LUMP);
	for (size_t i = 0; i < n; i++)
		free(lumps[i]);
	free(lumps);
}

/* A hart reads others' stacks and sleeps; they are packed, and their pages are others'; it reads again. */
static void a_hart_that_slept_finds_them_packed(void)
{
	arrived = ended = 0;
	gate = go_chan_make(0, 0);
	turn = go_chan_make(0, 0);
	for (intptr_t i = VALUES + OTHERS; i-- > 0;)
		go(keep_one, (void *)i);
	WAIT_FOR(arrived == VALUES + OTHERS);
	go_sleep(5 * MS);
	hart_lock(); /* or it would come to this hart */
	go(read_twice, NULL);
	CHECK(HELD_UNTIL(readings == 1 && sleep_of(reader_hart) != VM_AWAKE, 5 * SECOND));
	hart_unlock();
	go_reclaim();
	use_half_of_the_memory();
	go_send(turn, NULL);
	WAIT_FOR(readings == 2);
	go_send(turn, NULL);
	go_close(gate);
	WAIT_FOR(ended == VALUES + OTHERS + 1);
	CHECK_EQ(wrong, 0);
	go_chan_free(gate);
	go_chan_free(turn);
}

int main(int argc, char **argv)
{
	TESTS(TEST(hidden_while_it_runs), TEST(a_flush_leaves_them_asleep),
	      TEST(a_hart_that_slept_finds_them_packed));
	return test_main(argc, argv, tests);
}
