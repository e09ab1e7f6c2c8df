/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does a goroutine find all its registers as it left them? What both machines share; the
 * registers themselves are in tests/ARCH/registers.c, which gives:
 *
 *   hold_registers(seed, rounds)   fills every register with a value of its own that depends on
 *                                  the seed, counts down from `rounds` in one of them, and
 *                                  answers 0, or a number that names the first one that changed
 *   set_rounding(mode), get_rounding()   0 .. 3; 0 is the default
 */
#ifndef REGISTERS_H
#define REGISTERS_H

#include "test.h"

uint64_t hold_registers(uint64_t seed, uint64_t rounds);

static void set_rounding(unsigned mode);
static unsigned get_rounding(void);

static _Atomic(int) count;

static void hold(void *number)
{
	/* Some tens of milliseconds a call: preempted in the middle of it, often. */
	for (int i = 0; i < 3; i++) {
		uint64_t seed = (uint64_t)(intptr_t)number << 32 | (uint64_t)(intptr_t)number << 16 | 0x1111;
		uint64_t wrong = hold_registers(seed + (uint64_t)(intptr_t)number, 20000000);
		if (wrong)
			test_failed(__FILE__, __LINE__, "register %llu of goroutine %d has changed",
				    (unsigned long long)wrong, (int)(intptr_t)number);
	}
	count++;
}

static void registers_survive_preemption(void)
{
	int n = go_maxprocs(0) + 3;
	count = 0;
	for (intptr_t i = 1; i <= n; i++)
		go(hold, (void *)i);
	WAIT_FOR(count == n);
}

static void keep_rounding(void *number)
{
	unsigned mode = (unsigned)(intptr_t)number % 4;
	CHECK_EQ(get_rounding(), 0); /* a new goroutine has the default */
	set_rounding(mode);
	for (int i = 0; i < 100; i++) {
		if (i % 4 == 0)
			go_yield();
		else if (i % 4 == 1)
			go_sleep(100 * US);
		else if (i % 20 == 2)
			test_spin(12 * MS);
		CHECK_EQ(get_rounding(), mode);
	}
	count++;
}

static void rounding_mode_is_the_goroutines(void)
{
	count = 0;
	for (intptr_t i = 0; i < 8; i++)
		go(keep_rounding, (void *)i);
	WAIT_FOR(count == 8);
	CHECK_EQ(get_rounding(), 0);
}

static void leave_rounding(void *number)
{
	CHECK_EQ(get_rounding(), 0);
	set_rounding((unsigned)(intptr_t)number % 4);
	count++;
}

/* So many that most get the stack of the one that has just ended. */
static void the_next_one_begins_with_the_default(void)
{
	count = 0;
	for (intptr_t i = 0; i < 200; i++)
		go(leave_rounding, (void *)i);
	WAIT_FOR(count == 200);
	CHECK_EQ(get_rounding(), 0);
}

int main(int argc, char **argv)
{
	TESTS(TEST(registers_survive_preemption), TEST(rounding_mode_is_the_goroutines),
	      TEST(the_next_one_begins_with_the_default));
	return test_main(argc, argv, tests);
}

#endif
