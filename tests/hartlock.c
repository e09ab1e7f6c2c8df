/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * go_lock_hart(): goroutines tied to a hart, one or more than there are harts.
 *
 * @test alone
 * @test checks machines=virt,q35,hosted sanitize= harts=2 env=GUMPDEBUG=windows args=tied_while_spinning
 * @stress env=PART=5
 */
#include "sched/sched.h"
#include "test.h"

static _Atomic(int) count;
static _Atomic(bool) stop;

static _Atomic(int) tied_to;

static void stay(void *unused)
{
	go_lock_hart();
	go_lock_hart(); /* they nest */
	go_unlock_hart();
	int hart = go_hart();
	tied_to = hart;
	for (int i = 0; i < 24; i++) {
		if (i % 3 == 0)
			go_yield();
		else if (i % 3 == 1)
			go_sleep(300 * US);
		else if (i % 12 == 2)
			test_spin(15 * MS);
		CHECK_EQ(go_hart(), hart);
	}
	tied_to = -1;
	go_unlock_hart();
	count++;
}

static void keep_off(void *unused)
{
	while (!stop) {
		int before = tied_to, hart = go_hart(), after = tied_to;
		if (go_harts() > 1 && before >= 0 && before == after)
			CHECK(hart != before);
		go_yield();
	}
	count++;
}

static void lock_hart(void)
{
	stop = false;
	count = 0;
	tied_to = -1;
	for (int i = 0; i < 8; i++)
		go(keep_off, NULL);
	for (int round = 1; round <= test_part(2); round++) {
		go(stay, NULL);
		WAIT_FOR(count == round);
	}
	stop = true;
	WAIT_FOR(count == 8 + test_part(2));
}

static void stay_a_little(void *unused)
{
	go_lock_hart();
	int hart = go_hart();
	for (int i = 0; i < 15; i++) {
		if (i % 5 == 0)
			go_sleep(100 * US);
		else
			go_yield();
		CHECK_EQ(go_hart(), hart);
	}
	if ((intptr_t)unused % 2 == 0)
		go_unlock_hart();
	count++;
}

static void roam(void *unused)
{
	for (int i = 0; i < 50; i++)
		go_yield();
	count++;
}

/* Some harts have several Gs tied to them then; with fewer Ps than harts, they wait for one another's. */
static void more_locked_than_harts(void)
{
	int all = go_harts(), procs = go_maxprocs(0);
	for (int round = 0; round < 4; round++) {
		count = 0;
		for (intptr_t i = 0; i < 2 * all; i++)
			go(stay_a_little, (void *)i);
		for (int i = 0; i < 4; i++)
			go(roam, NULL);
		go_maxprocs(round % all + 1);
		WAIT_FOR(count == 2 * all + 4);
	}
	go_maxprocs(procs);
}

static void exit_locked(void *unused)
{
	go_lock_hart();
	count++; /* ends tied: the hart must come back */
}

static void exit_while_locked(void)
{
	count = 0;
	for (int i = 0; i < test_part(20); i++) {
		go(exit_locked, NULL);
		WAIT_FOR(count == i + 1);
	}
	go_lock_hart();
	go_sleep(MS);
	go_unlock_hart();
}

static _Atomic(bool) in_section, leave, about_to_sleep, unlocked;

static bool main_has_unlocked(void)
{
	about_to_sleep = true;
	return unlocked;
}

static void come_back_without_p(void *unused)
{
	go_lock_hart();
	go_block_enter();
	in_section = true;
	while (!leave)
		hart_relax();
	fuzz_hold(FUZZ_SLEEP, main_has_unlocked);
	go_block_leave();
	go_unlock_hart();
	count++;
}

/*
 * Both Ms have a locked goroutine, so each may look for others' work. One comes back from a blocking section,
 * finds no P and goes to sleep; it is woken to spin; but before it does the other's goroutine is locked no
 * more, and it may look for nothing but its own. It must not stay counted as spinning, or nobody would be
 * woken while it sleeps.
 */
static void tied_while_spinning(void)
{
	for (int round = 1; round <= 10; round++) {
		in_section = leave = about_to_sleep = unlocked = false;
		go_lock_hart();
		go(come_back_without_p, NULL);
		while (!in_section)
			;
		struct m *other = m_get((unsigned)go_hart() ^ 1);
		go_maxprocs(1);
		hart_lock(); /* preempted, this M would find the other's goroutine */
		leave = true;
		while (!about_to_sleep)
			hart_relax();
		go_maxprocs(2);
		CHECK(other->next_p != NULL && other->spinning);
		go_unlock_hart();
		unlocked = true;
		/* It stops by itself, before this M looks for work and finds its goroutine. */
		for (int64_t end = go_now() + SECOND; *(volatile bool *)&other->spinning && go_now() < end;)
			hart_relax();
		hart_unlock();
		WAIT_FOR(count == round);
	}
}

int main(int argc, char **argv)
{
	TESTS(TEST(lock_hart), TEST(more_locked_than_harts), TEST(exit_while_locked),
	      TEST_WHEN_NAMED(tied_while_spinning));
	return test_main(argc, argv, tests);
}
