/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Some of the benchmarks with State Threads (Debian's libst), for scale: threads of one processor that give
 * it up only when they wait, without preemption. Its channels are made here of its condition variables. It
 * has no select, no yield but a sleep of 0, and, as each of its stacks is three mappings of the kernel, not
 * more than some 20,000 threads.
 */
#include <st.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REPEATS = 5, RING = 1000, PARKED = 10000, STACK = 16384 };

struct chan {
	st_cond_t room, items; /* somebody waits for one */
	long *ring;
	unsigned count, first, cap;
};

static struct chan *chan_new(unsigned cap)
{
	struct chan *c = calloc(1, sizeof(*c));
	c->room = st_cond_new();
	c->items = st_cond_new();
	c->cap = cap != 0 ? cap : 1;
	c->ring = calloc(c->cap, sizeof(long));
	return c;
}

static void chan_free(struct chan *c)
{
	st_cond_destroy(c->room);
	st_cond_destroy(c->items);
	free(c->ring);
	free(c);
}

static void chan_send(struct chan *c, long value)
{
	while (c->count == c->cap)
		st_cond_wait(c->room);
	c->ring[(c->first + c->count++) % c->cap] = value;
	st_cond_signal(c->items);
}

static long chan_recv(struct chan *c)
{
	while (c->count == 0)
		st_cond_wait(c->items);
	long value = c->ring[c->first];
	c->first = (c->first + 1) % c->cap;
	c->count--;
	st_cond_signal(c->room);
	return value;
}

static int64_t now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void per_op(const char *name, long n, void (*op)(long n))
{
	int64_t best = INT64_MAX;
	op(n / 10);
	for (int i = 0; i < REPEATS; i++) {
		int64_t start = now();
		op(n);
		int64_t took = now() - start;
		best = took < best ? took : best;
	}
	printf("result %s %.2f\n", name, (double)best / (double)n);
}

static void thread(void *(*fn)(void *), void *arg)
{
	if (st_thread_create(fn, arg, 0, STACK) == NULL) {
		fprintf(stderr, "st: no more threads\n");
		exit(1);
	}
}

static void yield(void)
{
	st_usleep(0);
}

static long finished;

static void wait_for(long n)
{
	while (finished < n)
		yield();
	finished = 0;
}

static void *nothing(void *arg)
{
	return arg;
}

static void create(long n)
{
	for (long i = 0; i < n; i++) {
		thread(nothing, NULL);
		yield();
	}
}

static void *yield_half(void *rounds)
{
	for (long i = 0; i < (long)rounds; i++)
		yield();
	finished++;
	return NULL;
}

static void yield_two(long n)
{
	thread(yield_half, (void *)(n / 2));
	yield_half((void *)(n / 2));
	wait_for(2);
}

static struct chan *there, *back;

static void *echo(void *count)
{
	for (long i = 0; i < (long)count; i++)
		chan_send(back, chan_recv(there));
	finished++;
	return NULL;
}

static void round_trips(long n)
{
	there = chan_new(0);
	back = chan_new(0);
	thread(echo, (void *)n);
	for (long i = 0; i < n; i++) {
		chan_send(there, i);
		chan_recv(back);
	}
	wait_for(1);
	chan_free(there);
	chan_free(back);
}

static struct chan *items;

static void *send_items(void *count)
{
	for (long i = 0; i < (long)count; i++)
		chan_send(items, i);
	finished++;
	return NULL;
}

static void *receive_items(void *count)
{
	for (long i = 0; i < (long)count; i++)
		chan_recv(items);
	finished++;
	return NULL;
}

static void buffered(long n)
{
	items = chan_new(128);
	thread(send_items, (void *)n);
	receive_items((void *)n);
	wait_for(2);
	chan_free(items);
}

static void eight_to_eight(long n)
{
	items = chan_new(64);
	for (int i = 0; i < 8; i++) {
		thread(send_items, (void *)(n / 8));
		thread(receive_items, (void *)(n / 8));
	}
	wait_for(16);
	chan_free(items);
}

static struct chan *links[RING + 1];

static void *pass_on(void *place)
{
	struct chan **link = place;
	for (long laps = 1; laps >= 0;) {
		laps = chan_recv(link[0]);
		chan_send(link[1], laps);
	}
	return NULL;
}

static void hops(long n)
{
	for (int i = 0; i <= RING; i++)
		links[i] = chan_new(0);
	for (int i = 0; i < RING; i++)
		thread(pass_on, &links[i]);
	for (long lap = n / RING; --lap >= 0;) {
		chan_send(links[0], lap);
		chan_recv(links[RING]);
	}
	chan_send(links[0], -1);
	chan_recv(links[RING]);
	for (int i = 0; i <= RING; i++)
		chan_free(links[i]);
}

static st_cond_t gate;

static void *wait_at_gate(void *unused)
{
	(void)unused;
	finished++;
	st_cond_wait(gate);
	finished++;
	return NULL;
}

static void park(void)
{
	gate = st_cond_new();
	int64_t start = now();
	for (int i = 0; i < PARKED; i++)
		thread(wait_at_gate, NULL);
	wait_for(PARKED);
	printf("result park %.2f\n", (double)(now() - start) / PARKED);
	start = now();
	st_cond_broadcast(gate);
	wait_for(PARKED);
	printf("result wake %.2f\n", (double)(now() - start) / PARKED);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	st_init();
	if (strcmp(name, "create") == 0)
		per_op("create", 100000, create);
	else if (strcmp(name, "unbuffered") == 0)
		per_op("unbuffered", 100000, round_trips);
	else if (strcmp(name, "buffered") == 0)
		per_op("buffered", 400000, buffered);
	else if (strcmp(name, "many") == 0)
		per_op("many", 400000, eight_to_eight);
	else if (strcmp(name, "yield") == 0)
		per_op("yield", 400000, yield_two);
	else if (strcmp(name, "ring") == 0)
		per_op("ring", 200 * RING, hops);
	else if (strcmp(name, "park") == 0)
		park();
	return 0;
}
