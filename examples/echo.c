/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sends back what comes: the smallest server. A goroutine for each connection, as many as
 * there is memory for.
 *
 *     qemu/run --publish 8080:7 examples/echo.c      then: nc localhost 8080
 *     qemu/run examples/echo.c :80                   listens elsewhere
 */
#include <errno.h>
#include <gump.h>
#include <gump/net.h>
#include <stdio.h>
#include <string.h>

static void echo(void *conn)
{
	/* A goroutine that waits with so little on its stack is packed: 10,000 connections are cheap. */
	char buf[1024];
	ssize_t n;
	while ((n = go_read(conn, buf, sizeof buf)) > 0 && go_write(conn, buf, (size_t)n) == n)
		;
	go_conn_close(conn);
}

int main(int argc, char **argv)
{
	const char *addr = argc > 1 ? argv[1] : ":7";
	go_listener *listener = go_listen(addr);
	if (!listener) {
		fprintf(stderr, "echo: %s: %s\n", addr, strerror(errno));
		return 1;
	}
	printf("echo: listening on %s\n", addr);
	for (go_conn *conn; (conn = go_accept(listener));)
		if (go_try(echo, conn, NULL))
			go_conn_close(conn); /* no memory for one more */
	return 1;
}
