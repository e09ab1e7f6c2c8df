/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A 16550 serial port, output only and polled: one wait for an empty transmitter, then as many
 * bytes as its FIFO holds. The speed stays as firmware set it.
 *
 * There is one port. Whoever calls uart_put() holds the console's lock, or is the last hart that
 * runs. A port that never becomes ready costs a bounded wait once, and is silent from then on:
 * a broken console must not stop the machine.
 */
#include "drivers/uart.h"

#include <stdbool.h>

#include "kernel/hart.h"

enum { THR = 0, IER = 1, IIR_FCR = 2, LCR = 3, MCR = 4, LSR = 5 };

#define FCR_ENABLE_AND_CLEAR 0x07 /* FIFOs on, both emptied */
#define IIR_FIFO 0xc0             /* both bits: a 16550A with working FIFOs */
#define LCR_8N1 0x03
#define MCR_DTR_RTS 0x03
#define LSR_THR_EMPTY 0x20
#define FIFO_SIZE 16
#define WAIT_MAX 10000000
#define RELAX 200

static const struct uart_access *registers;
static unsigned burst; /* bytes that an empty transmitter takes; 0: no port, or a dead one */

static struct {
	uintptr_t base;
	unsigned shift, width;
} mmio;

static uint8_t mmio_read(unsigned reg)
{
	uintptr_t at = mmio.base + ((uintptr_t)reg << mmio.shift);

	switch (mmio.width) {
	case 4:
		return (uint8_t)*(volatile uint32_t *)at;
	case 2:
		return (uint8_t)*(volatile uint16_t *)at;
	default:
		return *(volatile uint8_t *)at;
	}
}

static void mmio_write(unsigned reg, uint8_t value)
{
	uintptr_t at = mmio.base + ((uintptr_t)reg << mmio.shift);

	switch (mmio.width) {
	case 4:
		*(volatile uint32_t *)at = value;
		break;
	case 2:
		*(volatile uint16_t *)at = value;
		break;
	default:
		*(volatile uint8_t *)at = value;
	}
}

void uart_init_mmio(uintptr_t base, unsigned shift, unsigned width)
{
	static const struct uart_access access = { mmio_read, mmio_write };

	mmio.base = base;
	mmio.shift = shift;
	mmio.width = width;
	uart_init(&access);
}

void uart_init(const struct uart_access *access)
{
	registers = access;
	access->write(IER, 0);
	access->write(LCR, LCR_8N1);
	access->write(MCR, MCR_DTR_RTS);
	access->write(IIR_FCR, FCR_ENABLE_AND_CLEAR);
	burst = (access->read(IIR_FCR) & IIR_FIFO) == IIR_FIFO ? FIFO_SIZE : 1;
}

/*
 * A port that is not ready waits for somebody on the host to read. Its emulator needs a lock for
 * that which each look at the port takes too: so there are pauses between the looks.
 */
static bool wait_empty(void)
{
	for (unsigned tries = 0; tries < WAIT_MAX; tries++) {
		if (registers->read(LSR) & LSR_THR_EMPTY)
			return true;
		for (unsigned i = 0; i < RELAX; i++)
			hart_relax();
	}
	return false;
}

void uart_put(const char *text, size_t length)
{
	while (length > 0 && burst > 0) {
		if (!wait_empty()) {
			burst = 0;
			return;
		}
		for (unsigned i = 0; i < burst && length > 0; i++, length--)
			registers->write(THR, (uint8_t)*text++);
	}
}
