/* SPDX-License-Identifier: BSD-2-Clause */
/* What lwIP calls besides its configuration. */
#ifndef LWIP_HOOKS_H
#define LWIP_HOOKS_H

#include "lwip/arch.h"
#include "lwip/err.h"
#include "lwip/ip_addr.h"

struct pbuf;
struct tcp_hdr;
struct tcp_pcb;

/* net/random.c: the first sequence number of a connection. */
u32_t net_tcp_isn(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote,
		  u16_t remote_port);
/* net/admit.c: whether the segment is to be looked at, by the pcb it belongs to. */
err_t net_admit_packet(struct tcp_pcb *pcb, const struct tcp_hdr *header, u16_t options_length,
		       const struct pbuf *p);

#endif
