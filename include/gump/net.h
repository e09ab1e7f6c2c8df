/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gump: TCP and UDP.
 *
 * Every call that waits blocks the goroutine, not the hart. Errors are -1 or NULL with errno
 * set: EINVAL (an address that cannot be read), ENETDOWN (no network device), ENOMEM, EADDRINUSE,
 * ECONNRESET (by the peer), ECONNABORTED (given up here: the peer is gone or stalls, the address was lost),
 * ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT (a deadline passed, or nobody answered a dial), EPIPE
 * (written after go_shutdown), EMSGSIZE (a datagram of more than 65,507 bytes, by IPv6 65,487), ERANGE
 * (a buffer too small for an address), EBADF (closed, also by another goroutine meanwhile). In the hosted
 * build also what the host's kernel says, such as EACCES for a port below 1024.
 *
 * Two goroutines may use one connection, one reading and one writing. Close wakes both with EBADF.
 * So does every later call with what was closed, whatever was opened since: these pointers are
 * no addresses, and are not used again.
 */
#ifndef GUMP_NET_H
#define GUMP_NET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct go_listener go_listener;
typedef struct go_conn go_conn;
typedef struct go_udp go_udp;

/*
 * ":80", "10.0.2.15:80", "[::]:80". Any number of goroutines may accept. The address may be one
 * that the machine does not have yet. Does not block.
 */
go_listener *go_listen(const char *addr);
/* Blocks until a client comes for whom the machine has memory; others are turned away. */
go_conn *go_accept(go_listener *);
/* Waiting accepts fail with EBADF. */
void go_listener_close(go_listener *);

/*
 * "host:port", "[fd00::1]:80", "[fe80::1%net0]:80"; a name is resolved by DNS, its address of
 * version 4 before that of version 6. Blocks until the connection is there, or it is refused.
 * ETIMEDOUT at the deadline, at once if that has passed, and when nobody has answered for some seven seconds
 * (hosted as long as the host's kernel tries, which may be minutes); EHOSTUNREACH when there is no such name,
 * no name server is known or answers (seven seconds each), or no router, or address of the link, leads there
 * over IPv6.
 */
go_conn *go_dial(const char *addr, int64_t deadline);

/*
 * Blocks until at least one byte is there. 0 = the peer has finished, from then on; may be short. With a
 * size of 0 it does not block. A deadline that has passed counts first: ETIMEDOUT, whatever there is to read.
 */
ssize_t go_read(go_conn *, void *buf, size_t size);
/* All of it, or -1, when a part of it may be on its way. Blocks until the last byte is queued for sending. */
ssize_t go_write(go_conn *, const void *buf, size_t size);
/* No more writes: the peer reads an end after what was written. Reading goes on. Does not block. 0 or -1. */
int go_shutdown(go_conn *);
/*
 * Does not block. What was written is still sent, within the limits `stalled` and `finwait`
 * (docs/network.md); if something has come that was not read, the connection is reset instead. 0, or -1
 * with EBADF.
 */
int go_conn_close(go_conn *);
/* Later calls (and those that wait now) fail with ETIMEDOUT at these times; GO_FOREVER: never.
   The connection stays usable. */
void go_conn_deadline(go_conn *, int64_t read, int64_t write);
/* "10.0.2.2:51034", "[fd00::1]:80", "[fe80::1%net0]:80". 0, or -1 with ERANGE when buf is too small. */
int go_conn_peer(const go_conn *, char *buf, size_t size);

/* As go_listen() reads it. Does not block. */
go_udp *go_udp_open(const char *addr);
/* Blocks until a datagram is there; what of it does not fit is cut off. `from` may be NULL; one that is too
   small for the address (ERANGE) has cost the datagram. */
ssize_t go_udp_recv(go_udp *, void *buf, size_t size, char *from, size_t from_size);
/*
 * One datagram, which may get lost. Blocks while the device has no room, and for a name or the machine's
 * first address: EHOSTUNREACH after 10 s, and where a socket of the other version of IP does not lead.
 */
ssize_t go_udp_send(go_udp *, const void *buf, size_t size, const char *to);
/* Waiting receivers fail with EBADF. */
void go_udp_close(go_udp *);

/* How the network stands, and what came since the start. */
struct go_net_stats {
	size_t connections;   /* that the program has and has not closed */
	uint64_t accepted;    /* by go_accept() */
	uint64_t dialled;     /* by go_dial(), and there */
	/* attempts to connect that found the backlog full or no memory; hosted, always 0 */
	uint64_t turned_away;
	/* bytes that packets, connections and those that are over take; hosted, always 0 */
	size_t memory;
	/* bytes that they may take: new connections are turned away at three quarters */
	size_t memory_max;
};
void go_net_stats(struct go_net_stats *);

/* A network interface, and what it carried since the start: Ethernet's frames. */
struct go_interface_stats {
	char name[8]; /* "net0", as in "[fe80::1%net0]:80" */
	int up;       /* 0: its device broke */
	uint64_t received_frames, received_bytes;
	uint64_t received_dropped; /* too long, too short, or no memory for them */
	uint64_t sent_frames, sent_bytes;
	uint64_t sent_dropped; /* no room in the device, each time; TCP and go_udp_send try again */
};
/* Of the number'th, from 0 to 7. 0, or -1 when there is none; hosted, there is none. */
int go_interface_stats(int number, struct go_interface_stats *);

#ifdef __cplusplus
}
#endif

#endif
