/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sleeping: not too short, not much too long, in order, and many at once. What depends on the host having
 * time for the machine is not for stress.
 *
 * @test alone
 * @stress env=PART=4 args=-accuracy|-in_order
 */
#include <errno.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "kernel/hart.h"
#include "test.h"

static _Atomic(int) count;

static void clock_goes_on(void)
{
	int64_t last = go_now();
	CHECK(last > 0);
	for (int i = 0; i < 100000; i++) {
		int64_t now = go_now();
		CHECK(now >= last);
		last = now;
	}
}

/* The scheduler counts in ticks, the hardware's timer is told ns: rounding up must not pass INT64_MAX. */
static void the_far_future_is_never(void)
{
	static const int64_t far[] = { GO_FOREVER, GO_FOREVER - 1, GO_FOREVER - 7, GO_FOREVER - SECOND, GO_FOREVER / 2 };
	for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
		uint64_t ticks = hart_ns_to_ticks(far[i]);
		CHECK(ticks == INT64_MAX || hart_ticks_to_ns(ticks) >= far[i]);
	}
}

static void compare_clocks(void *last)
{
	/* Every goroutine, on whatever hart, sees the others' times as past. */
	for (int i = 0; i < test_part(3000); i++) {
		int64_t before = __atomic_load_n((int64_t *)last, __ATOMIC_SEQ_CST);
		int64_t now = go_now();
		CHECK(now >= before);
		__atomic_store_n((int64_t *)last, now, __ATOMIC_SEQ_CST);
		if (i % 100 == 0)
			go_yield();
	}
	count++;
}

static void harts_agree_on_the_time(void)
{
	static int64_t last;
	count = 0;
	for (int i = 0; i < 8; i++)
		go(compare_clocks, &last);
	WAIT_FOR(count == 8);
}

static void accuracy(void)
{
	static const int64_t times[] = { 1, US, 50 * US, 500 * US, 3 * MS, 20 * MS, 100 * MS };
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		int64_t best = INT64_MAX, most = times[i] + times[i] / 4 + 2 * MS;
		for (int round = 0; round < 50 && best > most; round++) { /* the host may be away in many */
			int64_t start = go_now();
			go_sleep(times[i]);
			int64_t took = go_now() - start;
			CHECK(took >= times[i]);
			best = took < best ? took : best;
		}
		CHECK_IN(best, times[i], most);
	}
}

static void no_time_at_all(void)
{
	int64_t start = go_now();
	for (int i = 0; i < 100; i++) {
		go_sleep(0);
		go_sleep(-1);
		go_sleep(INT64_MIN);
		go_sleep_until(GO_NOW);
		go_sleep_until(start);
	}
	CHECK_IN(go_now() - start, 0, SECOND);
}

static void count_up(void *unused)
{
	count++;
}

static void zero_is_a_yield(void)
{
	int procs = go_maxprocs(1); /* so that no other hart takes it, to run it whenever the host lets it */
	count = 0;
	go(count_up, NULL);
	for (int i = 0; i < 1000 && count == 0; i++)
		go_sleep(0);
	CHECK_EQ(count, 1);
	go_maxprocs(procs);
}

static int64_t order_start, woke[50];
static go_chan *gate;

static void sleep_by_number(void *number)
{
	go_recv(gate, NULL);
	go_sleep_until(order_start + (intptr_t)number * 2 * MS);
	woke[(intptr_t)number] = go_now();
	count++;
}

/*
 * Started in the order 0, 7, 14, ... of 50, they wake in the order of their times; but some that
 * became due together, because the host was away, may run in any order, one soon after the other.
 * They start when all are there: with a sanitizer it takes longer to make them than they sleep.
 */
static void in_order(void)
{
	count = 0;
	gate = go_chan_make(0, 0);
	for (int i = 0; i < 50; i++)
		go(sleep_by_number, (void *)(intptr_t)(i * 7 % 50));
	order_start = go_now() + 20 * MS;
	go_close(gate);
	WAIT_FOR(count == 50);
	go_chan_free(gate);
	int pairs = 0, wrong = 0;
	for (int i = 0; i < 50; i++)
		for (int j = i + 10; j < 50; j++, pairs++)
			wrong += woke[i] > woke[j] + 2 * MS; /* due 20 ms or more before */
	CHECK_IN(wrong, 0, pairs / 10);
}

static _Atomic(int64_t) worst_late;

static void sleep_some(void *number)
{
	for (int i = 0; i < 3; i++) {
		int64_t due = go_now() + ((intptr_t)number * 37 % 100 + 1) * 200 * US;
		go_sleep_until(due);
		int64_t late = go_now() - due;
		CHECK(late >= 0);
		for (int64_t worst = worst_late; late > worst;)
			if (atomic_compare_exchange_weak(&worst_late, &worst, late))
				break;
	}
	count++;
}

static void many_sleepers(void)
{
	count = 0;
	int sleepers = test_part(2000);
	for (intptr_t i = 0; i < sleepers; i++)
		go(sleep_some, (void *)i);
	WAIT_FOR(count == sleepers);
	printf("\tat most %lld us late\n", (long long)(worst_late / US));
}

static void sleep_for_ever(void *ns)
{
	go_sleep((intptr_t)ns);
	test_failed(__FILE__, __LINE__, "a sleep of 292 years is over");
}

/* now + INT64_MAX must not wrap round and be past. */
static void overflow(void)
{
	go(sleep_for_ever, (void *)INT64_MAX);
	go(sleep_for_ever, (void *)(INT64_MAX - 1));
	go(sleep_for_ever, (void *)(INT64_MAX / 2));
	int64_t start = go_now();
	go_sleep(5 * MS); /* and others sleep on as before */
	CHECK_IN(go_now() - start, 5 * MS, SECOND);
}

/* The standard's names for it. */
static void as_posix_has_it(void)
{
	struct timespec rest = { 1, 1 }, wrong[] = { { -1, 0 }, { 0, -1 }, { 0, SECOND } };
	int64_t start = go_now();

	CHECK_EQ(nanosleep(&(struct timespec){ 0, 2 * MS }, &rest), 0);
	CHECK(rest.tv_sec == 0 && rest.tv_nsec == 0);
	CHECK_EQ(usleep(2000), 0);
	CHECK_EQ(sleep(0), 0);
	CHECK_IN(go_now() - start, 4 * MS, SECOND);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		errno = 0;
		CHECK_EQ(nanosleep(&wrong[i], NULL), -1);
		CHECK_EQ(errno, EINVAL);
	}
}

static void posix_for_ever(void *unused)
{
	nanosleep(&(struct timespec){ INT64_MAX, 0 }, NULL);
	test_failed(__FILE__, __LINE__, "a sleep of 292 years is over");
}

static void posix_overflow(void)
{
	go(posix_for_ever, NULL);
	go_sleep(5 * MS);
}

int main(int argc, char **argv)
{
	TESTS(TEST(clock_goes_on), TEST(the_far_future_is_never), TEST(harts_agree_on_the_time), TEST(accuracy),
	      TEST(no_time_at_all), TEST(zero_is_a_yield), TEST(in_order), TEST(many_sleepers),
	      TEST(as_posix_has_it), TEST_THAT_LEAVES(overflow), TEST_THAT_LEAVES(posix_overflow));
	return test_main(argc, argv, tests);
}
