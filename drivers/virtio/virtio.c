/* SPDX-License-Identifier: BSD-2-Clause */
/* What is the same for every virtio device and transport: the way from reset to DRIVER_OK. */
#include "drivers/virtio/virtio.h"

#include "kernel/hart.h"

bool virtio_find(unsigned id, unsigned index, struct virtio_device *device)
{
	return virtio_mmio_find(id, &index, device) || virtio_pci_find(id, &index, device);
}

/* A reset is done when the status reads 0 (a PCI device may take its time). */
static bool reset(struct virtio_device *device)
{
	int64_t until = hart_now() + 100 * 1000 * 1000;
	device->transport->status_write(device, 0);
	while (device->transport->status_read(device) != 0) {
		if (hart_now() > until)
			return false;
		hart_relax();
	}
	return true;
}

static int refuse(struct virtio_device *device, const char *why)
{
	hart_print("%s: %s\n", device->name, why);
	virtio_fail(device);
	return -1;
}

int virtio_negotiate(struct virtio_device *device, uint64_t wanted)
{
	if (!reset(device))
		return refuse(device, "does not come out of reset");
	uint8_t status = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;
	device->transport->status_write(device, status);
	uint64_t offered = device->transport->features_read(device);
	if (!(offered & VIRTIO_F_VERSION_1))
		return refuse(device, "is not a virtio 1.0 device");
	device->features = offered & (wanted | VIRTIO_F_VERSION_1);
	device->transport->features_write(device, device->features);
	status |= VIRTIO_STATUS_FEATURES_OK;
	device->transport->status_write(device, status);
	if (!(device->transport->status_read(device) & VIRTIO_STATUS_FEATURES_OK))
		return refuse(device, "does not accept the features it offered");
	return 0;
}

int virtio_queue_setup(struct virtio_device *device, unsigned index, unsigned most, struct virtqueue *queue)
{
	unsigned size = device->transport->queue_size(device, index);
	if (size == 0)
		return refuse(device, "lacks a queue");
	if (most > VIRTQUEUE_SIZE_MAX)
		most = VIRTQUEUE_SIZE_MAX;
	if (size > most)
		size = most;
	while (size & (size - 1)) /* PCI allows any size from the device; a power of two below is fine */
		size &= size - 1;
	if (virtqueue_init(queue, size, device->features & VIRTIO_F_EVENT_IDX))
		return refuse(device, "no memory for its queues");
	if (device->transport->queue_enable(device, index, queue))
		return refuse(device, "a queue is in use or out of reach");
	return 0;
}

int virtio_irq_attach(struct virtio_device *device, irq_handler *handler, void *arg)
{
	device->handler = handler;
	device->handler_arg = arg;
	if (device->transport->irq_attach(device))
		return refuse(device, "no interrupt for it");
	return 0;
}

void virtio_ready(struct virtio_device *device)
{
	uint8_t status = device->transport->status_read(device);
	device->transport->status_write(device, status | VIRTIO_STATUS_DRIVER_OK);
}

void virtio_fail(struct virtio_device *device)
{
	reset(device);
	device->transport->status_write(device, VIRTIO_STATUS_FAILED);
}
