/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network calls, from one machine to itself: no device is needed for that.
 *
 * @test timeout=120
 */
#include <errno.h>
#include <gump/net.h>

#include "pair.h"

static _Atomic(int) count;
static char much[16 << 20]; /* more than fits between the two, also where they are a Linux kernel's */
static go_conn *shared;

static void read_all(go_conn *conn, char *buf, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = go_read(conn, buf + done, size - done);
		CHECK(n > 0);
		done += (size_t)n;
	}
}

static void no_device(void)
{
	CHECK(!go_listen(":80"));
	CHECK_EQ(errno, ENETDOWN);
	CHECK(!go_dial("10.0.0.1:80", GO_FOREVER));
	CHECK_EQ(errno, ENETDOWN);
	CHECK(!go_udp_open(":80"));
	CHECK_EQ(errno, ENETDOWN);
	go_udp *udp = go_udp_open("127.0.0.1:80");
	static const char *const beyond[] = { "10.0.0.1:80", "name.test:80" };
	CHECK(udp);
	for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
		int64_t start = go_now();
		CHECK_EQ(go_udp_send(udp, "hello", 5, beyond[i]), -1);
		CHECK_EQ(errno, ENETDOWN);
		CHECK(go_now() - start < SECOND / 2);
	}
	CHECK_EQ(go_udp_send(udp, "hello", 5, "0.0.0.0:80"), 5);
	go_udp_close(udp);
}

static void addresses(void)
{
	static const char *const wrong[] = { "",       "80",        ":",        ":65536",   ":-1",
					     ":8x",    "[::1:80",   "::1:80",   "1.2.3:80", "256.1.1.1:80",
					     "[x]:80", "[1.2.3.4]:80", "[fe80::zz]:80", "[::1 ]:80" };
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		CHECK(!go_listen(wrong[i]));
		CHECK_EQ(errno, EINVAL);
	}
	CHECK(!go_dial(":80", GO_FOREVER));
	CHECK_EQ(errno, EINVAL);
	CHECK(!go_dial("127.0.0.1:0", GO_FOREVER));
	CHECK_EQ(errno, EINVAL);
	static const char *const numbers[] = { "1:80", "127.1:80", "010.0.0.1:80", "127.0.0.1.:80", "0x7f.0x1:80",
					       "0x7f000001:80", "1.2.3.4.5:80", "127.0.0.256:80", "127.0.0.0001:80" };
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		CHECK(!go_dial(numbers[i], GO_FOREVER));
		CHECK_EQ(errno, EINVAL);
	}
}

/* A dial that is too late fails, even where nothing has to be waited for. */
static void dial_too_late(void)
{
	const int64_t late[] = { GO_NOW, 1, go_now() };
	CHECK((listener = go_listen(HERE)));
	for (size_t i = 0; i < sizeof late / sizeof late[0]; i++) {
		CHECK(!go_dial(HERE, late[i]));
		CHECK_EQ(errno, ETIMEDOUT);
	}
	go_listener_close(listener);
}

static void refused(void)
{
	CHECK(!go_dial("127.0.0.1:9", GO_FOREVER));
	CHECK_EQ(errno, ECONNREFUSED);
	CHECK(!go_dial("localhost:9", GO_FOREVER));
	CHECK_EQ(errno, ECONNREFUSED);
}

/* Also once each port that a dial can have was the one that it goes to, where nobody listens. */
static void not_to_itself(void)
{
	for (int i = 0; i < 16384 + 10; i++) {
		CHECK(!go_dial("127.0.0.1:50000", GO_FOREVER));
		CHECK_EQ(errno, ECONNREFUSED);
	}
}

static void in_use(void)
{
	listener = go_listen(HERE);
	CHECK(listener);
	CHECK(!go_listen(HERE));
	CHECK_EQ(errno, EADDRINUSE);
	go_listener_close(listener);
	listener = go_listen(HERE); /* free again at once */
	CHECK(listener);
	go_listener_close(listener);
}

static void names(void)
{
	char peer[64];
	struct pair pair = connect_to(HERE);
	CHECK_EQ(go_conn_peer(pair.client, peer, sizeof peer), 0);
	CHECK_STR(peer, HERE);
	CHECK_EQ(go_conn_peer(pair.client, peer, strlen(HERE)), -1);
	CHECK_EQ(errno, ERANGE);
	close_pair(pair);
	pair = connect_to("[::1]:7");
	CHECK_EQ(go_conn_peer(pair.client, peer, sizeof peer), 0);
	CHECK_STR(peer, "[::1]:7");
	close_pair(pair);
}

#define BULK 1000000

static void write_bulk(void *conn)
{
	char *data = malloc(BULK);
	for (size_t i = 0; i < BULK; i++)
		data[i] = (char)(i % 251);
	CHECK_EQ(go_write(conn, data, BULK), BULK);
	CHECK_EQ(go_shutdown(conn), 0);
	CHECK_EQ(go_write(conn, data, 1), -1);
	CHECK_EQ(errno, EPIPE);
	free(data);
	count++;
}

static void read_bulk(go_conn *conn)
{
	char *data = malloc(BULK), end;
	read_all(conn, data, BULK);
	for (size_t i = 0; i < BULK; i++)
		CHECK_EQ(data[i], (char)(i % 251));
	CHECK_EQ(go_read(conn, &end, 1), 0);
	CHECK_EQ(go_read(conn, &end, 1), 0);
	free(data);
}

static void both_ways(void)
{
	struct pair pair = connect_to(HERE);
	count = 0;
	go(write_bulk, pair.client);
	go(write_bulk, pair.server);
	read_bulk(pair.server);
	read_bulk(pair.client);
	WAIT_FOR(count == 2);
	close_pair(pair);
}

static void echo(void *conn)
{
	char buf[100];
	ssize_t n;
	while ((n = go_read(conn, buf, sizeof buf)) > 0)
		CHECK_EQ(go_write(conn, buf, (size_t)n), n);
	CHECK_EQ(n, 0);
	go_conn_close(conn);
}

static void accept_all(void *unused)
{
	go_conn *conn;
	while ((conn = go_accept(listener)))
		go(echo, conn);
	CHECK_EQ(errno, EBADF);
	count++;
}

static void talk(void *number)
{
	char text[100], back[100];
	go_conn *conn = go_dial(HERE, go_now() + 10 * SECOND);
	CHECK(conn);
	for (int i = 0; i < 20; i++) {
		int n = snprintf(text, sizeof text, "%d of %d", i, (int)(intptr_t)number);
		CHECK_EQ(go_write(conn, text, (size_t)n), n);
		read_all(conn, back, (size_t)n);
		CHECK(memcmp(text, back, (size_t)n) == 0);
	}
	go_conn_close(conn);
	count++;
}

static void many_at_once(void)
{
	listener = go_listen(HERE);
	CHECK(listener);
	count = 0;
	for (int i = 0; i < 4; i++)
		go(accept_all, NULL);
	for (intptr_t i = 0; i < 100; i++)
		go(talk, (void *)i);
	WAIT_FOR(count == 100);
	go_listener_close(listener);
	WAIT_FOR(count == 104);
}

static void read_closed(void *unused)
{
	char c;
	CHECK_EQ(go_read(shared, &c, 1), -1);
	CHECK_EQ(errno, EBADF);
	count++;
}

static void write_closed(void *unused)
{
	CHECK_EQ(go_write(shared, much, sizeof much), -1);
	CHECK_EQ(errno, EBADF);
	count++;
}

static void close_wakes(void)
{
	struct pair pair = connect_to(HERE);
	shared = pair.client;
	count = 0;
	go(read_closed, NULL);
	go(read_closed, NULL); /* waits for its turn */
	go(write_closed, NULL);
	go_sleep(20 * MS);
	CHECK_EQ(count, 0);
	close_pair(pair);
	WAIT_FOR(count == 3);
}

static void unread_data_resets(void)
{
	struct pair pair = connect_to(HERE);
	char c;
	CHECK_EQ(go_write(pair.client, "unread", 6), 6);
	go_sleep(MS);
	go_conn_close(pair.server);
	CHECK_EQ(go_read(pair.client, &c, 1), -1);
	CHECK_EQ(errno, ECONNRESET);
	CHECK_EQ(go_write(pair.client, &c, 1), -1);
	CHECK_EQ(errno, ECONNRESET);
	go_conn_close(pair.client);
	go_listener_close(listener);
}

/* A reset that no call has seen yet. */
static void shutdown_after_a_reset(void)
{
	struct pair pair = connect_to(HERE);
	CHECK_EQ(go_write(pair.client, "x", 1), 1);
	go_sleep(20 * MS);
	CHECK_EQ(go_conn_close(pair.server), 0);
	go_sleep(20 * MS);
	CHECK_EQ(go_shutdown(pair.client), -1);
	CHECK_EQ(errno, ECONNRESET);
	go_conn_close(pair.client);
	go_listener_close(listener);
}

/* Who has read the end reads it again, whatever becomes of the connection. */
static void end_stays_an_end(void)
{
	struct pair pair = connect_to(HERE);
	char c;
	CHECK_EQ(go_conn_close(pair.client), 0);
	CHECK_EQ(go_read(pair.server, &c, 1), 0);
	while (go_write(pair.server, "x", 1) == 1)
		go_sleep(MS);
	CHECK_EQ(errno, ECONNRESET);
	CHECK_EQ(go_read(pair.server, &c, 1), 0);
	go_conn_close(pair.server);
	go_listener_close(listener);
}

static void close_sends_what_was_written(void)
{
	struct pair pair = connect_to(HERE);
	static char data[100000];
	CHECK_EQ(go_write(pair.client, data, sizeof data), sizeof data);
	go_conn_close(pair.client);
	read_all(pair.server, data, sizeof data);
	CHECK_EQ(go_read(pair.server, data, 1), 0);
	go_conn_close(pair.server);
	go_listener_close(listener);
}

static void deadline_now(void *conn)
{
	go_sleep(5 * MS);
	go_conn_deadline(conn, go_now() - 1, GO_FOREVER);
}

static void deadlines(void)
{
	struct pair pair = connect_to(HERE);
	int64_t start = go_now();
	char c;
	go_conn_deadline(pair.client, start + 20 * MS, start + 40 * MS);
	CHECK_EQ(go_read(pair.client, &c, 1), -1);
	CHECK_EQ(errno, ETIMEDOUT);
	CHECK_IN(go_now() - start, 20 * MS, 1000 * MS);
	CHECK_EQ(go_write(pair.client, much, sizeof much), -1);
	CHECK_EQ(errno, ETIMEDOUT);
	CHECK(go_now() - start >= 40 * MS);
	go_conn_deadline(pair.client, GO_FOREVER, GO_FOREVER);
	CHECK_EQ(go_write(pair.server, "x", 1), 1); /* it stays usable */
	CHECK_EQ(go_read(pair.client, &c, 1), 1);
	go(deadline_now, pair.client);
	CHECK_EQ(go_read(pair.client, &c, 1), -1);
	CHECK_EQ(errno, ETIMEDOUT);
	close_pair(pair);
}

static void accept_one(void *unused)
{
	CHECK(!go_accept(listener));
	CHECK_EQ(errno, EBADF);
	count++;
}

static void listener_close_wakes(void)
{
	count = 0;
	listener = go_listen(HERE);
	CHECK(listener);
	for (int i = 0; i < 3; i++)
		go(accept_one, NULL);
	go_sleep(5 * MS);
	go_listener_close(listener);
	WAIT_FOR(count == 3);
	CHECK(!go_dial(HERE, GO_FOREVER));
	CHECK_EQ(errno, ECONNREFUSED);
}

/* More connections than a listener holds: those wait, nothing is lost, and it goes on. */
static void never_accepted(void)
{
	char c;
	listener = go_listen(HERE);
	CHECK(listener);
	go_conn *conn = go_dial(HERE, GO_FOREVER);
	CHECK(conn);
	go_sleep(5 * MS); /* it is there */
	go_listener_close(listener);
	CHECK_EQ(go_read(conn, &c, 1), -1);
	CHECK_EQ(errno, ECONNRESET);
	go_conn_close(conn);
}

static void backlog(void)
{
	static go_conn *conns[5000];
	int n = 0;
	listener = go_listen(HERE);
	CHECK(listener);
	while (n < 5000 && (conns[n] = go_dial(HERE, go_now() + (n < 1024 ? 10 * SECOND : 200 * MS))))
		n++;
	CHECK_IN(n, 1024, 4999);
	CHECK_EQ(errno, ETIMEDOUT);
	for (int i = 0; i < n; i++) {
		go_conn *conn = go_accept(listener);
		CHECK(conn);
		CHECK_EQ(go_write(conn, "x", 1), 1);
		go_conn_close(conn);
	}
	for (int i = 0; i < n; i++) {
		char c;
		CHECK_EQ(go_read(conns[i], &c, 1), 1);
		go_conn_close(conns[i]);
	}
	CHECK((conns[0] = go_dial(HERE, go_now() + 10 * SECOND)));
	go_conn_close(conns[0]);
	go_listener_close(listener);
}

/* Other ways to name this machine. */
static void dials_by_other_names(void)
{
	static const char *const names[] = { "0.0.0.0:2999", "LocalHost:2999", "[::ffff:127.0.0.1]:2999" };
	go_listener *listener = go_listen("127.0.0.1:2999");
	CHECK(listener);
	for (int i = 0; i < 3; i++) {
		go_conn *conn = go_dial(names[i], go_now() + 10 * SECOND);
		CHECK(conn);
		go_conn *other = go_accept(listener);
		CHECK(other);
		go_conn_close(other);
		go_conn_close(conn);
	}
	go_listener_close(listener);
}

static void recv_closed(void *udp)
{
	char c;
	CHECK_EQ(go_udp_recv(udp, &c, 1, NULL, 0), -1);
	CHECK_EQ(errno, EBADF);
	count++;
}

static void datagrams(void)
{
	static char big[65507], back[65507];
	char from[64];
	go_udp *a = go_udp_open("127.0.0.1:1000"), *b = go_udp_open("127.0.0.1:1001");
	CHECK(a && b);
	CHECK_EQ(go_udp_send(a, "hello", 5, "127.0.0.1:1001"), 5);
	CHECK_EQ(go_udp_send(a, "", 0, "localhost:1001"), 0);
	CHECK_EQ(go_udp_recv(b, back, sizeof back, from, sizeof from), 5);
	CHECK(memcmp(back, "hello", 5) == 0);
	CHECK_STR(from, "127.0.0.1:1000");
	CHECK_EQ(go_udp_recv(b, back, sizeof back, NULL, 0), 0);
	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (char)(i % 253);
	CHECK_EQ(go_udp_send(b, big, 1400, "127.0.0.1:1000"), 1400);
	CHECK_EQ(go_udp_recv(a, back, 1000, NULL, 0), 1000); /* the rest is cut off */
	CHECK_EQ(go_udp_send(b, big, 1, "[::1]:1000"), -1); /* which leads elsewhere */
	CHECK_EQ(errno, EHOSTUNREACH);
	CHECK_EQ(go_udp_send(b, big, 65508, "127.0.0.1:1000"), -1);
	CHECK_EQ(errno, EMSGSIZE);
	CHECK_EQ(go_udp_send(b, big, 65507, "127.0.0.1:1000"), 65507);
	CHECK_EQ(go_udp_recv(a, back, sizeof back, NULL, 0), 65507);
	CHECK(memcmp(big, back, sizeof big) == 0);
	go_udp *six = go_udp_open("[::1]:1002");
	CHECK(six);
	CHECK_EQ(go_udp_send(six, big, 65488, "[::1]:1002"), -1);
	CHECK_EQ(errno, EMSGSIZE);
	CHECK_EQ(go_udp_send(six, big, 65487, "[::1]:1002"), 65487);
	CHECK_EQ(go_udp_recv(six, back, sizeof back, NULL, 0), 65487);
	go_udp_close(six);
	CHECK_EQ(go_udp_send(b, big, 1, "127.0.0.1"), -1);
	CHECK_EQ(errno, EINVAL);
	count = 0;
	go(recv_closed, a);
	go_sleep(5 * MS);
	go_udp_close(a);
	go_udp_close(b);
	WAIT_FOR(count == 1);
}

/* Whoever asks for any port gets one of his own, to which the answer comes. */
static void any_port(void)
{
	go_udp *server = go_udp_open("127.0.0.1:1003"), *clients[2];
	char from[2][64], c;
	CHECK(server);
	for (int i = 0; i < 2; i++) {
		clients[i] = go_udp_open("127.0.0.1:0");
		CHECK(clients[i]);
		CHECK_EQ(go_udp_send(clients[i], "?", 1, "127.0.0.1:1003"), 1);
		CHECK_EQ(go_udp_recv(server, &c, 1, from[i], sizeof from[i]), 1);
	}
	CHECK(strcmp(from[0], from[1]) != 0);
	for (int i = 0; i < 2; i++) {
		char name = (char)('a' + i);
		CHECK_EQ(go_udp_send(server, &name, 1, from[i]), 1);
		CHECK_EQ(go_udp_recv(clients[i], &c, 1, NULL, 0), 1);
		CHECK_EQ(c, name);
		go_udp_close(clients[i]);
	}
	go_udp_close(server);
}

TESTS(TEST(no_device), TEST(addresses), TEST(dial_too_late), TEST(refused), TEST(not_to_itself), TEST(in_use),
      TEST(names), TEST(both_ways), TEST(many_at_once), TEST(close_wakes), TEST(unread_data_resets),
      TEST(shutdown_after_a_reset), TEST(end_stays_an_end),
      TEST(close_sends_what_was_written), TEST(deadlines), TEST(listener_close_wakes), TEST(never_accepted), TEST(backlog),
      TEST(dials_by_other_names), TEST(datagrams), TEST(any_port));

int main(int argc, char **argv)
{
	return test_main(argc, argv, tests);
}
