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

/*
 * What is kept for the calling hart goes back, and with it each span that is not in use. True
 * if there is one.
 */
bool heap_trim(void);
/* There is no memory: can it be tried once more? And the answer if not: NULL, with errno set. */
bool heap_reclaim(void);
void *heap_no_memory(void);

/* GUMPDEBUG=heap. */
extern bool heap_debugging;
void heap_debug_init(void);              /* on the boot hart, before there are others */
void *heap_debug_alloc(size_t align, size_t size);
void heap_debug_free(void *p);           /* any p that is not a small object of before */
size_t heap_debug_size(void *p);
size_t heap_debug_kept(void);            /* bytes of what was freed and is not given back yet */
bool heap_debug_drain(void);             /* what was freed is given back. True if there was any */

/*
 * Pages that malloc has, as the page allocator told; bytes of them that a program has, rounded up as malloc
 * does. Others may go on meanwhile: what is just on its way may be counted twice or left out, but no part is
 * more than its whole.
 */
struct heap_count {
	size_t pages;
	size_t used;
	size_t free_objects, free_bytes; /* small ones, kept for a hart or not */
	size_t large_pages;
};
void heap_count(struct heap_count *count, size_t pages);

#endif
