/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections: reading, writing, closing. Every attempt is a call of the host's kernel that does not wait;
 * one that finds nothing parks the goroutine until the poller has heard of the socket.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "gump/net.h"
#include "net/keepalive.h"
#include "socket.h"

static void set(int fd, int level, int option, unsigned value)
{
	setsockopt(fd, level, option, &value, sizeof(value));
}

void conn_options(int fd)
{
	set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set(fd, IPPROTO_TCP, TCP_KEEPIDLE, keepalive.idle);
	set(fd, IPPROTO_TCP, TCP_KEEPINTVL, keepalive.interval);
	set(fd, IPPROTO_TCP, TCP_KEEPCNT, keepalive.count);
}

/* The kernel's ETIMEDOUT is a peer that is gone; ours a deadline, after which a connection can be used. */
static int failed(struct socket *s, int error)
{
	return socket_failed(s, error == ETIMEDOUT ? ECONNABORTED : error);
}

ssize_t go_read(go_conn *conn, void *buf, size_t size)
{
	ssize_t n = 0;
	int error;
	struct socket *s = socket_enter(conn, NETPOLL_READ);

	if (s == NULL)
		return -1;
	while ((error = socket_before(s, NETPOLL_READ)) == 0 && size != 0 && !s->peer_finished) {
		n = recv(s->fd, buf, size, 0);
		if (n > 0)
			break;
		if (n == 0) {
			error = socket_error(s); /* the kernel tells of a reset once only */
			s->peer_finished = error == 0;
			break;
		}
		if (errno != EAGAIN) {
			error = failed(s, errno);
			break;
		}
		socket_wait(s, NETPOLL_READ);
	}
	socket_leave(s, NETPOLL_READ);
	return error != 0 ? net_fail(error) : n;
}

ssize_t go_write(go_conn *conn, const void *buf, size_t size)
{
	struct socket *s = socket_enter(conn, NETPOLL_WRITE);
	size_t done = 0;
	int error;

	if (s == NULL)
		return -1;
	while ((error = socket_before(s, NETPOLL_WRITE)) == 0 && done < size) {
		ssize_t n = send(s->fd, (const char *)buf + done, size - done, MSG_NOSIGNAL);
		if (n >= 0) {
			done += (size_t)n;
			if (done == size)
				break;
		} else if (errno == EAGAIN) {
			socket_wait(s, NETPOLL_WRITE);
		} else {
			error = failed(s, errno);
			break;
		}
	}
	socket_leave(s, NETPOLL_WRITE);
	return error != 0 ? net_fail(error) : (ssize_t)done;
}

int go_shutdown(go_conn *conn)
{
	struct socket *s = handle_enter(conn);
	struct glist ready = { 0 };

	if (s == NULL)
		return -1;
	spin_lock(&s->source.lock);
	int error = s->closed ? EBADF : s->error;
	if (error == 0 && !s->write_finished && shutdown(s->fd, SHUT_WR) != 0)
		error = errno == ENOTCONN ? ECONNRESET : net_errno(errno); /* no call has seen it yet */
	if (error == 0)
		s->write_finished = true;
	source_wake(&s->source, NETPOLL_WRITE, &ready);
	spin_unlock(&s->source.lock);
	netpoll_inject(&ready);
	socket_release(s);
	return error != 0 ? net_fail(error) : 0;
}

int go_conn_close(go_conn *conn)
{
	int answer = socket_close(conn);

	if (answer == 0)
		count_closed();
	return answer;
}

void go_conn_deadline(go_conn *conn, int64_t read, int64_t write)
{
	struct socket *s = handle_enter(conn);

	if (s == NULL)
		return;
	socket_set_deadline(s, read, write);
	socket_release(s);
}

int go_conn_peer(const go_conn *conn, char *buf, size_t size)
{
	struct socket *s = handle_enter(conn);

	if (s == NULL)
		return -1;
	bool fits = endpoint_format(&s->end, buf, size);
	socket_release(s);
	return fits ? 0 : net_fail(ERANGE);
}
