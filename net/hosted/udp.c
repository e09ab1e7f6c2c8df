/* SPDX-License-Identifier: BSD-2-Clause */
/* UDP. The kernel keeps the datagrams that came and were not read. */
#include <errno.h>
#include <sys/socket.h>

#include "gump/net.h"
#include "socket.h"

#define SEND_WAIT ((int64_t)10 * 1000000000) /* for a name, at most */
#define MOST_V6 65487 /* as on the machines: net/udp.c */

go_udp *go_udp_open(const char *addr)
{
	struct socket *s = socket_open(addr, SOCK_DGRAM);
	int yes = 1;

	if (s != NULL)
		setsockopt(s->fd, SOL_SOCKET, SO_BROADCAST, &yes, sizeof(yes));
	return s != NULL ? s->handle : NULL;
}

ssize_t go_udp_recv(go_udp *udp, void *buf, size_t size, char *from, size_t from_size)
{
	struct socket *s = socket_enter(udp, NETPOLL_READ);
	union endpoint peer;
	ssize_t n = -1;
	int error;

	if (s == NULL)
		return -1;
	while ((error = socket_before(s, NETPOLL_READ)) == 0) {
		socklen_t peer_size = sizeof(peer);
		if ((n = recvfrom(s->fd, buf, size, 0, &peer.any, &peer_size)) >= 0)
			break;
		if (errno == EAGAIN)
			socket_wait(s, NETPOLL_READ);
		/* Otherwise it tells of a datagram that was sent before and did not arrive. */
	}
	socket_leave(s, NETPOLL_READ);
	if (error != 0)
		return net_fail(error);
	endpoint_unmap(&peer);
	ports_from(&peer, SOCK_DGRAM);
	if (from != NULL && !endpoint_format(&peer, from, from_size))
		return net_fail(ERANGE);
	return n;
}

static int send_one(struct socket *s, const void *buf, size_t size, const union endpoint *to)
{
	int error;

	go_mutex_lock(&s->turn[NETPOLL_WRITE]);
	while ((error = socket_before(s, NETPOLL_WRITE)) == 0) {
		if (sendto(s->fd, buf, size, MSG_NOSIGNAL, &to->any, endpoint_size(to)) >= 0)
			break;
		if (errno != EAGAIN) {
			error = net_errno_of_way(errno);
			break;
		}
		socket_wait(s, NETPOLL_WRITE);
	}
	if (error != 0 && socket_before(s, NETPOLL_WRITE) == EBADF)
		error = EBADF;
	go_mutex_unlock(&s->turn[NETPOLL_WRITE]);
	return error;
}

static int send_to(struct socket *s, const void *buf, size_t size, struct address *address)
{
	int error = net_resolve(address, hart_now() + SEND_WAIT);

	if (error == ETIMEDOUT)
		error = EHOSTUNREACH;
	if (error == 0 && address->to.any.sa_family == AF_INET6 && size > MOST_V6)
		error = EMSGSIZE;
	union endpoint to_fit = address->to;
	if (error == 0 && !endpoint_fit(&to_fit, s->family))
		error = EHOSTUNREACH;
	if (error == 0)
		error = ports_to(&address->to, SOCK_DGRAM);
	if (error == ECONNREFUSED) /* nobody is there: no UDP sender hears of that */
		return 0;
	if (error == 0 && !endpoint_fit(&address->to, s->family))
		error = EHOSTUNREACH;
	return error != 0 ? error : send_one(s, buf, size, &address->to);
}

ssize_t go_udp_send(go_udp *udp, const void *buf, size_t size, const char *to)
{
	struct address address;

	if (!address_parse(to, &address) || endpoint_port(&address.to) == 0 || address.host[0] == '\0')
		return net_fail(EINVAL);
	if (size > 65507)
		return net_fail(EMSGSIZE);
	struct socket *s = handle_enter(udp);
	if (s == NULL)
		return -1;
	int error = send_to(s, buf, size, &address);
	socket_release(s);
	return error != 0 ? net_fail(error) : (ssize_t)size;
}

void go_udp_close(go_udp *udp)
{
	socket_close(udp);
}
