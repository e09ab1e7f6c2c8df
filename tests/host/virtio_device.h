/* SPDX-License-Identifier: BSD-2-Clause */
/* A virtio network device on the host, for the driver's tests: what is the same however it behaves. */
#ifndef TESTS_HOST_VIRTIO_DEVICE_H
#define TESTS_HOST_VIRTIO_DEVICE_H

#include <assert.h>
#include <string.h>

#include "drivers/virtio/queue.h"
#include "drivers/virtio/virtio.h"

static const struct virtqueue *queues[2]; /* the receiver's and the sender's */
static uint16_t seen[2];                  /* the device's place in each available ring */
static uint8_t status;
static uint64_t offered;                  /* features */
static unsigned queue_max;

static uint8_t status_read(struct virtio_device *d) { return status; }
static uint64_t features_read(struct virtio_device *d) { return offered; }
static void features_write(struct virtio_device *d, uint64_t features) { assert((features & ~offered) == 0); }
static unsigned queue_size(struct virtio_device *d, unsigned index) { return queue_max; }
static unsigned notifications[2];
static void notify(struct virtio_device *d, unsigned index)
{
	assert(index < 2);
	notifications[index]++;
}
static uint8_t config_read8(struct virtio_device *d, unsigned offset) { return (uint8_t)(0x52 + offset); }

static void status_write(struct virtio_device *d, uint8_t value)
{
	status = value;
	if (value == 0)
		memset(seen, 0, sizeof(seen));
}

static struct virtio_device *attached; /* who is interrupted; NULL: nobody */

static int attach(struct virtio_device *d)
{
	attached = d;
	return 0;
}

static inline void interrupt_driver(void)
{
	if (attached != NULL)
		attached->handler(attached->handler_arg);
}

static bool interrupts_early;

static int queue_enable(struct virtio_device *d, unsigned index, const struct virtqueue *queue)
{
	queues[index] = queue;
	if (interrupts_early)
		interrupt_driver();
	return 0;
}

static const struct virtio_transport transport = {
	status_read, status_write, features_read, features_write, queue_size,
	queue_enable, notify,      config_read8,  attach,
};

static void device_fill(struct virtio_device *device, const char *name)
{
	memset(device, 0, sizeof(*device));
	device->transport = &transport;
	attached = NULL;
	strcpy(device->name, name);
}

bool virtio_pci_find(unsigned id, unsigned *index, struct virtio_device *device) { return false; }

/* The next buffer in its turn; -1: none. */
static int next_available(unsigned index)
{
	const struct virtqueue *q = queues[index];
	return q->avail->idx == seen[index] ? -1 : q->avail->ring[seen[index]++ & (q->size - 1)];
}

static void use(const struct virtqueue *q, uint32_t id, uint32_t length)
{
	volatile struct virtq_used_elem *elem = &q->used->ring[q->used->idx & (q->size - 1)];
	elem->id = id;
	elem->len = length;
	q->used->idx++;
}

#endif
