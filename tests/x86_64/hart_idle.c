/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hart_idle() on x86_64, with COM1: see tests/hart_idle.h.
 *
 * @test harts=1
 */
#include "hart_idle.h"

#define COM1 0x3f8
#define LINE 4

static void device_attach(irq_handler *handler)
{
	CHECK_EQ(irq_attach(LINE, handler, NULL), 0);
}

static void device_interrupt(void)
{
	__asm__ volatile("outb %b0, %w1" : : "a"(2), "Nd"(COM1 + 1));
}

static void device_quiet(void)
{
	uint8_t which;

	__asm__ volatile("outb %b0, %w1" : : "a"(0), "Nd"(COM1 + 1));
	__asm__ volatile("inb %w1, %b0" : "=a"(which) : "Nd"(COM1 + 2));
}
