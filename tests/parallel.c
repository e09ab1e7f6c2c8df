/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All harts work at once: a hart that sleeps while a goroutine waits makes these hang or fail.
 *
 * @test alone harts=1,2,4 timeout=60
 * @test alone machines=microvm harts=8 timeout=60
 */
#include "test.h"

static _Atomic(int) baton, rounds, arrived;
static _Atomic(int64_t) apart;
static _Atomic(int) hart_of[16];
static _Atomic(bool) stop;
static go_chan *done;
static int players;

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

/*
 * Half of the times at most. A preemption, which would heal a lost wake-up, comes after 10 ms. With
 * more harts than the host has processors, its time slices show in place of ours.
 */
static void check_times(int64_t *times, int n)
{
	qsort(times, (size_t)n, sizeof(times[0]), compare);
	printf("\tmedian %lld us, worst %lld us\n", (long long)(times[n / 2] / US),
	       (long long)(times[n - 1] / US));
	if (players <= 2)
		CHECK_IN(times[n / 2], 0, 9 * MS);
}

/* Are all players on harts of their own? Where one ran last, it still is or waits. */
static bool all_apart(void)
{
	unsigned harts = 0;
	for (int i = 0; i < players; i++)
		harts |= hart_of[i] < 0 ? 0 : 1u << hart_of[i];
	return __builtin_popcount(harts) == players;
}

static void hand_round(void *number)
{
	int mine = (int)(intptr_t)number;
	while (!stop) { /* no yield: the others must be running, or be let in */
		hart_of[mine] = go_hart();
		if (baton != mine)
			continue;
		if (mine == 0) {
			rounds++;
			if (apart == 0 && all_apart())
				apart = go_now();
		}
		baton = (mine + 1) % players;
	}
	go_send(done, NULL);
}

/* Spinning goroutines, as many as Ps, hand a counter round: all must be on harts at once. */
static void all_at_once(void)
{
	enum { TIMES = 11 };
	int64_t times[TIMES];
	players = go_maxprocs(0);
	done = go_chan_make(0, (size_t)players);
	for (int i = 0; i < TIMES; i++) {
		baton = rounds = 0;
		apart = 0;
		stop = false;
		for (int mine = 0; mine < players; mine++)
			hart_of[mine] = -1;
		int64_t start = go_now();
		for (intptr_t mine = 0; mine < players; mine++)
			go(hand_round, (void *)mine);
		WAIT_FOR(apart != 0 && rounds > 3);
		stop = true;
		for (int n = 0; n < players; n++)
			go_recv(done, NULL);
		times[i] = apart - start;
		go_sleep(i % 3 * MS); /* from idle too */
	}
	check_times(times, TIMES);
	go_chan_free(done);
}

static void meet(void *unused)
{
	arrived++;
	while (arrived < players)
		;
	go_send(done, NULL);
}

/* A burst of goroutines must spread over sleeping harts: each waits for all the others without a call. */
static void bursts_from_idle(void)
{
	enum { TIMES = 101 };
	static int64_t times[TIMES];
	players = go_maxprocs(0);
	done = go_chan_make(0, (size_t)players);
	for (int i = 0; i < TIMES; i++) {
		arrived = 0;
		int64_t start = go_now();
		for (int n = 0; n < players; n++)
			go(meet, NULL);
		for (int n = 0; n < players; n++)
			go_recv(done, NULL);
		times[i] = go_now() - start;
		if (i % 2)
			go_sleep(MS);
	}
	check_times(times, TIMES);
	go_chan_free(done);
}

static void arrive(void *unused)
{
	arrived++;
}

/* One that is started by a goroutine which then keeps its hart busy must be taken by another hart. */
static void started_by_a_busy_one(void)
{
	enum { TIMES = 51 };
	static int64_t times[TIMES];
	players = go_maxprocs(0);
	for (int i = 0; i < TIMES && players > 1; i++) {
		arrived = 0;
		int64_t start = go_now();
		go(arrive, NULL);
		while (arrived == 0)
			;
		times[i] = go_now() - start;
		if (i % 2)
			go_sleep(MS);
	}
	check_times(times, TIMES);
}

static go_chan *ping, *pong;

static void answer(void *unused)
{
	while (go_recv(ping, NULL))
		go_send(pong, NULL);
	go_close(pong);
}

/* A wake-up that is lost stops the pair for good, or until sysmon looks. */
static void ping_pong(void)
{
	enum { TRIPS = 20000 };
	ping = go_chan_make(0, 0);
	pong = go_chan_make(0, 0);
	go(answer, NULL);
	int64_t start = go_now();
	for (int i = 0; i < TRIPS; i++) {
		go_send(ping, NULL);
		CHECK(go_recv(pong, NULL));
	}
	int64_t each = (go_now() - start) / TRIPS;
	go_close(ping);
	CHECK(!go_recv(pong, NULL));
	printf("\t%lld ns a round trip\n", (long long)each);
	if (!GUMP_CHECKS) /* which look for one at each switch, and have most wake-ups go to another hart */
		CHECK_IN(each, 0, 500 * US);
	go_chan_free(ping);
	go_chan_free(pong);
}

static _Atomic(int) finished;

static void work_and_sleep(void *number)
{
	for (int i = 0; i < 100; i++) {
		test_spin(20 * US);
		go_sleep(((intptr_t)number * 7 + i) % 13 * 10 * US);
	}
	finished++;
}

/* Harts fall asleep and are woken all the time, by timers and by one another. */
static void naps(void)
{
	finished = 0;
	for (intptr_t i = 0; i < 20; i++)
		go(work_and_sleep, (void *)i);
	WAIT_FOR(finished == 20);
}

static _Atomic(uint32_t) seen_on;

static void note_hart(void *unused)
{
	CHECK_IN(go_hart(), 0, go_harts() - 1);
	seen_on |= 1u << go_hart();
	test_spin(200 * US);
}

static void every_hart_gets_some(void)
{
	int64_t end = go_now() + 10 * SECOND;
	seen_on = 0;
	while (seen_on != (1u << go_harts()) - 1 && go_now() < end) {
		for (int i = 0; i < 4 * go_harts(); i++)
			go(note_hart, NULL);
		go_sleep(MS);
	}
	CHECK_EQ(seen_on, (1u << go_harts()) - 1);
}

int main(int argc, char **argv)
{
	TESTS(TEST(all_at_once), TEST(bursts_from_idle), TEST(started_by_a_busy_one),
	      TEST(ping_pong), TEST(naps), TEST(every_hart_gets_some));
	return test_main(argc, argv, tests);
}
