/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio device behind one of two transports: registers in memory (mmio.c) or PCI (pci.c),
 * both in their modern form (virtio 1.0 and later) only. A driver finds its device with
 * virtio_find(), agrees on features with virtio_negotiate(), sets up its queues, attaches its
 * interrupt handler and says virtio_ready().
 *
 * All of that happens in the first goroutine, before anything else knows the device.
 */
#ifndef DRIVERS_VIRTIO_VIRTIO_H
#define DRIVERS_VIRTIO_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>

#include "drivers/pci.h"
#include "drivers/virtio/queue.h"
#include "kernel/irq.h"

#define VIRTIO_ID_NET 1

#define VIRTIO_F_EVENT_IDX (UINT64_C(1) << 29)
#define VIRTIO_F_VERSION_1 (UINT64_C(1) << 32)

#define VIRTIO_STATUS_ACKNOWLEDGE 1
#define VIRTIO_STATUS_DRIVER 2
#define VIRTIO_STATUS_DRIVER_OK 4
#define VIRTIO_STATUS_FEATURES_OK 8
#define VIRTIO_STATUS_FAILED 128

#define VIRTIO_QUEUES 2 /* that a driver here uses */

struct virtio_device;

struct virtio_transport {
	uint8_t (*status_read)(struct virtio_device *device);
	void (*status_write)(struct virtio_device *device, uint8_t status); /* 0: reset */
	uint64_t (*features_read)(struct virtio_device *device);
	void (*features_write)(struct virtio_device *device, uint64_t features);
	/* its maximum; 0: no such queue */
	unsigned (*queue_size)(struct virtio_device *device, unsigned index);
	int (*queue_enable)(struct virtio_device *device, unsigned index, const struct virtqueue *queue);
	void (*notify)(struct virtio_device *device, unsigned index);
	uint8_t (*config_read8)(struct virtio_device *device, unsigned offset); /* 0 outside of it */
	int (*irq_attach)(struct virtio_device *device);
};

struct virtio_device {
	const struct virtio_transport *transport;
	char name[32];            /* "virtio-mmio at 10008000", "virtio-pci 00:02.0": for messages */
	uint64_t features;        /* as negotiated */
	irq_handler *handler;
	void *handler_arg;
	/* mmio */
	uintptr_t registers;
	unsigned line;
	/* pci */
	struct pci_device pci;
	uintptr_t common, config;
	uint32_t config_length;
	uintptr_t notify_address[VIRTIO_QUEUES];
};

/*
 * The index'th modern device of that kind (0, 1, ... in the order of places), mmio before PCI. A legacy
 * one on the way is reported. False: there are no more.
 */
bool virtio_find(unsigned id, unsigned index, struct virtio_device *device);

/*
 * Resets the device and agrees on those of `wanted` that it offers; VIRTIO_F_VERSION_1 is a must.
 * 0 or -1, reported.
 */
int virtio_negotiate(struct virtio_device *device, uint64_t wanted);

/* Makes queue `index`, of at most `most` and VIRTQUEUE_SIZE_MAX, and enables it. 0 or -1, reported. */
int virtio_queue_setup(struct virtio_device *device, unsigned index, unsigned most, struct virtqueue *queue);

/*
 * handler(arg) runs for each interrupt, on the trap stack; it is acknowledged already. 0 or -1,
 * reported.
 */
int virtio_irq_attach(struct virtio_device *device, irq_handler *handler, void *arg);

void virtio_ready(struct virtio_device *device);

/* Resets the device and tells it that the driver gave it up. It touches no queue from here on. */
void virtio_fail(struct virtio_device *device);

static inline void virtio_notify(struct virtio_device *device, unsigned index)
{
	device->transport->notify(device, index);
}

/* The transports' part of virtio_find(). *index goes down by the devices that were passed over. */
bool virtio_mmio_find(unsigned id, unsigned *index, struct virtio_device *device);
bool virtio_pci_find(unsigned id, unsigned *index, struct virtio_device *device);

#endif
