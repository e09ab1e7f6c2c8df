/* SPDX-License-Identifier: BSD-2-Clause */
/* Order between RAM and device registers: a plain memory fence does not cover the second. */
#ifndef ARCH_IO_H
#define ARCH_IO_H

/* What was written to RAM is there before the device sees the register write that follows. */
static inline void arch_io_before_write(void)
{
	__asm__ volatile("fence iorw, o" ::: "memory");
}

/* What is read after this was not read before the register was. */
static inline void arch_io_after_read(void)
{
	__asm__ volatile("fence i, iorw" ::: "memory");
}

#endif
