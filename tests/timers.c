/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers: calls and sends, once and again, and what a stop promises.
 *
 * @test
 */
#include "test.h"

static _Atomic(int) count;
static go_chan *ch;

static void add_one(void *unused)
{
	count++;
}

static void call_once(void)
{
	static go_timer timer; /* zeroed is ready */
	int64_t start = go_now();
	count = 0;
	go_timer_call(&timer, start + 5 * MS, 0, add_one, NULL);
	WAIT_FOR(count == 1);
	CHECK(go_now() - start >= 5 * MS);
	go_sleep(20 * MS);
	CHECK_EQ(count, 1);
	CHECK(!go_timer_stop(&timer));
	go_timer_call(&timer, start, 0, add_one, NULL); /* past: at once */
	WAIT_FOR(count == 2);
	go_timer_call(&timer, GO_NOW, 0, add_one, NULL);
	WAIT_FOR(count == 3);
}

static void call_again_and_again(void)
{
	go_timer timer = { 0 };
	int64_t start = go_now();
	count = 0;
	go_timer_call(&timer, start + 2 * MS, 3 * MS, add_one, NULL);
	WAIT_FOR(count >= 10);
	CHECK(go_now() - start >= 2 * MS + 9 * 3 * MS);
	CHECK(go_timer_stop(&timer));
	CHECK(!go_timer_stop(&timer));
	WAIT_FOR(go_count() == 1);
	int after = count;
	go_sleep(20 * MS);
	CHECK_EQ(count, after);
}

static void send_times(void)
{
	go_timer timer = { 0 };
	int64_t start = go_now(), when, last = start;
	ch = go_chan_make(sizeof(int64_t), 1);
	go_timer_send(&timer, start + 2 * MS, 2 * MS, ch);
	for (int i = 1; i <= 10; i++) {
		CHECK(go_recv(ch, &when));
		CHECK(when >= start + i * 2 * MS);
		CHECK(when > last);
		CHECK(when <= go_now());
		last = when;
	}
	/* Nobody receives: what does not fit is dropped, no goroutine piles up. */
	go_sleep(30 * MS);
	CHECK_EQ(go_chan_len(ch), 1);
	CHECK_EQ(go_count(), 1);
	CHECK(go_timer_stop(&timer));
	go_recv(ch, NULL);
	go_sleep(10 * MS);
	CHECK_EQ(go_chan_len(ch), 0);
	go_chan_free(ch);
}

static void send_unbuffered(void)
{
	go_timer timer = { 0 };
	int64_t when, start = go_now();
	ch = go_chan_make(sizeof(int64_t), 0);
	/* Again and again: one that comes before the receiver waits is dropped. */
	go_timer_send(&timer, start + 3 * MS, 3 * MS, ch);
	CHECK(go_recv(ch, &when));
	CHECK_IN(when, start + 3 * MS, go_now());
	CHECK(go_timer_stop(&timer));
	struct go_case cases[] = { { GO_RECV, ch, &when, false } };
	CHECK_EQ(go_select(cases, 1, go_now() + 5 * MS), -1);
	go_chan_free(ch);
}

static void set_anew(void)
{
	go_timer timer = { 0 };
	int64_t start = go_now();
	count = 0;
	go_timer_call(&timer, start + 3600 * SECOND, 0, add_one, NULL);
	go_timer_call(&timer, start + 10 * MS, 0, add_one, NULL); /* earlier */
	WAIT_FOR(count == 1);
	CHECK(go_now() - start >= 10 * MS);
	go_timer_call(&timer, go_now() + 5 * MS, 0, add_one, NULL);
	go_timer_call(&timer, go_now() + 3600 * SECOND, 0, add_one, NULL); /* later */
	go_sleep(20 * MS);
	CHECK_EQ(count, 1);
	CHECK(go_timer_stop(&timer));
}

/* Many timers, most stopped, some of them while they fire: exactly those that were not stopped fire. */
static void stop_many(void)
{
	enum { TIMERS = 1000 };
	static go_timer timers[TIMERS];
	int stopped = 0;
	count = 0;
	int64_t start = go_now();
	for (int i = 0; i < TIMERS; i++)
		go_timer_call(&timers[i], i % 4 == 1 ? start + 3600 * SECOND
				: start + 5 * MS + i * 13 % 100 * 100 * US, 0, add_one, NULL);
	for (int i = 0; i < TIMERS; i++)
		if (i % 4 != 0)
			stopped += go_timer_stop(&timers[i]);
	go_sleep(30 * MS);
	WAIT_FOR(count + stopped == TIMERS);
	CHECK(stopped >= TIMERS / 4);
	CHECK(count >= TIMERS / 4);
	for (int i = 0; i < TIMERS; i++)
		CHECK(!go_timer_stop(&timers[i]));
}

static go_timer races[8];
static _Atomic(int) stops;

static void set_and_stop(void *number)
{
	go_timer *timer = &races[(intptr_t)number];
	for (int i = 0; i < 300; i++) {
		go_timer_call(timer, go_now() + i % 5 * 10 * US, 0, add_one, NULL);
		if (i % 7 == 0)
			go_sleep(30 * US);
		else
			test_spin(i % 5 * 10 * US);
		if (go_timer_stop(timer))
			stops++;
	}
}

/* Stops that race with the firing, on all harts: each setting is one call or one stop. */
static void stop_races_with_firing(void)
{
	count = stops = 0;
	for (intptr_t i = 0; i < 8; i++)
		go(set_and_stop, (void *)i);
	WAIT_FOR(count + stops == 8 * 300);
	WAIT_FOR(go_count() == 1);
	CHECK_EQ(count + stops, 8 * 300);
}

static void never(void)
{
	go_timer timer = { 0 };
	count = 0;
	CHECK(!go_timer_stop(&timer)); /* never set */
	go_timer_call(&timer, GO_FOREVER, 0, add_one, NULL);
	go_sleep(5 * MS);
	CHECK(go_timer_stop(&timer));
	CHECK_EQ(count, 0);
}

int main(int argc, char **argv)
{
	TESTS(TEST(call_once), TEST(call_again_and_again), TEST(send_times),
	      TEST(send_unbuffered), TEST(set_anew), TEST(stop_many),
	      TEST(stop_races_with_firing), TEST(never));
	return test_main(argc, argv, tests);
}
