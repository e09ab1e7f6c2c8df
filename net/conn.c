/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections: reading, writing, closing.
 *
 * lwIP calls on_recv, on_sent, on_error and on_poll under the net lock; they change the connection's
 * state and wake who waits for it. A call of the program takes its turn (one reader, one
 * writer), then loops under the net lock: look at the state, act, or park until it changes.
 *
 * Received data stays in its pbufs until it is read, and only then the peer is told that there
 * is room again. Data to send is copied into lwIP's queue. How much of either there may be is a
 * matter of the memory that all connections share (net/memory.h).
 *
 * The pcb: lwIP frees it by itself after a reset, when the last acknowledgement comes, and at the
 * end of TIME_WAIT; on_error says so but in the last case, for which it is let go before.
 */
#include "net/conn.h"

#include <string.h>

#include "kernel/hart.h"
#include "lwip/pbuf.h"
#include "net/address.h"
#include "net/memory.h"

/* The net lock is held while so much is copied, and no longer. */
#define READ_MAX (32 * 1024)
#define WRITE_MAX (16 * 1024)

/* Received pieces so small are copied together once so many wait. */
#define SMALL 256
#define MANY 16

#define KEEP_IDLE_MS 60000
#define KEEP_INTERVAL_MS 15000
#define KEEP_COUNT 8

/* ---- lwIP's callbacks ---- */

/* A window beyond the first counts as memory in use: all may be filled at once. */
static void count_window(struct go_conn *conn)
{
	u32_t wnd = conn->pcb ? conn->pcb->rcv_wnd : 0;
	u32_t beyond = wnd > FIRST_WINDOW ? wnd - FIRST_WINDOW : 0;
	net_memory_promise((ssize_t)beyond - (ssize_t)conn->promised);
	conn->promised = beyond;
}

static void let_go(struct go_conn *conn)
{
	struct tcp_pcb *pcb = conn->pcb;
	conn->pcb = NULL;
	count_window(conn);
	tcp_arg(pcb, NULL);
	tcp_recv(pcb, NULL);
	tcp_sent(pcb, NULL);
	tcp_err(pcb, NULL);
	tcp_poll(pcb, NULL, 0);
}

static void wake_both(struct go_conn *conn)
{
	net_wake(&conn->desc, NETPOLL_READ);
	net_wake(&conn->desc, NETPOLL_WRITE);
}

static void append(struct go_conn *conn, struct pbuf *p, u16_t room)
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
static bool append_copy(struct go_conn *conn, const struct pbuf *p)
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
	struct go_conn *conn = arg;
	if (!p) {
		conn->peer_finished = true;
		/* Both sides have finished: TIME_WAIT is lwIP's business, and it tells nobody when
		   it frees the pcb. */
		if (pcb->state == TIME_WAIT || pcb->state == CLOSING)
			let_go(conn);
	}
	/* lwIP's chains know their total length in every link; a queue of single pbufs is enough. */
	while (p) {
		struct pbuf *next = p->next;
		p->next = NULL;
		p->tot_len = p->len;
		conn->rx_bytes += p->len;
		if (append_copy(conn, p))
			pbuf_free(p);
		else
			append(conn, p, 0);
		p = next;
	}
	count_window(conn);
	net_wake(&conn->desc, NETPOLL_READ);
	return ERR_OK;
}

static size_t queued(const struct tcp_pcb *pcb)
{
	return TCP_SND_BUF - pcb->snd_buf; /* tcp_sndbuf() tells no more than 65535 */
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t length)
{
	struct go_conn *conn = arg;
	size_t most = net_memory_share();
	if (most > TCP_SND_BUF)
		most = TCP_SND_BUF;
	if (queued(pcb) <= most / 2 && tcp_sndqueuelen(pcb) < TCP_SNDQUEUELOWAT)
		net_wake(&conn->desc, NETPOLL_WRITE);
	return ERR_OK;
}

/* Every 500 ms while a writer waits: memory may have come back from elsewhere. */
static err_t on_poll(void *arg, struct tcp_pcb *pcb)
{
	struct go_conn *conn = arg;
	tcp_poll(pcb, NULL, 0);
	net_wake(&conn->desc, NETPOLL_WRITE);
	return ERR_OK;
}

/* The pcb is gone already. */
static void on_error(void *arg, err_t error)
{
	struct go_conn *conn = arg;
	conn->pcb = NULL;
	count_window(conn);
	if (error == ERR_RST)
		conn->error = conn->connecting ? ECONNREFUSED : ECONNRESET;
	else if (error != ERR_CLSD) /* which is the regular end after go_shutdown */
		conn->error = conn->connecting ? ETIMEDOUT : ECONNABORTED;
	wake_both(conn);
}

struct go_conn *conn_new(struct tcp_pcb *pcb)
{
	struct go_conn *conn = net_calloc(1, sizeof *conn);
	if (!conn)
		return NULL;
	conn->pcb = pcb;
	conn->peer = pcb->remote_ip;
	conn->peer_port = pcb->remote_port;
	conn->withheld = (u32_t)(TCP_WND_MAX(pcb) - pcb->rcv_wnd);
	conn->deadline[NETPOLL_READ] = conn->deadline[NETPOLL_WRITE] = GO_FOREVER;
	conn->references = 1;
	tcp_arg(pcb, conn);
	tcp_recv(pcb, on_recv);
	tcp_sent(pcb, on_sent);
	tcp_err(pcb, on_error);
	tcp_nagle_disable(pcb);
	ip_set_option(pcb, SOF_KEEPALIVE);
	pcb->keep_idle = KEEP_IDLE_MS;
	pcb->keep_intvl = KEEP_INTERVAL_MS;
	pcb->keep_cnt = KEEP_COUNT;
	return conn;
}

bool conn_has_unread(const struct tcp_pcb *pcb)
{
	const struct go_conn *conn = pcb->callback_arg;
	return pcb->recv == on_recv && conn->rx_bytes >= TCP_MSS;
}

/* ---- The program's calls ---- */

static void release(struct go_conn *conn)
{
	/* Release what this call did, acquire what others did, before the last one frees it. */
	if (atomic_fetch_sub_explicit(&conn->references, 1, memory_order_acq_rel) > 1)
		return;
	net_lock();
	net_free(conn);
	net_unlock();
}

static void enter(struct go_conn *conn, enum netpoll_mode mode)
{
	atomic_fetch_add_explicit(&conn->references, 1, memory_order_relaxed);
	go_mutex_lock(&conn->turn[mode]);
	net_lock();
}

static void leave(struct go_conn *conn, enum netpoll_mode mode)
{
	net_unlock();
	go_mutex_unlock(&conn->turn[mode]);
	release(conn);
}

static bool passed(int64_t deadline)
{
	return deadline != GO_FOREVER && hart_now() >= deadline;
}

/*
 * Tells the peer that there is room for `n` more bytes, but for no more in all than this
 * connection's share. What is withheld is given out with a later read.
 */
static void open_window(struct go_conn *conn, size_t n)
{
	struct tcp_pcb *pcb = conn->pcb;
	size_t most = net_memory_share();
	if (most < FIRST_WINDOW)
		most = FIRST_WINDOW;
	n += conn->withheld;
	size_t give = pcb->rcv_wnd >= most ? 0 : most - pcb->rcv_wnd;
	if (give > n)
		give = n;
	conn->withheld = (u32_t)(n - give);
	for (; give > UINT16_MAX; give -= UINT16_MAX)
		tcp_recved(pcb, UINT16_MAX);
	if (give)
		tcp_recved(pcb, (u16_t)give);
	count_window(conn);
}

/* Copies out of the queue. */
static size_t take(struct go_conn *conn, char *buf, size_t size)
{
	size_t done = 0;
	if (size > READ_MAX)
		size = READ_MAX;
	while (done < size && conn->rx) {
		struct pbuf *p = conn->rx;
		u16_t n = p->len;
		if (n > size - done)
			n = (u16_t)(size - done);
		memcpy(buf + done, p->payload, n);
		done += n;
		if (n < p->len) {
			pbuf_remove_header(p, n);
			break;
		}
		conn->rx = p->next;
		p->next = NULL;
		pbuf_free(p);
		conn->rx_count--;
	}
	if (!conn->rx)
		conn->rx_count = conn->rx_room = 0;
	conn->rx_bytes -= done;
	if (conn->pcb)
		open_window(conn, done);
	return done;
}

ssize_t go_read(go_conn *conn, void *buf, size_t size)
{
	ssize_t answer = 0;
	int error = 0;
	if (size == 0)
		return 0;
	enter(conn, NETPOLL_READ);
	for (;;) {
		if (conn->closed)
			error = EBADF;
		else if (passed(conn->deadline[NETPOLL_READ]))
			error = ETIMEDOUT;
		else if (conn->rx)
			answer = (ssize_t)take(conn, buf, size);
		else if (conn->error)
			error = conn->error;
		else if (!conn->peer_finished) {
			net_wait(&conn->desc, NETPOLL_READ, conn->deadline[NETPOLL_READ]);
			continue;
		}
		break;
	}
	leave(conn, NETPOLL_READ);
	return error ? net_fail(error) : answer;
}

/* Queues a part. ERR_MEM: not now. */
static err_t put(struct tcp_pcb *pcb, const char *buf, size_t size, size_t *done)
{
	size_t n = size < WRITE_MAX ? size : WRITE_MAX;
	size_t most = net_memory_share();
	if (n > pcb->snd_buf)
		n = pcb->snd_buf;
	if (n > most)
		n = most;
	if (n + queued(pcb) > most)
		n = most > queued(pcb) ? most - queued(pcb) : 0;
	if (net_memory_tight()) {
		/* A little for each, so that all go on; what is in flight must come back first. */
		if (tcp_sndqueuelen(pcb) > 0)
			return ERR_MEM;
		if (n > pcb->mss)
			n = pcb->mss;
	}
	if (n == 0)
		return ERR_MEM;
	err_t error = tcp_write(pcb, buf, (u16_t)n,
				TCP_WRITE_FLAG_COPY | (n < size ? TCP_WRITE_FLAG_MORE : 0));
	if (error == ERR_OK)
		*done = n;
	tcp_output(pcb);
	return error;
}

ssize_t go_write(go_conn *conn, const void *buf, size_t size)
{
	size_t done = 0;
	int error = 0;
	enter(conn, NETPOLL_WRITE);
	while (!error) {
		size_t n = 0;
		err_t lwip;
		if (conn->closed)
			error = EBADF;
		else if (passed(conn->deadline[NETPOLL_WRITE]))
			error = ETIMEDOUT;
		else if (conn->error)
			error = conn->error;
		else if (conn->write_finished || !conn->pcb)
			error = EPIPE;
		if (error || done == size)
			break;
		lwip = put(conn->pcb, (const char *)buf + done, size - done, &n);
		done += n;
		if (lwip == ERR_MEM) {
			tcp_poll(conn->pcb, on_poll, 1);
			net_wait(&conn->desc, NETPOLL_WRITE, conn->deadline[NETPOLL_WRITE]);
		} else if (lwip != ERR_OK) {
			error = lwip == ERR_CONN ? EPIPE : net_errno(lwip);
		} else if (done == size) {
			break;
		} else { /* let others have the lock between parts */
			net_unlock();
			net_lock();
		}
	}
	leave(conn, NETPOLL_WRITE);
	return error ? net_fail(error) : (ssize_t)done;
}

int go_shutdown(go_conn *conn)
{
	int error = 0;
	atomic_fetch_add_explicit(&conn->references, 1, memory_order_relaxed);
	net_lock();
	if (conn->closed)
		error = EBADF;
	else if (conn->error)
		error = conn->error;
	else if (!conn->write_finished && conn->pcb)
		error = net_errno(tcp_shutdown(conn->pcb, 0, 1));
	if (!error)
		conn->write_finished = true;
	net_wake(&conn->desc, NETPOLL_WRITE);
	net_unlock();
	release(conn);
	return error ? net_fail(error) : 0;
}

int go_conn_close(go_conn *conn)
{
	net_lock();
	if (conn->closed) {
		net_unlock();
		return net_fail(EBADF);
	}
	conn->closed = true;
	struct tcp_pcb *pcb = conn->pcb;
	if (pcb) {
		let_go(conn);
		/* Data that nobody will read: the peer must learn that it was lost. lwIP would
		   conclude it from the window, which may have been withheld. */
		if (!conn->rx)
			pcb->rcv_wnd = TCP_WND_MAX(pcb);
		if (conn->rx || tcp_close(pcb) != ERR_OK)
			tcp_abort(pcb);
	}
	while (conn->rx) {
		struct pbuf *p = conn->rx;
		conn->rx = p->next;
		p->next = NULL;
		pbuf_free(p);
	}
	wake_both(conn);
	net_unlock();
	release(conn);
	return 0;
}

void go_conn_deadline(go_conn *conn, int64_t read, int64_t write)
{
	net_lock();
	conn->deadline[NETPOLL_READ] = read;
	conn->deadline[NETPOLL_WRITE] = write;
	wake_both(conn); /* who waits looks at the new ones */
	net_unlock();
}

int go_conn_peer(const go_conn *conn, char *buf, size_t size)
{
	return address_format(&conn->peer, conn->peer_port, buf, size) ? 0 : net_fail(ERANGE);
}
