/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Physical pages: a buddy allocator.
 *
 * Each range of RAM is a zone with one byte a page, which says of the first page of a free block
 * its order; free blocks of an order are linked through their own memory. Blocks are aligned to
 * their size in physical addresses, and buddies in different zones never meet.
 *
 * One lock guards all of it. It is the only lock that a trap handler takes (stack_fault() needs
 * pages), which is safe because its holder cannot fault: pages_alloc() and pages_free() touch
 * the stack that they are going to need before they take the lock.
 */
#include <assert.h>
#include <string.h>

#include "kernel/machine.h"
#include "kernel/pages.h"

#define FREE 0x80 /* in the map: first page of a free block of order (byte & 0x7f) */
#define LOCKED_STACK 2048 /* bytes of stack that the code under the lock may need */

struct block {
	struct block *next, *prev;
};

struct zone {
	uint64_t first, pages; /* page numbers */
	uint8_t *map;
};

static struct spinlock lock;
static struct zone zones[MACHINE_RANGES];        /* set once at boot */
static unsigned zone_count;
static struct block lists[PAGES_ORDER_MAX + 1];  /* under `lock`; circular */
static size_t free_pages, total_pages;           /* under `lock` */

static uint64_t page_of(const void *p)
{
	return (uintptr_t)p >> PAGE_SHIFT;
}

static struct zone *zone_of(uint64_t page)
{
	for (unsigned i = 0; i < zone_count; i++)
		if (page - zones[i].first < zones[i].pages)
			return &zones[i];
	return NULL;
}

static void list_add(struct zone *zone, uint64_t page, unsigned order)
{
	struct block *block = (struct block *)(uintptr_t)(page << PAGE_SHIFT);
	struct block *head = &lists[order];

	block->next = head->next;
	block->prev = head;
	head->next->prev = block;
	head->next = block;
	zone->map[page - zone->first] = FREE | order;
}

static void list_remove(struct zone *zone, uint64_t page)
{
	struct block *block = (struct block *)(uintptr_t)(page << PAGE_SHIFT);

	block->prev->next = block->next;
	block->next->prev = block->prev;
	zone->map[page - zone->first] = 0;
}

static void *alloc_locked(unsigned order)
{
	unsigned have = order;
	while (have <= PAGES_ORDER_MAX && lists[have].next == &lists[have])
		have++;
	if (have > PAGES_ORDER_MAX)
		return NULL;

	uint64_t page = page_of(lists[have].next);
	struct zone *zone = zone_of(page);
	list_remove(zone, page);
	while (have > order) {
		have--;
		list_add(zone, page + ((uint64_t)1 << have), have);
	}
	free_pages -= (size_t)1 << order;
	return (void *)(uintptr_t)(page << PAGE_SHIFT);
}

static void free_locked(uint64_t page, unsigned order)
{
	struct zone *zone = zone_of(page);
	assert(zone != NULL && "pages_free: not RAM");
	assert(zone->map[page - zone->first] == 0 && "pages_free: freed twice");

	free_pages += (size_t)1 << order;
	while (order < PAGES_ORDER_MAX) {
		uint64_t buddy = page ^ ((uint64_t)1 << order);
		if (buddy - zone->first >= zone->pages ||
		    zone->map[buddy - zone->first] != (FREE | order))
			break;
		list_remove(zone, buddy);
		page &= ~((uint64_t)1 << order);
		order++;
	}
	list_add(zone, page, order);
}

/* Makes sure that no page fault comes while the lock is held: see the head of this file. */
static void touch_stack(void)
{
	volatile char probe[LOCKED_STACK];
	probe[0] = 0;
	(void)probe[0];
}

void *pages_alloc(unsigned order)
{
	if (order > PAGES_ORDER_MAX)
		return NULL;
	touch_stack();
	spin_lock(&lock);
	void *block = alloc_locked(order);
	spin_unlock(&lock);
	return block;
}

void *pages_alloc_zeroed(unsigned order)
{
	void *block = pages_alloc(order);
	if (block != NULL)
		memset(block, 0, PAGE_SIZE << order);
	return block;
}

void pages_free(void *block, unsigned order)
{
	assert(((uintptr_t)block & ((PAGE_SIZE << order) - 1)) == 0);
	touch_stack();
	spin_lock(&lock);
	free_locked(page_of(block), order);
	spin_unlock(&lock);
}

/* Not spin_lock(): its unlock may call the scheduler, which a trap handler must not. */
static void lock_in_trap(void)
{
	if (spin_held_here(&lock))
		hart_fatal("a page fault under the page allocator's lock");
	uint32_t free = 0;
	while (!atomic_compare_exchange_weak_explicit(&lock.owner, &free, hart_self()->id + 1,
						      memory_order_acquire, memory_order_relaxed)) {
		free = 0;
		hart_relax();
	}
}

uint64_t pages_alloc_in_trap(void)
{
	lock_in_trap();
	void *page = alloc_locked(0);
	spin_release(&lock);
	return (uintptr_t)page;
}

void pages_free_in_trap(uint64_t page)
{
	lock_in_trap();
	free_locked(page >> PAGE_SHIFT, 0);
	spin_release(&lock);
}

size_t pages_free_count(void)
{
	return __atomic_load_n(&free_pages, __ATOMIC_RELAXED);
}

size_t pages_total(void)
{
	return total_pages;
}

/* Gives a zone's pages to the lists as the biggest aligned blocks that fit. */
static void zone_fill(struct zone *zone, uint64_t page, uint64_t end)
{
	while (page < end) {
		unsigned order = page == 0 ? PAGES_ORDER_MAX : (unsigned)__builtin_ctzll(page);
		if (order > PAGES_ORDER_MAX)
			order = PAGES_ORDER_MAX;
		while (((uint64_t)1 << order) > end - page)
			order--;
		list_add(zone, page, order);
		free_pages += (size_t)1 << order;
		page += (uint64_t)1 << order;
	}
}

void pages_init(void)
{
	for (unsigned i = 0; i <= PAGES_ORDER_MAX; i++)
		lists[i].next = lists[i].prev = &lists[i];

	for (unsigned i = 0; i < machine.memory_count; i++) {
		struct machine_range *r = &machine.memory[i];
		uint64_t first = (r->base + PAGE_SIZE - 1) >> PAGE_SHIFT;
		uint64_t end = (r->base + r->size) >> PAGE_SHIFT;
		if (first == 0)
			first = 1; /* page 0 is not mapped */
		if (end < first + 2)
			continue;
		/* The map comes out of the zone itself. */
		uint64_t map_pages = (end - first + PAGE_SIZE - 1) >> PAGE_SHIFT;
		struct zone *zone = &zones[zone_count++];
		zone->first = first;
		zone->pages = end - first;
		zone->map = (uint8_t *)(uintptr_t)(first << PAGE_SHIFT);
		memset(zone->map, 0, end - first);
		zone_fill(zone, first + map_pages, end);
	}
	total_pages = free_pages;
}
