/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler's side of the network, with a poll function that only counts: whatever says that there is something
 * to poll, somebody polls soon, whoever is busy.
 *
 * @test harts=2,4 polled_at_an_interrupt
 * @test harts=2,4 polled_at_the_deadline
 * @test harts=2,4 polled_during_blocking_sections
 * @test harts=1,2 polled_at_the_end_of_a_slice
 */
#include "sched/sched.h"
#include "test.h"

static _Atomic(int) polls;

static void poll(struct glist *ready)
{
	polls++;
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

int main(int argc, char **argv)
{
	TESTS(TEST(polled_at_an_interrupt), TEST(polled_at_the_deadline),
	      TEST(polled_during_blocking_sections), TEST(polled_at_the_end_of_a_slice));
	netpoll_register(poll);
	return test_main(argc, argv, tests);
}
