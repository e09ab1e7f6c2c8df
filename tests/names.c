/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names, where they are the host's business: tests/test_net.py runs this hosted, beside a name server that
 * answers late for here.test (127.0.0.1), denies nobody.test, and says nothing about silent.test.
 */
#include <errno.h>
#include <gump/net.h>

#include "test.h"

static _Atomic(int) ticks, accepted;
static _Atomic(bool) stop, dials, gave_up;

static void tick(void *unused)
{
	while (!stop) {
		go_sleep(10 * MS);
		ticks++;
	}
}

static void accept_all(void *listener)
{
	go_conn *conn;
	while ((conn = go_accept(listener))) {
		accepted++;
		go_conn_close(conn);
	}
}

static void dial_silent(void *unused)
{
	dials = true;
	CHECK(!go_dial("silent.test:7777", go_now() + 5 * SECOND));
	gave_up = true;
}

/* A name that is looked up for long holds up nobody else, also on the only hart. */
static void others_go_on(void)
{
	go_listener *listener = go_listen("127.0.0.1:7777");
	char peer[40], c;
	CHECK(listener);
	go(accept_all, listener);
	go(tick, NULL);
	go(dial_silent, NULL);
	WAIT_FOR(dials);
	int before = ticks;
	WAIT_FOR(ticks >= before + 20);
	CHECK(!gave_up);
	int64_t start = go_now();
	go_conn *conn = go_dial("here.test:7777", GO_FOREVER);
	CHECK(conn);
	CHECK(go_now() - start >= 400 * MS);
	CHECK_EQ(go_conn_peer(conn, peer, sizeof(peer)), 0);
	CHECK_STR(peer, "127.0.0.1:7777");
	CHECK_EQ(go_read(conn, &c, 1), 0);
	CHECK_EQ(accepted, 1);
	stop = true;
	go_conn_close(conn);
	go_listener_close(listener);
}

static void denied(void)
{
	CHECK(!go_dial("nobody.test:7777", GO_FOREVER));
	CHECK_EQ(errno, EHOSTUNREACH);
}

static void late(void)
{
	int64_t start = go_now();
	CHECK(!go_dial("silent.test:7777", start + 200 * MS));
	CHECK_EQ(errno, ETIMEDOUT);
	CHECK_IN(go_now() - start, 200 * MS, 2 * SECOND);
}

/* The lookup of silent.test is still under way, and nobody waits for it. */
static void datagram(void)
{
	char text[10], from[40];
	go_udp *a = go_udp_open("127.0.0.1:7778"), *b = go_udp_open(":7779");
	CHECK(a && b);
	CHECK_EQ(go_udp_send(a, "hello", 5, "here.test:7779"), 5);
	CHECK_EQ(go_udp_recv(b, text, sizeof(text), from, sizeof(from)), 5);
	CHECK_STR(from, "127.0.0.1:7778");
	CHECK_EQ(go_udp_send(b, "back", 4, from), 4);
	CHECK_EQ(go_udp_recv(a, text, sizeof(text), NULL, 0), 4);
	go_udp_close(a);
	go_udp_close(b);
}

int main(int argc, char **argv)
{
	TESTS(TEST(others_go_on), TEST(denied), TEST(late), TEST(datagram));
	return test_main(argc, argv, tests);
}
