/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a server's operator may want to bound otherwise, by the environment: docs/network.md has the table.
 * Constant after the start. They are single variables because lwIP's sources mention some in #if.
 */
#ifndef NET_LIMITS_H
#define NET_LIMITS_H

extern unsigned limit_handshake;         /* s, of who came */
extern unsigned limit_stalled;           /* s without progress of what is to be sent */
extern unsigned limit_stalled_closed;    /* the same once the program has closed the connection */
extern unsigned limit_fin_wait;          /* s until the peer's end, after that */
extern unsigned limit_time_wait;         /* s */
extern unsigned limit_time_waits;        /* how many */
extern unsigned limit_sent;              /* KiB, written and not acknowledged */
extern unsigned limit_window;            /* KiB */
extern unsigned limit_ahead;             /* KiB, beyond a gap */
extern unsigned limit_ahead_segments;
extern unsigned limit_fragments;         /* that are kept, of all datagrams */
extern unsigned limit_fragment_seconds;  /* of IPv4, until a datagram is complete */
extern unsigned limit_fragment6_seconds; /* of IPv6 */
extern unsigned limit_datagrams;         /* of a UDP socket, that were not read */
extern unsigned limit_datagrams_size;    /* KiB */
extern unsigned limit_memory;            /* percent of the machine's, for the network */

void limits_init(void);

#endif
