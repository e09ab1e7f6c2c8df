/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mutexes: exclusion, and fairness to those who come late.
 *
 * @test harts=1,2,4,8
 * @test harts=1 env=QUANTUM_US=1000000|GUMPDEBUG=seed=0 args=handed_over_within_the_slice
 * @test checks machines=virt,q35,hosted harts=4 env=GUMPDEBUG=windows args=freed_by_the_last
 * @stress env=PART=10
 */
#include "test.h"
#include "waiting.h"

static go_mutex mutex;
static go_waitgroup all;
static long counter;
static int often;
static _Atomic(bool) stop;

static void add_one_often(void *unused)
{
	for (int i = 0; i < often; i++) {
		go_mutex_lock(&mutex);
		counter++;
		go_mutex_unlock(&mutex);
	}
	go_waitgroup_done(&all);
}

static void exclusion(void)
{
	counter = 0;
	go_waitgroup_add(&all, 8);
	for (int i = 0; i < 8; i++)
		go(add_one_often, NULL);
	go_waitgroup_wait(&all);
	CHECK_EQ(counter, 8 * often);
}

/* Holders that yield, sleep or are preempted inside: nobody else gets in. */
static void linger_inside(void *how)
{
	for (int i = 0; i < 40; i++) {
		go_mutex_lock(&mutex);
		long before = counter;
		if ((intptr_t)how == 0)
			go_yield();
		else if ((intptr_t)how == 1)
			go_sleep(100 * US);
		else
			test_spin(500 * US);
		counter = before + 1;
		go_mutex_unlock(&mutex);
	}
	go_waitgroup_done(&all);
}

static void exclusion_over_switches(void)
{
	counter = 0;
	go_waitgroup_add(&all, 9);
	for (intptr_t i = 0; i < 9; i++)
		go(linger_inside, (void *)(i % 3));
	go_waitgroup_wait(&all);
	CHECK_EQ(counter, 9 * 40);
}

static void try_some(void *taken)
{
	for (int i = 0; i < often; i++) {
		if (!go_mutex_try_lock(&mutex))
			continue;
		++*(long *)taken;
		counter++;
		go_mutex_unlock(&mutex);
	}
	go_waitgroup_done(&all);
}

static void try_lock(void)
{
	long taken[4] = { 0 };
	counter = 0;
	CHECK(go_mutex_try_lock(&mutex));
	CHECK(!go_mutex_try_lock(&mutex));
	go_mutex_unlock(&mutex);
	go_waitgroup_add(&all, 4);
	for (int i = 0; i < 4; i++)
		go(try_some, &taken[i]);
	go_waitgroup_wait(&all);
	CHECK_EQ(counter, taken[0] + taken[1] + taken[2] + taken[3]);
	CHECK(counter > 0);
}

static void unlock_it(void *unused)
{
	go_mutex_unlock(&mutex);
}

static void unlock_by_another(void)
{
	go_mutex_lock(&mutex);
	go(unlock_it, NULL);
	go_mutex_lock(&mutex);
	go_mutex_unlock(&mutex);
	CHECK_STR(go_call(unlock_it, NULL), "unlock of unlocked mutex");
}

static void be_greedy(void *unused)
{
	while (!stop) {
		go_mutex_lock(&mutex);
		test_spin(100 * US);
		go_mutex_unlock(&mutex);
	}
	go_waitgroup_done(&all);
}

/* Somebody who lets go only to grab again must not keep a latecomer out. */
static void fair_to_a_latecomer(void)
{
	stop = false;
	go_waitgroup_add(&all, 2);
	go(be_greedy, NULL);
	go(be_greedy, NULL);
	int64_t start = go_now();
	for (int i = 0; i < 10; i++) {
		go_sleep(100 * US);
		go_mutex_lock(&mutex);
		go_mutex_unlock(&mutex);
	}
	CHECK_IN(go_now() - start, 0, 5 * SECOND);
	stop = true;
	go_waitgroup_wait(&all);
}

static _Atomic(int) served;

static void wait_in_line(void *number)
{
	here_i_come();
	go_mutex_lock(&mutex);
	CHECK_EQ(served++, (intptr_t)number);
	go_sleep(2 * MS); /* longer than 1 ms: the next is starving too */
	go_mutex_unlock(&mutex);
	go_waitgroup_done(&all);
}

/* Those who have waited for over 1 ms get it in order. */
static void handed_over_in_order(void)
{
	served = 0;
	go_mutex_lock(&mutex);
	go_waitgroup_add(&all, 10);
	for (intptr_t i = 0; i < 10; i++) {
		go(wait_in_line, (void *)i);
		WAIT_FOR(it_waits_for(WAIT_MUTEX));
		go_sleep(2 * MS);
	}
	go_mutex_unlock(&mutex);
	go_waitgroup_wait(&all);
	CHECK_EQ(served, 10);
}

static _Atomic(bool) taken_over, beside;
static struct slice { uint32_t tick; int64_t end; } unlocked_in;

static struct slice slice_now(void)
{
	hart_lock();
	struct slice slice = { m_self()->p->sched_tick, m_self()->p->slice_end };
	hart_unlock();
	return slice;
}

static void take_over(void *unused)
{
	go_mutex_lock(&mutex);
	struct slice slice = slice_now();
	CHECK(!beside);
	CHECK_EQ(slice.tick, unlocked_in.tick);
	CHECK_EQ(slice.end, unlocked_in.end);
	taken_over = true;
	go_mutex_unlock(&mutex);
}

static void run_beside(void *unused)
{
	beside = true;
}

/* To one that starves: it runs before the unlock returns, before all others, in what is left of the slice. */
static void hand_over_within_the_slice(void)
{
	taken_over = beside = false;
	go_mutex_lock(&mutex);
	go(take_over, NULL);
	go_yield(); /* it waits */
	test_spin(2 * MS);
	go_mutex_unlock(&mutex); /* it is woken, and comes too late: */
	go_mutex_lock(&mutex);
	go_yield();              /* it starves */
	go(run_beside, NULL);
	unlocked_in = slice_now();
	go_mutex_unlock(&mutex);
	CHECK(taken_over);
	go_yield(); /* to run_beside(), if it has not run */
	CHECK(beside);
}

static void handed_over_within_the_slice(void)
{
	hand_over_within_the_slice();
	go_lock_hart();
	hand_over_within_the_slice();
	go_unlock_hart();
}

struct object {
	go_mutex mutex;
	int references;
};

static void let_go(void *arg)
{
	struct object *object = arg;
	test_spin(rand() % 40 * US); /* some wait for it, and one comes when it is free */
	go_mutex_lock(&object->mutex);
	test_spin(rand() % 10 * US);
	bool last = --object->references == 0;
	go_mutex_unlock(&object->mutex);
	if (last) {
		object->mutex.state_ = 0x88888888; /* as if many waited and nobody had it, to an unlock that looks again */
		go_sleep(20 * US);
		CHECK_EQ(object->mutex.state_, 0x88888888);
		free(object);
	}
	go_waitgroup_done(&all);
}

/* Whoever is the last to have it may free it, though the one before has not come back from its unlock. */
static void freed_by_the_last(void)
{
	enum { OWNERS = 3 };
	for (int i = 0; i < often / 25; i++) {
		struct object *object = calloc(1, sizeof(*object));
		object->references = OWNERS;
		go_waitgroup_add(&all, OWNERS);
		for (int owner = 0; owner < OWNERS; owner++)
			go(let_go, object);
		go_waitgroup_wait(&all);
	}
}

int main(int argc, char **argv)
{
	often = test_part(20000);
	TESTS(TEST(exclusion), TEST(exclusion_over_switches), TEST(try_lock),
	      TEST(unlock_by_another), TEST(fair_to_a_latecomer), TEST(handed_over_in_order), TEST(freed_by_the_last),
	      TEST_WHEN_NAMED(handed_over_within_the_slice));
	return test_main(argc, argv, tests);
}
