/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Small TCP services that tests/test_net.py drives from outside:
 *
 *     7    sends back what comes
 *     9    counts the bytes up to the peer's end, then answers the number
 *    11    tells the number of goroutines
 *    19    reads a number and a newline, and sends so many bytes of a pattern
 *
 * With the argument "hogs" all harts are kept busy by endless loops, with "yielders" by goroutines
 * that only yield to one another. With "peer" (tests/lib/hostile.py) there are six more:
 *
 *     7    by UDP, sends back datagrams; "wait" and those behind it a second later; for "flood" 3,000 of 1,400 bytes,
 *          for "large" 50 of 60,000
 *    13    tells what go_net_stats() does, the number of goroutines, of datagrams that came by UDP, and of those
 *          that could not be sent
 *    14    tells on the console how reading has ended
 *    15    sends 1,000,000 bytes of that pattern, more than fit into its memory, and reads nothing
 *    16    closes its own side, and reads
 *    17    reads a byte, says nothing for as long as lwIP takes for a minute, and closes. After "f" it first
 *          reads to the peer's end, and after that minute sends 100,000 bytes of that pattern; after "s" it
 *          closes its own side before
 */
#include <errno.h>
#include <gump/net.h>

#include "test.h"

static void echo(go_conn *conn)
{
	char buf[3000];
	ssize_t n;
	while ((n = go_read(conn, buf, sizeof(buf))) > 0)
		if (go_write(conn, buf, (size_t)n) != n)
			return;
}

static void count_bytes(go_conn *conn)
{
	char buf[5000];
	long long total = 0;
	ssize_t n;
	while ((n = go_read(conn, buf, sizeof(buf))) > 0)
		total += n;
	if (n == 0) {
		int length = snprintf(buf, sizeof(buf), "%lld\n", total);
		go_write(conn, buf, (size_t)length);
	}
}

static void tell_goroutines(go_conn *conn)
{
	char buf[20];
	int length = snprintf(buf, sizeof(buf), "%d\n", go_count());
	go_write(conn, buf, (size_t)length);
}

static unsigned datagrams, unsent;

static void tell_figures(go_conn *conn)
{
	char buf[250];
	struct go_net_stats net;
	go_net_stats(&net);
	int length = snprintf(buf, sizeof(buf), "connections=%zu turned_away=%llu memory=%zu memory_max=%zu goroutines=%d "
			      "datagrams=%u unsent=%u\n", net.connections, (unsigned long long)net.turned_away, net.memory,
			      net.memory_max, go_count(), datagrams, unsent);
	go_write(conn, buf, (size_t)length);
}

static void echo_datagrams(void *udp)
{
	static char buf[65536], from[60];
	ssize_t n;
	while ((n = go_udp_recv(udp, buf, sizeof(buf), from, sizeof(from))) >= 0) {
		bool flood = n == 5 && memcmp(buf, "flood", 5) == 0, large = n == 5 && memcmp(buf, "large", 5) == 0;
		size_t size = flood ? 1400 : large ? 60000 : (size_t)n;
		datagrams++;
		if (n == 4 && memcmp(buf, "wait", 4) == 0)
			go_sleep(SECOND);
		for (int i = 0; i < (flood ? 3000 : large ? 50 : 1); i++)
			unsent += go_udp_send(udp, buf, size, from) < 0;
	}
}

static void send_so_much(go_conn *conn, long long left)
{
	char buf[4001];
	long long at = 0;
	while (left > 0) {
		size_t piece = left < 4001 ? (size_t)left : 4001;
		for (size_t i = 0; i < piece; i++, at++)
			buf[i] = (char)(at % 251);
		if (go_write(conn, buf, piece) != (ssize_t)piece)
			return;
		left -= (long long)piece;
	}
}

static void send_pattern(go_conn *conn)
{
	char buf[21];
	size_t have = 0;
	ssize_t n;
	while (have < 20 && !memchr(buf, '\n', have)) {
		if ((n = go_read(conn, buf + have, 20 - have)) <= 0)
			return;
		have += (size_t)n;
	}
	buf[have] = 0;
	send_so_much(conn, atoll(buf));
}

static void tell_end(go_conn *conn)
{
	char buf[100];
	ssize_t n;
	while ((n = go_read(conn, buf, sizeof(buf))) > 0)
		;
	printf("ended: %s\n", n == 0 ? "by the peer" : strerror(errno));
}

static void send_unasked(go_conn *conn)
{
	send_so_much(conn, 1000000);
}

static void half_close(go_conn *conn)
{
	go_shutdown(conn);
	count_bytes(conn);
}

/* lwIP's time, in half seconds. Hosted there is no lwIP. */
extern uint32_t tcp_ticks __attribute__((weak));

static void close_after_silence(go_conn *conn)
{
	char how, c;
	if (go_read(conn, &how, 1) != 1)
		return;
	if (how == 's')
		go_shutdown(conn);
	while (how == 'f' && go_read(conn, &c, 1) > 0)
		;
	go_sleep(300 * MS);
	CHECK(&tcp_ticks);
	tcp_ticks += 118;
	if (how == 'f')
		send_so_much(conn, 100000);
}

struct service {
	const char *addr;
	void (*serve)(go_conn *);
	go_listener *listener;
};

struct client {
	go_conn *conn;
	void (*serve)(go_conn *);
};

static void serve(void *arg)
{
	struct client *client = arg;
	char peer[60], small[3];
	CHECK_EQ(go_conn_peer(client->conn, peer, sizeof(peer)), 0);
	CHECK(strchr(peer, ':') && (peer[0] == '[' || (peer[0] >= '1' && peer[0] <= '9')));
	CHECK_EQ(go_conn_peer(client->conn, small, sizeof(small)), -1);
	CHECK_EQ(errno, ERANGE);
	client->serve(client->conn);
	go_conn_close(client->conn);
	free(client);
}

static void accept_all(void *arg)
{
	struct service *service = arg;
	go_conn *conn;
	while ((conn = go_accept(service->listener))) {
		struct client *client = malloc(sizeof(*client));
		CHECK(client);
		*client = (struct client){ conn, service->serve };
		go(serve, client);
	}
	test_failed(__FILE__, __LINE__, "go_accept: %s", strerror(errno));
}

static void hog(void *unused)
{
	for (;;)
		;
}

static void yielder(void *unused)
{
	for (;;)
		go_yield();
}

int main(int argc, char **argv)
{
	static struct service services[] = { { ":7", echo, NULL },
					     { ":9", count_bytes, NULL },
					     { ":11", tell_goroutines, NULL },
					     { ":19", send_pattern, NULL },
					     { ":13", tell_figures, NULL },
					     { ":14", tell_end, NULL },
					     { ":15", send_unasked, NULL },
					     { ":16", half_close, NULL },
					     { ":17", close_after_silence, NULL } };
	const char *how = argc > 1 ? argv[1] : "";
	bool with_peer = strcmp(how, "peer") == 0;
	for (size_t i = 0; i < (with_peer ? 9 : 4); i++) {
		services[i].listener = go_listen(services[i].addr);
		CHECK(services[i].listener);
		go(accept_all, &services[i]);
	}
	if (with_peer) {
		go_udp *udp = go_udp_open(":7");
		CHECK(udp);
		go(echo_datagrams, udp);
	}
	static const char *const in_use[] = { ":7", "0.0.0.0:7", "127.0.0.1:7", "[::]:7", "[::1]:7" };
	for (size_t i = 0; i < sizeof(in_use) / sizeof(in_use[0]); i++) {
		CHECK(!go_listen(in_use[i]));
		CHECK_EQ(errno, EADDRINUSE);
	}
	CHECK(!go_listen("nonsense"));
	CHECK_EQ(errno, EINVAL);
	CHECK(!go_listen(":70000"));
	CHECK_EQ(errno, EINVAL);
	for (int i = 0; *how && !with_peer && i < go_harts() + 1; i++)
		go(strcmp(how, "hogs") == 0 ? hog : yielder, NULL);
	printf("listening\n");
	go_recv(NULL, NULL);
	return 0;
}
