/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interfaces net0, net1, ...: between lwIP's netifs and the virtio network devices, in the order in which
 * those are found. A device that breaks its rings takes its own interface down and no other. What comes in:
 * net/receive.c, what goes out: net/transmit.c.
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

#define ETHERNET_MTU 1500
#define AT_ONCE 64 /* frames of an interface, until the device is looked at again */

struct interface *interfaces[INTERFACES_MAX];
unsigned interface_count;

static void room(struct virtio_net *device)
{
	transmit_unsent((struct interface *)device);
	tcp_txnow(); /* segments that found the ring full */
	udp_retry();
}

static void poll_one(struct interface *interface)
{
	struct virtio_net *device = &interface->device;
	virtio_net_poll(device, receive_most(interface));
	if (!device->up && netif_is_link_up(&interface->netif)) {
		hart_print("net%u: down\n", interface->number);
		netif_set_link_down(&interface->netif);
		receive_nothing(interface);
		transmit_nothing(interface);
		addresses_changed();
		udp_retry();
	}
}

bool interface_poll(unsigned budget)
{
	unsigned handled = 0, most;
	do {
		most = 0;
		for (unsigned i = 0; i < interface_count; i++)
			poll_one(interfaces[i]);
		for (unsigned i = 0; i < interface_count; i++) {
			unsigned frames = receive_some(interfaces[i], AT_ONCE);
			most = frames > most ? frames : most;
		}
		handled += most;
		if (most == AT_ONCE && interface_flush())
			interface_notify();
	} while (most > 0 && handled < budget);
	timewait_collect();
	return most > 0;
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
	interface->generate = NETIF_CHECKSUM_ENABLE_ALL;
	if (interface->device.checksum_offload)
		interface->generate &= (uint16_t)~NETIF_CHECKSUM_GEN_TCP;
	netif_add_noaddr(netif, &interface->device, netif_fill, ethernet_input);
	receive_start(interface);
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
