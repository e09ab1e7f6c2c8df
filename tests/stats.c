/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * go_stats() and go_net_stats() count what happens, and nothing else.
 *
 * @test scheduler machines=virt,q35,hosted
 * @test network machines=virt,q35,hosted harts=1,4
 */
#include <errno.h>
#include <gump/net.h>
#include <stdatomic.h>

#include "test.h"

#define MS INT64_C(1000000)
#define MANY 300

static _Atomic(int) ran;
static _Atomic(bool) stop;

static struct go_stats now(void)
{
	struct go_stats stats;
	go_stats(&stats);
	return stats;
}

static uint64_t steals(struct go_stats stats)
{
	uint64_t sum = 0;
	for (int i = 0; i < stats.harts; i++)
		sum += stats.proc[i].steals;
	return sum;
}

static uint64_t preemptions(struct go_stats stats)
{
	uint64_t sum = 0;
	for (int i = 0; i < stats.harts; i++)
		sum += stats.proc[i].preemptions;
	return sum;
}

static size_t runnable(struct go_stats stats)
{
	size_t sum = stats.runq;
	for (int i = 0; i < stats.harts; i++)
		sum += stats.proc[i].runq;
	return sum;
}

static void run_shortly(void *unused)
{
	atomic_fetch_add(&ran, 1);
}

static void run_until_stopped(void *unused)
{
	while (!atomic_load(&stop))
		;
	atomic_fetch_add(&ran, 1);
}

static void wait_for(int count)
{
	while (atomic_load(&ran) < count)
		go_sleep(MS);
	while (go_count() > 1)
		go_sleep(MS);
}

static void test_figures(void)
{
	struct go_stats stats = now();
	CHECK_EQ(stats.harts, go_harts());
	CHECK_EQ(stats.procs, go_maxprocs(0));
	CHECK_EQ(stats.goroutines, go_count());
	CHECK(stats.idle_procs >= 0 && stats.idle_procs < stats.procs); /* one runs this */
}

/*
 * On one P, what this goroutine starts waits in queues, unless this one is preempted just
 * then: random scheduling does.
 */
static void test_queues(void)
{
	size_t most = 0;
	int procs = go_maxprocs(1);
	for (int round = 0; round < 10 && most != MANY; round++) {
		atomic_store(&ran, 0);
		go_yield();
		for (int i = 0; i < MANY; i++)
			go(run_shortly, NULL);
		size_t seen = runnable(now());
		CHECK(seen <= MANY);
		most = seen > most ? seen : most;
		wait_for(MANY);
	}
	CHECK(most == MANY || GUMP_CHECKS);
	CHECK_EQ(runnable(now()), 0);
	go_maxprocs(procs);
}

/* More loops without end than Ps: each takes the other's place when its slice is over. */
static void test_preemptions(void)
{
	uint64_t before = preemptions(now());
	atomic_store(&ran, 0);
	atomic_store(&stop, false);
	for (int i = 0; i < go_harts() + 1; i++)
		go(run_until_stopped, NULL);
	while (preemptions(now()) < before + 3)
		go_sleep(5 * MS);
	atomic_store(&stop, true);
	wait_for(go_harts() + 1);
}

/* Loops start in the queue of this P: others have to take them. */
static void test_steals(void)
{
	uint64_t before = steals(now());
	if (go_harts() == 1) {
		CHECK_EQ(before, 0);
		return;
	}
	while (steals(now()) == before) { /* where this one is preempted they may come by the global queue */
		atomic_store(&ran, 0);
		atomic_store(&stop, false);
		for (int i = 0; i < go_harts(); i++)
			go(run_until_stopped, NULL);
		go_sleep(5 * MS);
		atomic_store(&stop, true);
		wait_for(go_harts());
	}
}

/* ---- Network ---- */

static void check_net(size_t connections, uint64_t accepted, uint64_t dialled)
{
	struct go_net_stats stats;
	go_net_stats(&stats);
	CHECK_EQ(stats.connections, connections);
	CHECK_EQ(stats.accepted, accepted);
	CHECK_EQ(stats.dialled, dialled);
	CHECK_EQ(stats.turned_away, 0);
	CHECK(stats.memory <= stats.memory_max);
}

static void test_network(void)
{
	go_listener *listener = go_listen("127.0.0.1:7");
	go_conn *here[3], *there[3];
	CHECK(listener);
	check_net(0, 0, 0);
	for (unsigned i = 0; i < 3; i++) {
		CHECK(there[i] = go_dial("127.0.0.1:7", GO_FOREVER));
		check_net(2 * i + 1, i, i + 1);
		CHECK(here[i] = go_accept(listener));
		check_net(2 * i + 2, i + 1, i + 1);
	}
	CHECK(!go_dial("127.0.0.1:8", GO_FOREVER));
	CHECK_EQ(errno, ECONNREFUSED);
	check_net(6, 3, 3);
	for (unsigned i = 0; i < 3; i++) {
		go_conn_close(here[i]);
		check_net(5 - 2 * i, 3, 3);
		go_conn_close(there[i]);
		check_net(4 - 2 * i, 3, 3);
	}
	go_conn *waits = go_dial("127.0.0.1:7", GO_FOREVER);
	CHECK(waits);
	go_listener_close(listener); /* with one that nobody has accepted */
	check_net(1, 3, 4);
	go_conn_close(waits);
	check_net(0, 3, 4);
}

int main(int argc, char **argv)
{
	if (strcmp(argv[1], "network") == 0) {
		test_network();
	} else {
		test_figures();
		test_steals();
		test_queues();
		test_preemptions();
		test_figures();
	}
	printf("PASS\n");
	return 0;
}
