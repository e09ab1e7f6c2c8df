/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Dials what it is told, for tests/lib/dials.py: a client of port 9 sends "ADDRESS MILLISECONDS TIMES" and a
 * newline. So many goroutines dial it at once, each with a deadline so far away (0: none), and what they say
 * is sent back, a line each: "ok PEER MILLISECONDS" after an echo of the peer, or "ERROR MILLISECONDS". With 0
 * TIMES a datagram is sent there: "sent MILLISECONDS". Port 7 is an echo itself, and "listen ADDRESS" brings one
 * more, once.
 */
#include <errno.h>
#include <gump/net.h>

#include "service.h"

#define LINE 600

struct job {
	char address[LINE];
	int milliseconds;
	go_conn *client;
	go_mutex lock;         /* whole lines */
	go_waitgroup left;
};

static bool echoes(go_conn *conn)
{
	char buf[8] = "";
	size_t have = 0;
	ssize_t n;
	if (go_write(conn, "hello\n", 6) != 6)
		return false;
	while (have < 6 && (n = go_read(conn, buf + have, 6 - have)) > 0)
		have += (size_t)n;
	return have == 6 && memcmp(buf, "hello\n", 6) == 0;
}

static void dial(void *arg)
{
	struct job *job = arg;
	char line[200], peer[80] = "";
	int64_t start = go_now();
	go_conn *conn = go_dial(job->address, job->milliseconds ? start + job->milliseconds * MS : GO_FOREVER);
	int error = errno, took = (int)((go_now() - start) / MS);
	if (conn) {
		CHECK_EQ(go_conn_peer(conn, peer, sizeof(peer)), 0);
		snprintf(line, sizeof(line), "%s %s %d\n", echoes(conn) ? "ok" : "dumb", peer, took);
		go_conn_close(conn);
	} else {
		snprintf(line, sizeof(line), "%s %d\n", strerror(error), took);
	}
	go_mutex_lock(&job->lock);
	go_write(job->client, line, strlen(line));
	go_mutex_unlock(&job->lock);
	go_waitgroup_done(&job->left);
}

static void send_datagram(const struct job *job)
{
	char line[200];
	int64_t start = go_now();
	go_udp *udp = go_udp_open(":0");
	CHECK(udp);
	bool sent = go_udp_send(udp, "hello", 5, job->address) == 5;
	snprintf(line, sizeof(line), "%s %d\n", sent ? "sent" : strerror(errno), (int)((go_now() - start) / MS));
	go_udp_close(udp);
	go_write(job->client, line, strlen(line));
}

static void echo(void *conn)
{
	char buf[1000];
	ssize_t n;
	while ((n = go_read(conn, buf, sizeof(buf))) > 0 && go_write(conn, buf, (size_t)n) == n)
		;
	go_conn_close(conn);
}

static void echo_datagrams(void *udp)
{
	char buf[100], from[80];
	ssize_t n;
	while ((n = go_udp_recv(udp, buf, sizeof(buf), from, sizeof(from))) >= 0)
		go_udp_send(udp, buf, (size_t)n, from);
}

/* An echo of both kinds at that address, as long as the machine runs. */
static void listen_at(const char *address)
{
	static struct service service = { .serve = echo };
	go_udp *udp = go_udp_open(address);
	service.listener = go_listen(address);
	CHECK(service.listener && udp);
	go(accept_all, &service);
	go(echo_datagrams, udp);
}

static void obey(void *client)
{
	struct job job = { .client = client };
	char line[LINE + 30] = "";
	size_t have = 0;
	ssize_t n;
	int times;
	while (have < sizeof(line) - 1 && !strchr(line, '\n') &&
	       (n = go_read(client, line + have, sizeof(line) - 1 - have)) > 0)
		have += (size_t)n;
	if (sscanf(line, "listen %599s", job.address) == 1)
		listen_at(job.address);
	else if (sscanf(line, "%599s %d %d", job.address, &job.milliseconds, &times) == 3) {
		go_waitgroup_add(&job.left, times);
		for (int i = 0; i < times; i++)
			go(dial, &job);
		go_waitgroup_wait(&job.left);
		if (times == 0)
			send_datagram(&job);
	}
	go_conn_close(client);
}

int main(void)
{
	struct service services[] = { { go_listen(":7"), echo }, { go_listen(":9"), obey } };
	CHECK(services[0].listener && services[1].listener);
	go(accept_all, &services[0]);
	printf("listening\n");
	accept_all(&services[1]);
	return 1;
}
