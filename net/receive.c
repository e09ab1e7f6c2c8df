/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames that came. Each is copied into a pbuf of its own length, because buffers of the device are few and
 * a frame may wait for its reader for ever.
 *
 * A burst comes faster than it can be handled. A device without buffers leaves it to the host, whose queue is
 * short, and QEMU looks at that again only when it was told of new ones: what is lost there comes again after
 * its sender's time-out. So all that the device has is taken out of it first, and waits here.
 */
#include <string.h>

#include "kernel/pages.h"
#include "lwip/pbuf.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/etharp.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "net/interface.h"

#define CHECK_ALL (NETIF_CHECKSUM_ENABLE_ALL)
#define CHECK_NOT_TCP_UDP (CHECK_ALL & ~(NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP))
#define CHECKED 0x80 /* in a pbuf's flags, of which lwIP has others: its checksum is good */
#define CAME_MAX 4096 /* frames; more would only wait for longer, if they keep coming so fast */

/*
 * Of an IPv6 option lwIP reads the length even when its kind is the last byte that there is: it finds a 0
 * behind the frame then.
 */
#define BEHIND 1

static struct pbuf *copy_frame(const struct virtq_piece *pieces, unsigned count, size_t length)
{
	struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)(ETH_PAD_SIZE + length + BEHIND), PBUF_RAM);
	if (!p)
		return NULL;
	p->len = p->tot_len = (u16_t)(ETH_PAD_SIZE + length);
	char *to = (char *)p->payload + ETH_PAD_SIZE;
	for (unsigned i = 0; i < count; i++) {
		memcpy(to, pieces[i].address, pieces[i].length);
		to += pieces[i].length;
	}
	memset(to, 0, BEHIND);
	return p;
}

/*
 * On a wire a frame has 60 bytes at least, and lwIP takes it for granted that an ARP packet is whole. A
 * device can give out fewer, and does when there is less to say. Of the copy: it could change its own.
 */
static bool too_short(const struct pbuf *p)
{
	const struct eth_hdr *eth = p->payload;
	return p->len < SIZEOF_ETH_HDR ||
	       (eth->type == PP_HTONS(ETHTYPE_ARP) && p->len < SIZEOF_ETH_HDR + SIZEOF_ETHARP_HDR);
}

/* An address of this machine, as far as it is one: who else might have a tentative one, has it. */
static bool is_own_v6(const ip6_addr_p_t *packed)
{
	ip6_addr_t address;
	ip6_addr_copy_from_packed(address, *packed);
	if (ip6_addr_isloopback(&address))
		return true;
	for (unsigned i = 0; i < interface_count; i++) {
		const struct netif *netif = &interfaces[i]->netif;
		for (s8_t j = 0; j < LWIP_IPV6_NUM_ADDRESSES; j++)
			if (ip6_addr_isvalid(netif_ip6_addr_state(netif, j)) &&
			    ip6_addr_zoneless_eq(&address, netif_ip6_addr(netif, j)))
				return true;
	}
	return false;
}

static bool is_own_v4(const ip4_addr_p_t *packed)
{
	ip4_addr_t address;
	ip4_addr_copy(address, *packed);
	if (ip4_addr_isloopback(&address))
		return true;
	if (ip4_addr_isany_val(address))
		return false;
	for (unsigned i = 0; i < interface_count; i++)
		if (ip4_addr_eq(&address, netif_ip4_addr(&interfaces[i]->netif)))
			return true;
	return false;
}

/* What claims to come from this machine (RFC 1122, 3.2.1.3): an echo would be for the machine itself. */
static bool is_forged(const struct pbuf *p)
{
	const struct eth_hdr *eth = p->payload;
	const void *ip = eth + 1;
	if (eth->type == PP_HTONS(ETHTYPE_IP) && p->len >= SIZEOF_ETH_HDR + IP_HLEN)
		return is_own_v4(&((const struct ip_hdr *)ip)->src);
	if (eth->type == PP_HTONS(ETHTYPE_IPV6) && p->len >= SIZEOF_ETH_HDR + IP6_HLEN)
		return is_own_v6(&((const struct ip6_hdr *)ip)->src);
	return false;
}

/* ---- What waits ---- */

/* A 32nd of the memory at most, as the buffers of the device. */
unsigned receive_most(const struct interface *interface)
{
	const struct came *came = &interface->came;
	size_t most = pages_total() / 32 * PAGE_SIZE;
	size_t left = came->bytes < most ? (most - came->bytes) / VIRTIO_NET_FRAME_MAX : 0;
	return (unsigned)(left < CAME_MAX - came->count ? left : CAME_MAX - came->count);
}

void receive(struct virtio_net *device, const struct virtq_piece *pieces, unsigned count, size_t length,
	     bool checksum_good)
{
	struct interface *interface = (struct interface *)device; /* its first member */
	struct came *came = &interface->came;
	struct pbuf *p = copy_frame(pieces, count, length);
	if (!p) { /* as if the network had lost it */
		interface->counts.received_dropped++;
		return;
	}
	if (checksum_good)
		p->flags |= CHECKED;
	if (came->first)
		came->last->next = p; /* of one piece, so lwIP has no other use for that */
	else
		came->first = p;
	came->last = p;
	came->count++;
	came->bytes += p->tot_len;
}

static struct pbuf *take_first(struct came *came)
{
	struct pbuf *p = came->first;
	if (!p)
		return NULL;
	came->first = p->next;
	p->next = NULL;
	came->count--;
	came->bytes -= p->tot_len;
	return p;
}

static void hand_over(struct interface *interface, struct pbuf *p)
{
	struct netif *netif = &interface->netif;
	bool checksum_good = p->flags & CHECKED;
	if (too_short(p) || is_forged(p)) {
		interface->counts.received_dropped++;
		pbuf_free(p);
		return;
	}
	interface->counts.received_frames++;
	interface->counts.received_bytes += p->tot_len - ETH_PAD_SIZE;
	p->flags &= (u8_t)~CHECKED;
	NETIF_SET_CHECKSUM_CTRL(netif, (checksum_good ? CHECK_NOT_TCP_UDP : CHECK_ALL) & interface->generate);
	if (netif->input(p, netif) != ERR_OK)
		pbuf_free(p);
	receive_start(interface);
}

/* What loops back from an interface to itself never had a checksum. */
void receive_start(struct interface *interface)
{
	NETIF_SET_CHECKSUM_CTRL(&interface->netif, CHECK_NOT_TCP_UDP & interface->generate);
}

unsigned receive_some(struct interface *interface, unsigned budget)
{
	unsigned frames = 0;
	for (struct pbuf *p; frames < budget && (p = take_first(&interface->came)); frames++)
		hand_over(interface, p);
	return frames;
}

void receive_nothing(struct interface *interface)
{
	for (struct pbuf *p; (p = take_first(&interface->came));) {
		interface->counts.received_dropped++;
		pbuf_free(p);
	}
}
