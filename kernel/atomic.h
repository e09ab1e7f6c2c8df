/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * C11's atomics, and stores that cost what they should: gcc 12 makes a read-modify-write (amoswap) of an atomic store on
 * riscv64, ten times the price of the plain store that a relaxed one is on every machine here. `object` points to
 * an _Atomic of one, four or eight bytes.
 */
#ifndef KERNEL_ATOMIC_H
#define KERNEL_ATOMIC_H

#include <stdatomic.h>

#define store_relaxed(object, value) \
	(*(volatile __typeof__((void)0, *(object)) *)(object) = (value))

#define store_release(object, value) \
	(atomic_thread_fence(memory_order_release), store_relaxed(object, value))

#endif
