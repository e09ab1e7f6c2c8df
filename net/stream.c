/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections as the program sees them: reading, writing, closing.
 *
 * A call takes its turn (one reader and one writer at a time), then loops under the net lock: look at
 * the state, act, or park until it changes. It holds a reference (net/handle.h), so that the connection lives
 * until those whom its close woke have left.
 */
#include <string.h>

#include "kernel/hart.h"
#include "lwip/pbuf.h"
#include "lwip/priv/tcp_priv.h"
#include "net/address.h"
#include "net/conn.h"
#include "net/demux.h"
#include "net/handle.h"
#include "net/limits.h"
#include "net/memory.h"

/* The net lock is held while so much is copied, and no longer. */
#define READ_MAX (32 * 1024)
#define WRITE_MAX (16 * 1024)

static void release(struct conn *conn)
{
	if (!handle_leave(conn->handle))
		return;
	net_lock();
	net_free(conn);
	net_unlock();
}

/* NULL with EBADF: it was closed. */
static struct conn *enter(const go_conn *handle, enum netpoll_mode mode)
{
	struct conn *conn = handle_enter(handle);
	if (!conn)
		return NULL;
	go_mutex_lock(&conn->turn[mode]);
	net_lock();
	conn_begin(conn);
	return conn;
}

static void leave(struct conn *conn, enum netpoll_mode mode)
{
	net_unlock();
	go_mutex_unlock(&conn->turn[mode]);
	release(conn);
}

static bool passed(int64_t deadline)
{
	return deadline != GO_FOREVER && hart_now() >= deadline;
}

/* A peer without room hears when there is some for a segment. lwIP would wait for four, or for a probe. */
static void give_window(struct tcp_pcb *pcb, size_t n)
{
	bool waits = TCP_SEQ_LT(pcb->rcv_ann_right_edge, pcb->rcv_nxt + pcb->mss);
	for (; n > UINT16_MAX; n -= UINT16_MAX)
		tcp_recved(pcb, UINT16_MAX);
	tcp_recved(pcb, (u16_t)n);
	uint32_t edge = pcb->rcv_nxt + pcb->rcv_ann_wnd;
	if (waits && TCP_SEQ_GEQ(edge, pcb->rcv_ann_right_edge + pcb->mss)) {
		tcp_ack_now(pcb);
		tcp_output(pcb);
	}
}

/*
 * Tells the peer that there is room for `n` more bytes, but for no more in all than this
 * connection's share. What is withheld is given out with a later read.
 */
static void open_window(struct conn *conn, size_t n)
{
	struct tcp_pcb *pcb = conn->pcb;
	size_t most = net_memory_share();
	if (most > limit_window * 1024)
		most = limit_window * 1024;
	if (most < FIRST_WINDOW)
		most = FIRST_WINDOW;
	n += conn->withheld;
	size_t give = pcb->rcv_wnd >= most ? 0 : most - pcb->rcv_wnd;
	if (give > n)
		give = n;
	conn->withheld = (u32_t)(n - give);
	if (give) {
		demux_rouse(pcb);
		give_window(pcb, give);
	}
	conn_count_window(conn);
}

/* Copies out of the queue. */
static size_t take(struct conn *conn, char *buf, size_t size)
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

ssize_t go_read(go_conn *handle, void *buf, size_t size)
{
	ssize_t answer = 0;
	int error = 0;
	struct conn *conn = enter(handle, NETPOLL_READ);
	if (!conn)
		return -1;
	for (;;) {
		if (conn->closed)
			error = EBADF;
		else if (passed(conn->deadline[NETPOLL_READ]))
			error = ETIMEDOUT;
		else if (size == 0)
			answer = 0;
		else if (conn->rx)
			answer = (ssize_t)take(conn, buf, size);
		else if (conn->error && !conn->peer_finished)
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

/*
 * For so much lwIP's queue has room, which is counted in pbufs: what does not fit it would take memory for,
 * and give it back.
 */
static size_t queue_room(const struct tcp_pcb *pcb)
{
	unsigned queued = tcp_sndqueuelen(pcb) + 1; /* the last segment is filled up first */

	return queued < TCP_SND_QUEUELEN ? (TCP_SND_QUEUELEN - queued) * tcp_segment_size(pcb) : 0;
}

/* Queues a part. ERR_MEM: not now. */
static err_t put(struct tcp_pcb *pcb, const char *buf, size_t size, size_t *done)
{
	size_t n = size < WRITE_MAX ? size : WRITE_MAX;
	size_t most = net_memory_share();
	if (most > limit_sent * 1024)
		most = limit_sent * 1024;
	if (n > pcb->snd_buf)
		n = pcb->snd_buf;
	if (n > most)
		n = most;
	if (n > TCP_MSS && n > queue_room(pcb)) /* else it takes little that is given back */
		n = queue_room(pcb);
	if (n + conn_queued(pcb) > most)
		n = most > conn_queued(pcb) ? most - conn_queued(pcb) : 0;
	if (net_memory_tight()) {
		/* A little for each, so that all go on; what is in flight must come back first. */
		if (tcp_sndqueuelen(pcb) > 0)
			return ERR_MEM;
		if (n > pcb->mss)
			n = pcb->mss;
	}
	if (n == 0)
		return ERR_MEM;
	demux_rouse(pcb);
	err_t error = tcp_write(pcb, buf, (u16_t)n,
				TCP_WRITE_FLAG_COPY | (n < size ? TCP_WRITE_FLAG_MORE : 0));
	if (error == ERR_OK)
		*done = n;
	tcp_output(pcb);
	return error;
}

ssize_t go_write(go_conn *handle, const void *buf, size_t size)
{
	size_t done = 0;
	int error = 0;
	struct conn *conn = enter(handle, NETPOLL_WRITE);
	if (!conn)
		return -1;
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
			conn_retry(conn);
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

int go_shutdown(go_conn *handle)
{
	int error = 0;
	struct conn *conn = handle_enter(handle);
	if (!conn)
		return -1;
	net_lock();
	if (conn->closed)
		error = EBADF;
	else if (conn->error)
		error = conn->error;
	else if (!conn->write_finished && conn->pcb) {
		demux_rouse(conn->pcb);
		error = net_errno(tcp_shutdown(conn->pcb, 0, 1));
	}
	if (!error)
		conn->write_finished = true;
	net_wake(&conn->desc, NETPOLL_WRITE);
	net_unlock();
	release(conn);
	return error ? net_fail(error) : 0;
}

int go_conn_close(go_conn *handle)
{
	struct conn *conn = handle_close(handle);
	if (!conn)
		return -1;
	net_lock();
	conn->closed = true;
	conn_begin(conn);
	net_counts.connections -= conn->counted;
	struct tcp_pcb *pcb = conn->pcb;
	if (pcb) {
		conn_let_go(conn);
		demux_rouse(pcb);
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
	conn_wake(conn);
	net_unlock();
	release(conn);
	return 0;
}

void go_conn_deadline(go_conn *handle, int64_t read, int64_t write)
{
	struct conn *conn = handle_enter(handle);
	if (!conn)
		return;
	net_lock();
	conn->deadline[NETPOLL_READ] = read;
	conn->deadline[NETPOLL_WRITE] = write;
	conn_wake(conn); /* who waits looks at the new ones */
	net_unlock();
	release(conn);
}

int go_conn_peer(const go_conn *handle, char *buf, size_t size)
{
	struct conn *conn = handle_enter(handle);
	if (!conn)
		return -1;
	bool fits = address_format(&conn->peer, conn->peer_port, buf, size);
	release(conn);
	return fits ? 0 : net_fail(ERANGE);
}
