/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Puts the riscv64 machine together: firmware's arguments and the device tree on one side, the
 * drivers on the other.
 */
#include "kernel/devicetree.h"
#include "drivers/plic.h"
#include "drivers/uart.h"
#include "kernel/console.h"
#include "kernel/machine.h"
#include "riscv64.h"
#include "sbi.h"

void arch_console_early(void)
{
	console_set(sbi_console_put);
}

/* a0: the mhartid of this hart; a1: the device tree. */
void arch_discover(uintptr_t a0, uintptr_t a1)
{
	devicetree_read((const void *)a1, (uint32_t)a0);

	const struct devicetree_uart *uart = &devicetree.uart;
	if (uart->base != 0) {
		uart_init_mmio(uart->base, uart->shift, uart->width);
		console_set(uart_put);
	}
	vm_discover();
}

void arch_irq_init(void)
{
	const struct devicetree_plic *plic = &devicetree.plic;

	if (plic->base == 0)
		return; /* irq_attach() answers -1 */
	/* All lines go to hart 0: a hart that waits for the network is kicked by the scheduler. */
	if (plic_init(plic->base, plic->size, plic->sources, plic->context[0]) == 0)
		trap_set_external(plic_interrupt);
	else
		hart_print("gump: the PLIC has no context for hart 0; no device interrupts\n");
}
