/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A server that is slow to accept, for tests/lib/arrivals.py: on port 7 nobody is let in before somebody has come
 * to port 8. Then all of them get back what they send.
 */
#include <gump/net.h>

#include "test.h"

static void echo(void *conn)
{
	char buf[100];
	ssize_t n;
	while ((n = go_read(conn, buf, sizeof(buf))) > 0)
		if (go_write(conn, buf, (size_t)n) != n)
			break;
	go_conn_close(conn);
}

int main(void)
{
	go_listener *crowd = go_listen(":7"), *doorman = go_listen(":8");
	CHECK(crowd && doorman);
	printf("listening\n");
	go(echo, go_accept(doorman));
	for (go_conn *conn; (conn = go_accept(crowd));)
		go(echo, conn);
	return 1;
}
