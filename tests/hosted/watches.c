/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's kernel watches no more sockets for this user: a connection that comes waits until it does.
 *
 * @test machines=hosted harts=1,4
 */
#include <errno.h>
#include <gump/net.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "test.h"

static _Atomic(int) granted = INT32_MAX, refused; /* sockets, until as many are refused */

/* In place of the C library's. */
int epoll_ctl(int epoll, int what, int fd, struct epoll_event *event)
{
	if (what == EPOLL_CTL_ADD && granted == 0 && refused > 0) {
		refused--;
		errno = ENOSPC;
		return -1;
	}
	if (what == EPOLL_CTL_ADD)
		granted--;
	return (int)syscall(SYS_epoll_ctl, epoll, what, fd, event);
}

static void echo(void *listener)
{
	go_conn *conn = go_accept(listener);
	char c;
	if (conn == NULL) {
		CHECK_EQ(errno, EBADF);
		return;
	}
	CHECK_EQ(go_read(conn, &c, 1), 1);
	CHECK_EQ(go_write(conn, &c, 1), 1);
	go_conn_close(conn);
}

/* Somebody who is watched himself dials while others are not. */
static go_conn *dial(go_listener *listener, int times)
{
	CHECK(listener != NULL);
	granted = 1;
	refused = times;
	go(echo, listener);
	go_conn *conn = go_dial("127.0.0.1:7", GO_FOREVER);
	CHECK(conn != NULL);
	return conn;
}

static void waits(void)
{
	go_listener *listener = go_listen("127.0.0.1:7");
	go_conn *conn = dial(listener, 3);
	char c;
	CHECK_EQ(go_write(conn, "x", 1), 1);
	CHECK_EQ(go_read(conn, &c, 1), 1);
	CHECK_EQ(refused, 0);
	go_conn_close(conn);
	go_listener_close(listener);
}

/* Whoever waits when the listener is closed hears of it. */
static void waits_in_vain(void)
{
	go_listener *listener = go_listen("127.0.0.1:7");
	go_conn *conn = dial(listener, 1000);
	char c;
	WAIT_FOR(refused < 1000);
	go_listener_close(listener);
	CHECK(go_read(conn, &c, 1) <= 0);
	WAIT_FOR(go_count() == 1);
	granted = INT32_MAX;
	go_conn_close(conn);
}

int main(int argc, char **argv)
{
	TESTS(TEST(waits), TEST(waits_in_vain));
	return test_main(argc, argv, tests);
}
