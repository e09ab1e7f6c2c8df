/* SPDX-License-Identifier: BSD-2-Clause */
/* Device interrupts. Handlers run on the trap stack, interrupts off, take no lock that a G takes. */
#ifndef KERNEL_IRQ_H
#define KERNEL_IRQ_H

#include <stdint.h>

typedef void irq_handler(void *arg);

/*
 * Attaches a handler to an interrupt line (a PLIC source, an I/O APIC's global number) and
 * enables it at one hart. Level-triggered lines: the handler must quiet the device.
 * 0, or -1 when there is no such line. Shared lines: every attached handler is called.
 */
int irq_attach(unsigned line, irq_handler *handler, void *arg);

struct irq_message { /* what to write into a device's MSI-X entry */
	uint64_t address;
	uint32_t data;
};

/* The same for message-signalled interrupts. -1 where the machine has none or they are used up. */
int irq_attach_message(irq_handler *handler, void *arg, struct irq_message *message);

#endif
