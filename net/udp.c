/* SPDX-License-Identifier: BSD-2-Clause */
/* UDP: a queue of datagrams that came and were not read, bounded, the newest dropped beyond. */
#include <string.h>

#include "gump.h"
#include "gump/net.h"
#include "kernel/hart.h"
#include "lwip/pbuf.h"
#include "lwip/udp.h"
#include "net/address.h"
#include "net/dial.h"
#include "net/handle.h"
#include "net/limits.h"
#include "net/memory.h"
#include "net/net.h"

#define SEND_WAIT ((int64_t)10 * 1000000000) /* for an address of our own, or room in a device, at most */
#define MOST_V6 65487 /* lwIP counts a packet's bytes in 16 bits, those of its header included */

struct datagram {
	struct datagram *next;
	struct pbuf *p;
	ip_addr_t from;
	u16_t port;
};

struct udp { /* under the net lock */
	go_udp *handle;               /* constant: net/handle.h */
	struct udp_pcb *pcb;
	struct netpoll_desc desc;
	struct datagram *first, *last;
	unsigned count;
	size_t bytes;
	bool closed;
	go_mutex turn;                /* one receiver waits at a time; before the net lock */
};

static void on_datagram(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from,
			u16_t port)
{
	struct udp *udp = arg;
	struct datagram *datagram = NULL;
	if (ip_addr_isany(from)) { /* nobody: an answer would be for this machine itself (net_resolve()) */
		pbuf_free(p);
		return;
	}
	if (udp->count < limit_datagrams && udp->bytes + p->tot_len <= limit_datagrams_size * 1024 &&
	    !net_memory_tight())
		datagram = net_malloc(sizeof *datagram);
	if (!datagram) {
		pbuf_free(p);
		return;
	}
	*datagram = (struct datagram){ .p = p, .from = *from, .port = port };
	if (udp->first)
		udp->last->next = datagram;
	else
		udp->first = datagram;
	udp->last = datagram;
	udp->count++;
	udp->bytes += p->tot_len;
	net_wake(&udp->desc, NETPOLL_READ);
}

static struct datagram *take(struct udp *udp)
{
	struct datagram *datagram = udp->first;
	udp->first = datagram->next;
	udp->count--;
	udp->bytes -= datagram->p->tot_len;
	return datagram;
}

static void drop(struct datagram *datagram)
{
	pbuf_free(datagram->p);
	net_free(datagram);
}

/* Under the net lock. */
static void release(struct udp *udp)
{
	if (!handle_leave(udp->handle))
		return;
	while (udp->first)
		drop(take(udp));
	net_free(udp);
}

go_udp *go_udp_open(const char *addr)
{
	struct address address;
	struct udp *udp = NULL;
	err_t lwip = ERR_MEM;
	if (!address_parse_own(addr, &address))
		return NULL;
	net_lock();
	struct udp_pcb *pcb = udp_new_ip_type(IP_GET_TYPE(&address.ip));
	if (pcb && (lwip = udp_bind(pcb, &address.ip, address.port)) == ERR_OK)
		udp = net_calloc(1, sizeof *udp);
	if (udp && !(udp->handle = handle_new(udp))) {
		net_free(udp);
		udp = NULL;
	}
	if (udp) {
		udp->pcb = pcb;
		ip_set_option(pcb, SOF_BROADCAST);
		udp_recv(pcb, on_datagram, udp);
	} else {
		if (pcb)
			udp_remove(pcb);
		errno = lwip == ERR_OK ? ENOMEM : net_errno(lwip);
	}
	net_unlock();
	return udp ? udp->handle : NULL;
}

ssize_t go_udp_recv(go_udp *handle, void *buf, size_t size, char *from, size_t from_size)
{
	struct udp *udp = handle_enter(handle);
	struct datagram *datagram = NULL;
	ssize_t answer = 0;
	if (!udp)
		return -1;
	go_mutex_lock(&udp->turn);
	net_lock();
	while (!udp->closed && !udp->first)
		net_wait(&udp->desc, NETPOLL_READ, GO_FOREVER);
	if (!udp->closed) {
		datagram = take(udp);
		answer = pbuf_copy_partial(datagram->p, buf, size < 65535 ? (u16_t)size : 65535, 0);
		if (from && !address_format(&datagram->from, datagram->port, from, from_size))
			answer = -ERANGE;
		drop(datagram);
	}
	net_unlock();
	go_mutex_unlock(&udp->turn);
	net_lock();
	release(udp);
	net_unlock();
	if (!datagram)
		return net_fail(EBADF);
	return answer < 0 ? net_fail(ERANGE) : answer;
}

/* A goroutine that found a device's ring full, on its stack. Under the net lock. */
struct waiter {
	struct netpoll_desc desc;
	struct waiter *next;
};
static struct waiter *waiters;

void udp_retry(void)
{
	for (; waiters; waiters = waiters->next)
		net_wake(&waiters->desc, NETPOLL_WRITE);
}

static int wait_for_room(int64_t deadline)
{
	struct waiter waiter = { .next = waiters };
	waiters = &waiter;
	int error = net_wait(&waiter.desc, NETPOLL_WRITE, deadline);
	for (struct waiter **link = &waiters; *link; link = &(*link)->next)
		if (*link == &waiter) {
			*link = waiter.next;
			break;
		}
	return error;
}

static int send_once(struct udp *udp, const void *buf, size_t size, const struct address *to)
{
	if (udp->closed)
		return EBADF;
	if (!IP_ADDR_PCB_VERSION_MATCH(udp->pcb, &to->ip))
		return EHOSTUNREACH;
	if (IP_IS_V6_VAL(to->ip) && size > MOST_V6)
		return EMSGSIZE;
	struct pbuf *p = pbuf_alloc(PBUF_TRANSPORT, (u16_t)size, PBUF_RAM);
	if (!p)
		return ENOMEM;
	memcpy(p->payload, buf, size);
	int error = net_errno(udp_sendto(udp->pcb, p, &to->ip, to->port));
	pbuf_free(p);
	return error;
}

ssize_t go_udp_send(go_udp *handle, const void *buf, size_t size, const char *to)
{
	struct address address;
	if (!address_parse(to, &address) || address.port == 0 || !address.host[0])
		return net_fail(EINVAL);
	if (size > 65507)
		return net_fail(EMSGSIZE);
	struct udp *udp = handle_enter(handle);
	if (!udp)
		return -1;
	net_lock();
	int64_t deadline = hart_now() + SEND_WAIT;
	int error = net_up() || address_is_local(&address) ? net_resolve(&address, deadline) : ENETDOWN;
	if (udp->closed)
		error = EBADF;
	else if (error == ETIMEDOUT)
		error = EHOSTUNREACH;
	while (!error && (error = send_once(udp, buf, size, &address)) == EAGAIN) {
		error = 0;
		if (wait_for_room(deadline)) /* and it gets lost */
			break;
	}
	release(udp);
	net_unlock();
	return error ? net_fail(error) : (ssize_t)size;
}

void go_udp_close(go_udp *handle)
{
	struct udp *udp = handle_close(handle);
	if (!udp)
		return;
	net_lock();
	udp->closed = true;
	udp_remove(udp->pcb);
	udp->pcb = NULL;
	net_wake(&udp->desc, NETPOLL_READ);
	udp_retry();
	release(udp);
	net_unlock();
}
