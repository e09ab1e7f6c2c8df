/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI over ECAM: a walk of the buses that firmware numbered, BARs, capabilities, MSI-X.
 *
 * What configuration space says is checked before it is used: a BAR's size is a power of two and
 * its range does not wrap; a capability list is followed for as many steps as fit in 256 bytes.
 * BARs that nobody assigned (qboot leaves them) get addresses from machine.pci_mmio32, above
 * all that are in use there.
 */
#include "drivers/pci.h"

#include "kernel/hart.h"
#include "kernel/io.h"
#include "kernel/machine.h"
#include "kernel/vm.h"

#define VENDOR 0x00
#define COMMAND 0x04
#define STATUS 0x06
#define HEADER_TYPE 0x0e
#define BAR0 0x10
#define SECONDARY_BUS 0x19
#define CAPABILITIES 0x34

#define COMMAND_MEMORY 0x0002
#define COMMAND_MASTER 0x0004
#define COMMAND_NO_INTX 0x0400
#define STATUS_CAPABILITIES 0x10
#define HEADER_BRIDGE 1
#define HEADER_MULTI 0x80

#define BAR_IO 0x1
#define BAR_TYPE 0x6
#define BAR_64 0x4
#define BAR_FLAGS 0xf

#define MSIX_CONTROL 2
#define MSIX_TABLE 4
#define MSIX_ENABLE 0x8000
#define MSIX_MASK_ALL 0x4000
#define MSIX_ENTRY_SIZE 16
#define MSIX_ENTRY_MASKED 1

static uint64_t window_next; /* the first address of pci_mmio32 that no BAR uses; 0: not looked yet */

uint8_t pci_read8(const struct pci_device *pci, unsigned offset)
{
	return io_read8(pci->config + offset);
}

uint16_t pci_read16(const struct pci_device *pci, unsigned offset)
{
	return io_read16(pci->config + offset);
}

uint32_t pci_read32(const struct pci_device *pci, unsigned offset)
{
	return io_read32(pci->config + offset);
}

void pci_write16(const struct pci_device *pci, unsigned offset, uint16_t value)
{
	io_write16(pci->config + offset, value);
}

void pci_write32(const struct pci_device *pci, unsigned offset, uint32_t value)
{
	io_write32(pci->config + offset, value);
}

/*
 * The walk: every function of the first bus and of the buses behind bridges, in order. visit()
 * answers true to end it. False when it saw all.
 */
typedef bool pci_visit(struct pci_device *pci, void *arg);

static bool walk_slot(unsigned bus, unsigned slot, uint8_t buses[32], pci_visit *visit, void *arg)
{
	for (unsigned function = 0; function < 8; function++) {
		struct pci_device pci = {
			.config = machine.pci_ecam.base + (bus << 20 | slot << 15 | function << 12),
			.bus = bus,
			.slot = slot,
			.function = function,
		};
		pci.vendor = pci_read16(&pci, VENDOR);
		pci.device = pci_read16(&pci, VENDOR + 2);
		unsigned type = pci_read8(&pci, HEADER_TYPE);
		if (pci.vendor != 0xffff && pci.vendor != 0) {
			unsigned behind = pci_read8(&pci, SECONDARY_BUS);
			if ((type & 0x7f) == HEADER_BRIDGE && behind > bus)
				buses[behind / 8] |= 1 << behind % 8;
			if (visit(&pci, arg))
				return true;
		}
		if (function == 0 && (pci.vendor == 0xffff || !(type & HEADER_MULTI)))
			return false;
	}
	return false;
}

static bool walk(pci_visit *visit, void *arg)
{
	uint8_t buses[32] = { 0 };

	if (machine.pci_ecam.size == 0)
		return false;
	buses[machine.pci_bus_first / 8] |= 1 << machine.pci_bus_first % 8;
	for (unsigned bus = machine.pci_bus_first; bus <= machine.pci_bus_last; bus++) {
		if (!(buses[bus / 8] & 1 << bus % 8))
			continue;
		if (arch_vm_map_device(machine.pci_ecam.base + (bus << 20), 1 << 20) != 0)
			return false;
		for (unsigned slot = 0; slot < 32; slot++)
			if (walk_slot(bus, slot, buses, visit, arg))
				return true;
	}
	return false;
}

static bool bar_is_64(uint32_t value, unsigned bar)
{
	return !(value & BAR_IO) && (value & BAR_TYPE) == BAR_64 && bar + 1 < PCI_BARS;
}

/* Base and size of a memory BAR; size 0: absent or in I/O space. Decoding is off meanwhile. */
static struct pci_bar bar_probe(struct pci_device *pci, unsigned bar)
{
	unsigned at = BAR0 + 4 * bar;
	uint32_t low = pci_read32(pci, at), high = 0;
	uint64_t mask = UINT64_MAX << 32;
	struct pci_bar none = { 0, 0 };

	if (low & BAR_IO)
		return none;
	pci_write32(pci, at, 0xffffffff);
	mask |= pci_read32(pci, at) & ~(uint32_t)BAR_FLAGS;
	pci_write32(pci, at, low);
	if ((uint32_t)mask == 0 && !bar_is_64(low, bar))
		return none;
	if (bar_is_64(low, bar)) {
		high = pci_read32(pci, at + 4);
		pci_write32(pci, at + 4, 0xffffffff);
		mask = (mask & UINT32_MAX) | (uint64_t)pci_read32(pci, at + 4) << 32;
		pci_write32(pci, at + 4, high);
	}
	uint64_t size = ~mask + 1;
	uint64_t base = (uint64_t)high << 32 | (low & ~(uint32_t)BAR_FLAGS);
	if (size == 0 || (size & (size - 1)) != 0 || base > UINT64_MAX - size)
		return none;
	return (struct pci_bar){ base, size };
}

static void bars_probe(struct pci_device *pci)
{
	uint16_t command = pci_read16(pci, COMMAND);
	unsigned bars = (pci_read8(pci, HEADER_TYPE) & 0x7f) == HEADER_BRIDGE ? 2 : PCI_BARS;

	pci_write16(pci, COMMAND, command & ~COMMAND_MEMORY);
	for (unsigned bar = 0; bar < bars; bar++) {
		pci->bar[bar] = bar_probe(pci, bar);
		if (bar_is_64(pci_read32(pci, BAR0 + 4 * bar), bar))
			bar++;
	}
	pci_write16(pci, COMMAND, command);
}

static bool visit_window(struct pci_device *pci, void *unused)
{
	const struct machine_range *window = &machine.pci_mmio32;

	(void)unused;
	bars_probe(pci);
	for (unsigned bar = 0; bar < PCI_BARS; bar++) {
		uint64_t end = pci->bar[bar].base + pci->bar[bar].size;
		if (pci->bar[bar].base >= window->base && pci->bar[bar].base < window->base + window->size &&
		    end > window_next)
			window_next = end;
	}
	return false;
}

static void bar_assign(struct pci_device *pci, unsigned bar)
{
	const struct machine_range *window = &machine.pci_mmio32;
	uint64_t size = pci->bar[bar].size;
	unsigned at = BAR0 + 4 * bar;

	if (window_next == 0) {
		window_next = window->base;
		walk(visit_window, NULL);
	}
	if (size < PAGE_SIZE)
		size = PAGE_SIZE; /* so that no two devices share a page */
	uint64_t base = (window_next + size - 1) & ~(size - 1);
	/* Behind a bridge, the window that firmware gave it would not let the address through. */
	if (pci->bus != machine.pci_bus_first || size > window->size ||
	    base > window->base + window->size - size) {
		hart_print("pci: no addresses for BAR %u of %02x:%02x.%u\n", bar, pci->bus,
			   pci->slot, pci->function);
		return;
	}
	window_next = base + size;
	pci->bar[bar].base = base;
	if (bar_is_64(pci_read32(pci, at), bar))
		pci_write32(pci, at + 4, base >> 32);
	pci_write32(pci, at, base);
}

static void find_msix(struct pci_device *pci)
{
	uint8_t at = pci_capability_next(pci, PCI_CAPABILITY_MSIX, 0, 12);

	if (at == 0)
		return;
	uint32_t table = pci_read32(pci, at + MSIX_TABLE);
	unsigned count = (pci_read16(pci, at + MSIX_CONTROL) & 0x7ff) + 1;
	pci->msix_table = pci_bar_map(pci, table & 7, table & ~(uint32_t)7, count * MSIX_ENTRY_SIZE);
	if (pci->msix_table == NULL)
		return;
	pci->msix = at;
	pci->msix_count = count;
}

struct search {
	unsigned index;
	uint16_t vendor, device;
	struct pci_device *found;
};

static bool visit_search(struct pci_device *pci, void *arg)
{
	struct search *search = arg;

	if ((search->vendor != PCI_ANY && search->vendor != pci->vendor) ||
	    (search->device != PCI_ANY && search->device != pci->device) || search->index-- > 0)
		return false;
	*search->found = *pci;
	return true;
}

bool pci_find(unsigned index, uint16_t vendor, uint16_t device, struct pci_device *pci)
{
	struct search search = { index, vendor, device, pci };

	if (!walk(visit_search, &search))
		return false;
	bars_probe(pci);
	for (unsigned bar = 0; bar < PCI_BARS; bar++)
		if (pci->bar[bar].size != 0 && pci->bar[bar].base == 0)
			bar_assign(pci, bar);
	find_msix(pci);
	return true;
}

void pci_enable(struct pci_device *pci)
{
	pci_write16(pci, COMMAND, pci_read16(pci, COMMAND) | COMMAND_MEMORY | COMMAND_MASTER |
					  COMMAND_NO_INTX);
}

uint8_t pci_capability_next(const struct pci_device *pci, uint8_t id, uint8_t after,
			    unsigned length)
{
	if (!(pci_read16(pci, STATUS) & STATUS_CAPABILITIES))
		return 0;
	unsigned at = pci_read8(pci, after == 0 ? CAPABILITIES : after + 1u);

	for (unsigned steps = 0; steps < 48; steps++) { /* as many as 192 bytes hold */
		at &= ~3u;
		if (at < 0x40)
			return 0;
		if (pci_read8(pci, at) == id && at + length <= 0x100)
			return at;
		at = pci_read8(pci, at + 1);
	}
	return 0;
}

volatile void *pci_bar_map(const struct pci_device *pci, unsigned bar, uint64_t offset,
			   uint64_t length)
{
	if (bar >= PCI_BARS || pci->bar[bar].base == 0 || length == 0)
		return NULL;
	if (offset > pci->bar[bar].size || length > pci->bar[bar].size - offset)
		return NULL;
	uint64_t address = pci->bar[bar].base + offset;
	if (arch_vm_map_device(address, length) != 0)
		return NULL;
	return (volatile void *)(uintptr_t)address;
}

int pci_msix_enable(struct pci_device *pci, unsigned vector, const struct irq_message *message)
{
	if (vector >= pci->msix_count)
		return -1;
	uintptr_t entry = (uintptr_t)pci->msix_table + vector * MSIX_ENTRY_SIZE;
	uint16_t control = pci_read16(pci, pci->msix + MSIX_CONTROL);

	io_write32(entry + 12, MSIX_ENTRY_MASKED);
	io_write32(entry, (uint32_t)message->address);
	io_write32(entry + 4, message->address >> 32);
	io_write32(entry + 8, message->data);
	io_write32(entry + 12, 0);
	pci_write16(pci, pci->msix + MSIX_CONTROL, (control | MSIX_ENABLE) & ~MSIX_MASK_ALL);
	return 0;
}
