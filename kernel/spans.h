/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Spans: where the heap's objects come from and return to. heap.c keeps some of them for each hart.
 *
 * Small objects come in size classes of a quarter of a power of two, cut from spans of 32 KiB that
 * are aligned to their size; a span's header is found by masking an object's address. A large object is
 * a block of pages of its own, with the same header in front.
 */
#ifndef KERNEL_SPANS_H
#define KERNEL_SPANS_H

#include <stddef.h>
#include <stdint.h>

#include "kernel/pages.h"

#define SPAN_ORDER 3
#define SPAN_SIZE (PAGE_SIZE << SPAN_ORDER)
#define SMALL_MAX 8192
#define CLASSES 32 /* class_of(SMALL_MAX) + 1 */
#define LARGE 0xff

#define BATCH_BYTES 2048
#define BATCH_MAX 32

#define SPAN_MAGIC 0x5be11a96u

struct object { /* while it is free */
	struct object *next;
};

struct span {
	uint32_t magic;
	uint8_t class;          /* LARGE for a large object */
	uint8_t batch;          /* objects that heap.c takes and gives at a time */
	size_t pages;           /* of its block */
	void *block;            /* the block of pages, which a large object's header need not begin */
	/* The rest under the class's lock. */
	struct object *free;
	uint32_t free_count;
	uint32_t fresh, count;  /* objects never handed out yet begin at index `fresh` */
	struct span *next, *prev;
} __attribute__((aligned(64)));

/* 16, 32, 48, 64, 80, 96, 112, 128, then four steps to each doubling. */
static inline unsigned class_of(size_t size)
{
	if (size <= 128)
		return size == 0 ? 0 : (unsigned)((size - 1) >> 4);
	unsigned shift = 61 - (unsigned)__builtin_clzll(size - 1); /* step is 2^shift */
	return 4 * (shift - 4) + (unsigned)((size - 1) >> shift);
}

static inline size_t class_bytes(unsigned class)
{
	if (class < 8)
		return 16 * (class + 1);
	unsigned shift = class / 4 + 3;
	return ((size_t)(class % 4) + 5) << shift;
}

static inline uint32_t class_batch(unsigned class)
{
	size_t n = BATCH_BYTES / class_bytes(class);
	return n == 0 ? 1 : n > BATCH_MAX ? BATCH_MAX : (uint32_t)n;
}

/*
 * The header of what malloc returned. An object that is itself aligned to a span (only a large one can be)
 * has it just below; all others, where the mask says. The magic is checked by the caller.
 */
static inline struct span *span_of(void *p)
{
	uintptr_t at = (uintptr_t)p;
	return (at & (SPAN_SIZE - 1)) == 0 ? (struct span *)p - 1 : (struct span *)(at & ~(SPAN_SIZE - 1));
}

/* Up to n > 0 objects of a class, linked; *got of them. NULL: no memory. */
struct object *spans_take(unsigned class, uint32_t n, uint32_t *got);
/* n objects of one class go back, linked from `first`. */
void spans_give(struct object *first, uint32_t n);

void *large_alloc(size_t align, size_t size); /* NULL: no memory. align: a power of two, 16 or more */
void large_free(struct span *span);

#endif
