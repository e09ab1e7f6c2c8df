/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who has the machine's memory: the sums for go_memory() and mallinfo(), and the
 * map that GUMPDEBUG=memory prints.
 *
 * The map goes through all RAM that firmware has told of, in the order of addresses, and asks for
 * each place whose it is. Each byte is so asked for once, and the sizes sum up to the machine's
 * memory whatever happens meanwhile.
 */
#include "kernel/memory.h"

#include <malloc.h>
#include <string.h>

#include "kernel/hart.h"
#include "kernel/heap.h"
#include "kernel/layout.h"
#include "kernel/machine.h"
#include "kernel/pages.h"

static const char *const owners[PAGES_OWNERS] = {
	[PAGES_FREE] = "free",
	[PAGES_MAP] = "page map",
	[PAGES_TABLES] = OWNER_TABLES,
	[PAGES_HARTS] = "harts' blocks and trap stacks",
	[PAGES_STACKS] = "stacks",
	[PAGES_HEAP] = "heap",
	[PAGES_DEVICES] = "devices",
	[PAGES_NETWORK] = "network",
};

struct place {
	uint64_t base, end;
	const char *owner;
};

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The first RAM at or behind `at`, as far as one range tells. False: there is none. */
static bool next_ram(uint64_t at, struct place *place)
{
	*place = (struct place){ .base = UINT64_MAX };
	for (unsigned i = 0; i < machine.ram_count; i++) {
		uint64_t base = machine.ram[i].base, end = base + machine.ram[i].size;
		if (base < at)
			base = at;
		if (base < end && base < place->base)
			*place = (struct place){ .base = base, .end = end };
	}
	return place->end != 0;
}

/* A range that covers the place's first byte is its owner's; where one begins behind that, the place ends. */
static void look_at(struct place *place, uint64_t base, uint64_t end, const char *owner)
{
	if (base > place->base) {
		place->end = earlier(place->end, base);
	} else if (end > place->base && place->owner == NULL) {
		place->end = earlier(place->end, end);
		place->owner = owner;
	}
}

/* Cuts the place to where one owner's ends, and finds out who it is. */
static void find_owner(struct place *place)
{
	char *const parts[] = { __image_start, __rodata_start, __data_start, __bss_start, __image_end };
	static const char *const names[] = { "image: text", "image: rodata", "image: data", "image: bss" };
	enum pages_owner owner;
	uint64_t end;

	for (unsigned i = 0; i < 4; i++)
		look_at(place, (uintptr_t)parts[i], (uintptr_t)parts[i + 1], names[i]);
	for (unsigned i = 0; i < machine.owned_count; i++)
		look_at(place, machine.owned[i].base, machine.owned[i].base + machine.owned[i].size,
			machine.owned[i].owner);
	if (place->owner != NULL)
		return;
	if (pages_owner_at(place->base, &owner, &end)) {
		place->end = earlier(place->end, end);
		place->owner = owners[owner];
	} else { /* less than a page is left between two others' */
		place->end = earlier(place->end, (place->base | (PAGE_SIZE - 1)) + 1);
		place->owner = "unused";
	}
}

static void print(const struct place *place)
{
	if (place->owner != NULL)
		hart_print("memory: 0x%012llx %12llu %s\n", (unsigned long long)place->base,
			   (unsigned long long)(place->end - place->base), place->owner);
}

void memory_map_print(void)
{
	struct place place, line = { .owner = NULL };
	uint64_t total = 0;

	for (uint64_t at = 0; next_ram(at, &place); at = place.end) {
		find_owner(&place);
		total += place.end - place.base;
		if (line.owner != NULL && line.end == place.base && strcmp(line.owner, place.owner) == 0) {
			line.end = place.end;
			continue;
		}
		print(&line);
		line = place;
	}
	print(&line);
	hart_print("memory: total          %12llu\n", (unsigned long long)total);
}

void hart_memory(struct hart_memory *memory)
{
	struct heap_count heap;
	struct place place;
	size_t pages[PAGES_OWNERS];

	pages_counts(pages);
	heap_count(&heap, pages[PAGES_HEAP]);
	*memory = (struct hart_memory){
		.free = pages[PAGES_FREE] << PAGE_SHIFT,
		.heap = pages[PAGES_HEAP] << PAGE_SHIFT,
		.heap_used = heap.used,
		.stacks = pages[PAGES_STACKS] << PAGE_SHIFT,
		.tables = pages[PAGES_TABLES] << PAGE_SHIFT,
		.image = (size_t)(__image_end - __image_start),
	};
	for (unsigned i = 0; i < machine.owned_count; i++)
		if (strcmp(machine.owned[i].owner, OWNER_TABLES) == 0)
			memory->tables += machine.owned[i].size;
	for (uint64_t at = 0; next_ram(at, &place); at = place.end)
		memory->total += place.end - place.base;
}

struct mallinfo mallinfo(void)
{
	struct heap_count heap;

	heap_count(&heap, pages_count_of(PAGES_HEAP));
	return (struct mallinfo){
		.arena = heap.pages << PAGE_SHIFT,
		.ordblks = heap.free_objects,
		.hblkhd = heap.large_pages << PAGE_SHIFT,
		.uordblks = heap.used,
		.fordblks = (heap.pages << PAGE_SHIFT) - heap.used,
		.keepcost = heap.free_bytes,
	};
}

size_t hart_memory_free(void)
{
	return pages_free_count() << PAGE_SHIFT;
}

size_t hart_memory_total(void)
{
	return pages_total() << PAGE_SHIFT;
}

bool hart_memory_is_little(void)
{
	return pages_little();
}

size_t hart_stacks_in(void)
{
	return pages_count_of(PAGES_STACKS) << PAGE_SHIFT;
}
