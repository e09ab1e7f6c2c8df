/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hart_idle() on riscv64, with the serial port of `virt`: see tests/hart_idle.h.
 *
 * @test harts=1
 */
#include "hart_idle.h"
#include "kernel/io.h"

#define UART ((uintptr_t)0x10000000)
#define LINE 10

static void device_attach(irq_handler *handler)
{
	CHECK_EQ(irq_attach(LINE, handler, NULL), 0);
}

static void device_interrupt(void)
{
	io_write8(UART + 1, 2);
}

static void device_quiet(void)
{
	io_write8(UART + 1, 0);
	io_read8(UART + 2);
}
