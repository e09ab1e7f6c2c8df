/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler's side of the network, with a poll function that only counts: whatever says that there is
 * something to poll, somebody polls soon, whoever is busy.
 *
 * @test harts=2,4 polled_at_an_interrupt
 * @test harts=2,4 polled_at_the_deadline
 * @test harts=2,4 polled_during_blocking_sections
 * @test harts=1,2 polled_at_the_end_of_a_slice
 * @test harts=1 polled_at_the_next_turn
 * @test harts=1 half_of_the_time env=GUMPDEBUG=seed=0
 * @test harts=2 polled_at_the_next_turn_elsewhere env=GUMPDEBUG=seed=0 sanitize=address,undefined
 * @test harts=1,4 waiters
 */
#include <errno.h>

#include "sched/sched.h"
#include "test.h"

static _Atomic(int) polls, turns; /* turns: of goroutines that yield */

/* The connections of the last test, and what protects them as the network's lock does. */
enum { WAITERS = 20 };
static struct spinlock lock = SPINLOCK(LOCK_NET);
static struct netpoll_desc descs[WAITERS];
static _Atomic(bool) have_come; /* to all of them */

/* How many turns there were before the last poll. */
static int turns_before;

/* How long each of the last polls came after the one before, where they take so long and leave work for the next. */
enum { POLLS = 101 };
static int64_t pause_before[POLLS + 1], poll_takes, poll_ended;

static void poll(struct glist *ready)
{
	turns_before = turns;
	pause_before[polls % (POLLS + 1)] = go_now() - poll_ended;
	polls++;
	if (poll_takes != 0) {
		test_spin(poll_takes);
		sched_netpoll_ready();
	}
	poll_ended = go_now();
	if (!have_come)
		return;
	spin_acquire(&lock);
	for (int i = 0; i < WAITERS; i++)
		netpoll_wake(&descs[i], NETPOLL_READ, ready);
	spin_release(&lock);
}

static bool polled_since(int before)
{
	int64_t end = go_now() + 5 * SECOND;
	while (polls == before && go_now() < end)
		;
	return polls != before;
}

/* The hart that takes the interrupt does not look, so the handler wakes one that sleeps. */
static void polled_at_an_interrupt(void)
{
	for (int i = 0; i < 20; i++) {
		test_spin(2 * MS); /* the others go to sleep */
		int before = polls;
		hart_lock();
		sched_netpoll_ready();
		bool polled = polled_since(before);
		hart_unlock();
		CHECK(polled);
	}
}

/*
 * The M that runs the timer goes on with a goroutine that does not come back to the scheduler: another must
 * be woken. Interrupts are off so that the hart's timer, whose interrupt would wake one, comes too late.
 */
static void polled_at_the_deadline(void)
{
	for (int i = 0; i < 20; i++) {
		test_spin(2 * MS); /* the others go to sleep */
		int before = polls;
		hart_lock();
		hart_irq_off();
		netpoll_set_deadline(hart_now());
		sched.netpoll_after = INT64_MAX; /* not the turn of an M that has something to run */
		hart_unlock();
		yield_local(); /* go_yield() would wake another M itself */
		hart_lock(); /* no preemption, whose end would poll here */
		hart_irq_restore(true);
		bool polled = polled_since(before);
		hart_unlock();
		CHECK(polled);
	}
}

/* One P, whose goroutine blocks: a parked M takes the P for the network as it does for Gs. */
static void polled_during_blocking_sections(void)
{
	go_maxprocs(1);
	for (int i = 0; i < 20; i++) {
		int before = polls;
		go_block_enter();
		if (i % 2)
			test_spin(MS);
		hart_lock();
		sched_netpoll_ready();
		hart_unlock();
		bool polled = polled_since(before);
		go_block_leave();
		CHECK(polled);
	}
}

static _Atomic(bool) stop;
static _Atomic(int) ended;

static void loop(void *unused)
{
	while (!stop)
		;
	ended++;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

/* All Ps are busy with endless loops: who is preempted polls, after 10 ms, and not only each 61st. */
static void polled_at_the_end_of_a_slice(void)
{
	enum { TIMES = 11 };
	int64_t took[TIMES];
	stop = false;
	ended = 0;
	for (int i = 0; i < go_harts(); i++)
		go(loop, NULL);
	for (int i = 0; i < TIMES; i++) {
		int before = polls;
		int64_t start = go_now();
		hart_lock();
		sched_netpoll_ready();
		hart_unlock();
		CHECK(polled_since(before));
		took[i] = go_now() - start;
	}
	qsort(took, TIMES, sizeof(took[0]), compare);
	CHECK_IN(took[TIMES / 2], 0, 100 * MS);
	stop = true;
	WAIT_FOR(ended == go_harts());
}

static void take_turns(void *each)
{
	while (!stop) {
		turns++;
		test_spin((intptr_t)each);
		go_yield();
	}
	ended++;
}

enum { TAKERS = 10 };

static void start_turns(int64_t each)
{
	stop = false;
	ended = turns = polls = 0;
	for (int i = 0; i < TAKERS; i++)
		go(take_turns, (void *)(intptr_t)each);
	go_yield();
}

static void end_turns(void)
{
	stop = true;
	WAIT_FOR(ended == TAKERS);
}

/* There is always somebody who can run: an interrupt is looked at when the next one's turn comes, not each 61st time. */
static void polled_at_the_next_turn(void)
{
	start_turns(0);
	for (int i = 0; i < 50; i++) {
		hart_lock();
		int before = turns;
		polls = 0;
		sched.netpoll_after = 0; /* not a pause as long as the host was away in the poll before */
		sched_netpoll_ready();
		hart_unlock();
		go_yield();
		CHECK_EQ(polls, 1);
		CHECK_IN(turns_before - before, 0, 2);
	}
	end_turns();
}

/* The hart that takes the interrupts has no P: the one that has them all is told. */
static void polled_at_the_next_turn_elsewhere(void)
{
	go_maxprocs(1);
	start_turns(MS);
	for (int i = 0; i < 20; i++) {
		go_block_enter();
		int before = turns;
		while (turns < before + 2)
			hart_relax(); /* its P has been taken */
		polls = 0;
		before = turns;
		hart_lock();
		sched.netpoll_after = 0;
		sched_netpoll_ready();
		int told = turns; /* some more than before if the host was away */
		hart_unlock();
		bool polled = polled_since(0);
		go_block_leave();
		CHECK(polled);
		CHECK_IN(turns_before, before, told + 3);
	}
	end_turns();
	go_maxprocs(2);
}

/* A network that brings more than can be worked off gets half of the time, beside turns far shorter than its polls. */
static void half_of_the_time(void)
{
	start_turns(20 * US);
	poll_takes = 200 * US;
	hart_lock();
	sched_netpoll_ready();
	hart_unlock();
	while (polls <= POLLS)
		go_yield();
	int64_t takes = poll_takes;
	poll_takes = 0;
	end_turns();
	qsort(pause_before + 1, POLLS, sizeof(pause_before[0]), compare);
	CHECK_IN(pause_before[1 + POLLS / 2], takes / 2, 4 * takes);
}

static void release(void *held)
{
	spin_release(held);
}

static int wait_for(int i, enum netpoll_mode mode, int64_t deadline)
{
	spin_lock(&lock);
	return netpoll_wait(&descs[i], mode, deadline, release, &lock);
}

static _Atomic(int) woken, late;

static void reader(void *number)
{
	CHECK_EQ(wait_for((int)(intptr_t)number, NETPOLL_READ, GO_FOREVER), 0);
	woken++;
}

static void writer(void *number)
{
	CHECK_EQ(wait_for((int)(intptr_t)number, NETPOLL_WRITE, go_now() + 5 * MS), ETIMEDOUT);
	late++;
}

static int waiting(enum netpoll_mode mode)
{
	int n = 0;
	for (int i = 0; i < WAITERS; i++)
		n += descs[i].waiter[mode] != NULL;
	return n;
}

/* Each is woken once: by the poll function, by another goroutine, or by its deadline. */
static void waiters(void)
{
	struct glist ready = { 0 };

	woken = late = 0;
	for (intptr_t i = 0; i < WAITERS; i++) {
		go(reader, (void *)i);
		go(writer, (void *)i);
	}
	WAIT_FOR(late == WAITERS && waiting(NETPOLL_READ) == WAITERS);
	CHECK_EQ(waiting(NETPOLL_WRITE), 0);
	spin_lock(&lock);
	netpoll_set_deadline(go_now()); /* it comes once, and never again */
	test_spin(MS);
	netpoll_set_deadline(INT64_MAX);
	for (int i = 0; i < 3; i++)
		netpoll_wake(&descs[i], NETPOLL_READ, &ready);
	netpoll_wake(&descs[0], NETPOLL_READ, &ready); /* nobody any more */
	spin_unlock(&lock);
	CHECK_EQ(ready.size, 3);
	netpoll_inject(&ready);
	netpoll_inject(&ready); /* which is empty now */
	WAIT_FOR(woken == 3);
	have_come = true;
	hart_lock();
	sched_netpoll_ready();
	hart_unlock();
	WAIT_FOR(woken == WAITERS && go_count() == 1);
	have_come = false;
}

int main(int argc, char **argv)
{
	TESTS(TEST(polled_at_an_interrupt), TEST(polled_at_the_deadline),
	      TEST(polled_during_blocking_sections), TEST(polled_at_the_end_of_a_slice), TEST(polled_at_the_next_turn),
	      TEST(half_of_the_time),
	      TEST(polled_at_the_next_turn_elsewhere), TEST(waiters));
	netpoll_register(poll);
	return test_main(argc, argv, tests);
}
