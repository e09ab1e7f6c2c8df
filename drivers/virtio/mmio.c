/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio over registers in memory (virtio 1.2, section 4.2), version 2. QEMU's machines have
 * eight or more such transports, most of them empty (device id 0).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "drivers/virtio/virtio.h"
#include "kernel/io.h"
#include "kernel/machine.h"
#include "kernel/vm.h"

#define MAGIC_VALUE 0x000
#define VERSION 0x004
#define DEVICE_ID 0x008
#define DEVICE_FEATURES 0x010
#define DEVICE_FEATURES_SEL 0x014
#define DRIVER_FEATURES 0x020
#define DRIVER_FEATURES_SEL 0x024
#define QUEUE_SEL 0x030
#define QUEUE_NUM_MAX 0x034
#define QUEUE_NUM 0x038
#define QUEUE_READY 0x044
#define QUEUE_NOTIFY 0x050
#define INTERRUPT_STATUS 0x060
#define INTERRUPT_ACK 0x064
#define STATUS 0x070
#define QUEUE_DESC_LOW 0x080
#define QUEUE_DRIVER_LOW 0x090
#define QUEUE_DEVICE_LOW 0x0a0
#define CONFIG 0x100

#define MAGIC 0x74726976 /* "virt" */

static uint32_t read(struct virtio_device *device, unsigned offset)
{
	return io_read32(device->registers + offset);
}

static void write(struct virtio_device *device, unsigned offset, uint32_t value)
{
	io_write32(device->registers + offset, value);
}

static uint8_t status_read(struct virtio_device *device)
{
	return (uint8_t)read(device, STATUS);
}

static void status_write(struct virtio_device *device, uint8_t status)
{
	write(device, STATUS, status);
}

static uint64_t features_read(struct virtio_device *device)
{
	write(device, DEVICE_FEATURES_SEL, 0);
	uint64_t features = read(device, DEVICE_FEATURES);
	write(device, DEVICE_FEATURES_SEL, 1);
	return features | (uint64_t)read(device, DEVICE_FEATURES) << 32;
}

static void features_write(struct virtio_device *device, uint64_t features)
{
	write(device, DRIVER_FEATURES_SEL, 0);
	write(device, DRIVER_FEATURES, (uint32_t)features);
	write(device, DRIVER_FEATURES_SEL, 1);
	write(device, DRIVER_FEATURES, (uint32_t)(features >> 32));
}

static unsigned queue_size(struct virtio_device *device, unsigned index)
{
	write(device, QUEUE_SEL, index);
	return read(device, QUEUE_NUM_MAX);
}

static void write_address(struct virtio_device *device, unsigned offset, volatile void *address)
{
	write(device, offset, (uint32_t)(uintptr_t)address);
	write(device, offset + 4, (uint32_t)((uint64_t)(uintptr_t)address >> 32));
}

static int queue_enable(struct virtio_device *device, unsigned index, const struct virtqueue *queue)
{
	write(device, QUEUE_SEL, index);
	if (read(device, QUEUE_READY))
		return -1;
	write(device, QUEUE_NUM, queue->size);
	write_address(device, QUEUE_DESC_LOW, queue->desc);
	write_address(device, QUEUE_DRIVER_LOW, queue->avail);
	write_address(device, QUEUE_DEVICE_LOW, queue->used);
	write(device, QUEUE_READY, 1);
	return 0;
}

static void notify(struct virtio_device *device, unsigned index)
{
	write(device, QUEUE_NOTIFY, index);
}

static uint8_t config_read8(struct virtio_device *device, unsigned offset)
{
	return io_read8(device->registers + CONFIG + offset);
}

/* Level-triggered, maybe shared: acknowledge what is pending, then let the driver look. */
static void interrupt(void *arg)
{
	struct virtio_device *device = arg;
	uint32_t pending = read(device, INTERRUPT_STATUS);
	if (!pending)
		return;
	write(device, INTERRUPT_ACK, pending);
	device->handler(device->handler_arg);
}

static int mmio_irq_attach(struct virtio_device *device)
{
	return irq_attach(device->line, interrupt, device);
}

static const struct virtio_transport mmio = {
	.status_read = status_read,
	.status_write = status_write,
	.features_read = features_read,
	.features_write = features_write,
	.queue_size = queue_size,
	.queue_enable = queue_enable,
	.notify = notify,
	.config_read8 = config_read8,
	.irq_attach = mmio_irq_attach,
};

bool virtio_mmio_find(unsigned id, unsigned *index, struct virtio_device *device)
{
	for (unsigned i = 0; i < machine.virtio_count; i++) {
		const struct machine_virtio *place = &machine.virtio[i];
		if (place->size < CONFIG + 0x20 ||
		    arch_vm_map_device(place->base, (size_t)place->size))
			continue;
		memset(device, 0, sizeof *device);
		device->transport = &mmio;
		device->registers = (uintptr_t)place->base;
		device->line = place->irq;
		if (read(device, MAGIC_VALUE) != MAGIC || read(device, DEVICE_ID) != id)
			continue;
		snprintf(device->name, sizeof device->name, "virtio-mmio at %" PRIx64, place->base);
		if (read(device, VERSION) == 2) {
			if ((*index)-- == 0)
				return true;
			continue;
		}
		if (*index > 0) /* reported before */
			continue;
		hart_print("%s: a legacy device; start QEMU with "
			   "-global virtio-mmio.force-legacy=false\n",
			   device->name);
	}
	return false;
}
