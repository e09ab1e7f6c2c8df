/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What can be said of memory here: the heap is the C library's, all else the host's.
 */
#include <malloc.h>
#include <unistd.h>

#include "hosted.h"

extern char __executable_start[], end[]; /* the linker's */

static size_t at_most(size_t n, size_t most)
{
	return n < most ? n : most;
}

void hart_memory(struct hart_memory *memory)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct mallinfo2 heap = mallinfo2();

	*memory = (struct hart_memory){
		.total = (size_t)sysconf(_SC_PHYS_PAGES) * page,
		.free = (size_t)sysconf(_SC_AVPHYS_PAGES) * page,
		.stacks = stacks_in(),
		.image = (size_t)(end - __executable_start),
	};
	/* The image's and the heap's are addresses, not all of which were touched: no more than can be. */
	size_t rest = memory->total - at_most(memory->free, memory->total);
	rest -= memory->stacks = at_most(memory->stacks, rest);
	rest -= memory->image = at_most(memory->image, rest);
	memory->heap = at_most(heap.arena + heap.hblkhd, rest);
	memory->heap_used = at_most(heap.uordblks + heap.hblkhd, memory->heap);
}

void hart_heap_trim(void)
{
}

size_t hart_memory_free(void)
{
	return SIZE_MAX;
}

size_t hart_memory_total(void)
{
	return 0;
}

bool hart_memory_is_little(void)
{
	return false;
}

size_t hart_stacks_in(void)
{
	return 0;
}
