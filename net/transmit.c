/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames to send. One in a few pieces is not copied: lwIP leaves room for the device's header before each.
 *
 * The ring of a device that is behind is full of data, whose senders send them again or wait for room. Nobody
 * sends a reset again, an answer to ARP or the last acknowledgement: those wait here, the oldest first, for
 * as long as there is a place. When there is room they leave half of it to data; and data, whose senders run
 * while the device works, take no more than that until there is room again. So neither keeps the other out.
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

struct transport {
	uint32_t protocol;      /* a fragment's is IP6_NEXTH_FRAGMENT, of either IP */
	uint32_t at, length;    /* of its header and what follows, from the frame's first byte */
	const void *addresses;  /* source and destination, both, */
	uint32_t address_bytes; /* of so many */
};

/* What the frame's first piece tells. False: it is not of IP. */
static bool find_transport(const struct pbuf *p, struct transport *t)
{
	const struct eth_hdr *eth = p->payload;
	const void *ip = eth + 1;
	if (eth->type == PP_HTONS(ETHTYPE_IP) && p->len >= SIZEOF_ETH_HDR + IP_HLEN) {
		const struct ip_hdr *v4 = ip;
		bool part = IPH_OFFSET(v4) & PP_HTONS(IP_OFFMASK | IP_MF);
		t->protocol = part ? IP6_NEXTH_FRAGMENT : IPH_PROTO(v4);
		t->at = SIZEOF_ETH_HDR + IPH_HL_BYTES(v4);
		t->length = lwip_ntohs(IPH_LEN(v4)) - IPH_HL_BYTES(v4);
		t->addresses = &v4->src;
		t->address_bytes = 2 * sizeof(v4->src);
		return true;
	}
	if (eth->type == PP_HTONS(ETHTYPE_IPV6) && p->len >= SIZEOF_ETH_HDR + IP6_HLEN) {
		const struct ip6_hdr *v6 = ip;
		t->protocol = IP6H_NEXTH(v6);
		t->at = SIZEOF_ETH_HDR + IP6_HLEN;
		t->length = IP6H_PLEN(v6);
		t->addresses = &v6->src;
		t->address_bytes = 2 * sizeof(v6->src);
		return true;
	}
	return false;
}

/* NULL: the first piece ends before that. */
static struct tcp_hdr *tcp_header(const struct pbuf *p, const struct transport *t)
{
	if (t->protocol != IP_PROTO_TCP || p->len < t->at + TCP_HLEN)
		return NULL;
	return (void *)((char *)p->payload + t->at);
}

/*
 * Where the checksum is for the device to fill in: lwIP left the field empty, the pseudo
 * header's sum belongs there. Answers the offset of the TCP header in the frame, or 0.
 */
static uint16_t prepare_checksum(const struct pbuf *p)
{
	struct transport t;
	struct tcp_hdr *tcp;
	if (!find_transport(p, &t) || !(tcp = tcp_header(p, &t)))
		return 0;
	uint32_t sum = net_checksum(t.addresses, t.address_bytes);
	sum += PP_HTONS(IP_PROTO_TCP);
	sum += lwip_htons((u16_t)t.length);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	tcp->chksum = (u16_t)sum;
	return (uint16_t)(t.at - ETH_PAD_SIZE);
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
	struct transport t;
	if (p->tot_len > WITHOUT_DATA)
		return true;
	if (!find_transport(p, &t))
		return false;
	struct tcp_hdr *tcp = tcp_header(p, &t);
	if (tcp)
		return t.length > TCPH_HDRLEN_BYTES(tcp) + 1u;
	return t.protocol == IP_PROTO_TCP || t.protocol == IP_PROTO_UDP || t.protocol == IP6_NEXTH_FRAGMENT;
}

static bool is_fragment(const struct pbuf *p)
{
	struct transport t;
	return find_transport(p, &t) && t.protocol == IP6_NEXTH_FRAGMENT;
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

/*
 * While others wait, data have their share. A fragment's room was asked for (net_room_for_fragments()).
 * Who is refused is told of room, as those for whom this waits.
 */
static bool may_go(struct unsent *unsent, const struct pbuf *p)
{
	unsigned pieces = pbuf_clen(p);
	if (!unsent->count || is_fragment(p))
		return true;
	if (!is_data(p) || !unsent->share)
		return false;
	unsent->share -= pieces < unsent->share ? pieces : unsent->share;
	return true;
}

err_t transmit(struct netif *netif, struct pbuf *p)
{
	struct interface *interface = netif->state;
	struct unsent *unsent = &interface->unsent;
	size_t length = p->tot_len;
	err_t error = may_go(unsent, p) ? post(&interface->device, p) : ERR_WOULDBLOCK;

	if (error == ERR_WOULDBLOCK && !is_data(p) && put_off(unsent, p))
		return ERR_OK;
	return counted(interface, length, error);
}

/* Half of what there is remains for data. */
void transmit_unsent(struct interface *interface)
{
	struct virtio_net *device = &interface->device;
	struct unsent *unsent = &interface->unsent;

	unsent->share = device->tx.free_count / 2;
	while (unsent->count && virtio_net_room(device, 1 + unsent->share)) {
		struct pbuf *p = unsent->frames[unsent->first];
		err_t error = post(device, p);
		if (error == ERR_WOULDBLOCK)
			break;
		counted(interface, p->tot_len, error);
		leave(unsent);
	}
	if (unsent->count) /* else it would wait for the half that it leaves */
		virtio_net_tell_of_room(device, 1);
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
