/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is closed answers EBADF from then on, whatever was opened since.
 *
 * @test timeout=60
 */
#include <errno.h>

#include "pair.h"

static _Atomic(int) count;

static void stays_closed(go_conn *conn, go_listener *listener, go_udp *udp)
{
	char text[40];
	errno = 0;
	CHECK_EQ(go_read(conn, text, 1), -1);
	CHECK_EQ(errno, EBADF);
	errno = 0;
	CHECK_EQ(go_read(conn, text, 0), -1);
	CHECK_EQ(errno, EBADF);
	errno = 0;
	CHECK_EQ(go_write(conn, "x", 1), -1);
	CHECK_EQ(errno, EBADF);
	errno = 0;
	CHECK_EQ(go_write(conn, "x", 0), -1);
	CHECK_EQ(errno, EBADF);
	CHECK_EQ(go_shutdown(conn), -1);
	go_conn_deadline(conn, 0, 0);
	CHECK_EQ(go_conn_peer(conn, text, sizeof text), -1);
	errno = 0;
	CHECK_EQ(go_conn_close(conn), -1);
	CHECK_EQ(errno, EBADF);
	errno = 0;
	CHECK(!go_accept(listener));
	CHECK_EQ(errno, EBADF);
	go_listener_close(listener);
	errno = 0;
	CHECK_EQ(go_udp_send(udp, "x", 1, "127.0.0.1:9"), -1);
	CHECK_EQ(errno, EBADF);
	CHECK_EQ(go_udp_recv(udp, text, 1, NULL, 0), -1);
	go_udp_close(udp);
}

/* Whatever is closed stays so, also when its memory is another's; and what never was open is, too. */
static void for_good(void)
{
	go_conn *closed[100];
	for (int i = 0; i < 100; i++) {
		struct pair pair = connect_to(HERE);
		go_udp *udp = go_udp_open("127.0.0.1:8");
		CHECK(udp);
		closed[i] = pair.client;
		close_pair(pair);
		go_udp_close(udp);
		struct pair next = connect_to(HERE);
		go_udp *next_udp = go_udp_open("127.0.0.1:8");
		CHECK(next_udp);
		stays_closed(pair.client, NULL, udp);
		go_listener_close((go_listener *)pair.server);
		char c;
		CHECK_EQ(go_read(next.server, &c, 0), 0); /* does not wait */
		CHECK_EQ(go_write(next.client, "y", 1), 1);
		CHECK_EQ(go_read(next.server, &c, 1), 1);
		close_pair(next);
		go_udp_close(next_udp);
		stays_closed(next.server, listener, next_udp);
	}
	for (int i = 0; i < 100; i++)
		CHECK_EQ(go_conn_close(closed[i]), -1);
	stays_closed((go_conn *)&count, (go_listener *)UINTPTR_MAX, (go_udp *)1);
}

static void read_until_closed(void *conn)
{
	char c;
	ssize_t n;
	while ((n = go_read(conn, &c, 1)) == 1)
		;
	CHECK_EQ(n, -1);
	CHECK_EQ(errno, EBADF);
	count++;
}

static void write_until_closed(void *conn)
{
	while (go_write(conn, "x", 1) == 1 || errno == ECONNRESET) /* the peer is closed first */
		;
	CHECK_EQ(errno, EBADF);
	count++;
}

static void accept_until_closed(void *listener)
{
	for (go_conn *conn; (conn = go_accept(listener));)
		go_conn_close(conn);
	CHECK_EQ(errno, EBADF);
	count++;
}

/* Those who use it are in a call or between two, and the memory is another's at once. */
static void between_calls(void)
{
	struct pair last = { NULL, NULL };
	go_listener *last_listener = NULL;
	int rounds = test_part(200);
	count = 0;
	for (int i = 0; i < rounds; i++) {
		struct pair pair = connect_to(HERE);
		go(read_until_closed, pair.server);
		go(write_until_closed, pair.client);
		go(accept_until_closed, listener);
		go_sleep((i * 7919 % 20) * 10 * US);
		CHECK_EQ(go_conn_close(pair.server), 0);
		go_listener_close(listener);
		last_listener = listener;
		last = pair;
		if (i % 2 == 0)
			go_yield();
		CHECK_EQ(go_conn_close(last.client), 0);
	}
	WAIT_FOR(count == 3 * rounds);
	stays_closed(last.client, last_listener, NULL);
}

TESTS(TEST(for_good), TEST(between_calls));

int main(int argc, char **argv)
{
	return test_main(argc, argv, tests);
}
