/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network device lies: between any two polls it moves the used indices anywhere, returns any id with any length,
 * changes entries it has written already, the descriptors and the available rings, writes any bytes into the buffers that
 * it was given, headers with any number of buffers, and interrupts for nothing. While it does, the network's code runs
 * on top of the driver with a program that waits for connections. The features it offers are the input's, too.
 *
 * What it may not do is to write elsewhere: that is a matter of the machine's I/O memory management.
 *
 * @with net lwip drivers/virtio/net.c drivers/virtio/queue.c drivers/virtio/virtio.c
 */
#include "net.h"

#include "drivers/virtio/net.h"

#define FRAME_PLACE 12 /* behind virtio's header */

static const struct virtqueue *queues[2];
static uint8_t status;
static uint64_t offered;
static unsigned queue_max;
static uint16_t seen[2]; /* the device's place in each available ring */

static uint8_t status_read(struct virtio_device *d) { return status; }
static uint64_t features_read(struct virtio_device *d) { return offered; }
static void features_write(struct virtio_device *d, uint64_t features) { FUZZ_CHECK((features & ~offered) == 0); }
static unsigned queue_size(struct virtio_device *d, unsigned index) { return queue_max; }
static void notify(struct virtio_device *d, unsigned index) {}
static uint8_t config_read8(struct virtio_device *d, unsigned offset) { return (uint8_t)(0x52 + offset); }

static void status_write(struct virtio_device *d, uint8_t value)
{
	status = value;
}

static int queue_enable(struct virtio_device *d, unsigned index, const struct virtqueue *queue)
{
	queues[index] = queue;
	return 0;
}

static void (*interrupt)(void *arg);
static void *interrupt_arg;

static int attach(struct virtio_device *d)
{
	interrupt = d->handler;
	interrupt_arg = d->handler_arg;
	return 0;
}

static const struct virtio_transport transport = {
	status_read, status_write, features_read, features_write, queue_size,
	queue_enable, notify,      config_read8,  attach,
};

bool virtio_mmio_find(unsigned id, struct virtio_device *device)
{
	static const uint16_t sizes[] = { 4, 8, 256, 0, 7, 1024, 1, 2 };
	unsigned start = fuzz_8();

	memset(device, 0, sizeof(*device));
	device->transport = &transport;
	strcpy(device->name, "liar");
	offered = (uint64_t)(start & 8 ? 0 : 1) << 32 | (uint64_t)(start & 16 ? 1 : 0) << 29 | fuzz_16();
	queue_max = sizes[start & 7];
	status = 0;
	memset(queues, 0, sizeof(queues));
	memset(seen, 0, sizeof(seen));
	interrupt = NULL;
	return true;
}

bool virtio_pci_find(unsigned id, struct virtio_device *device)
{
	return false;
}

static void use(const struct virtqueue *q, uint32_t id, uint32_t length)
{
	q->used->ring[q->used->idx & (q->size - 1)].id = id;
	q->used->ring[q->used->idx & (q->size - 1)].len = length;
	q->used->idx++;
}

/* The next buffer in its turn: the receiver's with a frame of ours in it, the sender's is given back. */
static void honest(unsigned index)
{
	const struct virtqueue *q = queues[index];
	uint32_t size = 0;

	if (q->avail->idx == seen[index])
		return;
	unsigned id = q->avail->ring[seen[index]++ & (q->size - 1)] & (q->size - 1);
	if (index == 0) {
		char *buffer = (char *)(uintptr_t)q->chain[id].cookie;
		size = fuzz_8() * (uint32_t)8;
		if (size > q->chain[id].writable || q->chain[id].count == 0)
			return;
		memset(buffer, 0, size);
		if (size >= 12)
			buffer[0] = (char)fuzz_8(), buffer[1] = (char)(fuzz_8() & 1), buffer[10] = (char)fuzz_8();
		for (uint32_t i = FRAME_PLACE; i < size && fuzz_left() > 0; i++)
			buffer[i] = (char)fuzz_8();
	}
	use(q, id, size);
}

static void world(void)
{
	const struct virtqueue *q = queues[fuzz_8() & 1];

	polling_is_due = true;
	now += MS;
	if (!q || !q->block)
		return;
	switch (fuzz_8() % 12) {
	case 0: q->used->idx = (uint16_t)(q->used->idx + (int8_t)fuzz_8()); break;
	case 1: q->used->idx = fuzz_16(); break;
	case 2: q->used->ring[fuzz_8() % q->size].id = fuzz_32(); break;
	case 3: q->used->ring[fuzz_8() % q->size].len = fuzz_32(); break;
	case 4: q->desc[fuzz_8() % q->size] = (struct virtq_desc){ fuzz_32(), fuzz_32(), fuzz_16(), fuzz_16() }; break;
	case 5: q->avail->ring[fuzz_8() % q->size] = fuzz_16(); break;
	case 6: q->used->flags = *q->avail_event = fuzz_16(); break;
	case 7: use(q, fuzz_8(), fuzz_16()); break;
	case 8: use(q, fuzz_32(), fuzz_32()); break;
	case 9: now += fuzz_16() * 4 * MS; break;
	default: honest(q == queues[1]);
	}
	if (interrupt)
		interrupt(interrupt_arg);
}
