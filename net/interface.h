/* SPDX-License-Identifier: BSD-2-Clause */
/* The interfaces, for net/interface.c and net/addresses.c. The rest of net/ knows them by net/net.h. */
#ifndef NET_INTERFACE_H
#define NET_INTERFACE_H

#include "drivers/virtio/net.h"
#include "gump/net.h"
#include "lwip/netif.h"
#include "net/net.h"

#define INTERFACES_MAX 8

struct interface {
	struct virtio_net device;   /* first: the driver's callback has only that */
	struct netif netif;         /* its `state` is the device */
	unsigned number;            /* net0, net1, ... */
	uint16_t generate;          /* checksums that are lwIP's to generate, not the device's */
	const char *address_source; /* for the message */
	ip4_addr_t announced;
	struct go_interface_stats counts; /* but for what the driver counts, the name, and `up` */
};

/* Under the net lock; which there are is constant after the start. */
extern struct interface *interfaces[INTERFACES_MAX];
extern unsigned interface_count;

/* net/addresses.c: begins to look for addresses, once the interface is in `interfaces`. */
void addresses_configure(struct interface *interface);
/* lwIP's callback: an address of the interface came or went. */
void addresses_status(struct netif *netif);
/* An interface came or went: others may lead where it did. */
void addresses_changed(void);

#endif
