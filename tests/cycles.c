/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reclaim cycle: when one comes, and what others do meanwhile.
 *
 * @test machines=virt,q35 harts=1,2,4,8 mem=256M
 * @test machines=hosted harts=1,4 timeout=60 env=PACKS=0
 * @test machines=virt,q35 harts=1,4 env=QUANTUM_US=1000000 args=an_idle_machine_wakes_up_for_it|busy_ones_come_to_it
 * @test machines=virt,q35 harts=1,4 mem=64M args=it_comes_early_when_memory_is_little
 */
#include <limits.h>

#include "parked.h"
#include "sched/cycle.h"

static _Atomic(bool) over;

static void yield_on(void *unused)
{
	while (!over)
		go_yield();
	ended++;
}

/* Parts are longer than this slice: after each of them it is another's turn. */
static void others_run_between_its_parts(void)
{
	int procs = go_maxprocs(1);
	int64_t quantum = sched.quantum;

	start(MANY, only_wait);
	over = false;
	go(yield_on, NULL);
	sched.quantum = quantum / 100;
	go_yield();
	unsigned before = p_get(0)->preemptions;
	go_reclaim();
	unsigned preempted = p_get(0)->preemptions - before;
	sched.quantum = quantum;
	if (packs) {
		CHECK_IN(reclaim_parts, MANY / 400, MANY / 50);
		CHECK_IN(preempted, reclaim_parts - 1, INT_MAX);
	}
	over = true;
	finish(MANY + 1);
	go_maxprocs(procs);
}

/* An M that found nothing to do waits for another's cycle. It must not count as one that looks for work. */
static void who_waits_for_a_cycle_does_not_spin(void)
{
	if (go_harts() < 3)
		return;
	start(2, only_wait);
	go_sleep(20 * MS);
	hart_lock(); /* as if this M were at it */
	CHECK(cycle_take());
	store_relaxed(&sched.reclaim_wanted, true);
	CHECK_EQ(go_try_send(gate, NULL), 1);
	bool waits = HELD_UNTIL(sched.cycle_waiters != 0, 5 * SECOND);
	spin_lock(&sched.lock);
	for (int i = 0; i < go_harts(); i++)
		if (sched.idle_ps & bit((uint32_t)i)) /* it would wait for the cycle, too, at its 61st slice */
			p_get((unsigned)i)->look_in = GLOBAL_TICK;
	spin_unlock(&sched.lock);
	CHECK_EQ(go_try_send(gate, NULL), 1);
	bool came = HELD_UNTIL(ended == 2, 5 * SECOND);
	store_relaxed(&sched.reclaim_wanted, false);
	cycle_leave();
	hart_unlock();
	CHECK(waits);
	CHECK(came);
	finish(2);
}

static _Atomic(bool) in_section;

static void stay_in_a_section(void *unused)
{
	go_block_enter();
	in_section = true;
	while (!over)
		hart_relax();
	go_block_leave();
}

/* The P of a goroutine in a blocking section runs nothing: a cycle takes no time from anybody. */
static void who_is_in_a_section_runs_nothing(void)
{
	if (go_harts() < 3)
		return;
	over = in_section = false;
	ended = 0;
	go_sleep(20 * MS);
	hart_lock(); /* it brings no work, for which the P would be taken back */
	go(stay_in_a_section, NULL);
	bool alone = HELD_UNTIL(in_section && no_other_runs(m_self()->p), 5 * SECOND);
	go(yield_on, NULL);
	bool beside = HELD_UNTIL(!no_other_runs(m_self()->p), 5 * SECOND);
	hart_unlock();
	CHECK(alone);
	CHECK(beside);
	over = true;
	WAIT_FOR(go_count() == 1);
}

/* Of those that have waited for a second; and it goes on until it has asked them all. */
static void the_periodic_one_comes_in_parts(void)
{
	/* Some get stacks of dead ones. The last part is of less than a cycle would come for. */
	int reused = GFREE_MAX * go_harts(), n = 536 + reused;

	if (!packs)
		return;
	go_reclaim();
	store_relaxed(&sched.reclaim_due, INT64_MAX); /* or it would find some, and begin before it is to */
	start(n, only_wait);
	go_sleep(SECOND + 100 * MS);
	reclaim_parts = 0;
	for (int i = 0; i < 1000 && reclaim_parts == 0; i++) {
		store_relaxed(&sched.reclaim_due, 0);
		go_sleep(10 * MS);
	}
	CHECK_IN(reclaim_parts, 2, n / 50);
	CHECK_IN(in_stacks(), 0, (size_t)(n / 5 + reused) * PAGE);
	finish(n);
}

enum { FEW = 600 };

/* They have more than a periodic cycle does not come for. It does not come by itself meanwhile. */
static void some_wait_for_long(void)
{
	go_reclaim();
	store_relaxed(&sched.reclaim_due, INT64_MAX);
	start(FEW, only_wait);
	go_sleep(SECOND + 100 * MS);
}

/* A first part has come, at least. */
static void finish_when_taken(size_t before, int others)
{
	CHECK_IN(in_stacks(), 0, before - FEW / 10 * PAGE);
	finish(FEW + others);
}

/* All harts are asleep when it is time, and stay so for long. */
static void an_idle_machine_wakes_up_for_it(void)
{
	some_wait_for_long();
	size_t before = in_stacks();
	/* after the end of this slice, whose interrupt may come still */
	store_relaxed(&sched.reclaim_due, now_ticks() + (int64_t)hart_ns_to_ticks(3 * SECOND / 2));
	int64_t wakes = go_now() + 3 * SECOND;
	go_sleep(3 * SECOND);
	/* Not for the timer of main: whoever was woken for that would find it due as well. */
	CHECK_IN(cycle.start, 0, wakes - SECOND / 2);
	finish_when_taken(before, 0);
}

/* No hart is ever without work, and no slice comes to its end. */
static void busy_ones_come_to_it(void)
{
	int others = 2 * go_harts();

	some_wait_for_long();
	over = false;
	for (int i = 0; i < others; i++)
		go(yield_on, NULL);
	size_t before = in_stacks();
	store_relaxed(&sched.reclaim_due, 0);
	for (int64_t end = go_now() + SECOND / 2; go_now() < end;)
		go_yield();
	over = true;
	finish_when_taken(before, others);
}

enum { TURNS = 9000 };

static void wait_twice(void *unused)
{
	(void)unused;
	arrived++;
	go_recv(gate, NULL);
	arrived++;
	go_recv(gate, NULL);
	ended++;
}

/* The cycles that were begun, and whether the last was one of all. False: one goes on. */
static bool last_cycle(uint32_t *number, bool *of_all)
{
	hart_lock();
	bool took = cycle_take();
	if (took) {
		*number = cycle.number;
		*of_all = !cycle.periodic;
		cycle_leave();
	}
	hart_unlock();
	return took;
}

/*
 * One after the other goes on and waits again, until their stacks would take more than there is: a cycle has come
 * before that, in parts, for those that have waited for a second by then.
 */
static void it_comes_early_when_memory_is_little(void)
{
	start(TURNS, wait_twice);
	go_reclaim();
	store_relaxed(&sched.reclaim_due, INT64_MAX); /* it does not come by itself */
	uint32_t before = 0, number = 0;
	bool of_all = false;
	WAIT_FOR(last_cycle(&before, &of_all));
	size_t least = hart_memory_free();
	for (int i = 0; i < TURNS; i++) {
		go_send(gate, NULL);
		if (i % 20 == 0)
			go_sleep(9 * MS);
		if (hart_memory_free() < least)
			least = hart_memory_free();
		wrong += last_cycle(&number, &of_all) && number != before && of_all;
	}
	WAIT_FOR(last_cycle(&number, &of_all));
	printf("\t%u cycles, %zu KiB free at least\n", (unsigned)(number - before), least >> 10);
	CHECK_IN(number - before, 1, 20);
	CHECK_IN(least, hart_memory_total() / 4, hart_memory_total());
	WAIT_FOR(arrived == 2 * TURNS);
	finish(TURNS);
}

int main(int argc, char **argv)
{
	parked_begin();
	TESTS(TEST(others_run_between_its_parts), TEST(who_waits_for_a_cycle_does_not_spin),
	      TEST(who_is_in_a_section_runs_nothing), TEST(the_periodic_one_comes_in_parts),
	      TEST_WHEN_NAMED(an_idle_machine_wakes_up_for_it), TEST_WHEN_NAMED(busy_ones_come_to_it),
	      TEST_WHEN_NAMED(it_comes_early_when_memory_is_little));
	return test_main(argc, argv, tests);
}
