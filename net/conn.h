/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of a connection, for net/ only. */
#ifndef NET_CONN_H
#define NET_CONN_H

#include <stdbool.h>

#include "gump.h"
#include "gump/net.h"
#include "lwip/tcp.h"
#include "net/net.h"

/* Fields are under the net lock unless they say otherwise. */
struct conn {
	go_conn *handle;            /* constant: net/handle.h */
	struct tcp_pcb *pcb;        /* NULL: lwIP has done with it */
	struct netpoll_desc desc;
	struct pbuf *rx, *rx_last;  /* received and not read: single pbufs, linked by next */
	size_t rx_bytes;
	u16_t rx_count;             /* pbufs, up to 65535 */
	u16_t rx_room;              /* bytes that still fit behind the last one's */
	u32_t withheld;             /* read, but the peer was not told that there is room */
	u32_t promised;             /* what its window counts for in net/memory.h */
	int error;                  /* errno that ended it, or 0 */
	bool connecting;            /* go_dial waits */
	bool fresh;                 /* accepted, and not yet read from or written to: net_fresh */
	bool peer_finished;         /* its FIN came */
	bool write_finished;        /* go_shutdown was called */
	bool closed;                /* go_conn_close was called */
	bool counted;               /* in net_counts: the program has it */
	u16_t peer_port;            /* constant */
	ip_addr_t peer;             /* constant */
	u32_t challenged;           /* sys_now() at the last challenge */
	int64_t deadline[2];        /* by enum netpoll_mode */
	int64_t arrived;            /* ns: since then it waits to be accepted */
	go_mutex turn[2];           /* one reader and one writer at a time; before the net lock */
	struct conn *next;       /* in the listener's queue */
};

#define FIRST_WINDOW (16 * 1024) /* the peer may send so much before the program has read any */

/* net/conn.c; all under the net lock. */

/* NULL: no memory. The pcb stays the caller's then. */
struct conn *conn_new(struct tcp_pcb *pcb);
/* lwIP goes on with the pcb alone. */
void conn_let_go(struct conn *conn);
/* Both who read and who write look at the state again. */
void conn_wake(struct conn *conn);
/* Wakes the writer in 500 ms at the latest, once. */
void conn_retry(struct conn *conn);
/* After the receive window or the pcb changed. */
void conn_count_window(struct conn *conn);
/* The program gets it. */
void conn_count(struct conn *conn, uint64_t *how);
/* True: what came was not read. */
bool conn_has_unread(const struct tcp_pcb *pcb);
/* Once in 500 ms; as often as RFC 5961, 7 and Linux have it, for each connection by itself. */
bool conn_may_challenge(const struct tcp_pcb *pcb);

/*
 * net/listener.c: how many are fresh. Who serves them has yet to take the memory for it: goroutines
 * get their stacks when they first run.
 */
extern size_t net_fresh;
static inline void conn_begin(struct conn *conn)
{
	if (conn->fresh)
		net_fresh--;
	conn->fresh = false;
}

/* net/stats.c; under the net lock. Memory is not in it. */
extern struct go_net_stats net_counts;

/* Bytes written and not acknowledged. */
static inline size_t conn_queued(const struct tcp_pcb *pcb)
{
	return TCP_SND_BUF - pcb->snd_buf; /* tcp_sndbuf() tells no more than 65535 */
}

#endif
