/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A server that has used up the machine's memory, for tests/lib/shortage.py. Port 13: at a byte `e` it takes all but
 * what the network keeps for others, and answers; at `f` it gives that back. Port 7 is an echo, for which nobody
 * accepts before the first `e`.
 */
#include <gump/net.h>

#include "test.h"

#define PIECE 1000

static go_listener *echoes;

static void *take(void)
{
	struct go_memory memory;
	void **last = NULL, **more;
	for (go_memory(&memory); memory.free > memory.total / 8 - (256 << 10); go_memory(&memory)) {
		CHECK(more = malloc(PIECE));
		*more = last;
		last = more;
	}
	return last;
}

static void give(void **last)
{
	while (last) {
		void **next = *last;
		free(last);
		last = next;
	}
}

static void echo(void *conn)
{
	char buf[100];
	ssize_t n;
	while ((n = go_read(conn, buf, sizeof(buf))) > 0 && go_write(conn, buf, (size_t)n) == n)
		;
	go_conn_close(conn);
}

static void accept_all(void *unused)
{
	for (go_conn *conn; (conn = go_accept(echoes));)
		go(echo, conn);
}

int main(void)
{
	go_listener *orders = go_listen(":13");
	CHECK((echoes = go_listen(":7")) && orders);
	printf("listening\n");
	go_conn *conn = go_accept(orders);
	void *taken = NULL;
	bool accepts = false;
	for (char order; go_read(conn, &order, 1) == 1; CHECK_EQ(go_write(conn, &order, 1), 1)) {
		if (order == 'e')
			taken = take();
		else
			give(taken);
		if (!accepts)
			go(accept_all, NULL);
		accepts = true;
	}
	return 1;
}
