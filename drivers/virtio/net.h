/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio network device: frames in, frames out. It knows no protocol and no scheduler: what
 * uses it gives it callbacks.
 *
 * One lock of the caller's protects a device; every function but the last two is called
 * under it, and so are the callbacks but `ready`. A device that breaks its rings is reset,
 * reported once, and from then on receives nothing and sends nothing.
 */
#ifndef DRIVERS_VIRTIO_NET_H
#define DRIVERS_VIRTIO_NET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/virtio/virtio.h"

/* Room that the sender leaves in front of a frame for the device's header. */
#define VIRTIO_NET_HEADER 12
#define VIRTIO_NET_PIECES 8      /* of a frame, at most, in either direction */
#define VIRTIO_NET_FRAME_MAX 1518 /* Ethernet with a VLAN tag, no checksum */

struct virtio_net;

struct virtio_net_callbacks {
	/* The device has work: call virtio_net_poll() soon. On the trap stack, or under the lock. */
	void (*ready)(void);
	/* A frame came. The pieces are the device's again when this returns. */
	void (*receive)(struct virtio_net *net, const struct virtq_piece *pieces, unsigned count,
			size_t length, bool checksum_good);
	/* What virtio_net_send() got may be used again. */
	void (*sent)(void *cookie);
	/* A poll has found room for who was refused, and has not handed over anything yet. */
	void (*room)(struct virtio_net *net);
};

struct virtio_net {
	struct virtio_device device;
	struct virtio_net_callbacks callbacks;
	struct virtqueue rx, tx;
	char *buffers;         /* one for each descriptor of rx */
	unsigned buffers_order;
	uint8_t mac[6];
	bool up;
	_Atomic(bool) tx_full; /* since somebody found no room, until a poll finds it */
	unsigned tx_wanted;    /* the fewest descriptors that were wanted meanwhile */
	unsigned tx_returned;  /* by the device, meanwhile */
	_Atomic(uint32_t) notify; /* bits by queue: the device waits to be told */
	bool checksum_offload; /* it fills in checksums on request */
	uint64_t dropped;      /* frames too long or in too many pieces */
};

/* Finds the index'th device and starts it. 0; -1: there are no more; 1: it does not work (reported). */
int virtio_net_start(struct virtio_net *net, unsigned index, const struct virtio_net_callbacks *callbacks);

/*
 * Hands at most `budget` frames to receive(), refills the ring, and returns finished
 * sends to sent(). Answers how many frames it handed over. When they are many, the device is shown what
 * was queued on the way, so that it works beside: the rest is the caller's to flush.
 */
unsigned virtio_net_poll(struct virtio_net *net, unsigned budget);

/* Lets the device interrupt again. True: more came meanwhile, poll again. */
bool virtio_net_rearm(struct virtio_net *net);

/*
 * Queues a frame. The first piece begins with VIRTIO_NET_HEADER bytes that are overwritten.
 * checksum_start > 0: the device adds up from there to the end and stores the sum at
 * checksum_start + checksum_offset, where the pseudo header's sum is. All of it stays untouched until
 * sent(cookie). False: the ring has no room (`tx_full` says so until a poll finds it), or has not so many
 * descriptors at all, or the device is down.
 */
bool virtio_net_send(struct virtio_net *net, const struct virtq_piece *pieces, unsigned count,
		     uint16_t checksum_start, uint16_t checksum_offset, void *cookie);

/* Whether frames of so many pieces together find room now. False: as virtio_net_send(). */
bool virtio_net_room(struct virtio_net *net, unsigned count);

/*
 * Who asks waits for room(), which comes once there are so many descriptors, or as many as another one waits
 * for: the fewer of the two. As virtio_net_room() does where it finds no room.
 */
void virtio_net_tell_of_room(struct virtio_net *net, unsigned count);

/*
 * Shows the device what was queued, once a batch. True: virtio_net_notify() is to be called,
 * without the lock where that can wait: it may leave the machine (a trap to QEMU), which takes long.
 */
bool virtio_net_flush(struct virtio_net *net);
void virtio_net_notify(struct virtio_net *net);

/* After virtio_net_rearm(), without the lock: asks once more whether there is something to poll. */
bool virtio_net_pending(const struct virtio_net *net);

#endif
