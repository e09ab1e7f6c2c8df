/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers whose entries stay in the heap when they are stopped or put off: nothing of that shows. A timer's
 * memory may be used again at once, those that live fire at their times, and what is stopped takes no memory.
 *
 * @test
 * @test harts=1,4 mem=48M timeout=60 sanitize= pile_up
 * @test machines=hosted-thread,hosted-address,hosted-undefined harts=4 env=PART=20 timeout=60 args=pile_up
 * @test harts=1 mem=48M machines=virt,q35,microvm sleep_without_memory
 */
#include "test.h"

enum { TIMERS = 1000 };

static _Atomic(int) count;

static void add_one(void *unused)
{
	count++;
}

static void forbidden(void *why)
{
	test_failed(__FILE__, __LINE__, "fired: %s", (const char *)why);
}

static int64_t some_time(int i)
{
	return (i * 7919 % TIMERS) * 10 * US;
}

/* Stopped, freed, and the memory full of something else, in the midst of others that fire. */
static void freed_when_stopped(void)
{
	static go_timer living[TIMERS];
	count = 0;
	int64_t start = go_now() + 3600 * SECOND;
	for (int i = 0; i < TIMERS; i++) {
		go_timer *gone = malloc(sizeof(*gone));
		memset(gone, 0, sizeof(*gone));
		go_timer_call(gone, start + some_time(i), 0, forbidden, "it was stopped");
		go_timer_call(&living[i], start + some_time(i + 1), 0, forbidden, "it was set anew");
		CHECK(go_timer_stop(gone));
		memset(gone, 0xee, sizeof(*gone));
		free(gone);
		if (i % 3 == 0) {
			CHECK(go_timer_stop(&living[i]));
			memset(&living[i], 0, sizeof(living[i]));
			go_timer_call(&living[i], start + some_time(i), 0, forbidden, "it was set anew");
		}
	}
	for (int i = 0; i < TIMERS; i++)
		go_timer_call(&living[i], go_now() + some_time(i), 0, add_one, NULL);
	WAIT_FOR(count == TIMERS);
}

static void free_it(void *timer)
{
	memset(timer, 0xee, sizeof(go_timer));
	free(timer);
	count++;
}

/* One that has fired is the program's again, without a stop: its own function may free it. */
static void freed_when_fired(void)
{
	count = 0;
	for (int i = 0; i < TIMERS; i++) {
		go_timer *timer = calloc(1, sizeof(*timer));
		go_timer_call(timer, go_now() + some_time(i) / 10, 0, free_it, timer);
		if (i % 100 == 0)
			go_sleep(100 * US);
	}
	WAIT_FOR(count == TIMERS);
}

static go_timer moved[TIMERS];
static int64_t due[TIMERS];

static void check_due(void *number)
{
	int64_t early = due[(intptr_t)number] - go_now();
	if (early > 0)
		test_failed(__FILE__, __LINE__, "%lld ns too early", (long long)early);
	count++;
}

static void set_due(int i, int64_t when)
{
	due[i] = when;
	go_timer_call(&moved[i], when, 0, check_due, (void *)(intptr_t)i);
}

/*
 * Each is put off a few times and then, some of them, brought forward: it fires once, at the last time said.
 */
static void put_off(void)
{
	count = 0;
	int64_t start = go_now();
	for (int i = 0; i < TIMERS; i++)
		set_due(i, start + 3600 * SECOND + some_time(i));
	for (int round = 0; round < 5; round++)
		for (int i = 0; i < TIMERS; i++)
			set_due(i, start + 3600 * SECOND + (round + 1) * some_time(i * (round + 3)));
	for (int i = 0; i < TIMERS; i++)
		set_due(i, go_now() + 20 * MS + 5 * some_time(i * 3));
	for (int i = 0; i < TIMERS; i += 2)
		if (go_timer_stop(&moved[i])) /* else it has fired: the host was away */
			set_due(i, due[i] + some_time(i * 11)); /* later again */
	WAIT_FOR(count == TIMERS);
	go_sleep(5 * MS);
	CHECK_EQ(count, TIMERS);
}

static go_chan *items;

static void send_ten(void *unused)
{
	for (int i = 0; i < 10; i++)
		go_send(items, &i);
}

/* Deadlines that are met leave their entry to the next: that one comes at its own time, not before. */
static void met_then_missed(void)
{
	items = go_chan_make(sizeof(int), 0);
	for (int round = 0; round < 20; round++) {
		int value;
		struct go_case receive = { GO_RECV, items, &value, false };
		int64_t deadline;
		go(send_ten, NULL);
		for (int i = 0; i < 10; i++) {
			deadline = go_now() + 3600 * SECOND + i * MS;
			CHECK_EQ(go_select(&receive, 1, deadline), 0);
		}
		deadline = go_now() + 3 * MS; /* sooner than the last, which was not needed */
		CHECK_EQ(go_select(&receive, 1, deadline), -1);
		CHECK(go_now() >= deadline);
		go_sleep(200 * US);
	}
	go_chan_free(items);
}

/*
 * Stopped, all of them, before the next thousand: over and over, two million in all: they would need 32 MB.
 */
static void pile_up(void)
{
	enum { MUCH = 24 << 20 };
	static go_timer timers[TIMERS];
	void *block = malloc(MUCH);
	CHECK(block);
	free(block);
	int rounds = test_part(2000);
	for (int round = 0; round < rounds; round++) {
		int64_t start = go_now() + 3600 * SECOND;
		for (int i = 0; i < TIMERS; i++)
			go_timer_call(&timers[i], start + some_time(i + round), 0, forbidden, "it was stopped");
		for (int i = 0; i < TIMERS; i++)
			go_timer_stop(&timers[i]);
	}
	CHECK(malloc(MUCH));
}

enum { SLEEPERS = 1020 }; /* with main nearly 1024: a heap's room doubles from 64 on */

static go_chan *gate;
static _Atomic(int) arrived;

static void sleep_when_told(void *unused)
{
	arrived++;
	go_recv(gate, NULL);
	go_sleep(2 * SECOND);
	count++;
}

static void let_go(int n)
{
	for (int i = 0; i < n; i++)
		go_send(gate, NULL);
}

/*
 * All memory is taken, and the heap has a place for each goroutine and no more. Timers that a program sets
 * use some of them, and leave dead entries there when they are stopped: they give way to those that sleep.
 */
static void sleep_without_memory(void)
{
	static go_timer timers[250];
	count = 0;
	gate = go_chan_make(0, 0);
	for (int i = 0; i < SLEEPERS; i++)
		go(sleep_when_told, NULL);
	while (arrived < SLEEPERS) /* each has its stack then */
		go_yield();
	for (size_t size = (size_t)16 << 20; size >= 16; size /= 2)
		while (malloc(size))
			;
	let_go(760);
	for (int i = 0; i < 250; i++)
		go_timer_call(&timers[i], go_now() + 3600 * SECOND + some_time(i), 0, forbidden, "it was stopped");
	for (int i = 0; i < 250; i++)
		CHECK(go_timer_stop(&timers[i]));
	let_go(SLEEPERS - 760);
	while (count < SLEEPERS)
		go_sleep(MS);
}

int main(int argc, char **argv)
{
	TESTS(TEST(freed_when_stopped), TEST(freed_when_fired), TEST(put_off), TEST(met_then_missed),
	      TEST_WHEN_NAMED(pile_up), TEST_WHEN_NAMED(sleep_without_memory));
	return test_main(argc, argv, tests);
}
