/* SPDX-License-Identifier: BSD-2-Clause */
/* The heap, apart from what C declares of it: heap.c, and heap_debug.c for GUMPDEBUG=heap. */
#ifndef KERNEL_HEAP_H
#define KERNEL_HEAP_H

#include <stdbool.h>
#include <stddef.h>

struct hart;
struct heap;

/* What the heap keeps for a hart: hart->heap. At boot, for each, in so many bytes. */
size_t heap_hart_size(void);
void heap_hart_init(struct hart *hart, void *memory);

/* Pages that malloc has; bytes of them that a program has, rounded up as malloc does. Others may go on meanwhile. */
struct heap_count {
	size_t pages;
	size_t used;
	size_t free_objects, free_bytes; /* small ones, kept for a hart or not */
	size_t large_pages;
};
void heap_count(struct heap_count *count);

#endif
