/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Physical pages. Contents are undefined. Since RAM is mapped one to one, an address is both
 * physical and a pointer.
 */
#ifndef KERNEL_PAGES_H
#define KERNEL_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/vm.h"

#define PAGES_ORDER_MAX 20 /* 4 GiB */

enum pages_owner {
	PAGES_FREE,
	PAGES_MAP,     /* the page allocator's own */
	PAGES_TABLES,  /* page tables */
	PAGES_HARTS,   /* harts' blocks and their trap stacks */
	PAGES_STACKS,  /* goroutines' stacks, and g0s' */
	PAGES_HEAP,
	PAGES_DEVICES, /* rings and buffers that devices read and write */
	PAGES_NETWORK,
	PAGES_OWNERS,
};

void pages_init(void); /* from machine.memory; boot hart only */

/*
 * `count` pages in a row, the first a multiple of `align` pages (a power of two). NULL when there
 * are none. From a G, g0 or boot, not a trap. A part of a run may be freed.
 */
void *pages_alloc_run(size_t count, size_t align, enum pages_owner owner);
void pages_free_run(void *block, size_t count);

/* The same for 2^order pages, aligned to their size. */
void *pages_alloc(unsigned order, enum pages_owner owner);
void *pages_alloc_zeroed(unsigned order, enum pages_owner owner);
void pages_free(void *block, unsigned order);

/*
 * One page, for a stack that grows or a table that maps it; 0 when there is none. It may be of the last ones,
 * which the others leave alone: pages_short() while there are fewer free.
 */
bool pages_locked_here(void);  /* then the next is not to be called */
uint64_t pages_alloc_in_trap(enum pages_owner owner);
void pages_free_in_trap(uint64_t page);

void pages_touch_stack(void); /* no page fault for a new page comes in what is called next */
size_t pages_free_count(void); /* free pages now; a hint */
size_t pages_total(void);
bool pages_of_heap(uintptr_t at, size_t size); /* are those bytes the heap's? A hint */
bool pages_short(void);
bool pages_little(void);      /* less than half of all are free */
size_t pages_count_of(enum pages_owner owner); /* a hint */
void pages_counts(size_t pages[PAGES_OWNERS]); /* how many each owner has, at one instant */
/*
 * Who has the page at that address now, and how far it and those behind it are the same owner's.
 * False: not a page.
 */
bool pages_owner_at(uint64_t address, enum pages_owner *owner, uint64_t *end);

#endif
