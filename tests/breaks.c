/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Breaks the scheduler's rules, one at a time, for the build with checks to notice; and a schedule to
 * compare. tests/test_checks.py boots it.
 */
#include "sched/sched.h"
#include "test.h"

static struct spinlock outer = SPINLOCK(LOCK_CHANNEL), inner = SPINLOCK(LOCK_SCHED), unranked;

static void out_of_order(void)
{
	spin_lock(&inner);
	spin_lock(&outer);
}

static void taken_twice(void)
{
	spin_lock(&inner);
	spin_lock(&inner);
}

static void without_a_rank(void)
{
	spin_lock(&unranked);
}

static void not_held(void)
{
	hart_lock();
	spin_release(&outer);
}

static void nothing(void *unused)
{
}

static void yield_for_ever(void *unused)
{
	for (;;)
		go_yield();
}

static void kept_over_a_switch(void)
{
	go_maxprocs(1); /* no thief takes the one that is yielded to */
	go(yield_for_ever, NULL); /* there is always one to yield to */
	spin_lock(&outer);
	for (;;)
		go_yield();
}

static void g_without_such_a_change(void)
{
	hart_lock();
	g_change(g_self(), G_RUNNING, G_IDLE);
}

static void g_is_in_another_state(void)
{
	hart_lock();
	g_change(g_self(), G_WAITING, G_RUNNABLE);
}

static void p_without_the_lock(void)
{
	hart_lock();
	p_change(m_self()->p, P_IDLE);
}

static void m_without_the_lock(void)
{
	hart_lock();
	check_m(m_self(), M_IDLE);
}

/* Once the other hart, which finds nothing, sleeps. So it does from then on: nothing else is made ready. */
static void lock_beside_a_sleeper(void)
{
	for (int64_t end = go_now() + 5 * SECOND;; test_spin(5 * MS)) {
		hart_lock();
		if (check_sleeps(m_get(m_self()->hart.id ^ 1)) || go_now() > end)
			return;
		hart_unlock();
	}
}

/* While it looks as if a hart spun, none is woken. */
static void lost_wake_up(void)
{
	static go_sem none;
	int64_t end;

	lock_beside_a_sleeper();
	atomic_fetch_add(&sched.spinning, 1);
	go(nothing, NULL);
	atomic_fetch_sub(&sched.spinning, 1);
	hart_unlock();
	for (end = go_now() + SECOND; go_now() < end;)
		go_sem_try_acquire(&none);
}

static char order[200];
static _Atomic(int) steps;

static void note(void *letter)
{
	for (int i = 0; i < 20; i++) {
		order[steps++] = 'a' + (char)(intptr_t)letter;
		go_yield();
	}
}

static void schedule_of_ten(void)
{
	for (intptr_t i = 0; i < 10; i++)
		go(note, (void *)i);
	WAIT_FOR(steps == 200);
	printf("order %.200s at %lld\n", order, (long long)go_now());
}

int main(int argc, char **argv)
{
	TESTS(TEST_WHEN_NAMED(out_of_order), TEST_WHEN_NAMED(taken_twice), TEST_WHEN_NAMED(without_a_rank),
	      TEST_WHEN_NAMED(not_held), TEST_WHEN_NAMED(kept_over_a_switch),
	      TEST_WHEN_NAMED(g_without_such_a_change), TEST_WHEN_NAMED(g_is_in_another_state),
	      TEST_WHEN_NAMED(p_without_the_lock), TEST_WHEN_NAMED(m_without_the_lock),
	      TEST_WHEN_NAMED(lost_wake_up), TEST_WHEN_NAMED(schedule_of_ten));
	return test_main(argc, argv, tests);
}
