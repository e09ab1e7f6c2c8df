/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lwIP's configuration. All of lwIP runs under the net lock (net/lock.h), so it needs no
 * protection of its own; it allocates everything, also its "pools", from net/memory.c, so that
 * the numbers of pools bound nothing, but for those of the queues for neighbours' addresses; its timers are
 * run by net/timers.c.
 */
#ifndef LWIP_LWIPOPTS_H
#define LWIP_LWIPOPTS_H

#include "net/limits.h"

#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_TIMERS_CUSTOM 1
#define LWIP_STATS 0

/* Memory */
#define MEM_ALIGNMENT 8
#define MEMP_MEM_MALLOC 1
#define MEM_CUSTOM_ALLOCATOR 1
#define MEM_CUSTOM_MALLOC net_malloc
#define MEM_CUSTOM_CALLOC net_calloc
#define MEM_CUSTOM_FREE net_free
#define LWIP_DISABLE_MEMP_SANITY_CHECKS 1
#define LWIP_DISABLE_TCP_SANITY_CHECKS 1

/* The device's header and Ethernet's make room for each other so that IP headers lie on 8 bytes. */
#define ETH_PAD_SIZE 2
#define PBUF_LINK_ENCAPSULATION_HLEN 10

/* Interfaces */
#define LWIP_IPV4 1
#define LWIP_IPV6 1
#define LWIP_ARP 1
/* all of a /24: whoever makes up addresses there must not push out those that are there */
#define ARP_TABLE_SIZE 256
#define ARP_QUEUEING 1
/* frames that wait for one address: of a peer that opens many connections first of all, all answers */
#define ARP_QUEUE_LEN 256
#define MEMP_NUM_ARP_QUEUE 1024 /* and for all addresses */
#define LWIP_ND6_NUM_NEIGHBORS 16
#define LWIP_ND6_NUM_DESTINATIONS 16
#define IPV6_FRAG_COPYHEADER 1
#define LWIP_SINGLE_NETIF 0
#define LWIP_NETIF_HWADDRHINT 1
#define LWIP_NETIF_HOSTNAME 1
#define LWIP_NETIF_STATUS_CALLBACK 1
#define LWIP_HAVE_LOOPIF 1
#define LWIP_NETIF_LOOPBACK 1
#define LWIP_LOOPBACK_MAX_PBUFS 1024
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define LWIP_CHKSUM net_checksum
#define IP_REASS_MAX_PBUFS limit_fragments
#define IP_REASS_MAXAGE ((u8_t)limit_fragment_seconds)
#define IPV6_REASS_MAXAGE ((u8_t)limit_fragment6_seconds)
#define MEMP_NUM_REASSDATA 0 /* bounds nothing, and the preprocessor does not know the limit */
#define LWIP_RAW 0

/* Configuration by the network: at once, without asking whether an address is free first. */
#define LWIP_DHCP 1
#define LWIP_DHCP_DOES_ACD_CHECK 0
#define LWIP_ACD 0
#define LWIP_AUTOIP 0
/* Leases to the second: with lwIP's minutes, short ones would end before they are renewed. */
#define DHCP_COARSE_TIMER_SECS 1
#define DHCP_TIMEOUT_SIZE_T u32_t
#define DHCP_DEFINE_CUSTOM_TIMEOUTS 1
#define DHCP_AT_LEAST_ONE(seconds) ((seconds) > 0 ? (seconds) : 1)
#define DHCP_SET_TIMEOUT_FROM_OFFERED_T0_LEASE(result, dhcp) \
	((result) = DHCP_AT_LEAST_ONE((dhcp)->offered_t0_lease))
#define DHCP_SET_TIMEOUT_FROM_OFFERED_T1_RENEW(result, dhcp) \
	((result) = DHCP_AT_LEAST_ONE((dhcp)->offered_t1_renew))
#define DHCP_SET_TIMEOUT_FROM_OFFERED_T2_REBIND(result, dhcp) \
	((result) = DHCP_AT_LEAST_ONE((dhcp)->offered_t2_rebind))
#define DHCP_NEXT_TIMEOUT_THRESHOLD 60 /* seconds between attempts (RFC 2131, 4.4.5) */
#define DHCP_REQUEST_BACKOFF_SEQUENCE(tries) (u16_t)(((tries) < 6 ? 1 << (tries) : 60) * 1000)
#define LWIP_IPV6_AUTOCONFIG 1
#define LWIP_DNS 1
#define DNS_MAX_NAME_LENGTH 256
#define DNS_TABLE_SIZE 16
#define DNS_MAX_SERVERS 4
#define LWIP_DHCP_MAX_DNS_SERVERS 3
#define LWIP_ND6_RDNSS_MAX_DNS_SERVERS 3 /* that there are some; net/nameservers.c bounds them */
#define LWIP_DNS_SECURE \
	(LWIP_DNS_SECURE_RAND_XID | LWIP_DNS_SECURE_NO_MULTIPLE_OUTSTANDING | \
	 LWIP_DNS_SECURE_RAND_SRC_PORT)

/* TCP */
#define TCP_MSS 1460
#define TCP_MSS_MIN 48 /* whatever a peer wants: a segment of 1 byte costs as much */
/* Of a pcb; not more than half of the largest window there was (RFC 9293, 3.8.6.2.1). */
#define tcp_half_window(pcb) LWIP_MAX((pcb)->snd_wnd_max / 2, TCP_MSS_MIN)
#define tcp_segment_size(pcb) ((u16_t)LWIP_MIN((pcb)->mss, tcp_half_window(pcb)))
#define LWIP_WND_SCALE 1
#define TCP_RCV_SCALE 2
#define TCP_WND (128 * 1024)
#define TCP_SND_BUF (128 * 1024)
#define TCP_SND_QUEUELEN 512
#define TCP_SNDLOWAT (TCP_SND_BUF / 4)
#define TCP_SNDQUEUELOWAT (TCP_SND_QUEUELEN / 2)
#define TCP_QUEUE_OOSEQ 1
#define TCP_OOSEQ_BYTES_LIMIT(pcb) (limit_ahead * 1024)
#define TCP_OOSEQ_PBUFS_LIMIT(pcb) ((u16_t)limit_ahead_segments)
#define TCP_SYN_RCVD_TIMEOUT (limit_handshake * 1000) /* ms, as the next */
#define TCP_FIN_WAIT_TIMEOUT (limit_fin_wait * 1000)
#define LWIP_TCP_SACK_OUT 1
#define LWIP_TCP_KEEPALIVE 1
#define LWIP_TCP_RTO_TIME 1000
#define TCP_MSL 30000
#define TCP_LISTEN_BACKLOG 0 /* counts in a byte: net/listener.c has its own */
#define LWIP_TCP_PCB_NUM_EXT_ARGS 1
#define TCP_DEFAULT_LISTEN_BACKLOG 255

#define LWIP_HOOK_TCP_ISN net_tcp_isn
#define LWIP_HOOK_TCP_INPACKET_PCB(pcb, header, length, one, two, p) \
	net_admit_packet(pcb, header, length, one, p)
#define LWIP_HOOK_FILENAME "lwip_hooks.h"

#endif
