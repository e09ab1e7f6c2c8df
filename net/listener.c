/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Listeners. A connection counts against its listener's backlog from its SYN until it is accepted: first half
 * open (lwIP's pcb carries a note, which also tells when the pcb is freed before the handshake is complete),
 * then in the queue. A SYN for which there is no room, or when memory is tight, is dropped, not refused: the
 * client tries again, and by then there may be room.
 *
 * Those that are half open do not keep others out: the oldest makes room for a new one. In a flood of
 * SYNs whose senders are not there, a client gets in if it answers before as many more have come as
 * the backlog has places.
 */
#include <stdatomic.h>

#include "lwip/priv/tcp_priv.h"
#include "net/address.h"
#include "net/conn.h"
#include "net/memory.h"

#define BACKLOG 1024

struct go_listener { /* under the net lock */
	struct tcp_pcb *pcb;
	struct netpoll_desc desc;
	struct go_conn *first, *last; /* established, not accepted */
	unsigned waiting;             /* how many those are */
	unsigned half_open;
	struct half_open *oldest, *youngest;
	bool closed;
	go_mutex turn;                /* one acceptor waits at a time; before the net lock */
	_Atomic(uint32_t) references; /* the program's, calls under way, half-open pcbs */
};

/* As in net/conn.c: the last one sees what the others did. */
static bool was_last(struct go_listener *listener)
{
	return atomic_fetch_sub_explicit(&listener->references, 1, memory_order_acq_rel) == 1;
}

struct half_open { /* a pcb's note; in its listener's list */
	struct go_listener *listener;
	struct tcp_pcb *pcb;
	struct half_open *older, *younger;
};

static void release(struct go_listener *listener)
{
	if (!was_last(listener))
		return;
	net_lock();
	net_free(listener);
	net_unlock();
}

static void refer(struct go_listener *listener)
{
	atomic_fetch_add_explicit(&listener->references, 1, memory_order_relaxed);
}

/* ---- lwIP's callbacks ---- */

static err_t half_opened(u8_t id, struct tcp_pcb_listen *lpcb, struct tcp_pcb *pcb);
static void half_open_freed(u8_t id, void *data);

static const struct tcp_ext_arg_callbacks half_open_callbacks = {
	.destroy = half_open_freed,
	.passive_open = half_opened,
};

static void half_open_add(struct half_open *half, struct go_listener *listener)
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
	refer(listener);
}

static err_t half_opened(u8_t id, struct tcp_pcb_listen *lpcb, struct tcp_pcb *pcb)
{
	struct go_listener *listener = lpcb->callback_arg;
	bool full = listener->waiting + listener->half_open >= BACKLOG;
	if (full)
		net_counts.turned_away++;
	if (full && listener->oldest)
		tcp_abandon(listener->oldest->pcb, 0); /* without a word; half_open_freed() hears of it */
	else if (full)
		return ERR_MEM; /* lwIP drops the pcb without a word to the peer */
	struct half_open *half = net_memory_tight() ? NULL : net_malloc(sizeof *half);
	if (!half) {
		net_counts.turned_away++;
		return ERR_MEM;
	}
	if (pcb->rcv_wnd > FIRST_WINDOW)
		pcb->rcv_wnd = pcb->rcv_ann_wnd = FIRST_WINDOW;
	half->pcb = pcb;
	half_open_add(half, listener);
	tcp_ext_arg_set(pcb, id, half);
	tcp_ext_arg_set_callbacks(pcb, id, &half_open_callbacks);
	return ERR_OK;
}

static void half_open_freed(u8_t id, void *data)
{
	struct half_open *half = data;
	if (!half)
		return;
	struct go_listener *listener = half->listener;
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
	if (was_last(listener))
		net_free(listener);
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
	struct go_listener *listener = arg;
	if (error != ERR_OK || !pcb)
		return ERR_VAL;
	struct half_open *half = tcp_ext_arg_get(pcb, half_open_id());
	tcp_ext_arg_set(pcb, half_open_id(), NULL);
	half_open_freed(half_open_id(), half);
	struct go_conn *conn = conn_new(pcb);
	if (!conn) {
		net_counts.turned_away++;
		return ERR_MEM; /* lwIP resets it */
	}
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

/* A pcb that listens there, or NULL and the error. */
static struct tcp_pcb *listen_on(const struct address *address, int *error)
{
	err_t lwip;
	struct tcp_pcb *pcb = tcp_new_ip_type(IP_GET_TYPE(&address->ip));
	*error = ENOMEM;
	if (!pcb)
		return NULL;
	ip_set_option(pcb, SOF_REUSEADDR); /* a port that is only in TIME_WAIT is free */
	lwip = tcp_bind(pcb, &address->ip, address->port);
	if (lwip == ERR_OK) {
		struct tcp_pcb *listening = tcp_listen_with_backlog_and_err(pcb, 255, &lwip);
		if (listening)
			return listening;
	}
	*error = net_errno(lwip);
	tcp_abort(pcb);
	return NULL;
}

go_listener *go_listen(const char *addr)
{
	struct address address;
	int error = ENOMEM;
	if (!address_parse_own(addr, &address))
		return NULL;
	net_lock();
	struct go_listener *listener = net_calloc(1, sizeof *listener);
	if (listener)
		listener->pcb = listen_on(&address, &error);
	if (listener && listener->pcb) {
		listener->references = 1;
		tcp_arg(listener->pcb, listener);
		tcp_accept(listener->pcb, on_accept);
		tcp_ext_arg_set_callbacks(listener->pcb, half_open_id(), &half_open_callbacks);
	} else {
		net_free(listener);
		listener = NULL;
		errno = error;
	}
	net_unlock();
	return listener;
}

go_conn *go_accept(go_listener *listener)
{
	struct go_conn *conn = NULL;
	refer(listener);
	go_mutex_lock(&listener->turn);
	net_lock();
	while (!listener->closed && !(conn = listener->first))
		net_wait(&listener->desc, NETPOLL_READ, GO_FOREVER);
	if (conn) {
		listener->first = conn->next;
		conn->next = NULL;
		listener->waiting--;
		conn_count(conn, &net_counts.accepted);
	}
	net_unlock();
	go_mutex_unlock(&listener->turn);
	release(listener);
	if (!conn)
		errno = EBADF;
	return conn;
}

void go_listener_close(go_listener *listener)
{
	net_lock();
	if (listener->closed) {
		net_unlock();
		return;
	}
	listener->closed = true;
	tcp_close(listener->pcb); /* frees it; half-open ones are reset when they complete */
	listener->pcb = NULL;
	struct go_conn *conn = listener->first;
	listener->first = NULL;
	net_wake(&listener->desc, NETPOLL_READ);
	net_unlock();
	while (conn) {
		struct go_conn *next = conn->next;
		go_conn_close(conn);
		conn = next;
	}
	release(listener);
}
