/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio over PCI (virtio 1.2, section 4.1), the modern registers only, which a transitional device
 * has too: vendor capabilities say in which BAR they lie. Interrupts are MSI-X,
 * one vector for everything: it needs no acknowledgement.
 */
#include <stdio.h>
#include <string.h>

#include "drivers/virtio/virtio.h"
#include "kernel/hart.h"
#include "kernel/io.h"

#define VENDOR 0x1af4
#define DEVICE_MODERN 0x1040 /* + the device id */
#define DEVICE_TRANSITIONAL_NET 0x1000

enum { CFG_COMMON = 1, CFG_NOTIFY = 2, CFG_DEVICE = 4 };

/* Offsets in a vendor capability. */
#define CAP_TYPE 3
#define CAP_BAR 4
#define CAP_OFFSET 8
#define CAP_LENGTH 12
#define CAP_NOTIFY_MULTIPLIER 16
#define CAP_SIZE 16
#define CAP_NOTIFY_SIZE 20

/* Common configuration. */
#define DEVICE_FEATURE_SELECT 0
#define DEVICE_FEATURE 4
#define DRIVER_FEATURE_SELECT 8
#define DRIVER_FEATURE 12
#define CONFIG_MSIX_VECTOR 16
#define DEVICE_STATUS 20
#define QUEUE_SELECT 22
#define QUEUE_SIZE 24
#define QUEUE_MSIX_VECTOR 26
#define QUEUE_ENABLE 28
#define QUEUE_NOTIFY_OFF 30
#define QUEUE_DESC 32
#define QUEUE_DRIVER 40
#define QUEUE_DEVICE 48
#define COMMON_SIZE 56

#define VECTOR 0 /* the only one that is used */

static uint8_t status_read(struct virtio_device *device)
{
	return io_read8(device->common + DEVICE_STATUS);
}

static void status_write(struct virtio_device *device, uint8_t status)
{
	io_write8(device->common + DEVICE_STATUS, status);
}

static uint64_t features_read(struct virtio_device *device)
{
	io_write32(device->common + DEVICE_FEATURE_SELECT, 0);
	uint64_t features = io_read32(device->common + DEVICE_FEATURE);
	io_write32(device->common + DEVICE_FEATURE_SELECT, 1);
	return features | (uint64_t)io_read32(device->common + DEVICE_FEATURE) << 32;
}

static void features_write(struct virtio_device *device, uint64_t features)
{
	io_write32(device->common + DRIVER_FEATURE_SELECT, 0);
	io_write32(device->common + DRIVER_FEATURE, (uint32_t)features);
	io_write32(device->common + DRIVER_FEATURE_SELECT, 1);
	io_write32(device->common + DRIVER_FEATURE, (uint32_t)(features >> 32));
}

static unsigned queue_size(struct virtio_device *device, unsigned index)
{
	io_write16(device->common + QUEUE_SELECT, (uint16_t)index);
	return io_read16(device->common + QUEUE_SIZE);
}

static void write_address(struct virtio_device *device, unsigned offset, volatile void *address)
{
	io_write32(device->common + offset, (uint32_t)(uintptr_t)address);
	io_write32(device->common + offset + 4, (uint32_t)((uint64_t)(uintptr_t)address >> 32));
}

/*
 * A notification capability: finds where queue `index` (which is selected) is notified. The
 * multiplier is the device's word and the offset too: together they must stay inside.
 */
static int find_notify(struct virtio_device *device, unsigned index)
{
	uint16_t off = io_read16(device->common + QUEUE_NOTIFY_OFF);
	for (uint8_t at = 0; (at = pci_capability_next(&device->pci, PCI_CAPABILITY_VENDOR, at,
						       CAP_NOTIFY_SIZE));) {
		if (pci_read8(&device->pci, at + CAP_TYPE) != CFG_NOTIFY)
			continue;
		uint64_t inside = (uint64_t)off * pci_read32(&device->pci, at + CAP_NOTIFY_MULTIPLIER);
		if (inside + 2 > pci_read32(&device->pci, at + CAP_LENGTH) || inside & 1)
			continue;
		device->notify_address[index] = (uintptr_t)pci_bar_map(
			&device->pci, pci_read8(&device->pci, at + CAP_BAR),
			pci_read32(&device->pci, at + CAP_OFFSET) + inside, 2);
		if (device->notify_address[index])
			return 0;
	}
	return -1;
}

static int queue_enable(struct virtio_device *device, unsigned index, const struct virtqueue *queue)
{
	io_write16(device->common + QUEUE_SELECT, (uint16_t)index);
	if (io_read16(device->common + QUEUE_ENABLE) || find_notify(device, index))
		return -1;
	io_write16(device->common + QUEUE_SIZE, queue->size);
	write_address(device, QUEUE_DESC, queue->desc);
	write_address(device, QUEUE_DRIVER, queue->avail);
	write_address(device, QUEUE_DEVICE, queue->used);
	/* The device answers "no vector" when it could not take the one it was given. */
	io_write16(device->common + QUEUE_MSIX_VECTOR, VECTOR);
	if (io_read16(device->common + QUEUE_MSIX_VECTOR) != VECTOR)
		return -1;
	io_write16(device->common + QUEUE_ENABLE, 1);
	return 0;
}

static void notify(struct virtio_device *device, unsigned index)
{
	io_write16(device->notify_address[index], (uint16_t)index);
}

static uint8_t config_read8(struct virtio_device *device, unsigned offset)
{
	return offset < device->config_length ? io_read8(device->config + offset) : 0;
}

static int pci_irq_attach(struct virtio_device *device)
{
	struct irq_message message;
	if (irq_attach_message(device->handler, device->handler_arg, &message))
		return -1;
	if (pci_msix_enable(&device->pci, VECTOR, &message))
		return -1;
	io_write16(device->common + CONFIG_MSIX_VECTOR, VECTOR);
	return 0;
}

static const struct virtio_transport pci = {
	.status_read = status_read,
	.status_write = status_write,
	.features_read = features_read,
	.features_write = features_write,
	.queue_size = queue_size,
	.queue_enable = queue_enable,
	.notify = notify,
	.config_read8 = config_read8,
	.irq_attach = pci_irq_attach,
};

/* Maps the registers that the first usable capability of `type` names; NULL when none does. */
static uintptr_t map_registers(struct virtio_device *device, unsigned type, uint32_t least,
			       uint32_t *length)
{
	for (uint8_t at = 0; (at = pci_capability_next(&device->pci, PCI_CAPABILITY_VENDOR, at,
						       CAP_SIZE));) {
		if (pci_read8(&device->pci, at + CAP_TYPE) != type)
			continue;
		uint32_t offset = pci_read32(&device->pci, at + CAP_OFFSET);
		*length = pci_read32(&device->pci, at + CAP_LENGTH);
		if (*length < least || offset & 3)
			continue;
		volatile void *registers = pci_bar_map(
			&device->pci, pci_read8(&device->pci, at + CAP_BAR), offset, *length);
		if (registers)
			return (uintptr_t)registers;
	}
	return 0;
}

static bool find(uint16_t pci_id, unsigned *index, struct virtio_device *device)
{
	for (unsigned i = 0; pci_find(i, VENDOR, pci_id, &device->pci); i++) {
		uint32_t length;
		snprintf(device->name, sizeof device->name, "virtio-pci %02x:%02x.%x",
			 device->pci.bus, device->pci.slot, device->pci.function);
		pci_enable(&device->pci);
		device->common = map_registers(device, CFG_COMMON, COMMON_SIZE, &length);
		device->config = map_registers(device, CFG_DEVICE, 1, &device->config_length);
		if (device->common && device->config && device->pci.msix_count > 0) {
			if ((*index)-- == 0)
				return true;
			continue;
		}
		if (*index > 0) /* reported before */
			continue;
		hart_print("%s: %s\n", device->name,
			   device->common ? "no MSI-X, or no configuration"
					  : "a legacy device; start QEMU without disable-modern");
	}
	return false;
}

bool virtio_pci_find(unsigned id, unsigned *index, struct virtio_device *device)
{
	memset(device, 0, sizeof *device);
	device->transport = &pci;
	return find((uint16_t)(DEVICE_MODERN + id), index, device) ||
	       (id == VIRTIO_ID_NET && find(DEVICE_TRANSITIONAL_NET, index, device));
}
