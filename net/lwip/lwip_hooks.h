/* SPDX-License-Identifier: BSD-2-Clause */
/* What lwIP calls besides its configuration. */
#ifndef LWIP_HOOKS_H
#define LWIP_HOOKS_H

#include <stdbool.h>

#include "lwip/arch.h"
#include "lwip/err.h"
#include "lwip/ip_addr.h"

struct netif;
struct pbuf;
struct tcp_hdr;
struct tcp_pcb;

/* net/random.c: the first sequence number of a connection. */
u32_t net_tcp_isn(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote,
		  u16_t remote_port);
/* net/admit.c: whether the segment is to be looked at, by the pcb it belongs to. */
err_t net_admit_packet(struct tcp_pcb *pcb, const struct tcp_hdr *header, u16_t options_length,
		       u16_t of_it_here, const struct pbuf *p);
/* net/conn.c, at each tick of lwIP's timer: nothing goes on that is to be sent, and the connection ends. */
bool net_is_stalled(struct tcp_pcb *pcb);
/*
 * net/timewait.c: a segment that lwIP has no connection for. False if it belonged to an old one, and was
 * answered.
 */
bool net_timewait_admit(const struct tcp_hdr *header, const struct pbuf *p);
/*
 * net/transmit.c: whether the device has room for all fragments of a packet, since a part would be sent in
 * vain. ERR_WOULDBLOCK: not now; ERR_BUF: never.
 */
err_t net_room_for_fragments(struct netif *netif, unsigned count);
/* net/nameservers.c: a lease, or a router, tells of a name server. A lease ends what the one before told. */
void net_forget_leased_name_servers(struct netif *netif);
void net_leased_name_server(struct netif *netif, const ip_addr_t *server);
void net_router_name_server(struct netif *netif, const ip_addr_t *server, u32_t seconds);

#endif
