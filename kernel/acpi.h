/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI's tables, as far as a machine must be known: harts, I/O APICs, ECAM, how to switch
 * off, virtio-mmio transports. AML is not interpreted: three patterns are looked for in it.
 */
#ifndef KERNEL_ACPI_H
#define KERNEL_ACPI_H

#include <stdbool.h>
#include <stdint.h>

#define ACPI_IOAPICS 8
#define ACPI_OVERRIDES 16

/* Found by acpi_discover(), or from the MP table where there is no ACPI. Read-only afterwards. */
struct acpi {
	struct acpi_ioapic {
		uint64_t base;
		uint32_t gsi_base;
	} ioapic[ACPI_IOAPICS];
	unsigned ioapic_count;
	struct acpi_override { /* an ISA interrupt that arrives elsewhere */
		uint32_t irq, gsi;
	} override[ACPI_OVERRIDES];
	unsigned override_count;
	uint16_t pm_timer;         /* I/O port; 0: none */
	uint16_t pm1a_control;     /* I/O port; 0: none */
	uint64_t sleep_control;    /* register in memory of a machine without PM1; 0: none */
	uint16_t s5_type;          /* what to write for "off" */
	bool hardware_reduced;
};

extern struct acpi acpi;

/* Follows the RSDP at this physical address; fills in `acpi` and `machine`. False: nothing there. */
bool acpi_discover(uint64_t rsdp);

/* Adds an enabled hart to `machine`, unless it is the boot hart, which is there. */
void acpi_add_hart(uint32_t hwid);
void acpi_add_ioapic(uint64_t base, uint32_t gsi_base);

#endif
