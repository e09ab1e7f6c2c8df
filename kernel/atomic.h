/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * C11's atomics: loads by shorter names, and stores that cost what they should. gcc 12 makes a
 * read-modify-write (amoswap) of an atomic store on riscv64, ten times the price of the plain store that a
 * relaxed one is on every machine here. `object` points to an _Atomic of one, four or eight bytes.
 */
#ifndef KERNEL_ATOMIC_H
#define KERNEL_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define load_relaxed(object) atomic_load_explicit(object, memory_order_relaxed)
#define load_acquire(object) atomic_load_explicit(object, memory_order_acquire)

/* ThreadSanitizer takes neither a volatile store for an atomic one, nor a fence for an order. */
#ifdef __SANITIZE_THREAD__
#define store_relaxed(object, value) atomic_store_explicit(object, value, memory_order_relaxed)
#define store_release(object, value) atomic_store_explicit(object, value, memory_order_release)
#define fence_after_load(object) ((void)__atomic_load_n(object, __ATOMIC_ACQUIRE))
#else
#define store_relaxed(object, value) \
	(*(volatile __typeof__((void)0, *(object)) *)(object) = (value))

#define store_release(object, value) \
	(atomic_thread_fence(memory_order_release), store_relaxed(object, value))

/* What was loaded from that object before is as good as acquired. */
#define fence_after_load(object) atomic_thread_fence(memory_order_acquire)
#endif

/*
 * A word that another hart may be writing, for a look that may be wrong: a report, a check that asks again.
 * Plain, as its owner's accesses are, which are on the hottest paths.
 */
static inline __attribute__((no_sanitize("thread"))) void *peek(const volatile void *pointer)
{
	return *(void *const volatile *)pointer;
}

static inline __attribute__((no_sanitize("thread"))) bool peek_flag(const volatile bool *flag)
{
	return *flag;
}

static inline __attribute__((no_sanitize("thread"))) int64_t peek_time(const volatile int64_t *time)
{
	return *time;
}

#endif
