/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Listeners. A connection is first half open (lwIP's pcb carries a note, which also tells when the pcb
 * is freed before the handshake is complete), then it waits to be accepted. When too many wait, or when
 * memory is tight, a SYN is dropped, not refused: the client tries again, and by then there may be room.
 *
 * Stacks and what the program allocates may use up the machine's memory before the network's is: then no SYN
 * is heard either, unless a reclaim cycle is to help. And since thousands may be accepted before the first of
 * them is served, go_accept() gives out no more than there is memory for: it waits for those that it gave out
 * to be served, or for the cycle, and if neither goes on, the connection is reset.
 *
 * Those that are half open do not keep others out: the oldest makes room for a new one. In a flood of
 * SYNs whose senders are not there, a client gets in if it answers before HALF_OPEN_MAX more have come. They
 * have a limit of their own: a client whose connection made room for another's is reset when it goes on with
 * it, which it has not deserved by a program that is slow to accept.
 */
#include <stdlib.h>

#include "kernel/hart.h"
#include "lwip/priv/tcp_priv.h"
#include "net/address.h"
#include "net/conn.h"
#include "net/handle.h"
#include "net/memory.h"
#include "net/option.h"

#define HALF_OPEN_MAX 4096
#define WAITING_MAX 4096 /* and those that were half open when it was reached */
#define BACKLOG_MOST 65535 /* of both, by backlog= */
#define MS ((int64_t)1000000)
#define LOOK (5 * MS)        /* whether those that were accepted are served */
#define PATIENCE (5000 * MS) /* how long each waits while nothing goes on */

size_t net_fresh;

struct listener { /* under the net lock */
	go_listener *handle;          /* constant; half-open pcbs have references, too */
	struct tcp_pcb *pcb;
	struct netpoll_desc desc;
	struct conn *first, *last; /* established, not accepted */
	unsigned waiting;             /* how many those are */
	unsigned half_open;
	unsigned half_open_max, waiting_max;
	int64_t stuck_since;          /* ns: since then there is no memory, and nothing goes on; or 0 */
	struct half_open *oldest, *youngest;
	bool closed;
	go_mutex turn;                /* one acceptor waits at a time; before the net lock */
};

struct half_open { /* a pcb's note; in its listener's list */
	struct listener *listener;
	struct tcp_pcb *pcb;
	struct half_open *older, *younger;
};

static void release(struct listener *listener)
{
	if (!handle_leave(listener->handle))
		return;
	net_lock();
	net_free(listener);
	net_unlock();
}

/* ---- lwIP's callbacks ---- */

static err_t half_opened(u8_t id, struct tcp_pcb_listen *lpcb, struct tcp_pcb *pcb);
static void half_open_freed(u8_t id, void *data);

static const struct tcp_ext_arg_callbacks half_open_callbacks = {
	.destroy = half_open_freed,
	.passive_open = half_opened,
};

static void half_open_add(struct half_open *half, struct listener *listener)
{
	half->listener = listener;
	half->older = listener->youngest;
	half->younger = NULL;
	if (listener->youngest)
		listener->youngest->younger = half;
	else
		listener->oldest = half;
	listener->youngest = half;
	listener->half_open++;
	handle_refer(listener->handle);
}

static err_t half_opened(u8_t id, struct tcp_pcb_listen *lpcb, struct tcp_pcb *pcb)
{
	struct listener *listener = lpcb->callback_arg;
	bool serves = net_memory_serves(0) || sched_reclaim_soon();
	struct half_open *half = NULL;
	if (serves && listener->waiting < listener->waiting_max && !net_memory_tight())
		half = net_malloc(sizeof *half);
	if (half && listener->half_open >= listener->half_open_max) {
		net_counts.turned_away++;
		tcp_abandon(listener->oldest->pcb, 0); /* without a word; half_open_freed() hears of it */
	}
	if (!half) {
		net_counts.turned_away++;
		return ERR_MEM; /* lwIP drops the pcb without a word to the peer */
	}
	if (pcb->rcv_wnd > FIRST_WINDOW)
		pcb->rcv_wnd = pcb->rcv_ann_wnd = FIRST_WINDOW;
	half->pcb = pcb;
	half_open_add(half, listener);
	tcp_ext_arg_set(pcb, id, half);
	tcp_ext_arg_set_callbacks(pcb, id, &half_open_callbacks);
	return ERR_OK;
}

/* It is established, or its pcb is freed. */
static void half_open_remove(struct half_open *half)
{
	struct listener *listener = half->listener;
	if (half->younger)
		half->younger->older = half->older;
	else
		listener->youngest = half->older;
	if (half->older)
		half->older->younger = half->younger;
	else
		listener->oldest = half->younger;
	net_free(half);
	listener->half_open--;
	if (handle_leave(listener->handle))
		net_free(listener);
}

static void half_open_freed(u8_t id, void *data)
{
	if (data)
		half_open_remove(data);
}

static u8_t half_open_id(void)
{
	static bool known;
	static u8_t id;
	if (!known)
		id = tcp_ext_arg_alloc_id();
	known = true;
	return id;
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t error)
{
	struct listener *listener = arg;
	if (error != ERR_OK || !pcb)
		return ERR_VAL;
	struct half_open *half = tcp_ext_arg_get(pcb, half_open_id());
	pcb->listener = NULL; /* it need not be found when the listener closes */
	tcp_ext_arg_set(pcb, half_open_id(), NULL);
	half_open_remove(half);
	struct conn *conn = conn_new(pcb);
	if (!conn) {
		net_counts.turned_away++;
		return ERR_MEM; /* lwIP resets it */
	}
	conn->arrived = hart_now();
	if (listener->first)
		listener->last->next = conn;
	else
		listener->first = conn;
	listener->last = conn;
	listener->waiting++;
	net_wake(&listener->desc, NETPOLL_READ);
	return ERR_OK;
}

/* ---- The program's calls ---- */

/* Whether some segments would be for both; lwIP takes those of one version of IP for two. */
static bool overlaps(const struct address *own)
{
	for (struct tcp_pcb_listen *other = tcp_listen_pcbs.listen_pcbs; other; other = other->next) {
		const ip_addr_t *one = &other->local_ip, *two = &own->ip;
		if (other->local_port != own->port || own->port == 0)
			continue;
		if (IP_IS_ANY_TYPE_VAL(*one) || IP_IS_ANY_TYPE_VAL(*two))
			return true;
		if (IP_GET_TYPE(one) == IP_GET_TYPE(two) &&
		    (ip_addr_isany(one) || ip_addr_isany(two) || ip_addr_eq(one, two)))
			return true;
	}
	return false;
}

/* A pcb that listens there, or NULL and the error. */
static struct tcp_pcb *listen_on(const struct address *address, int *error)
{
	err_t lwip;
	struct tcp_pcb *pcb = tcp_new_ip_type(IP_GET_TYPE(&address->ip));
	*error = ENOMEM;
	if (!pcb)
		return NULL;
	lwip = overlaps(address) ? ERR_USE : tcp_bind(pcb, &address->ip, address->port);
	if (lwip == ERR_OK) {
		struct tcp_pcb *listening = tcp_listen_with_backlog_and_err(pcb, 255, &lwip);
		if (listening)
			return listening;
	}
	*error = net_errno(lwip);
	tcp_abort(pcb);
	return NULL;
}

/* backlog=HALF_OPEN,WAITING */
static void set_backlog(struct listener *listener)
{
	const char *option = getenv("backlog"), *at = option;
	unsigned half_open, waiting;

	listener->half_open_max = HALF_OPEN_MAX;
	listener->waiting_max = WAITING_MAX;
	if (!option)
		return;
	if (option_number(&at, ',', BACKLOG_MOST, &half_open) &&
	    option_number(&at, '\0', BACKLOG_MOST, &waiting)) {
		listener->half_open_max = half_open;
		listener->waiting_max = waiting;
		return;
	}
	hart_print("net: backlog=%s is not HALF_OPEN,WAITING, from 1 to %u; ignored\n", option, BACKLOG_MOST);
}

go_listener *go_listen(const char *addr)
{
	struct address address;
	int error = ENOMEM;
	if (!address_parse_own(addr, &address))
		return NULL;
	net_lock();
	struct listener *listener = net_calloc(1, sizeof *listener);
	if (listener)
		listener->pcb = listen_on(&address, &error);
	if (listener && listener->pcb && !(listener->handle = handle_new(listener))) {
		tcp_close(listener->pcb);
		listener->pcb = NULL;
		error = ENOMEM;
	}
	if (listener && listener->pcb) {
		set_backlog(listener);
		tcp_arg(listener->pcb, listener);
		tcp_accept(listener->pcb, on_accept);
		tcp_ext_arg_set_callbacks(listener->pcb, half_open_id(), &half_open_callbacks);
	} else {
		net_free(listener);
		listener = NULL;
		errno = error;
	}
	net_unlock();
	return listener ? listener->handle : NULL;
}

/* The first of the queue, which is not empty. */
static struct conn *take(struct listener *listener)
{
	struct conn *conn = listener->first;
	listener->first = conn->next;
	conn->next = NULL;
	listener->waiting--;
	return conn;
}

/* There is no memory to serve the first of the queue. The net lock is released meanwhile. */
static void turn_away(struct listener *listener)
{
	struct conn *conn = take(listener);
	net_counts.turned_away++;
	if (conn->pcb)
		tcp_abort(conn->pcb);
	net_unlock();
	go_conn_close(conn->handle);
	net_lock();
}

/*
 * Waits until the first of the queue can be served, or turns it away when nothing has gone on for long: those
 * that were given out before take their memory, and a reclaim cycle finds some.
 */
static void wait_for_memory(struct listener *listener)
{
	size_t fresh = net_fresh;
	if (listener->stuck_since == 0)
		listener->stuck_since = hart_now();
	int64_t since = listener->first->arrived;
	if (since < listener->stuck_since)
		since = listener->stuck_since;
	sched_reclaim_soon();
	if (hart_now() - since >= PATIENCE) {
		turn_away(listener);
		return;
	}
	net_wait(&listener->desc, NETPOLL_READ, hart_now() + LOOK);
	if (net_fresh < fresh)
		listener->stuck_since = 0;
}

go_conn *go_accept(go_listener *handle)
{
	struct listener *listener = handle_enter(handle);
	struct conn *conn = NULL;
	if (!listener)
		return NULL;
	go_mutex_lock(&listener->turn);
	net_lock();
	while (!listener->closed && !conn) {
		if (listener->first && !net_memory_serves(net_fresh + 1)) {
			wait_for_memory(listener);
			continue;
		}
		listener->stuck_since = 0;
		if (listener->first)
			conn = take(listener);
		else
			net_wait(&listener->desc, NETPOLL_READ, GO_FOREVER);
	}
	if (conn) {
		conn->fresh = true;
		net_fresh++;
		conn_count(conn, &net_counts.accepted);
	}
	net_unlock();
	go_mutex_unlock(&listener->turn);
	release(listener);
	if (conn)
		return conn->handle;
	errno = EBADF;
	return NULL;
}

void go_listener_close(go_listener *handle)
{
	struct listener *listener = handle_close(handle);
	if (!listener)
		return;
	net_lock();
	listener->closed = true;
	for (struct half_open *half = listener->oldest; half; half = half->younger)
		half->pcb->listener = NULL; /* they are reset when they complete */
	tcp_close(listener->pcb);           /* frees it */
	listener->pcb = NULL;
	struct conn *conn = listener->first;
	for (struct conn *one = conn; one; one = one->next)
		if (one->pcb)
			tcp_abort(one->pcb); /* its peer reads no end: nobody has served it */
	listener->first = NULL;
	net_wake(&listener->desc, NETPOLL_READ);
	net_unlock();
	while (conn) {
		struct conn *next = conn->next;
		go_conn_close(conn->handle);
		conn = next;
	}
	release(listener);
}
