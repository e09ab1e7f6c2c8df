/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI functions behind ECAM (memory-mapped configuration space): finding them, their
 * BARs, their capabilities, their MSI-X table. No hot plug; bridges' buses are seen when the
 * firmware numbered them. A device driver copies its struct pci_device and keeps it.
 *
 * All of it is called while devices are found: on one hart, or in the first goroutine.
 */
#ifndef DRIVERS_PCI_H
#define DRIVERS_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/irq.h"

#define PCI_ANY 0xffff
#define PCI_BARS 6

/* Offsets in configuration space that drivers need. */
#define PCI_REVISION 0x08
#define PCI_SUBSYSTEM_ID 0x2e

#define PCI_CAPABILITY_VENDOR 0x09
#define PCI_CAPABILITY_MSIX 0x11

struct pci_bar {
	uint64_t base; /* an address in memory; 0 when the BAR is absent, in I/O space, or unassigned */
	uint64_t size; /* bytes */
};

struct pci_device {
	uintptr_t config;           /* its 4 KiB of configuration space */
	uint16_t vendor, device;
	uint8_t bus, slot, function;
	struct pci_bar bar[PCI_BARS];
	unsigned msix_count;        /* entries of its MSI-X table; 0: it has none */
	uint8_t msix;               /* where the capability lies */
	volatile uint32_t *msix_table;
};

/*
 * The index'th function (0, 1, ... in the order of bus, slot, function) with this vendor and
 * device; either may be PCI_ANY. False when there are no more. Sizes its BARs and assigns those
 * that nobody assigned.
 */
bool pci_find(unsigned index, uint16_t vendor, uint16_t device, struct pci_device *pci);

/* Lets the function decode its memory BARs and master the bus, and keeps it from using INTx. */
void pci_enable(struct pci_device *pci);

/* Configuration space: offset < 4096, aligned to the access. */
uint8_t pci_read8(const struct pci_device *pci, unsigned offset);
uint16_t pci_read16(const struct pci_device *pci, unsigned offset);
uint32_t pci_read32(const struct pci_device *pci, unsigned offset);
void pci_write16(const struct pci_device *pci, unsigned offset, uint16_t value);
void pci_write32(const struct pci_device *pci, unsigned offset, uint32_t value);

/*
 * The next capability of that id behind `after` (0: the first); 0 when there is none. At least
 * `length` bytes of it lie in configuration space. Ends on a list that runs in a circle.
 */
uint8_t pci_capability_next(const struct pci_device *pci, uint8_t id, uint8_t after,
			    unsigned length);

/* Maps [offset, offset + length) of a memory BAR, uncached. NULL when it does not have that range. */
volatile void *pci_bar_map(const struct pci_device *pci, unsigned bar, uint64_t offset,
			   uint64_t length);

/*
 * Writes the message into entry `vector` of the MSI-X table, unmasks it, and switches MSI-X
 * on. 0, or -1 when the function has no such entry. Call pci_enable() before.
 */
int pci_msix_enable(struct pci_device *pci, unsigned vector, const struct irq_message *message);

#endif
