/* SPDX-License-Identifier: BSD-2-Clause */
/* What listeners and UDP ports have in common: a socket at an address of the program's own. */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "socket.h"

static void set(int fd, int level, int option, int value)
{
	setsockopt(fd, level, option, &value, sizeof(value));
}

/* IPv6's any address is both, unless the host has no IPv6. */
static int descriptor(union endpoint *host, int type)
{
	int fd = socket_fd(host->any.sa_family, type);

	if (fd < 0 && errno == EAFNOSUPPORT && host->any.sa_family == AF_INET6 && endpoint_is_any(host)) {
		struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = host->v6.sin6_port };
		host->v4 = any;
		fd = socket_fd(AF_INET, type);
	}
	if (fd < 0)
		return -1;
	if (host->any.sa_family == AF_INET6)
		set(fd, IPPROTO_IPV6, IPV6_V6ONLY, !endpoint_is_any(host));
	set(fd, IPPROTO_IP, IP_FREEBIND, 1); /* an address that the host may get later */
	if (type == SOCK_STREAM)
		set(fd, SOL_SOCKET, SO_REUSEADDR, 1); /* a port that is only in TIME_WAIT is free */
	return fd;
}

static int open_at(struct address *own, int type, struct socket **result)
{
	union endpoint host = own->to;
	int error = ports_own(&host, type);

	if (error != 0)
		return error;
	int fd = descriptor(&host, type);
	if (fd < 0)
		return net_errno(errno);
	struct socket *s = socket_new(fd, host.any.sa_family, type, &own->to);
	if (s == NULL) {
		close(fd);
		return ENOMEM;
	}
	if ((error = ports_bind(s, &host)) != 0)
		socket_close(s->handle);
	*result = s;
	return error;
}

struct socket *socket_open(const char *addr, int type)
{
	struct address own;
	struct socket *s = NULL;
	int error = address_parse(addr, &own) && own.literal ? open_at(&own, type, &s) : EINVAL;

	if (error == 0)
		return s;
	errno = error;
	return NULL;
}
