/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers that are mostly not waited for: set and stopped, set anew, and the deadline of a select that is met.
 * A thousand others are set meanwhile, for an hour or two, so that their heap has some depth.
 */
#include "bench.h"

enum { OTHERS = 1000 };

#define HOUR (3600 * INT64_C(1000000000))

static go_timer others[OTHERS], one;

/* Deadlines in no order. */
static int64_t some_day(long i)
{
	return go_now() + HOUR + (int64_t)(uint32_t)(i * 2654435761u) * 1000;
}

static void never(void *unused)
{
	(void)unused;
}

static void set_others(void)
{
	for (int i = 0; i < OTHERS; i++)
		go_timer_call(&others[i], some_day(i), 0, never, NULL);
}

static void stop_others(void)
{
	for (int i = 0; i < OTHERS; i++)
		go_timer_stop(&others[i]);
}

static void set_and_stop(long n)
{
	for (long i = 0; i < n; i++) {
		go_timer_call(&one, some_day(i), 0, never, NULL);
		go_timer_stop(&one);
	}
}

/* Each of them in turn, a little later than before: a watchdog that is fed. */
static void set_anew(long n)
{
	for (long i = 0; i < n; i++)
		go_timer_call(&others[i % OTHERS], some_day(i % OTHERS), 0, never, NULL);
}

void bench_timer(void)
{
	set_others();
	per_op("timer", 200000, set_and_stop);
	per_op("timer-anew", 200000, set_anew);
	stop_others();
}

/* ---- An unbuffered send, and its receive by a select that waits for a second at most ---- */

static go_chan *items;

static void send_items(void *count)
{
	for (long i = 0; i < (long)count; i++)
		go_send(items, &i);
}

static void receive_in_time(long n)
{
	long value;
	items = go_chan_make(sizeof(long), 0);
	go(send_items, (void *)n);
	for (long i = 0; i < n; i++) {
		struct go_case receive = { .op = GO_RECV, .ch = items, .elem = &value };
		go_select(&receive, 1, go_now() + 1000 * MS);
	}
	go_chan_free(items);
}

void bench_deadline(void)
{
	set_others();
	per_op("deadline", 100000, receive_in_time);
	stop_others();
}

/* ---- The work of a short sleep; the time that is slept is not counted ---- */

enum { NAPS = 10000 };

void bench_nap(void)
{
	const char *ops = getenv("OPS");
	long naps = ops != NULL ? atol(ops) : NAPS;
	int64_t start = cpu_time();
	for (long i = 0; i < naps; i++)
		go_sleep(10 * US);
	if (start >= 0)
		result("nap", (double)(cpu_time() - start) / (double)naps);
}
