/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Spans: where the heap's objects come from and return to. heap.c keeps some of them for each hart.
 *
 * Small objects come in size classes of an eighth of a power of two, cut from spans of 32 KiB that are
 * aligned to their size; a span's header is found by masking an object's address. Objects are cut from the
 * span's end, so that each is aligned to the greatest power of two that divides its size. A large object is a
 * block of pages of its own, with the same header in front.
 *
 * Each class exists twice: the second one's objects are those of the debug option (heap_debug.c).
 */
#ifndef KERNEL_SPANS_H
#define KERNEL_SPANS_H

#include <stddef.h>
#include <stdint.h>

#include "kernel/pages.h"

#define SPAN_ORDER 3
#define SPAN_SIZE (PAGE_SIZE << SPAN_ORDER)
#define SMALL_MAX 8192
#define CLASSES 56            /* class_of(SMALL_MAX) + 1 */
#define DEBUG_CLASS CLASSES   /* from this one on: the debug option's */
#define LARGE (2 * CLASSES)   /* no class: a large object */
#define DEBUG_LARGE (LARGE + 1)

#define BATCH_BYTES 2048
#define BATCH_MAX 32

#define SPAN_MAGIC 0x5be1a000 /* the low bits are 0: a span has its class there */

struct object { /* while it is free */
	struct object *next;
};

struct span {
	uint32_t word;          /* SPAN_MAGIC + the class; 0: not in use any more */
	size_t pages;           /* of its block */
	void *block;            /* the block of pages, which a large object's header need not begin */
	/* The rest under the class's lock. */
	struct object *free;
	uint32_t free_count;
	uint32_t fresh, count;  /* objects never handed out yet begin at index `fresh` */
	struct span *next, *prev;
} __attribute__((aligned(64)));

/* 16, 32, 48, ..., 256, then eight steps to each doubling. heap.c has this as a table. */
static inline unsigned class_of(size_t size)
{
	if (size <= 256)
		return size == 0 ? 0 : (unsigned)((size - 1) >> 4);
	unsigned shift = 60 - (unsigned)__builtin_clzll(size - 1); /* step is 2^shift */
	return 8 * (shift - 4) + (unsigned)((size - 1) >> shift);
}

static inline size_t class_bytes(size_t class)
{
	if (class >= DEBUG_CLASS)
		class -= DEBUG_CLASS;
	if (class < 16)
		return 16 * (class + 1);
	size_t shift = class / 8 + 3;
	return ((size_t)(class % 8) + 9) << shift;
}

/* How many of them a span has. */
static inline uint32_t span_objects(size_t class)
{
	return (uint32_t)((SPAN_SIZE - sizeof(struct span)) / class_bytes(class));
}

static inline uint32_t class_batch(size_t class)
{
	size_t n = BATCH_BYTES / class_bytes(class);
	return n == 0 ? 1 : n > BATCH_MAX ? BATCH_MAX : (uint32_t)n;
}

/*
 * The header of what malloc returned. An object that is itself aligned to a span (only a large one can be)
 * has it just below; all others, where the mask says.
 */
static inline struct span *span_of(const void *p)
{
	uintptr_t at = (uintptr_t)p;
	return (struct span *)((at & (SPAN_SIZE - 1)) == 0 ? at - sizeof(struct span)
							   : at & ~(SPAN_SIZE - 1));
}

/* What a span is of; no class and not LARGE either if it is no span. */
static inline size_t span_class(const struct span *span)
{
	return (size_t)span->word - SPAN_MAGIC;
}

/* Object `index` of a span, and the one that `p` lies in. */
static inline void *span_object(struct span *span, size_t index)
{
	return (char *)span + SPAN_SIZE - (index + 1) * class_bytes(span_class(span));
}

static inline size_t span_index(const struct span *span, const void *p)
{
	return (size_t)((const char *)span + SPAN_SIZE - 1 - (const char *)p) / class_bytes(span_class(span));
}

/* Takes up to n > 0 objects of a class, and answers how many; 0: no memory. */
uint32_t spans_take(size_t class, void **objects, uint32_t n);
/* n objects of one class go back. */
void spans_give(size_t class, void **objects, uint32_t n);
/* Spans of which nothing is in use go back to the page allocator. True if there were any. */
bool spans_trim(void);
/* How many spans a class has, and how many of their objects are not in them. */
void spans_count(size_t class, size_t *spans, size_t *taken);

/* With class LARGE or DEBUG_LARGE. NULL: no memory. align: a power of two, 16 or more. */
void *large_alloc(size_t class, size_t align, size_t size);
void large_free(struct span *span);
size_t large_pages_count(void); /* of all of them */

/* Bytes from p to the end of the large object that begins there. */
static inline size_t large_bytes(const struct span *span, const void *p)
{
	return (size_t)((const char *)span->block + (span->pages << PAGE_SHIFT) - (const char *)p);
}

#endif
