/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Channels and select. The elements are of 8 bytes.
 */
#include "bench.h"

/* ---- A round trip: there over one unbuffered channel, back over another ---- */

static go_chan *there, *back;

static void echo(void *unused)
{
	long value;
	(void)unused;
	while (go_recv(there, &value))
		go_send(back, &value);
}

static void round_trips(long n)
{
	there = go_chan_make(sizeof(long), 0);
	back = go_chan_make(sizeof(long), 0);
	go(echo, NULL);
	for (long i = 0; i < n; i++) {
		long value = i;
		go_send(there, &value);
		go_recv(back, &value);
	}
	go_close(there);
}

void bench_unbuffered(void)
{
	per_op("unbuffered", 100000, round_trips);
}

/* ---- A send and a receive over one buffered channel, by two goroutines ---- */

static go_chan *items;
static _Atomic(long) finished;

static void send_items(void *count)
{
	for (long i = 0; i < (long)count; i++)
		go_send(items, &i);
	atomic_fetch_add(&finished, 1);
}

static void receive_items(void *count)
{
	long value;
	for (long i = 0; i < (long)count; i++)
		go_recv(items, &value);
	atomic_fetch_add(&finished, 1);
}

static void buffered(long n)
{
	items = go_chan_make(sizeof(long), 128);
	atomic_store(&finished, 0);
	go(send_items, (void *)n);
	receive_items((void *)n);
	wait_for(&finished, 2);
	go_chan_free(items);
}

void bench_buffered(void)
{
	per_op("buffered", 400000, buffered);
}

/* ---- The same by eight senders and eight receivers over one channel of 64 ---- */

static void eight_to_eight(long n)
{
	items = go_chan_make(sizeof(long), 64);
	atomic_store(&finished, 0);
	for (int i = 0; i < 8; i++) {
		go(send_items, (void *)(n / 8));
		go(receive_items, (void *)(n / 8));
	}
	wait_for(&finished, 16);
	go_chan_free(items);
}

void bench_many(void)
{
	per_op("many", 400000, eight_to_eight);
}

/* ---- A select over four unbuffered channels, on which one goroutine sends in turn ---- */

static go_chan *four[4];

static void send_in_turn(void *count)
{
	for (long i = 0; i < (long)count; i++)
		go_send(four[i % 4], &i);
}

static void selects(long n)
{
	long value;
	struct go_case cases[4];
	for (int i = 0; i < 4; i++)
		four[i] = go_chan_make(sizeof(long), 0);
	go(send_in_turn, (void *)n);
	for (long i = 0; i < n; i++) {
		for (int k = 0; k < 4; k++)
			cases[k] = (struct go_case){ .op = GO_RECV, .ch = four[k], .elem = &value };
		go_select(cases, 4, GO_FOREVER);
	}
	for (int i = 0; i < 4; i++)
		go_chan_free(four[i]);
}

void bench_select(void)
{
	per_op("select", 100000, selects);
}

/* ---- A token that goes round a ring of 1000 goroutines ---- */

enum { RING = 1000 };

static go_chan *ring[RING + 1];

static void pass_on(void *place)
{
	go_chan **link = place;
	long laps;
	while (go_recv(link[0], &laps))
		go_send(link[1], &laps);
	go_close(link[1]);
}

static void hops(long n)
{
	long value = 0;
	for (int i = 0; i <= RING; i++)
		ring[i] = go_chan_make(sizeof(long), 0);
	for (int i = 0; i < RING; i++)
		go(pass_on, &ring[i]);
	for (long lap = 0; lap < n / RING; lap++) {
		go_send(ring[0], &lap);
		go_recv(ring[RING], &value);
	}
	go_close(ring[0]);
	go_recv(ring[RING], &value); /* closed when all have ended */
	for (int i = 0; i <= RING; i++)
		go_chan_free(ring[i]);
}

void bench_ring(void)
{
	per_op("ring", 200 * RING, hops);
}
