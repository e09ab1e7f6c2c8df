/* SPDX-License-Identifier: BSD-2-Clause */
/* Registers of devices, mapped one to one: accesses of a fixed width, in order with RAM. */
#ifndef KERNEL_IO_H
#define KERNEL_IO_H

#include <stdint.h>

#include "arch_io.h"

static inline uint8_t io_read8(uintptr_t address)
{
	uint8_t value = *(volatile uint8_t *)address;
	arch_io_after_read();
	return value;
}

static inline uint16_t io_read16(uintptr_t address)
{
	uint16_t value = *(volatile uint16_t *)address;
	arch_io_after_read();
	return value;
}

static inline uint32_t io_read32(uintptr_t address)
{
	uint32_t value = *(volatile uint32_t *)address;
	arch_io_after_read();
	return value;
}

static inline void io_write8(uintptr_t address, uint8_t value)
{
	arch_io_before_write();
	*(volatile uint8_t *)address = value;
}

static inline void io_write16(uintptr_t address, uint16_t value)
{
	arch_io_before_write();
	*(volatile uint16_t *)address = value;
}

static inline void io_write32(uintptr_t address, uint32_t value)
{
	arch_io_before_write();
	*(volatile uint32_t *)address = value;
}

#endif
