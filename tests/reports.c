/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A report while others are in critical sections that a report may need: it comes to its end.
 *
 * @test stack_grows harts=2,4 machines=virt,q35,microvm status=2 "fatal: it is over" "report_deep_down+"
 */
#include "kernel/hart.h"
#include "kernel/stacks.h"
#include "test.h"

static _Atomic(int) begun;

/* Holds the lock of the page tables, nearly always. */
static void hold(void *unused)
{
	for (;;) {
		hart_lock();
		vm_lock();
		begun = 1;
		int64_t end = go_now() + 20 * MS;
		while (go_now() < end)
			hart_relax();
		vm_unlock();
		hart_unlock();
	}
}

/* As hart_fatal() does, if the page that it needs next is not there yet. */
static __attribute__((noinline)) void report_deep_down(void)
{
	hart_stop_others();
	volatile char *room = __builtin_alloca(20000);
	room[0] = 1;
	hart_print("fatal: it is over\n");
	hart_backtrace_here();
	hart_poweroff(2);
}

static void stack_grows(void)
{
	go(hold, NULL);
	WAIT_FOR(begun);
	report_deep_down();
}

int main(int argc, char **argv)
{
	TESTS(TEST_WHEN_NAMED(stack_grows));
	return test_main(argc, argv, tests);
}
