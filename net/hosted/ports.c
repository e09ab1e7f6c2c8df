/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which address of the host stands for one of the program's. A process shares the host's ports with all
 * others, a machine has its own; so the options of qemu/run mean here what comes closest:
 *
 *     GUMP_PUBLISH=127.0.0.1:8080:80,...   (--publish 8080:80) what the program opens at its own TCP port
 *                      80, it opens at the host's 127.0.0.1:8080; and what it dials at its own port 80,
 *                      likewise.
 *     GUMP_NET=none    (--net none) there is no network but the program's own loopback, and no port of it is
 *                      the host's: each is one that the kernel chooses, kept in a list of open sockets.
 *
 * Without either an address is the host's own.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel/layout.h"
#include "socket.h"

#define PUBLISHED_MAX 64

static struct published {
	uint16_t port;           /* the program's */
	union endpoint host;
} published[PUBLISHED_MAX];
static unsigned published_count;
static bool closed; /* both constant after the start */

static struct spinlock lock = SPINLOCK(LOCK_NET);
static struct socket *open_ports; /* with `closed`, by next_bound; under `lock`, and their host_port */

bool ports_closed(void)
{
	return closed;
}

static const union endpoint *published_as(const union endpoint *own, int type)
{
	if (type == SOCK_STREAM && (endpoint_is_any(own) || endpoint_is_loopback(own)))
		for (unsigned i = 0; i < published_count; i++)
			if (published[i].port == endpoint_port(own))
				return &published[i].host;
	return NULL;
}

int ports_own(union endpoint *own, int type)
{
	const union endpoint *host = published_as(own, type);

	if (closed && !endpoint_is_loopback(own))
		return ENETDOWN;
	if (closed)
		endpoint_set_port(own, 0);
	else if (host != NULL)
		*own = *host;
	return 0;
}

/* Of the program's open ports, or NULL. Under the lock. */
static struct socket *find(const union endpoint *end, int type)
{
	struct socket *s = open_ports;

	while (s != NULL && (s->type != type || !endpoint_equal(&s->end, end)))
		s = s->next_bound;
	return s;
}

/* Before it is bound, so that of two that want the same port one hears of it. */
static int claim(struct socket *s)
{
	int error = 0;

	if (!closed)
		return 0;
	spin_lock(&lock);
	if (endpoint_port(&s->end) != 0 && find(&s->end, s->type) != NULL)
		error = EADDRINUSE;
	else {
		s->host_port = 0;
		s->next_bound = open_ports;
		open_ports = s;
	}
	spin_unlock(&lock);
	return error;
}

/*
 * What was asked for any port gets one that no other of the program's has, the host's own number if that is
 * free: a peer answers to it. Under the lock.
 */
static void name_port(struct socket *s)
{
	union endpoint own = s->end;
	uint16_t port = s->host_port;

	for (endpoint_set_port(&own, port); find(&own, s->type) != NULL; endpoint_set_port(&own, port))
		port = port != UINT16_MAX ? port + 1 : 1;
	s->end = own;
}

int ports_bind(struct socket *s, const union endpoint *host)
{
	union endpoint bound;
	socklen_t size = sizeof(bound);
	int error = claim(s);

	if (error != 0)
		return error;
	if (bind(s->fd, &host->any, endpoint_size(host)) != 0)
		return net_errno(errno);
	if (closed && getsockname(s->fd, &bound.any, &size) == 0) {
		spin_lock(&lock);
		s->host_port = endpoint_port(&bound);
		if (endpoint_port(&s->end) == 0)
			name_port(s);
		spin_unlock(&lock);
	}
	return 0;
}

void ports_release(struct socket *s)
{
	if (!closed)
		return;
	spin_lock(&lock);
	struct socket **link = &open_ports;
	while (*link != NULL && *link != s)
		link = &(*link)->next_bound;
	if (*link == s)
		*link = s->next_bound;
	spin_unlock(&lock);
}

int ports_to(union endpoint *to, int type)
{
	const union endpoint *host = published_as(to, type);

	if (closed && !endpoint_is_loopback(to))
		return ENETDOWN;
	if (closed) {
		spin_lock(&lock);
		struct socket *s = find(to, type);
		uint16_t port = s != NULL ? s->host_port : 0;
		spin_unlock(&lock);
		if (port == 0)
			return ECONNREFUSED;
		endpoint_set_port(to, port);
	} else if (host != NULL) {
		*to = *host;
	}
	return 0;
}

void ports_from(union endpoint *from, int type)
{
	if (!closed)
		return;
	spin_lock(&lock);
	for (struct socket *s = open_ports; s != NULL; s = s->next_bound)
		if (s->type == type && s->host_port == endpoint_port(from) &&
		    s->end.any.sa_family == from->any.sa_family) {
			endpoint_set_port(from, endpoint_port(&s->end));
			break;
		}
	spin_unlock(&lock);
}

/* ADDRESS:HOST:GUEST,... as qemu/run writes it. */
static void parse_published(const char *text)
{
	char address[16];
	unsigned host, guest;
	int length;

	while (sscanf(text, "%15[0-9.]:%u:%u%n", address, &host, &guest, &length) == 3 &&
	       published_count < PUBLISHED_MAX) {
		struct published *p = &published[published_count++];
		p->port = (uint16_t)guest;
		p->host.v4.sin_family = AF_INET;
		if (inet_pton(AF_INET, address, &p->host.v4.sin_addr) != 1) /* 0.0.0.0 would be everybody's */
			hart_fatal("GUMP_PUBLISH: %s is no address", address);
		endpoint_set_port(&p->host, (uint16_t)host);
		text += length;
		text += *text == ',';
	}
}

static void start(void)
{
	const char *net = getenv("GUMP_NET"), *publish = getenv("GUMP_PUBLISH");

	closed = net != NULL && strcmp(net, "none") == 0;
	if (!closed && publish != NULL)
		parse_published(publish);
}
KERNEL_INIT(start);
