/* SPDX-License-Identifier: BSD-2-Clause */
/* Connections that this side opens. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gump/net.h"
#include "socket.h"

/*
 * A port that nobody listens on may be the one that the kernel chose for this side: then it talks to itself.
 */
static bool to_itself(int fd)
{
	union endpoint here, there;
	socklen_t here_size = sizeof(here), there_size = sizeof(there);

	return getsockname(fd, &here.any, &here_size) == 0 && getpeername(fd, &there.any, &there_size) == 0 &&
	       endpoint_equal(&here, &there);
}

/* connect() again and again tells how far it is. */
static int connect_to(struct socket *s, const union endpoint *host)
{
	int error;

	socket_enter(s->handle, NETPOLL_WRITE);
	while ((error = socket_before(s, NETPOLL_WRITE)) == 0) {
		if (connect(s->fd, &host->any, endpoint_size(host)) == 0 || errno == EISCONN) {
			error = to_itself(s->fd) ? ECONNREFUSED : 0;
			break;
		}
		if (errno != EINPROGRESS && errno != EALREADY) {
			error = socket_failed(s, net_errno_of_way(errno));
			break;
		}
		socket_wait(s, NETPOLL_WRITE);
	}
	socket_leave(s, NETPOLL_WRITE);
	return error;
}

static struct socket *dial(const char *addr, int64_t deadline, int *error)
{
	struct address address;
	union endpoint host;

	*error = EINVAL;
	if (!address_parse(addr, &address) || endpoint_port(&address.to) == 0 || address.host[0] == '\0')
		return NULL;
	if ((*error = net_resolve(&address, deadline)) != 0)
		return NULL;
	host = address.to;
	if ((*error = ports_to(&host, SOCK_STREAM)) != 0) {
		if (*error == ECONNREFUSED && deadline <= hart_now())
			*error = ETIMEDOUT;
		return NULL;
	}
	int fd = socket_fd(host.any.sa_family, SOCK_STREAM);
	*error = fd < 0 ? net_errno(errno) : ENOMEM;
	struct socket *s = fd < 0 ? NULL : socket_new(fd, host.any.sa_family, SOCK_STREAM, &address.to);
	if (s == NULL) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	conn_options(fd);
	s->deadline[NETPOLL_WRITE] = deadline;
	*error = connect_to(s, &host);
	s->deadline[NETPOLL_WRITE] = GO_FOREVER;
	return s;
}

go_conn *go_dial(const char *addr, int64_t deadline)
{
	int error;
	struct socket *s = dial(addr, deadline, &error);

	if (error == 0) {
		count_dialled();
		return s->handle;
	}
	if (s != NULL)
		socket_close(s->handle);
	errno = error;
	return NULL;
}
