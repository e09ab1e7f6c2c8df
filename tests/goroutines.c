/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Goroutines: each runs once, whatever their number; yields are fair; errno is their own.
 *
 * @test harts=1,2,4,8 mem=512M timeout=60 sanitize=address,undefined
 * @test machines=hosted-thread harts=4 env=PART=20 timeout=60
 * @stress mem=512M env=PART=20 timeout=60
 */
#include <errno.h>

#include "test.h"

enum { MANY = 100000, BATCH = 10000 };

static _Atomic(int) ran[MANY];
static _Atomic(int) count;

static void run_once(void *number)
{
	ran[(intptr_t)number]++;
	count++;
}

/* 100,000, in batches that fit into memory: most go through the global queue's overflow. */
static void each_runs_once(void)
{
	int many = test_part(MANY);
	count = 0;
	for (intptr_t i = 0; i < many; i++) {
		go(run_once, (void *)i);
		if (i % BATCH == BATCH - 1)
			WAIT_FOR(count == i + 1);
	}
	WAIT_FOR(count == many);
	for (int i = 0; i < many; i++)
		CHECK_EQ(ran[i], 1);
}

static go_chan *gate;

static void wait_at_gate(void *unused)
{
	go_recv(gate, NULL);
	count++;
}

static void count_of_goroutines(void)
{
	CHECK_EQ(go_count(), 1);
	count = 0;
	gate = go_chan_make(0, 0);
	for (int i = 1; i <= 1000; i++) {
		go(wait_at_gate, NULL);
		CHECK_EQ(go_count(), i + 1);
	}
	go_close(gate);
	WAIT_FOR(count == 1000);
	WAIT_FOR(go_count() == 1);
	go_chan_free(gate);
}

static void check_argument(void *arg)
{
	CHECK_EQ(*(int *)arg, 1234);
	count++;
}

static void attributes(void)
{
	static int value = 1234;
	struct go_attr fine[] = { { 0, NULL },
				  { 1, "tiny" },
				  { 5000, "odd" },
				  { (size_t)1 << 20, "one MiB" },
				  { (size_t)1 << 30, "one GiB" } };
	struct go_attr wrong = { ((size_t)1 << 30) + 1, "too large" };
	count = 0;
	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
		CHECK_EQ(go_try(check_argument, &value, &fine[i]), 0);
	CHECK_EQ(go_try(check_argument, &value, NULL), 0);
	errno = 0;
	CHECK_EQ(go_try(check_argument, &value, &wrong), -1);
	CHECK_EQ(errno, EINVAL);
	wrong.stack_max = SIZE_MAX;
	errno = 0;
	CHECK_EQ(go_try(check_argument, &value, &wrong), -1);
	CHECK_EQ(errno, EINVAL);
	WAIT_FOR(count == 6);
}

static void keep_errno(void *number)
{
	int times = test_part(50) == 50 ? 100 : 20;
	for (int i = 0; i < times; i++) {
		int mine = (int)(intptr_t)number * 1000 + i;
		errno = mine;
		if (i % 3 == 0)
			go_yield();
		else if (i % 50 == 1)
			test_spin(12 * MS); /* preempted, maybe resumed on another hart */
		else if (i % 10 == 2)
			go_sleep(100 * US);
		CHECK_EQ(errno, mine);
	}
	count++;
}

static void errno_is_the_goroutines(void)
{
	count = 0;
	errno = 33;
	for (intptr_t i = 1; i <= 6; i++)
		go(keep_errno, (void *)i);
	WAIT_FOR(count == 6);
	CHECK_EQ(errno, 33);
}

enum { YIELDERS = 10 };
static _Atomic(long) turns[YIELDERS];
static _Atomic(bool) stop;

static void take_turns(void *number)
{
	while (!stop) {
		turns[(intptr_t)number]++;
		go_yield();
	}
	count++;
}

static long fewest_turns(void)
{
	long least = turns[0];
	for (int i = 1; i < YIELDERS; i++)
		least = turns[i] < least ? turns[i] : least;
	return least;
}

/* A yield goes to the end of the line: all get the same share. */
static void yield_is_fair(void)
{
	long most = 0;
	stop = false;
	count = 0;
	for (intptr_t i = 0; i < YIELDERS; i++)
		go(take_turns, (void *)i);
	go_sleep(test_part(200) * MS);
	WAIT_FOR(fewest_turns() > 10);
	stop = true;
	WAIT_FOR(count == YIELDERS);
	for (int i = 0; i < YIELDERS; i++)
		most = turns[i] > most ? turns[i] : most;
	long least = fewest_turns();
	if (go_maxprocs(0) == 1) /* with more, a hart may be away from the host's processors */
		CHECK_IN(most - least, 0, least / 2 + 100);
}

static void exit_early(void *depth)
{
	if ((intptr_t)depth == 0) {
		count++;
		go_exit();
	}
	exit_early((void *)((intptr_t)depth - 1));
	test_failed(__FILE__, __LINE__, "go_exit returned");
}

static void exit_from_inside(void)
{
	count = 0;
	for (intptr_t i = 0; i < 100; i++)
		go(exit_early, (void *)i);
	WAIT_FOR(count == 100);
}

static void start_two(void *depth)
{
	if ((intptr_t)depth > 0) {
		go(start_two, (void *)((intptr_t)depth - 1));
		go(start_two, (void *)((intptr_t)depth - 1));
	}
	count++;
}

static void goroutines_start_goroutines(void)
{
	count = 0;
	go(start_two, (void *)(intptr_t)11);
	WAIT_FOR(count == (1 << 12) - 1);
}

static void use_stack(void *unused)
{
	volatile unsigned char own[2000];
	unsigned char mark = (unsigned char)(uintptr_t)own ^ (unsigned char)go_hart();
	for (size_t i = 0; i < sizeof(own); i++)
		own[i] = mark;
	go_yield();
	for (size_t i = 0; i < sizeof(own); i++)
		CHECK_EQ(own[i], mark);
	count++;
}

static void start_with_own_stacks(void *unused)
{
	struct go_attr attr = { .stack_max = (size_t)512 << 10 };
	for (int i = 0; i < 500; i++) {
		while (go_try(use_stack, NULL, &attr) != 0)
			go_yield();
		if (i % 2 == 0) /* so that some end while others begin */
			go_yield();
	}
	count++;
}

/*
 * A stack of an unusual size is given back when its goroutine ends, and is soon another's, on another hart.
 */
static void stacks_change_hands(void)
{
	count = 0;
	for (int i = 0; i < 4; i++)
		go(start_with_own_stacks, NULL);
	WAIT_FOR(count == 4 * 501);
}

int main(int argc, char **argv)
{
	TESTS(TEST(each_runs_once), TEST(count_of_goroutines), TEST(attributes),
	      TEST(errno_is_the_goroutines), TEST(yield_is_fair), TEST(exit_from_inside),
	      TEST(goroutines_start_goroutines), TEST(stacks_change_hands));
	return test_main(argc, argv, tests);
}
