/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interfaces net0, net1, ...: between lwIP's netifs and the virtio network devices, in the order in which
 * those are found. A device that breaks its rings takes its own interface down and no other.
 *
 * In: a frame is copied into a pbuf of its own length, because buffers of the device are few and
 * a frame may wait for its reader for ever. Out: a frame in a few pieces is not copied, lwIP leaves room for
 * the device's header before each.
 */
#include "net/interface.h"

#include <string.h>

#include "kernel/hart.h"
#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "lwip/inet_chksum.h"
#include "lwip/pbuf.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "lwip_hooks.h"
#include "netif/ethernet.h"
#include "net/memory.h"
#include "net/nameservers.h"
#include "net/timewait.h"

#define CHECK_ALL (NETIF_CHECKSUM_ENABLE_ALL)
#define CHECK_NOT_TCP_UDP (CHECK_ALL & ~(NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP))
#define ETHERNET_MTU 1500
#define TCP_CHECKSUM_OFFSET 16 /* in the TCP header */
#define WITHOUT_DATA (SIZEOF_ETH_HDR + IP6_HLEN + 60) /* a frame's length at most, with all options of TCP */

struct interface *interfaces[INTERFACES_MAX];
unsigned interface_count;

/* ---- In ---- */

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

static void receive(struct virtio_net *device, const struct virtq_piece *pieces, unsigned count,
		    size_t length, bool checksum_good)
{
	struct interface *interface = (struct interface *)device; /* its first member */
	struct netif *netif = &interface->netif;
	struct pbuf *p = copy_frame(pieces, count, length);
	if (!p || too_short(p) || is_forged(p)) { /* as if the network had lost it */
		interface->counts.received_dropped++;
		if (p)
			pbuf_free(p);
		return;
	}
	interface->counts.received_frames++;
	interface->counts.received_bytes += length;
	NETIF_SET_CHECKSUM_CTRL(netif, (checksum_good ? CHECK_NOT_TCP_UDP : CHECK_ALL) & interface->generate);
	if (netif->input(p, netif) != ERR_OK)
		pbuf_free(p);
	/* What loops back from this interface to itself never had a checksum. */
	NETIF_SET_CHECKSUM_CTRL(netif, CHECK_NOT_TCP_UDP & interface->generate);
}

static void room(void)
{
	tcp_txnow(); /* segments that found the ring full */
	udp_retry();
}

static unsigned poll_one(struct interface *interface, unsigned budget)
{
	struct virtio_net *device = &interface->device;
	unsigned frames = virtio_net_poll(device, budget);
	if (!device->up && netif_is_link_up(&interface->netif)) {
		hart_print("net%u: down\n", interface->number);
		netif_set_link_down(&interface->netif);
		addresses_changed();
		udp_retry();
	}
	return frames;
}

unsigned interface_poll(unsigned budget)
{
	unsigned most = 0;
	for (unsigned i = 0; i < interface_count; i++) {
		unsigned frames = poll_one(interfaces[i], budget);
		if (frames > most)
			most = frames;
	}
	timewait_collect();
	return most;
}

bool interface_is_full(void)
{
	for (unsigned i = 0; i < interface_count; i++)
		if (interfaces[i]->device.up && interfaces[i]->device.tx_full)
			return true;
	return false;
}

bool interface_rearm(void)
{
	bool more = false;
	for (unsigned i = 0; i < interface_count; i++)
		more |= virtio_net_rearm(&interfaces[i]->device);
	return more;
}

bool interface_pending(void)
{
	bool pending = false;
	for (unsigned i = 0; i < interface_count; i++)
		pending |= virtio_net_pending(&interfaces[i]->device);
	return pending;
}

/* ---- Out ---- */

static void sent(void *cookie)
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

/*
 * The descriptors that a frame leaves free. A device that is behind is full of data, whose senders wait for
 * room or send them again. Nobody sends a reset again, an answer to ARP or the last acknowledgement: for
 * those is what data leave. Which is which goes by the length.
 */
static unsigned left_free(const struct virtio_net *device, size_t length)
{
	return length > WITHOUT_DATA ? device->tx.size / 8 : 0;
}

/* lwIP's frame, its payload at the Ethernet header's padding. Takes a reference until it is sent. */
static err_t queue_frame(struct netif *netif, struct pbuf *p)
{
	struct virtq_piece pieces[VIRTIO_NET_PIECES];
	struct virtio_net *device = netif->state;
	unsigned count = 0, left = left_free(device, p->tot_len);
	uint16_t start = device->checksum_offload ? prepare_checksum(p) : 0;

	if (!device->up)
		return ERR_IF;
	pbuf_ref(p);
	unsigned most = device->tx.size - left;
	if (most > VIRTIO_NET_PIECES)
		most = VIRTIO_NET_PIECES;
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
	bool queued = virtio_net_room(device, count + left) &&
		      virtio_net_send(device, pieces, count, start, TCP_CHECKSUM_OFFSET, p);
	pbuf_remove_header(p, PBUF_LINK_ENCAPSULATION_HLEN);
	if (!queued)
		pbuf_free(p);
	return queued ? ERR_OK : ERR_MEM;
}

static err_t send_frame(struct netif *netif, struct pbuf *p)
{
	struct go_interface_stats *counts = &((struct interface *)netif->state)->counts;
	size_t length = p->tot_len - ETH_PAD_SIZE;
	err_t error = queue_frame(netif, p);

	if (error != ERR_OK) {
		counts->sent_dropped++;
		return error;
	}
	counts->sent_frames++;
	counts->sent_bytes += length;
	return ERR_OK;
}

/* Each fragment is in two pieces: its headers, and where its part of the packet is. */
err_t net_room_for_fragments(struct netif *netif, unsigned count)
{
	struct virtio_net *device = netif->state;
	unsigned wanted = 2 * count + left_free(device, netif->mtu);
	if (wanted > device->tx.size)
		return ERR_BUF; /* never */
	return virtio_net_room(device, wanted) ? ERR_OK : device->up ? ERR_MEM : ERR_IF;
}

bool interface_flush(void)
{
	bool notify = false;
	for (unsigned i = 0; i < interface_count; i++)
		notify |= virtio_net_flush(&interfaces[i]->device);
	return notify;
}

void interface_notify(void)
{
	for (unsigned i = 0; i < interface_count; i++)
		virtio_net_notify(&interfaces[i]->device);
}

/* ---- Start ---- */

static err_t netif_fill(struct netif *netif)
{
	const struct virtio_net *device = netif->state;
	netif->name[0] = 'n';
	netif->name[1] = 'e';
	netif->hostname = "gump";
	netif->output = etharp_output;
	netif->output_ip6 = ethip6_output;
	netif->linkoutput = send_frame;
	netif->mtu = ETHERNET_MTU;
	netif->hwaddr_len = sizeof device->mac;
	memcpy(netif->hwaddr, device->mac, sizeof device->mac);
	netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET |
		       NETIF_FLAG_MLD6 | NETIF_FLAG_LINK_UP;
	return ERR_OK;
}

static void start(struct interface *interface)
{
	struct netif *netif = &interface->netif;
	interface->generate = CHECK_ALL;
	if (interface->device.checksum_offload)
		interface->generate &= (uint16_t)~NETIF_CHECKSUM_GEN_TCP;
	netif_add_noaddr(netif, &interface->device, netif_fill, ethernet_input);
	NETIF_SET_CHECKSUM_CTRL(netif, CHECK_NOT_TCP_UDP & interface->generate);
	interface->number = interface_count;
	interfaces[interface_count++] = interface;
	if (interface->number == 0)
		netif_set_default(netif);
	netif_set_status_callback(netif, addresses_status);
	netif_create_ip6_linklocal_address(netif, 1);
	netif->ip6_autoconfig_enabled = 1;
	netif_set_up(netif);
	addresses_configure(interface);
}

bool interface_start(void)
{
	static const struct virtio_net_callbacks callbacks = { sched_netpoll_ready, receive, sent, room };
	int result = 0;
	for (unsigned index = 0; result >= 0 && interface_count < INTERFACES_MAX; index++) {
		struct interface *interface = net_calloc(1, sizeof *interface);
		if (!interface)
			break;
		result = virtio_net_start(&interface->device, index, &callbacks);
		if (result == 0)
			start(interface);
		else if (result < 0)
			net_free(interface); /* else its interrupt handler may be attached */
	}
	nameservers_start();
	if (interface_flush())
		interface_notify();
	return interface_count > 0;
}
