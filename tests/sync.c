/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reader-writer locks, conditions, wait groups, once, semaphores.
 *
 * @test
 * @test machines=virt,q35 harts=1,2 mem=256M timeout=120 env=GUMPDEBUG=pack
 * @stress
 */
#include <stdatomic.h>

#include "test.h"
#include "waiting.h"

static go_rwmutex rw;
static go_mutex mutex;
static go_cond cond;
static go_waitgroup all;
static go_sem sem;
static _Atomic(int) readers, most_readers, writers, count, order;

/* Not by a look and a store: a hart that stands still in between would undo what the others have seen. */
static void note_readers(int now)
{
	int most = most_readers;
	while (now > most && !atomic_compare_exchange_weak(&most_readers, &most, now))
		;
}

static void read_often(void *unused)
{
	for (int i = 0; i < 200; i++) {
		go_rwmutex_rlock(&rw);
		readers++;
		CHECK_EQ(writers, 0);
		go_yield();
		CHECK_EQ(writers, 0);
		readers--;
		go_rwmutex_runlock(&rw);
	}
	go_waitgroup_done(&all);
}

static void write_often(void *unused)
{
	for (int i = 0; i < 100; i++) {
		go_rwmutex_lock(&rw);
		CHECK_EQ(++writers, 1);
		CHECK_EQ(readers, 0);
		go_yield();
		CHECK_EQ(readers, 0);
		CHECK_EQ(--writers, 0);
		go_rwmutex_unlock(&rw);
		go_yield();
	}
	go_waitgroup_done(&all);
}

static void readers_and_writers(void)
{
	go_waitgroup_add(&all, 10);
	for (int i = 0; i < 10; i++)
		go(i % 3 == 0 ? write_often : read_often, NULL);
	go_waitgroup_wait(&all);
}

static void read_beside(void *unused)
{
	go_rwmutex_rlock(&rw);
	count++;
	go_rwmutex_runlock(&rw);
}

static void readers_share(void)
{
	count = 0;
	go_rwmutex_rlock(&rw);
	go(read_beside, NULL);
	WAIT_FOR(count == 1);
	go_rwmutex_runlock(&rw);
}

static void write_once(void *unused)
{
	here_i_come();
	go_rwmutex_lock(&rw);
	CHECK_EQ(order++, 1);
	go_rwmutex_unlock(&rw);
	go_waitgroup_done(&all);
}

static void read_after_writer(void *unused)
{
	here_i_come();
	go_rwmutex_rlock(&rw);
	CHECK_EQ(order++, 2);
	go_rwmutex_runlock(&rw);
	go_waitgroup_done(&all);
}

/* A writer that waits keeps new readers out, or it would wait for ever. */
static void writer_goes_before_new_readers(void)
{
	order = 0;
	go_rwmutex_rlock(&rw);
	go_waitgroup_add(&all, 2);
	go(write_once, NULL);
	WAIT_FOR(it_waits_for(WAIT_RWMUTEX_WRITE));
	go(read_after_writer, NULL);
	WAIT_FOR(it_waits_for(WAIT_RWMUTEX_READ));
	CHECK_EQ(order++, 0);
	go_rwmutex_runlock(&rw);
	go_waitgroup_wait(&all);
	CHECK_EQ(order, 3);
}

static void wait_for_signal(void *number)
{
	go_mutex_lock(&mutex);
	count++;
	go_cond_wait(&cond, &mutex);
	if ((intptr_t)number >= 0)
		CHECK_EQ(order, (intptr_t)number);
	order++;
	go_mutex_unlock(&mutex);
	go_waitgroup_done(&all);
}

static void cond_in_order(void)
{
	count = order = 0;
	go_waitgroup_add(&all, 20);
	for (intptr_t i = 0; i < 20; i++) {
		go(wait_for_signal, (void *)i);
		WAIT_FOR(count == i + 1);
	}
	for (int i = 0; i < 20; i++) {
		go_mutex_lock(&mutex);
		CHECK_EQ(order, i);
		go_cond_signal(&cond);
		go_mutex_unlock(&mutex);
		WAIT_FOR(order == i + 1);
	}
	go_waitgroup_wait(&all);
	go_cond_signal(&cond); /* nobody there: nothing is remembered */
}

static void cond_broadcast(void)
{
	count = order = 0;
	go_waitgroup_add(&all, 50);
	for (int i = 0; i < 50; i++)
		go(wait_for_signal, (void *)(intptr_t)-1);
	WAIT_FOR(count == 50);
	go_sleep(2 * MS);
	CHECK_EQ(order, 0);
	go_mutex_lock(&mutex);
	go_cond_broadcast(&cond);
	go_mutex_unlock(&mutex);
	go_waitgroup_wait(&all);
	CHECK_EQ(order, 50);
}

static go_waitgroup other;

static void wait_and_count(void *unused)
{
	go_waitgroup_wait(&all);
	count++;
	go_waitgroup_done(&other);
}

static void finish(void *unused)
{
	go_yield();
	count += 1000;
	go_waitgroup_done(&all);
}

static void take_too_many(void *unused)
{
	go_waitgroup_done(&all);
}

static void waitgroup(void)
{
	go_waitgroup_wait(&all); /* zero: does not wait */
	for (int round = 0; round < 50; round++) { /* used again and again */
		count = 0;
		go_waitgroup_add(&all, 5);
		go_waitgroup_add(&other, 3);
		for (int i = 0; i < 3; i++)
			go(wait_and_count, NULL);
		for (int i = 0; i < 5; i++)
			go(finish, NULL);
		go_waitgroup_wait(&all);
		CHECK(count >= 5000);
		go_waitgroup_wait(&other);
		CHECK_EQ(count, 5003);
	}
	CHECK_STR(go_call(take_too_many, NULL), "negative WaitGroup counter");
	memset(&all, 0, sizeof(all));
}

static go_once once;

static void do_slowly(void *unused)
{
	go_sleep(5 * MS);
	count++;
}

static void call_once(void *unused)
{
	go_once_do(&once, do_slowly, NULL);
	CHECK_EQ(count, 1); /* also those who did not run it return after its end */
	go_waitgroup_done(&all);
}

static int said[4], steps;

static void note(void *which)
{
	said[steps++] = (int)(intptr_t)which;
}

static void defer_one(void *unused)
{
	go_defer(note, (void *)2);
	note((void *)1);
}

static void once_around(void *unused)
{
	static go_once first;

	go_defer(note, (void *)4);
	go_once_do(&first, defer_one, NULL);
	note((void *)3);
}

/* What its function defers is for the end of what is around the go_once_do(). */
static void once_leaves_what_it_defers(void)
{
	CHECK(go_call(once_around, NULL) == NULL);
	CHECK_EQ(steps, 4);
	CHECK_EQ(said[0], 1);
	CHECK_EQ(said[1], 3);
	CHECK_EQ(said[2], 2);
	CHECK_EQ(said[3], 4);
}

static void once_only(void)
{
	count = 0;
	go_waitgroup_add(&all, 10);
	for (int i = 0; i < 10; i++)
		go(call_once, NULL);
	go_waitgroup_wait(&all);
	go_once_do(&once, do_slowly, NULL);
	CHECK_EQ(count, 1);
}

static void acquire(void *number)
{
	here_i_come();
	go_sem_acquire(&sem);
	CHECK_EQ(order++, (intptr_t)number);
	go_waitgroup_done(&all);
}

static void semaphore(void)
{
	order = 0;
	CHECK(!go_sem_try_acquire(&sem));
	go_waitgroup_add(&all, 10);
	for (intptr_t i = 0; i < 10; i++) {
		go(acquire, (void *)i);
		WAIT_FOR(it_waits_for(WAIT_SEMAPHORE));
	}
	for (int i = 0; i < 10; i++) {
		go_sem_release(&sem);
		WAIT_FOR(order == i + 1);
	}
	go_waitgroup_wait(&all);
	go_sem_init(&sem, 3);
	for (int i = 0; i < 3; i++)
		CHECK(go_sem_try_acquire(&sem));
	CHECK(!go_sem_try_acquire(&sem));
	for (int i = 0; i < 2; i++) /* nobody waits: they add up */
		go_sem_release(&sem);
	for (int i = 0; i < 2; i++)
		go_sem_acquire(&sem);
	CHECK(!go_sem_try_acquire(&sem));
}

static void few_at_a_time(void *unused)
{
	for (int i = 0; i < 100; i++) {
		go_sem_acquire(&sem);
		int now = ++readers;
		CHECK(now <= 3);
		note_readers(now);
		go_yield();
		WAIT_FOR(most_readers == 3); /* the first ones, until three are here */
		readers--;
		go_sem_release(&sem);
	}
	go_waitgroup_done(&all);
}

static void semaphore_counts(void)
{
	readers = most_readers = 0;
	go_sem_init(&sem, 3);
	go_waitgroup_add(&all, 10);
	for (int i = 0; i < 10; i++)
		go(few_at_a_time, NULL);
	go_waitgroup_wait(&all);
}

static go_mutex crowd[600]; /* more than there are roots of the table that waiters lie in */

static void pass_through(void *mutex)
{
	go_mutex_lock(mutex);
	count++;
	go_mutex_unlock(mutex);
}

/* Words of one root are kept apart, whichever is released first. */
static void many_words(void)
{
	enum { CROWD = sizeof(crowd) / sizeof(crowd[0]) };
	count = 0;
	for (int i = 0; i < CROWD; i++) {
		go_mutex_lock(&crowd[i]);
		go(pass_through, &crowd[i]);
	}
	go_sleep(5 * MS);
	for (int i = 0; i < CROWD; i++) {
		CHECK_EQ(count, i);
		go_mutex_unlock(&crowd[i * 7 % CROWD]);
		WAIT_FOR(count == i + 1);
	}
}

int main(int argc, char **argv)
{
	TESTS(TEST(readers_and_writers), TEST(readers_share), TEST(writer_goes_before_new_readers),
	      TEST(cond_in_order), TEST(cond_broadcast), TEST(waitgroup), TEST(once_only), TEST(once_leaves_what_it_defers),
	      TEST(semaphore), TEST(semaphore_counts),
	      TEST(many_words));
	return test_main(argc, argv, tests);
}
