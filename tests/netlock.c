/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The net lock between polls and goroutines: who comes while the network is polled parks, and gets the lock
 * when the poll is done.
 *
 * @test machines=virt,q35,microvm harts=2,4
 * @test machines=virt,q35 checks harts=2,4
 */
#include "net/lock.h"
#include "sched/sched.h"
#include "test.h"

static _Atomic(bool) polling, got;
static _Atomic(struct g *) asks;
static _Atomic(int) left;

static void lock_once(void *unused)
{
	asks = g_self();
	while (!polling)
		;
	net_lock();
	got = true;
	net_unlock();
}

static void parks(void)
{
	struct glist ready = { 0 };
	polling = got = false;
	asks = NULL;
	go(lock_once, NULL);
	WAIT_FOR(asks); /* it runs elsewhere */
	net_lock_to_poll(&ready);
	polling = true;
	int64_t end = go_now() + 5 * SECOND;
	while (asks->status != G_WAITING && go_now() < end)
		;
	CHECK_EQ(asks->status, G_WAITING);
	test_spin(1 * MS);
	CHECK(!got);
	hart_lock();
	net_unlock_polled(&ready);
	CHECK(ready.size <= 1); /* 0: it has said that it waits, is not outside yet, and lets itself in */
	netpoll_inject(&ready);
	hart_unlock();
	WAIT_FOR(got);
}

static void lock_often(void *unused)
{
	for (int i = 0; i < 20000; i++) {
		net_lock();
		net_unlock();
	}
	left--;
}

/* Whenever a poll ends: just before, as, or after somebody decides to park. */
static void none_is_left_outside(void)
{
	left = 3;
	for (int i = 0; i < 3; i++)
		go(lock_often, NULL);
	while (left > 0) {
		struct glist ready = { 0 };
		hart_lock();
		net_lock_to_poll(&ready);
		test_spin(rand() % 3 * US);
		net_unlock_polled(&ready);
		netpoll_inject(&ready);
		hart_unlock();
		if (rand() % 8 == 0)
			go_yield();
	}
}

TESTS(TEST(parks), TEST(none_is_left_outside));

int main(int argc, char **argv)
{
	return test_main(argc, argv, tests);
}
