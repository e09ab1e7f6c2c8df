/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Passes TCP connections on to another address, both ways, and each side's end as well. What it
 * cannot pass on is a reset, as no call makes one: the other side reads an end, as if nothing were missing.
 *
 *     qemu/run examples/proxy.c :80 example.org:80     then: curl -H 'Host: example.org' localhost:8080
 *     qemu/run examples/proxy.c :80 10.0.2.2:8000      10.0.2.2 is this host, seen from QEMU's user network
 *     qemu/run -e IDLE=5 examples/proxy.c ...          ends connections that are silent for 5 s, not 300
 */
#include <errno.h>
#include <gump.h>
#include <gump/net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND ((int64_t)1000000000)
#define DIAL (10 * SECOND) /* the target has so long to answer */

static const char *target;
static int64_t idle = 300 * SECOND;

struct pair {
	go_conn *client, *target;
	go_waitgroup pumps;
	go_mutex lock;
	bool over; /* under lock */
};

/* Traffic in one direction is a sign of life of both. GO_NOW ends both, and that is not taken back. */
static void set_deadlines(struct pair *pair, int64_t deadline)
{
	go_mutex_lock(&pair->lock);
	if (!pair->over) {
		go_conn_deadline(pair->client, deadline, deadline);
		go_conn_deadline(pair->target, deadline, deadline);
	}
	pair->over |= deadline == GO_NOW;
	go_mutex_unlock(&pair->lock);
}

/*
 * Until one side has finished, which the other is told, or until something is wrong,
 * which ends both directions.
 */
static void pump(struct pair *pair, go_conn *from, go_conn *to)
{
	char buf[1024]; /* as in echo.c */
	ssize_t n;
	while ((n = go_read(from, buf, sizeof buf)) > 0) {
		set_deadlines(pair, go_now() + idle);
		if (go_write(to, buf, (size_t)n) != n)
			break;
	}
	if (n != 0 || go_shutdown(to))
		set_deadlines(pair, GO_NOW);
}

static void pump_back(void *arg)
{
	struct pair *pair = arg;
	pump(pair, pair->target, pair->client);
	go_waitgroup_done(&pair->pumps);
}

static void pump_both(go_conn *client, go_conn *other)
{
	struct pair pair = { .client = client, .target = other };
	set_deadlines(&pair, go_now() + idle);
	go_waitgroup_add(&pair.pumps, 1);
	if (go_try(pump_back, &pair, NULL))
		return; /* no memory */
	pump(&pair, client, other);
	go_waitgroup_wait(&pair.pumps);
}

static void serve(void *client)
{
	go_conn *other = go_dial(target, go_now() + DIAL);
	if (other) {
		pump_both(client, other);
		go_conn_close(other);
	} else {
		printf("proxy: %s: %s\n", target, strerror(errno));
	}
	go_conn_close(client); /* without a target this is all that the client sees: an end */
}

int main(int argc, char **argv)
{
	const char *seconds = getenv("IDLE");
	char *end = "";
	long limit = seconds ? strtol(seconds, &end, 10) : idle / SECOND;
	if (argc != 3 || limit <= 0 || limit > 1000000000 || *end) {
		fprintf(stderr,
			"usage: proxy LISTEN TARGET, such as: proxy :80 10.0.2.2:8000; IDLE=SECONDS\n");
		return 1;
	}
	idle = limit * SECOND;
	target = argv[2];
	go_listener *listener = go_listen(argv[1]);
	if (!listener) {
		fprintf(stderr, "proxy: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	printf("proxy: %s to %s\n", argv[1], target);
	for (go_conn *conn; (conn = go_accept(listener));)
		if (go_try(serve, conn, NULL))
			go_conn_close(conn);
	return 1;
}
