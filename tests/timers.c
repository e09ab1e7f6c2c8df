/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers: calls and sends, once and again, and what a stop promises.
 *
 * @test
 * @test machines=virt,q35 harts=1,2 mem=256M timeout=120 env=GUMPDEBUG=pack
 * @test checks machines=virt,q35,hosted harts=2 args=set_as_it_fires
 * @stress env=PART=4
 */
#include "sched/sched.h"
#include "test.h"

static _Atomic(int) count;
static go_chan *ch;

static void add_one(void *unused)
{
	count++;
}

static _Atomic(int) fired;

static void add_fired(void *unused)
{
	fired++;
}

static void test_is_over(void *unused)
{
	test_failed(__FILE__, __LINE__, "a timer of an hour fired");
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
	WAIT_FOR(go_chan_len(ch) == 1);
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
	/* Later. If the host keeps this hart from the second call until the first is due, that proves nothing. */
	for (int64_t first = 0; go_now() >= first;) {
		go_timer_stop(&timer);
		WAIT_FOR(go_count() == 1); /* what has fired */
		count = 1;
		first = go_now() + 5 * MS;
		go_timer_call(&timer, first, 0, add_one, NULL);
		go_timer_call(&timer, go_now() + 3600 * SECOND, 0, add_one, NULL);
	}
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
	for (int i = 0; i < test_part(300); i++) {
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
	WAIT_FOR(count + stops == 8 * test_part(300));
	WAIT_FOR(go_count() == 1);
	CHECK_EQ(count + stops, 8 * test_part(300));
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

static go_timer own;
static int64_t wanted;

static void set_itself(void *unused)
{
	CHECK(go_now() >= wanted);
	if (++count % 100 != 0) {
		wanted = go_now() + count % 3 * 50 * US;
		go_timer_call(&own, wanted, 0, set_itself, NULL);
	}
}

static _Atomic(bool) stopped;

static void stop_itself(void *unused)
{
	if (++count == 5) {
		CHECK(go_timer_stop(&own));
		stopped = true;
	}
}

/* Its function is a goroutine like any other: it may set the timer again, or stop it. */
static void from_its_own_function(void)
{
	count = 0;
	for (int chain = 1; chain <= test_part(5); chain++) {
		wanted = go_now();
		go_timer_call(&own, wanted, 0, set_itself, NULL);
		WAIT_FOR(count == chain * 100);
	}
	count = 0;
	go_timer_call(&own, go_now() + 2 * MS, 2 * MS, stop_itself, NULL);
	WAIT_FOR(stopped);
	CHECK(!go_timer_stop(&own));
	/* some were started while the fifth was on its way to the stop; none is from now on */
	WAIT_FOR(go_count() == 1);
	int after = count;
	go_sleep(10 * MS);
	CHECK_EQ(count, after);
}

/*
 * With one P, a goroutine that spins is preempted each 10 ms, and only then timers run: a period of 1 ms that
 * was missed many times is made up for once. So no three times that are sent lie in the same period (two may,
 * if the host was away before the first was sent).
 */
static void late_period(void)
{
	go_timer timer = { 0 };
	int64_t when, last = -1, before = -1;
	int procs = go_maxprocs(1);
	ch = go_chan_make(sizeof(int64_t), 1000);
	int64_t start = go_now();
	go_timer_send(&timer, start + MS, MS, ch);
	test_spin(50 * MS);
	/* The host may have let it be preempted nowhere in that. */
	for (int64_t end = go_now() + 10 * SECOND; go_chan_len(ch) == 0 && go_now() < end;)
		;
	CHECK(go_timer_stop(&timer));
	CHECK(go_chan_len(ch) > 0);
	while (go_try_recv(ch, &when) == 1) {
		int64_t period = (when - start) / MS;
		CHECK(period >= last && period > before);
		before = last;
		last = period;
	}
	go_maxprocs(procs);
	go_chan_free(ch);
}

static _Atomic(bool) setting;

static void set_for_long(void *shared)
{
	while (setting)
		go_timer_call(shared, go_now() + 3600 * SECOND, 0, test_is_over, NULL);
	count++;
}

static void set_for_now(void *shared)
{
	for (int i = 0; setting; i++)
		go_timer_call(shared, go_now() + i % 3 * 20 * US, 0, add_fired, NULL);
	count++;
}

/* Several goroutines, on all harts, set the same timer: whatever the order, it is one timer afterwards. */
static void set_by_many(void)
{
	static go_timer shared;
	count = fired = 0;
	setting = true;
	for (int i = 0; i < 4; i++)
		go(i % 2 ? set_for_long : set_for_now, &shared);
	go_sleep(test_part(100) * MS);
	WAIT_FOR(fired > 0); /* before it is set anew: that takes luck */
	setting = false;
	WAIT_FOR(count == 4);
	go_timer_call(&shared, go_now() + 3600 * SECOND, 0, test_is_over, NULL);
	CHECK(go_timer_stop(&shared));
	CHECK(!go_timer_stop(&shared));
	WAIT_FOR(go_count() == 1);
	int after = fired;
	go_sleep(5 * MS);
	CHECK_EQ(fired, after);
}

static go_timer contended;
static int64_t hold_until;
static _Atomic(bool) in_window, fires, has_stopped, fired_late;

static bool until_it_fires(void)
{
	in_window = true;
	return fires;
}

/* A stop that waits for this firing makes the time pass. */
static bool until_it_is_stopped(void)
{
	fires = true;
	if (has_stopped)
		fired_late = true;
	return has_stopped || go_now() > hold_until;
}

static void set_late_and_stop(void *unused)
{
	hart_lock();
	fuzz_hold(FUZZ_TIMER_SET, until_it_fires);
	go_timer_call(&contended, go_now() + 3600 * SECOND, 0, test_is_over, NULL);
	hart_unlock();
	go_timer_stop(&contended);
	has_stopped = true;
	count++;
}

/* One sets it, and has seen that it is in no heap; another sets it meanwhile, and it fires. Then the first stops it. */
static void set_as_it_fires(void)
{
	for (int round = 1; round <= 5; round++) {
		count = fired = 0;
		in_window = fires = has_stopped = false;
		go_timer_call(&contended, GO_NOW, 0, add_fired, NULL);
		WAIT_FOR(fired == 1);
		go(set_late_and_stop, NULL);
		hart_lock();
		while (!in_window)
			hart_relax();
		hold_until = go_now() + 20 * MS;
		fuzz_hold(FUZZ_TIMER_FIRE, until_it_is_stopped);
		go_timer_call(&contended, GO_NOW, 0, add_fired, NULL);
		hart_unlock();
		for (int64_t end = go_now() + 10 * SECOND; count == 0 && go_now() < end;)
			go_yield(); /* and look after the timers: no sleep, which has one */
		CHECK_EQ(count, 1);
		CHECK(fires);
		CHECK(!fired_late);
		WAIT_FOR(fired == 2);
	}
}

static go_chan *to, *fro;

static void pong(void *unused)
{
	while (go_recv(to, NULL))
		go_send(fro, NULL);
}

/*
 * Two goroutines that only switch to each other on one P never let the hart idle: a timer comes
 * in between at once.
 */
static void beside_switches(void)
{
	int procs = go_maxprocs(1);
	to = go_chan_make(0, 0);
	fro = go_chan_make(0, 0);
	ch = go_chan_make(sizeof(int64_t), 1);
	go(pong, NULL);
	for (int i = 0; i < test_part(1000); i++) {
		go_timer timer = { 0 };
		int64_t when = go_now() + i % 10 * US;
		int trips = 0;
		go_timer_send(&timer, when, 0, ch);
		while (go_try_recv(ch, NULL) == 0) {
			CHECK_EQ(trips, 0);
			trips += go_now() > when;
			go_send(to, NULL);
			go_recv(fro, NULL);
		}
	}
	go_close(to);
	go_maxprocs(procs);
	go_chan_free(ch);
}

static _Atomic(int) set_there;
static go_timer far_off[64];

static void set_and_sleep(void *number)
{
	intptr_t i = (intptr_t)number;
	go_timer_call(&far_off[i], go_now() + 3600 * SECOND, 0, test_is_over, NULL);
	set_there++;
	for (; set_there < 64; go_yield())
		test_spin(10 * US); /* so that the others run on other harts */
	go_sleep(20 * MS);
	count++;
}

/* Timers and sleepers of Ps that are taken away go on in another, and can be stopped there. */
static void of_a_removed_p(void)
{
	int procs = go_maxprocs(0);
	for (int round = 0; round < test_part(5); round++) {
		count = set_there = 0;
		for (intptr_t i = 0; i < 64; i++)
			go(set_and_sleep, (void *)i);
		WAIT_FOR(set_there == 64);
		for (int i = 0; i < 64; i += 8)
			CHECK(go_timer_stop(&far_off[i])); /* what is left of these does not move on */
		go_maxprocs(1);
		WAIT_FOR(count == 64);
		go_maxprocs(procs);
		for (int i = 0; i < 64; i++)
			CHECK_EQ(go_timer_stop(&far_off[i]), i % 8 != 0);
	}
}

/* A period that leads beyond the end of time: once is all. */
static void period_without_end(void)
{
	go_chan *ch = go_chan_make(sizeof(int64_t), 4);
	go_timer timer = { 0 };

	go_timer_send(&timer, go_now() + MS, INT64_MAX - 5, ch);
	go_recv(ch, NULL);
	go_sleep(5 * MS);
	CHECK_EQ(go_chan_len(ch), 0);
	CHECK(go_timer_stop(&timer));
	go_chan_free(ch);
}

static void to_no_channel(void)
{
	go_timer timer = { 0 };
	go_timer_send(&timer, go_now(), MS, NULL);
	go_sleep(5 * MS);
	CHECK(go_timer_stop(&timer));
}

int main(int argc, char **argv)
{
	TESTS(TEST(call_once), TEST(call_again_and_again), TEST(send_times),
	      TEST(send_unbuffered), TEST(set_anew), TEST(stop_many),
	      TEST(stop_races_with_firing), TEST(never), TEST(from_its_own_function), TEST(late_period),
	      TEST(set_by_many), TEST(beside_switches), TEST(of_a_removed_p),
	      TEST(period_without_end), TEST(to_no_channel), TEST_WHEN_NAMED(set_as_it_fires));
	return test_main(argc, argv, tests);
}
