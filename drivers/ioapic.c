/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * I/O APICs: interrupt lines become messages to a hart. A line is named by its global system
 * interrupt; each I/O APIC takes a range of them (microvm has two).
 *
 * Lines are programmed as level-triggered, active high, which is what every line that QEMU's
 * virtio-mmio drives is. All go to the boot hart: handlers only take a note.
 */
#include "cpu.h"
#include "kernel/acpi.h"
#include "kernel/irq.h"
#include "kernel/vm.h"
#include "x86.h"

#define IOAPIC_SELECT 0x00
#define IOAPIC_WINDOW 0x10
#define IOAPIC_VERSION 0x01
#define IOAPIC_ENTRY 0x10 /* low word of entry 0; two registers each */

#define ENTRY_MASKED 0x10000
#define ENTRY_LEVEL 0x8000

#define MESSAGE_ADDRESS 0xfee00000
#define LINES_MAX 240

static struct {
	uint64_t base;
	uint32_t first, count; /* global system interrupts */
} ioapics[ACPI_IOAPICS];
static unsigned ioapic_count;
static struct spinlock lock = SPINLOCK(LOCK_DEVICE); /* the select registers and line_vector */
static uint8_t line_vector[LINES_MAX]; /* 0: not attached */

static uint32_t ioapic_read(uint64_t base, uint32_t reg)
{
	*(volatile uint32_t *)(base + IOAPIC_SELECT) = reg;
	return *(volatile uint32_t *)(base + IOAPIC_WINDOW);
}

static void ioapic_write(uint64_t base, uint32_t reg, uint32_t value)
{
	*(volatile uint32_t *)(base + IOAPIC_SELECT) = reg;
	*(volatile uint32_t *)(base + IOAPIC_WINDOW) = value;
}

void arch_irq_init(void)
{
	for (unsigned i = 0; i < acpi.ioapic_count; i++) {
		uint64_t base = acpi.ioapic[i].base;

		if (arch_vm_map_device(base, 0x20) != 0)
			continue;
		uint32_t count = (ioapic_read(base, IOAPIC_VERSION) >> 16 & 0xff) + 1;
		ioapics[ioapic_count].base = base;
		ioapics[ioapic_count].first = acpi.ioapic[i].gsi_base;
		ioapics[ioapic_count++].count = count;
		for (uint32_t pin = 0; pin < count; pin++)
			ioapic_write(base, IOAPIC_ENTRY + 2 * pin, ENTRY_MASKED);
	}
}

static int route(unsigned line, unsigned vector)
{
	for (unsigned i = 0; i < ioapic_count; i++) {
		if (line < ioapics[i].first || line - ioapics[i].first >= ioapics[i].count)
			continue;
		uint32_t entry = IOAPIC_ENTRY + 2 * (line - ioapics[i].first);
		ioapic_write(ioapics[i].base, entry + 1, machine.hart_hwid[0] << 24);
		ioapic_write(ioapics[i].base, entry, ENTRY_LEVEL | vector);
		return 0;
	}
	return -1;
}

int irq_attach(unsigned line, irq_handler *handler, void *arg)
{
	int result = -1;

	for (unsigned i = 0; i < acpi.override_count; i++)
		if (line < 16 && acpi.override[i].irq == line) {
			line = acpi.override[i].gsi;
			break;
		}
	if (line >= LINES_MAX)
		return -1;
	spin_lock(&lock);
	if (line_vector[line] == 0) {
		int vector = vector_alloc();
		if (vector > 0 && vector_attach(vector, handler, arg) == 0 &&
		    route(line, vector) == 0) {
			line_vector[line] = vector;
			result = 0;
		}
	} else {
		result = vector_attach(line_vector[line], handler, arg);
	}
	spin_unlock(&lock);
	return result;
}

int irq_attach_message(irq_handler *handler, void *arg, struct irq_message *message)
{
	int vector = vector_alloc();

	if (vector < 0 || vector_attach(vector, handler, arg) != 0)
		return -1;
	message->address = MESSAGE_ADDRESS | machine.hart_hwid[0] << 12;
	message->data = vector;
	return 0;
}
