/* SPDX-License-Identifier: BSD-2-Clause */
/* A 16550 serial port, output only. The registers may lie in memory or in port space. */
#ifndef DRIVERS_UART_H
#define DRIVERS_UART_H

#include <stddef.h>
#include <stdint.h>

/* How the eight registers are reached: `reg` is 0..7. */
struct uart_access {
	uint8_t (*read)(unsigned reg);
	void (*write)(unsigned reg, uint8_t value);
};

/* Registers in memory, 1 << shift bytes apart, accessed `width` (1, 2, 4) bytes at a time. */
void uart_init_mmio(uintptr_t base, unsigned shift, unsigned width);
/* Any other way, such as x86's ports. `access` must stay valid. */
void uart_init(const struct uart_access *access);

/* The sink for console_set(). Waits for room; '\n' goes out as it is. One caller at a time. */
void uart_put(const char *text, size_t length);

#endif
