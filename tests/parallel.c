/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All harts work at once: a hart that sleeps while a goroutine waits makes these hang or fail.
 *
 * @test alone harts=1,2,4,8 timeout=60
 */
#include "test.h"

static _Atomic(int) baton, rounds, arrived;
static volatile bool stop;
static go_chan *done;
static int players;

static void hand_round(void *number)
{
	int mine = (int)(intptr_t)number;
	while (!stop) {
		if (baton != mine)
			continue; /* no call, no yield: the others must be running, or be let in */
		rounds += mine == 0;
		baton = (mine + 1) % players;
	}
	go_send(done, NULL);
}

/*
 * Spinning goroutines, as many as Ps, hand a counter round. Were one of them not on a hart, each
 * round would take a preemption, 10 ms; how far they get in a time shows it. With more harts than
 * the host has processors the host's own time slices would show instead.
 */
static void all_at_once(void)
{
	players = go_maxprocs(0);
	done = go_chan_make(0, (size_t)players);
	for (int i = 0; i < 3; i++) {
		baton = rounds = 0;
		stop = false;
		for (intptr_t mine = 0; mine < players; mine++)
			go(hand_round, (void *)mine);
		go_sleep(300 * MS);
		stop = true;
		for (int n = 0; n < players; n++)
			go_recv(done, NULL);
		CHECK(rounds > (players <= 2 ? 100 : 1));
		go_sleep(i * MS); /* from idle too */
	}
	go_chan_free(done);
}

static void meet(void *n)
{
	arrived++;
	while (arrived < (int)(intptr_t)n)
		;
	go_send(done, NULL);
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

/*
 * A burst of goroutines must spread over sleeping harts at once: each waits for all the others
 * without a call. Were a wake-up lost, that would take a preemption, 10 ms, or be for ever.
 */
static void bursts_from_idle(void)
{
	enum { ROUNDS = 101 };
	int n = go_maxprocs(0);
	static int64_t took[ROUNDS];
	done = go_chan_make(0, (size_t)n);
	for (int round = 0; round < ROUNDS; round++) {
		arrived = 0;
		int64_t start = go_now();
		for (int i = 0; i < n; i++)
			go(meet, (void *)(intptr_t)n);
		for (int i = 0; i < n; i++)
			go_recv(done, NULL);
		took[round] = go_now() - start;
		if (round % 2)
			go_sleep(MS);
	}
	qsort(took, ROUNDS, sizeof(took[0]), compare);
	printf("\tmedian %lld us, worst %lld us\n", (long long)(took[ROUNDS / 2] / US),
	       (long long)(took[ROUNDS - 1] / US));
	if (n <= 4)
		CHECK_IN(took[ROUNDS / 2], 0, 8 * MS);
	go_chan_free(done);
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
	TESTS(TEST(all_at_once), TEST(bursts_from_idle), TEST(ping_pong), TEST(naps),
	      TEST(every_hart_gets_some));
	return test_main(argc, argv, tests);
}
