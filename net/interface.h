/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interfaces, for interface.c, receive.c, transmit.c and addresses.c. The rest of net/ knows them by
 * net/net.h.
 */
#ifndef NET_INTERFACE_H
#define NET_INTERFACE_H

#include "drivers/virtio/net.h"
#include "gump/net.h"
#include "lwip/netif.h"
#include "net/net.h"

#define INTERFACES_MAX 8
#define UNSENT_MAX 1024 /* frames, as many as the largest queue of a device has entries */

struct interface {
	struct virtio_net device;   /* first: the driver's callback has only that */
	struct netif netif;         /* its `state` is the device */
	unsigned number;            /* net0, net1, ... */
	uint16_t generate;          /* checksums that are lwIP's to generate, not the device's */
	const char *address_source; /* for the message */
	ip4_addr_t announced;
	struct came {
		struct pbuf *first, *last; /* by their `next` */
		unsigned count;
		size_t bytes;
	} came; /* net/receive.c */
	struct unsent {
		struct pbuf *frames[UNSENT_MAX]; /* a ring */
		unsigned first, count;
		unsigned share; /* of the device's descriptors, for data until there is room again */
	} unsent; /* net/transmit.c */
	struct go_interface_stats counts; /* but for what the driver counts, the name, and `up` */
};

/* Under the net lock; which there are is constant after the start. */
extern struct interface *interfaces[INTERFACES_MAX];
extern unsigned interface_count;

/*
 * net/receive.c. What the driver calls with a frame, which waits until receive_some() hands it to lwIP; and
 * how many the driver may be asked for at the moment.
 */
void receive(struct virtio_net *device, const struct virtq_piece *pieces, unsigned count, size_t length,
	     bool checksum_good);
unsigned receive_most(const struct interface *interface);
/* Answers how many there were, of at most so many. */
unsigned receive_some(struct interface *interface, unsigned budget);
void receive_nothing(struct interface *interface); /* the device is given up */
/* How lwIP checks what does not come from the device. */
void receive_start(struct interface *interface);

/*
 * net/transmit.c. lwIP's netif->linkoutput: a frame, its payload at the Ethernet header's padding.
 * ERR_WOULDBLOCK: the device has no room, and the driver's callback will tell of some.
 */
err_t transmit(struct netif *netif, struct pbuf *p);
/* What the driver calls back when it is. */
void transmitted(void *cookie);
/* There is room, or there never will be. */
void transmit_unsent(struct interface *interface);
void transmit_nothing(struct interface *interface);

/* net/addresses.c: begins to look for addresses, once the interface is in `interfaces`. */
void addresses_configure(struct interface *interface);
/* lwIP's callback: an address of the interface came or went. */
void addresses_status(struct netif *netif);
/* An interface came or went: others may lead where it did. */
void addresses_changed(void);

#endif
