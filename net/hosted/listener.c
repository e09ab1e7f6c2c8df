/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Listeners. As on the machines, a connection for which there is no room waits, and beyond the backlog
 * the client tries again: go_accept fails for one reason only, that the listener was closed.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gump/net.h"
#include "socket.h"

#define BACKLOG 1024
#define NO_ROOM_NS 10000000 /* until one that has no descriptor, or no memory, tries again */

go_listener *go_listen(const char *addr)
{
	struct socket *s = socket_open(addr, SOCK_STREAM);

	if (s == NULL)
		return NULL;
	conn_options(s->fd);
	if (listen(s->fd, BACKLOG) == 0)
		return s->handle;
	int error = net_errno(errno);
	socket_close(s->handle);
	errno = error;
	return NULL;
}

/* The next connection; NULL with an errno. One for which there is no room waits as *fd, else that is -1. */
static struct socket *accept_one(struct socket *s, int *fd, union endpoint *peer)
{
	socklen_t size = sizeof(*peer);
	struct socket *conn;

	if (*fd < 0 && (*fd = accept4(s->fd, &peer->any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0)
		return NULL;
	endpoint_unmap(peer);
	if ((conn = socket_new(*fd, s->family, SOCK_STREAM, peer)) != NULL)
		*fd = -1;
	return conn;
}

go_conn *go_accept(go_listener *listener)
{
	struct socket *s = socket_enter(listener, NETPOLL_READ), *conn = NULL;
	union endpoint peer;
	int fd = -1;

	if (s == NULL)
		return NULL;
	while (socket_before(s, NETPOLL_READ) == 0 && (conn = accept_one(s, &fd, &peer)) == NULL) {
		int error = net_errno(errno);
		if (error == EAGAIN)
			socket_wait(s, NETPOLL_READ);
		else if (error == ENOMEM)
			go_sleep(NO_ROOM_NS);
		/* Otherwise the connection has ended before it was accepted. */
	}
	socket_leave(s, NETPOLL_READ);
	if (fd >= 0)
		close(fd);
	if (conn == NULL) {
		errno = EBADF;
		return NULL;
	}
	count_accepted();
	return conn->handle;
}

void go_listener_close(go_listener *listener)
{
	socket_close(listener);
}
