/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two fences of sched/idle.c and that of a blocking section, each by itself: one hart is held in the
 * window that its fence is for, with its early look behind it (sched/fuzz.h), until the other has done what
 * that look did not see. A fence looks again. Nothing but the fence can help: whoever keeps a hart here does
 * so under hart_lock(), and the hart that sleeps has had the timer interrupt that its last slice asked for.
 *
 * @test checks machines=virt,q35,hosted harts=2 env=GUMPDEBUG=windows timeout=20
 * @test checks machines=virt,q35,hosted harts=2 env=GUMPDEBUG=windows|GOMAXPROCS=1|QUANTUM_US=1000000 args=section_looks_again
 */
#include "sched/sched.h"
#include "test.h"

enum { ROUNDS = 10 };

static _Atomic(bool) there, leave, held, published, ran;

static void run(void *unused)
{
	ran = true;
}

static void wait_until_it_ran(void)
{
	CHECK(HELD_UNTIL(ran, 5 * SECOND));
}

/* On the other hart; its P is in use until this ends. */
static void keep_a_hart(void *unused)
{
	hart_lock();
	there = true;
	while (!leave)
		hart_relax();
	hart_unlock();
}

static void keep_the_other_hart(void (*fn)(void *))
{
	there = leave = held = published = ran = false;
	go(fn, NULL);
	while (!there)
		;
}

static bool no_timer_set(struct m *m)
{
	return peek_time(&m->timer_deadline) == INT64_MAX;
}

/* The submitter has looked, and seen all Ps in use; now the other hart may go to sleep. */
static bool other_sleeps(void)
{
	leave = true;
	struct m *other = m_get(m_self()->hart.id ^ 1);
	return no_timer_set(other) && check_sleeps(other);
}

static void submitter_looks_again(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		keep_the_other_hart(keep_a_hart);
		hart_lock();
		fuzz_hold(FUZZ_PUBLISH, other_sleeps);
		go(run, NULL);
		CHECK(leave);
		wait_until_it_ran();
		hart_unlock();
	}
}

/*
 * This M has looked, and seen no work; now there may come some. That its timer came earlier is
 * not to wake it.
 */
static bool work_has_come(void)
{
	held = true;
	if (!published || !no_timer_set(m_self()))
		return false;
	store_relaxed(&m_self()->hart.kicked, 0);
	return true;
}

static void go_idle(void *unused)
{
	keep_a_hart(NULL);
	hart_lock();
	fuzz_hold(FUZZ_ANNOUNCE, work_has_come);
	hart_unlock();
}

static void idle_m_looks_again(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		keep_the_other_hart(go_idle);
		hart_lock();
		leave = true;
		while (!held)
			hart_relax();
		go(run, NULL); /* wakes nobody: the other's P is in use still */
		published = true;
		wait_until_it_ran();
		hart_unlock();
	}
}

static struct m *other_m;

/* Whoever leaves the P has looked, and seen no M parked; now one comes back from its section, and parks. */
static bool other_parks(void)
{
	leave = true;
	return check_sleeps(other_m);
}

static void come_back(void *unused)
{
	go_block_enter();
	other_m = m_self();
	there = true;
	while (!leave)
		hart_relax();
	go_block_leave();
	ran = true;
}

/* With one P. Without the look it would be the end of the slice, in a second, that tells of the P. */
static void section_looks_again(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		there = leave = ran = false;
		go(come_back, NULL);
		while (!there)
			go_yield();
		hart_lock();
		fuzz_hold(FUZZ_BLOCK, other_parks);
		go_block_enter();
		CHECK(leave);
		bool in_time = HELD_UNTIL(ran, SECOND / 2);
		hart_unlock();
		go_block_leave();
		CHECK(in_time);
		WAIT_FOR(go_count() == 1);
	}
}

int main(int argc, char **argv)
{
	TESTS(TEST(submitter_looks_again), TEST(idle_m_looks_again), TEST_WHEN_NAMED(section_looks_again));
	return test_main(argc, argv, tests);
}
