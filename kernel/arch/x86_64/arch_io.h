/* SPDX-License-Identifier: BSD-2-Clause */
/* Order between RAM and device registers: uncached accesses keep program order with all others. */
#ifndef ARCH_IO_H
#define ARCH_IO_H

/* What was written to RAM is there before the device sees the register write that follows. */
static inline void arch_io_before_write(void)
{
	__asm__ volatile("" ::: "memory");
}

/* What is read after this was not read before the register was. */
static inline void arch_io_after_read(void)
{
	__asm__ volatile("" ::: "memory");
}

#endif
