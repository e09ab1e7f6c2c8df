/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections as lwIP sees them: its callbacks, which run under the net lock, change a
 * connection's state and wake who waits for it (net/stream.c).
 *
 * Received data stays in its pbufs until it is read, and only then the peer is told that there
 * is room again. How much there may be is a matter of the memory that all connections share
 * (net/memory.h).
 *
 * The pcb: lwIP frees it by itself after a reset, when the last acknowledgement comes, and at the
 * end of TIME_WAIT; on_error says so but in the last case, for which it is let go before.
 */
#include "net/conn.h"

#include <string.h>

#include "lwip/pbuf.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/sys.h"
#include "lwip_hooks.h"
#include "net/demux.h"
#include "net/handle.h"
#include "net/keepalive.h"
#include "net/limits.h"
#include "net/memory.h"

/* Received pieces so small are copied together once so many wait. */
#define SMALL 256
#define MANY 16

#define CHALLENGE_MS 500

#define PROGRESS 536 /* bytes that must be acknowledged in the time of limit_stalled, or all there are */

/* A window beyond the first counts as memory in use: all may be filled at once. */
void conn_count_window(struct conn *conn)
{
	u32_t wnd = conn->pcb ? conn->pcb->rcv_wnd : 0;
	u32_t beyond = wnd > FIRST_WINDOW ? wnd - FIRST_WINDOW : 0;
	net_memory_promise((ssize_t)beyond - (ssize_t)conn->promised);
	conn->promised = beyond;
}

void conn_let_go(struct conn *conn)
{
	struct tcp_pcb *pcb = conn->pcb;
	conn->pcb = NULL;
	conn_count_window(conn);
	tcp_arg(pcb, NULL);
	tcp_recv(pcb, NULL);
	tcp_sent(pcb, NULL);
	tcp_err(pcb, NULL);
	tcp_poll(pcb, NULL, 0);
	pcb->stall_since = 0;     /* another limit */
	pcb->tmr = tcp_ticks;     /* that of FIN-WAIT-2, if it is there already, counts from here */
}

void conn_wake(struct conn *conn)
{
	net_wake(&conn->desc, NETPOLL_READ);
	net_wake(&conn->desc, NETPOLL_WRITE);
}

static void append(struct conn *conn, struct pbuf *p, u16_t room)
{
	if (conn->rx)
		conn->rx_last->next = p;
	else
		conn->rx = p;
	conn->rx_last = p;
	conn->rx_room = room;
	conn->rx_count += conn->rx_count < UINT16_MAX;
}

/*
 * A pbuf of one byte takes 128. Once many lie there, small ones are copied together; until then it is
 * not worth the while.
 */
static bool append_copy(struct conn *conn, const struct pbuf *p)
{
	if (p->len > SMALL || conn->rx_count < MANY)
		return false;
	if (conn->rx_room < p->len) {
		struct pbuf *room = pbuf_alloc(PBUF_RAW, TCP_MSS, PBUF_RAM);
		if (!room)
			return false;
		room->len = room->tot_len = 0;
		append(conn, room, TCP_MSS);
	}
	struct pbuf *last = conn->rx_last;
	memcpy((char *)last->payload + last->len, p->payload, p->len);
	last->len = last->tot_len = (u16_t)(last->len + p->len);
	conn->rx_room = (u16_t)(conn->rx_room - p->len);
	return true;
}

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t error)
{
	struct conn *conn = arg;
	if (!p) {
		conn->peer_finished = true;
		/* Both sides have finished: TIME_WAIT is lwIP's business, and it tells nobody when
		   it frees the pcb. */
		if (pcb->state == TIME_WAIT || pcb->state == CLOSING)
			conn_let_go(conn);
	}
	/* lwIP's chains know their total length in every link; a queue of single pbufs is enough. */
	while (p) {
		struct pbuf *next = p->next;
		p->next = NULL;
		p->tot_len = p->len;
		conn->rx_bytes += p->len;
		/* An empty one, of a fragment without data, would look like the end to who reads up to it. */
		if (p->len == 0 || append_copy(conn, p))
			pbuf_free(p);
		else
			append(conn, p, 0);
		p = next;
	}
	conn_count_window(conn);
	net_wake(&conn->desc, NETPOLL_READ);
	return ERR_OK;
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t length)
{
	struct conn *conn = arg;
	size_t most = net_memory_share();
	if (most > limit_sent * 1024)
		most = limit_sent * 1024;
	if (conn_queued(pcb) <= most / 2 && tcp_sndqueuelen(pcb) < TCP_SNDQUEUELOWAT)
		net_wake(&conn->desc, NETPOLL_WRITE);
	return ERR_OK;
}

/* A writer waits, maybe for memory, which may come back from elsewhere. */
static err_t on_poll(void *arg, struct tcp_pcb *pcb)
{
	struct conn *conn = arg;
	tcp_poll(pcb, NULL, 0);
	net_wake(&conn->desc, NETPOLL_WRITE);
	return ERR_OK;
}

void conn_retry(struct conn *conn)
{
	demux_rouse(conn->pcb);
	tcp_poll(conn->pcb, on_poll, 1);
}

/* The pcb is gone already. */
static void on_error(void *arg, err_t error)
{
	struct conn *conn = arg;
	conn->pcb = NULL;
	conn_count_window(conn);
	if (error == ERR_RST)
		conn->error = conn->connecting ? ECONNREFUSED : ECONNRESET;
	else if (error != ERR_CLSD) /* which is the regular end after go_shutdown */
		conn->error = conn->connecting ? ETIMEDOUT : ECONNABORTED;
	conn_wake(conn);
}

struct conn *conn_new(struct tcp_pcb *pcb)
{
	struct conn *conn = net_calloc(1, sizeof *conn);
	if (!conn)
		return NULL;
	conn->handle = handle_new(conn);
	if (!conn->handle) {
		net_free(conn);
		return NULL;
	}
	conn->pcb = pcb;
	conn->peer = pcb->remote_ip;
	conn->peer_port = pcb->remote_port;
	conn->withheld = (u32_t)(TCP_WND_MAX(pcb) - pcb->rcv_wnd);
	conn->deadline[NETPOLL_READ] = conn->deadline[NETPOLL_WRITE] = GO_FOREVER;
	conn->challenged = sys_now() - CHALLENGE_MS;
	tcp_arg(pcb, conn);
	tcp_recv(pcb, on_recv);
	tcp_sent(pcb, on_sent);
	tcp_err(pcb, on_error);
	tcp_nagle_disable(pcb);
	ip_set_option(pcb, SOF_KEEPALIVE);
	pcb->keep_idle = keepalive.idle * 1000;
	pcb->keep_intvl = keepalive.interval * 1000;
	pcb->keep_cnt = keepalive.count;
	return conn;
}

void conn_count(struct conn *conn, uint64_t *how)
{
	conn->counted = true;
	net_counts.connections++;
	++*how;
}

bool conn_has_unread(const struct tcp_pcb *pcb)
{
	const struct conn *conn = pcb->callback_arg;
	return pcb->recv == on_recv && conn->rx_bytes >= TCP_MSS;
}

/*
 * A peer may answer all probes of its closed window and never open it, or take a byte with each. What the
 * program has written, or left behind when it closed the connection, would be kept for ever.
 */
bool net_is_stalled(struct tcp_pcb *pcb)
{
	unsigned limit = pcb->callback_arg ? limit_stalled : limit_stalled_closed;
	u32_t waits = pcb->snd_lbb - pcb->lastack;

	if (pcb->state < ESTABLISHED)
		return false; /* a handshake has limits of its own */
	if (pcb->stall_since == 0 || TCP_SEQ_GEQ(pcb->lastack, pcb->stall_end)) {
		pcb->stall_since = tcp_ticks;
		pcb->stall_end = pcb->lastack + (waits < PROGRESS ? waits : PROGRESS);
	}
	return tcp_ticks - pcb->stall_since >= limit * 1000 / TCP_SLOW_INTERVAL;
}

bool conn_may_challenge(const struct tcp_pcb *pcb)
{
	struct conn *conn = pcb->callback_arg;
	u32_t now = sys_now();

	if (pcb->recv != on_recv)
		return true;
	if (now - conn->challenged < CHALLENGE_MS)
		return false;
	conn->challenged = now;
	return true;
}
