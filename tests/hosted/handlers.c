/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program's own signal handlers: they may have interrupted anything, and are not preempted. What is due
 * then comes when they have returned.
 *
 * @test machines=hosted harts=1 sanitize=
 */
#include <errno.h>
#include <signal.h>

#include "kernel/hart.h"
#include "test.h"

static volatile long n; /* grows while main does not run */
static _Atomic(bool) over;

static void count(void *unused)
{
	while (!over)
		if (++n % 1000000 == 0)
			go_yield(); /* its signal, too, stays blocked where one goes wrong */
}

static volatile sig_atomic_t handled;
static volatile long before, during[2]; /* n */

static void handler(int number)
{
	during[0] = n;
	int error = errno;
	during[1] = n;
	errno = error;
	handled = 1;
}

static void block(int how, int number)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGURG);
	if (number != 0)
		sigaddset(&set, number);
	CHECK_EQ(sigprocmask(how, &set, NULL), 0);
}

/* A counter runs, and main's slice is over, with the interrupt that says so to come. */
static void begin(int number)
{
	over = false;
	handled = 0;
	go(count, NULL);
	go_sleep(MS);
	block(SIG_BLOCK, number);
	test_spin(30 * MS);
	before = n;
}

static void finish(void)
{
	CHECK(handled);
	WAIT_FOR(n != before);
	over = true;
	CHECK_EQ(during[0], before);
	CHECK_EQ(during[1], before);
}

/* The interrupt is handled first where both are there, with the handler's first instruction to come. */
static void both_at_once(int number)
{
	begin(number);
	raise(number);
	block(SIG_UNBLOCK, number);
	finish();
}

static void not_preempted_at_first(void)
{
	struct sigaction action = { .sa_handler = handler };

	CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
	both_at_once(SIGUSR1);
	CHECK(signal(SIGUSR2, handler) == SIG_DFL);
	both_at_once(SIGUSR2);
	CHECK(signal(SIGUSR2, SIG_DFL) == handler);
}

/* As if the interrupt had come while the library was called. */
static void not_preempted_by_errno(void)
{
	struct sigaction action = { .sa_handler = handler };

	CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
	begin(0);
	hart_self()->preempt = 1;
	raise(SIGUSR1);
	block(SIG_UNBLOCK, 0);
	finish();
}

/* Nothing else asks for the preemption that has been put off until errno is had. */
static void preempted_after_errno(void)
{
	begin(0);
	hart_lock();
	block(SIG_UNBLOCK, 0);
	bool due = HELD_UNTIL(hart_self()->preempt != 0, SECOND);
	long then = n;
	hart_lock_lower();
	errno = 0;
	test_spin(100 * MS);
	long later = n;
	over = true;
	CHECK(due);
	CHECK_EQ(then, before);
	CHECK(later != then);
}

int main(int argc, char **argv)
{
	TESTS(TEST(not_preempted_at_first), TEST(not_preempted_by_errno), TEST(preempted_after_errno));
	return test_main(argc, argv, tests);
}
