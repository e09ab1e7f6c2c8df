/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interfaces net0, net1, ...: between lwIP's netifs and the virtio network devices, in the order in which
 * those are found. A device that breaks its rings takes its own interface down and no other.
 *
 * A frame that came is copied into a pbuf of its own length, because buffers of the device are few and
 * a frame may wait for its reader for ever. What goes out: net/transmit.c.
 */
#include "net/interface.h"

#include <string.h>

#include "kernel/hart.h"
#include "lwip/etharp.h"
#include "lwip/ethip6.h"
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

struct interface *interfaces[INTERFACES_MAX];
unsigned interface_count;

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

static void room(struct virtio_net *device)
{
	transmit_unsent((struct interface *)device);
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
		transmit_nothing(interface);
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
	netif->linkoutput = transmit;
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
	static const struct virtio_net_callbacks callbacks = {
		sched_netpoll_ready, receive, transmitted, room
	};
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
