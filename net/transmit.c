/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames to send. One in a few pieces is not copied: lwIP leaves room for the device's header before each.
 *
 * The ring of a device that is behind is full of data, whose senders send them again or wait for room. Nobody
 * sends a reset again, an answer to ARP or the last acknowledgement: those wait here, the oldest first, for
 * as long as there is a place. When there is room they leave some of it to data, so neither
 * keeps the other out.
 */
#include <string.h>

#include "lwip/pbuf.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/ip.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "lwip/prot/tcp.h"
#include "lwip_hooks.h"
#include "net/interface.h"

#define TCP_CHECKSUM_OFFSET 16 /* in the TCP header */
#define WITHOUT_DATA (SIZEOF_ETH_HDR + IP6_HLEN + 60) /* a frame's length at most, with all options of TCP */

void transmitted(void *cookie)
{
	pbuf_free(cookie);
}

/*
 * Where the checksum is for the device to fill in: lwIP left the field empty, the pseudo
 * header's sum belongs there. Answers the offset of the TCP header in the frame, or 0.
 */
static uint16_t prepare_checksum(struct pbuf *p)
{
	const struct eth_hdr *eth = p->payload;
	char *ip = (char *)p->payload + SIZEOF_ETH_HDR;
	uint32_t sum, header;
	if (eth->type == PP_HTONS(ETHTYPE_IP) && p->len >= SIZEOF_ETH_HDR + IP_HLEN + TCP_HLEN) {
		const struct ip_hdr *v4 = (void *)ip;
		header = IPH_HL_BYTES(v4);
		if (IPH_PROTO(v4) != IP_PROTO_TCP || (IPH_OFFSET(v4) & PP_HTONS(IP_OFFMASK | IP_MF)))
			return 0;
		sum = net_checksum(&v4->src, 8);
	} else if (eth->type == PP_HTONS(ETHTYPE_IPV6) &&
		   p->len >= SIZEOF_ETH_HDR + IP6_HLEN + TCP_HLEN) {
		const struct ip6_hdr *v6 = (void *)ip;
		header = IP6_HLEN;
		if (IP6H_NEXTH(v6) != IP6_NEXTH_TCP)
			return 0;
		sum = net_checksum(&v6->src, 32);
	} else {
		return 0;
	}
	sum += PP_HTONS(IP_PROTO_TCP);
	sum += lwip_htons((u16_t)(p->tot_len - SIZEOF_ETH_HDR - header));
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	struct tcp_hdr *tcp = (void *)(ip + header);
	tcp->chksum = (u16_t)sum;
	return (uint16_t)(SIZEOF_ETH_HDR - ETH_PAD_SIZE + header);
}

/* Takes a reference until the frame is sent. ERR_WOULDBLOCK: no room. */
static err_t post(struct virtio_net *device, struct pbuf *p)
{
	struct virtq_piece pieces[VIRTIO_NET_PIECES];
	unsigned count = 0, most = device->tx.size < VIRTIO_NET_PIECES ? device->tx.size : VIRTIO_NET_PIECES;
	uint16_t start = device->checksum_offload ? prepare_checksum(p) : 0;

	if (!device->up)
		return ERR_IF;
	pbuf_ref(p);
	if (pbuf_clen(p) > most || pbuf_add_header(p, PBUF_LINK_ENCAPSULATION_HLEN)) {
		/* No room, or in too many pieces: a copy has room and is one piece. */
		struct pbuf *copy = pbuf_clone(PBUF_RAW_TX, PBUF_RAM, p);
		pbuf_free(p);
		if (!copy)
			return ERR_MEM;
		p = copy;
		pbuf_add_header(p, PBUF_LINK_ENCAPSULATION_HLEN);
	}
	for (struct pbuf *q = p; q; q = q->next)
		pieces[count++] = (struct virtq_piece){ q->payload, q->len };
	bool posted = virtio_net_send(device, pieces, count, start, TCP_CHECKSUM_OFFSET, p);
	pbuf_remove_header(p, PBUF_LINK_ENCAPSULATION_HLEN);
	if (posted)
		return ERR_OK;
	pbuf_free(p);
	return device->up ? ERR_WOULDBLOCK : ERR_IF;
}

static err_t counted(struct interface *interface, size_t length, err_t error)
{
	struct go_interface_stats *counts = &interface->counts;
	if (error == ERR_OK) {
		counts->sent_frames++;
		counts->sent_bytes += length - ETH_PAD_SIZE;
	} else {
		counts->sent_dropped++;
	}
	return error;
}

/*
 * Bytes of TCP's stream, but for one: that is a probe of a closed window, and some in vain end a connection.
 * Or UDP; a fragment is of a datagram, and lwIP's own come again by its timers. What is long counts, too.
 */
static bool is_data(const struct pbuf *p)
{
	const struct eth_hdr *eth = p->payload;
	const void *ip = eth + 1;
	uint32_t protocol, header, length;
	if (p->tot_len > WITHOUT_DATA)
		return true;
	if (eth->type == PP_HTONS(ETHTYPE_IP) && p->len >= SIZEOF_ETH_HDR + IP_HLEN) {
		const struct ip_hdr *v4 = ip;
		if (IPH_OFFSET(v4) & PP_HTONS(IP_OFFMASK | IP_MF))
			return true;
		protocol = IPH_PROTO(v4);
		header = IPH_HL_BYTES(v4);
		length = lwip_ntohs(IPH_LEN(v4));
	} else if (eth->type == PP_HTONS(ETHTYPE_IPV6) && p->len >= SIZEOF_ETH_HDR + IP6_HLEN) {
		const struct ip6_hdr *v6 = ip;
		protocol = IP6H_NEXTH(v6);
		header = IP6_HLEN;
		length = IP6_HLEN + IP6H_PLEN(v6);
	} else {
		return false;
	}
	if (protocol == IP_PROTO_TCP && p->len >= SIZEOF_ETH_HDR + header + TCP_HLEN) {
		const struct tcp_hdr *tcp = (const void *)((const char *)ip + header);
		return length > header + TCPH_HDRLEN_BYTES(tcp) + 1;
	}
	return protocol == IP_PROTO_TCP || protocol == IP_PROTO_UDP || protocol == IP6_NEXTH_FRAGMENT;
}

static bool put_off(struct unsent *unsent, struct pbuf *p)
{
	if (unsent->count == UNSENT_MAX)
		return false;
	pbuf_ref(p);
	unsent->frames[(unsent->first + unsent->count++) % UNSENT_MAX] = p;
	return true;
}

static void leave(struct unsent *unsent)
{
	pbuf_free(unsent->frames[unsent->first]);
	unsent->first = (unsent->first + 1) % UNSENT_MAX;
	unsent->count--;
}

err_t transmit(struct netif *netif, struct pbuf *p)
{
	struct interface *interface = netif->state;
	struct unsent *unsent = &interface->unsent;
	size_t length = p->tot_len;
	err_t error = unsent->count && !is_data(p) ? ERR_WOULDBLOCK : post(&interface->device, p);

	if (error == ERR_WOULDBLOCK && !is_data(p) && put_off(unsent, p))
		return ERR_OK;
	return counted(interface, length, error);
}

/* It leaves half of what there is to data. */
void transmit_unsent(struct interface *interface)
{
	struct virtio_net *device = &interface->device;
	struct unsent *unsent = &interface->unsent;
	unsigned left = device->tx.free_count / 2;

	while (unsent->count && virtio_net_room(device, 1 + left)) {
		struct pbuf *p = unsent->frames[unsent->first];
		err_t error = post(device, p);
		if (error == ERR_WOULDBLOCK)
			break;
		counted(interface, p->tot_len, error);
		leave(unsent);
	}
	if (unsent->count) /* else it would wait for the half that it leaves */
		device->tx_wanted = 1;
}

void transmit_nothing(struct interface *interface)
{
	while (interface->unsent.count) {
		interface->counts.sent_dropped++;
		leave(&interface->unsent);
	}
}

/* Each fragment is in two pieces: its headers, and where its part of the packet is. */
err_t net_room_for_fragments(struct netif *netif, unsigned count)
{
	struct virtio_net *device = netif->state;
	if (2 * count > device->tx.size)
		return ERR_BUF; /* never */
	return virtio_net_room(device, 2 * count) ? ERR_OK : device->up ? ERR_WOULDBLOCK : ERR_IF;
}
