/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A socket that is closed while goroutines wait for it: the host and the peer hear of it at once, not when
 * those have run. Here they cannot, until the peer, a socket that gump knows nothing of, has been asked.
 *
 * @test machines=hosted harts=1,4
 */
#include <arpa/inet.h>
#include <errno.h>
#include <gump/net.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel/hart.h"
#include "test.h"

static go_listener *listener;
static go_conn *conn;

static void wait_for_bytes(void *unused)
{
	char c;
	CHECK_EQ(go_read(conn, &c, 1), -1);
	CHECK_EQ(errno, EBADF);
}

static void wait_for_clients(void *unused)
{
	CHECK(go_accept(listener) == NULL);
	CHECK_EQ(errno, EBADF);
}

/* The address of the only socket of this process that listens. */
static struct sockaddr_in address_of_listener(void)
{
	struct sockaddr_in address = { 0 };
	for (int fd = 3; fd < 100; fd++) {
		int listens = 0;
		socklen_t size = sizeof(listens);
		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || !listens)
			continue;
		size = sizeof(address);
		CHECK_EQ(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	}
	CHECK_EQ(address.sin_family, AF_INET);
	return address;
}

/* 0, or an errno; a signal of the scheduler's may come meanwhile. */
static int dial(int fd, struct sockaddr_in to)
{
	while (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		if (errno != EINTR)
			return errno;
	return 0;
}

static bool hears_the_end(int fd)
{
	struct pollfd wanted = { .fd = fd, .events = POLLIN };
	char c;
	for (int64_t end = go_now() + 2 * SECOND; go_now() < end;)
		if (poll(&wanted, 1, 100) > 0)
			return recv(fd, &c, 1, 0) == 0;
	return false;
}

static void peer_hears_of_it(void)
{
	listener = go_listen("127.0.0.1:7");
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	CHECK_EQ(dial(fd, address_of_listener()), 0);
	CHECK((conn = go_accept(listener)) != NULL);
	int before = go_count();
	go(wait_for_bytes, NULL);
	go_sleep(20 * MS);
	go_maxprocs(1);
	hart_lock(); /* nobody runs but this */
	go_conn_close(conn);
	bool heard = hears_the_end(fd);
	hart_unlock();
	CHECK(heard);
	WAIT_FOR(go_count() == before);
	close(fd);
	go_listener_close(listener);
	go_maxprocs(go_harts());
}

static void port_is_free(void)
{
	listener = go_listen("127.0.0.1:7");
	struct sockaddr_in address = address_of_listener();
	int fd = socket(AF_INET, SOCK_STREAM, 0), before = go_count();
	go(wait_for_clients, NULL);
	go_sleep(20 * MS);
	go_maxprocs(1);
	hart_lock();
	go_listener_close(listener);
	int error = dial(fd, address);
	hart_unlock();
	CHECK_EQ(error, ECONNREFUSED);
	WAIT_FOR(go_count() == before);
	close(fd);
	go_maxprocs(go_harts());
}

int main(int argc, char **argv)
{
	TESTS(TEST(peer_hears_of_it), TEST(port_is_free));
	return test_main(argc, argv, tests);
}
