/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Preemption: endless loops without a call are taken off their hart after 10 ms, and notice
 * nothing of it.
 *
 * @test alone harts=1,2,4
 * @test alone harts=4 env=GOMAXPROCS=1
 * @test alone machines=virt,q35 harts=2 mem=256M timeout=60 env=GUMPDEBUG=pack
 * @stress env=PART=10 args=-sleeper_beside_hogs
 */
#include "test.h"

static _Atomic(int) count;
static _Atomic(bool) stop;

static void empty_loop(void *unused)
{
	for (;;)
		;
}

static void wait_for_stop(void *unused)
{
	while (!stop)
		;
	count++;
}

static void set_stop(void *unused)
{
	stop = true;
}

/* With one P, each turn of the flag takes a preemption. */
static _Atomic(int) flag;

static void turn_flag(void *mine)
{
	for (int i = 0; i < 10; i++) {
		while (flag != (intptr_t)mine)
			;
		flag = !(intptr_t)mine;
	}
	count++;
}

static void turns(void)
{
	flag = count = 0;
	go(turn_flag, (void *)0);
	go(turn_flag, (void *)1);
	WAIT_FOR(count == 2);
}

static void loops_are_stopped(void)
{
	stop = false;
	count = 0;
	for (int i = 0; i < 8; i++)
		go(wait_for_stop, NULL);
	go_sleep(MS);
	go(set_stop, NULL);
	WAIT_FOR(count == 8);
}

/* Values that live in registers over the loop, in all goroutines different. */
struct result {
	double sum;
	uint64_t hash;
};

static __attribute__((noinline)) struct result compute(intptr_t number)
{
	struct result r = { 0, (uint64_t)number };
	double a = (double)number;
	for (int i = test_part(2000000); i > 0; i--) {
		r.sum += a * 0.3 - r.sum * 0.01;
		r.hash = r.hash * 6364136223846793005u + (r.hash >> 33);
	}
	return r;
}

static struct result expected[8];

static void compute_again(void *number)
{
	struct result r = compute((intptr_t)number + 1);
	CHECK(r.sum == expected[(intptr_t)number].sum);
	CHECK(r.hash == expected[(intptr_t)number].hash);
	count++;
}

static void same_results(void)
{
	count = 0;
	for (intptr_t i = 0; i < 8; i++)
		expected[i] = compute(i + 1);
	for (intptr_t i = 0; i < 16; i++)
		go(compute_again, (void *)(i % 8));
	WAIT_FOR(count == 16);
}

static void print_and_allocate(void *unused)
{
	while (!stop) {
		char text[40];
		char *copy = malloc(100);
		snprintf(copy, 100, "%f", 1.25);
		snprintf(text, sizeof(text), "%f", 1.25);
		CHECK_STR(copy, text);
		free(copy);
	}
	count++;
}

/* Preempted inside the library, maybe with a lock of its own held. */
static void inside_the_library(void)
{
	stop = false;
	count = 0;
	for (int i = 0; i < 6; i++)
		go(print_and_allocate, NULL);
	go_sleep(test_part(200) * MS);
	stop = true;
	WAIT_FOR(count == 6);
}

static go_chan *ch;

static void bounce(void *unused)
{
	while (go_recv(ch, NULL) && !stop)
		go_send(ch, NULL);
	count++;
}

/* A pair that wakes each other in one time slice must not keep a third off the hart. */
static void pair_does_not_starve_others(void)
{
	stop = false;
	count = 0;
	ch = go_chan_make(0, 0);
	go(bounce, NULL);
	go(bounce, NULL);
	go_send(ch, NULL);
	for (int i = 0; i < 5; i++) {
		int64_t start = go_now();
		go_sleep(MS);
		CHECK_IN(go_now() - start, 0, SECOND);
		go_yield();
	}
	stop = true; /* the one that has the token ends with it, the other waits for one */
	WAIT_FOR(count == 1);
	go_send(ch, NULL);
	WAIT_FOR(count == 2);
	go_chan_free(ch);
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

/* How late the one in the middle of many wakes up from 1 ms, ns. */
static int64_t sleep_often(void)
{
	enum { TIMES = 51 };
	static int64_t late[TIMES];
	int64_t sum = 0;
	for (int i = 0; i < TIMES; i++) {
		int64_t due = go_now() + MS;
		go_sleep_until(due);
		late[i] = go_now() - due;
		CHECK(late[i] >= 0);
		sum += late[i];
	}
	qsort(late, TIMES, sizeof(late[0]), compare);
	printf("\t%lld us late on average, median %lld, at most %lld\n", (long long)(sum / TIMES / US),
	       (long long)(late[TIMES / 2] / US), (long long)(late[TIMES - 1] / US));
	return late[TIMES / 2];
}

/* Beside endless loops on every P: 20 ms late at most, but for the host's own absences. */
static void sleeper_beside_hogs(void)
{
	for (int i = 0; i < go_maxprocs(0); i++)
		go(empty_loop, NULL);
	go_sleep(30 * MS);
	int64_t late = INT64_MAX;
	for (int round = 0; round < 5 && late > 20 * MS; round++)
		late = sleep_often();
	CHECK_IN(late, 0, 20 * MS);
}

int main(int argc, char **argv)
{
	TESTS(TEST(turns), TEST(loops_are_stopped), TEST(same_results),
	      TEST(inside_the_library),
	      TEST(pair_does_not_starve_others),
	      TEST_THAT_LEAVES(sleeper_beside_hogs));
	return test_main(argc, argv, tests);
}
