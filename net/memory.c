/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Slabs: blocks of 16 KiB, aligned to their size, each cut into objects of one size class. An
 * object finds its slab by rounding its address down. Free objects of a slab are linked through
 * their first word; slabs with free objects are linked a class. A slab that becomes empty goes
 * back to the page allocator unless it is the last of its class with room.
 *
 * Why not malloc: sizes are few and known, allocation happens for every packet, the net lock is
 * held anyway, and what the network takes must be bounded. Under the net lock.
 */
#include "net/memory.h"

#include <stdint.h>
#include <string.h>

#include "kernel/pages.h"
#include "net/handle.h"
#include "net/limits.h"

#define SLAB_ORDER 2
#define SLAB_SIZE (PAGE_SIZE << SLAB_ORDER)
#define SLAB_HEADER 64
#define GRAIN 64
#define SHARE_MIN 8192
#define SERVED_PAGES 8 /* for a connection, until it is known what it takes */
#define LEFT_MAX 4096  /* pages for those that are served, at most; else an eighth of the machine's */
#define LARGE 0xff /* not a slab: one object in pages of its own */

/* 384: a tcp_pcb; 1600: a pbuf with a full frame. Others spread evenly. */
static const uint16_t class_size[] = { 64,  128,  192,  256,  384,  512,
				       768, 1024, 1600, 2048, 4096 };
#define CLASSES (sizeof class_size / sizeof class_size[0])
#define CLASS_MAX 4096

struct slab {
	struct slab *next, *previous; /* in the class's list, while it has free objects */
	void *free;
	uint16_t used, capacity;
	uint8_t class;
	uint8_t order;
};
_Static_assert(sizeof(struct slab) <= SLAB_HEADER, "the header of a slab");

static struct slab *partial[CLASSES]; /* slabs with free objects */
static uint8_t class_of[CLASS_MAX / GRAIN + 1];
static size_t pages_used, pages_limit;
static size_t promised; /* bytes */

void net_memory_init(void)
{
	pages_limit = pages_total() * limit_memory / 100;
	unsigned class = 0;
	for (unsigned grains = 0; grains <= CLASS_MAX / GRAIN; grains++) {
		if (grains * GRAIN > class_size[class])
			class++;
		class_of[grains] = (uint8_t)class;
	}
}

void net_memory_promise(ssize_t bytes)
{
	promised += (size_t)bytes;
}

size_t net_memory_share(void)
{
	size_t half = pages_limit / 2 * PAGE_SIZE, taken = pages_used * PAGE_SIZE + promised;
	size_t share = taken < half ? (half - taken) / 16 : 0;
	return share > SHARE_MIN ? share : SHARE_MIN;
}

size_t net_memory_used(void)
{
	return pages_used * PAGE_SIZE;
}

size_t net_memory_max(void)
{
	return pages_limit * PAGE_SIZE;
}

bool net_memory_tight(void)
{
	return pages_used > pages_limit / 4 * 3;
}

bool net_memory_scarce(void)
{
	return pages_used > pages_limit / 8 * 7;
}

bool net_memory_serves(size_t connections)
{
	size_t left = pages_total() / 8;
	if (left > LEFT_MAX)
		left = LEFT_MAX;
	return pages_free_count() >= left + connections * SERVED_PAGES;
}

static struct slab *take_pages(unsigned order)
{
	if (pages_used + ((size_t)1 << order) > pages_limit)
		return NULL;
	struct slab *slab = pages_alloc(order, PAGES_NETWORK);
	if (!slab)
		return NULL;
	pages_used += (size_t)1 << order;
	slab->order = (uint8_t)order;
	return slab;
}

static void give_pages(struct slab *slab)
{
	pages_used -= (size_t)1 << slab->order;
	pages_free(slab, slab->order);
}

static void list_add(struct slab *slab)
{
	struct slab *head = partial[slab->class];
	slab->next = head;
	slab->previous = NULL;
	if (head)
		head->previous = slab;
	partial[slab->class] = slab;
}

static void list_remove(struct slab *slab)
{
	if (slab->previous)
		slab->previous->next = slab->next;
	else
		partial[slab->class] = slab->next;
	if (slab->next)
		slab->next->previous = slab->previous;
}

static struct slab *slab_new(unsigned class)
{
	struct slab *slab = take_pages(SLAB_ORDER);
	if (!slab)
		return NULL;
	slab->class = (uint8_t)class;
	slab->used = 0;
	slab->capacity = (uint16_t)((SLAB_SIZE - SLAB_HEADER) / class_size[class]);
	slab->free = NULL;
	for (unsigned i = slab->capacity; i-- > 0;) {
		void **object = (void *)((char *)slab + SLAB_HEADER + (size_t)i * class_size[class]);
		*object = slab->free;
		slab->free = object;
	}
	list_add(slab);
	return slab;
}

static void *large_new(size_t size)
{
	unsigned order = SLAB_ORDER; /* at least a slab's alignment, so that the header is found */
	while ((PAGE_SIZE << order) < size + SLAB_HEADER)
		if (++order > PAGES_ORDER_MAX)
			return NULL;
	struct slab *slab = take_pages(order);
	if (!slab)
		return NULL;
	slab->class = LARGE;
	return (char *)slab + SLAB_HEADER;
}

void *net_malloc(size_t size)
{
	if (size > CLASS_MAX)
		return size < SIZE_MAX / 2 ? large_new(size) : NULL;
	unsigned class = class_of[(size + GRAIN - 1) / GRAIN];
	struct slab *slab = partial[class];
	if (!slab && !(slab = slab_new(class)))
		return NULL;
	void **object = slab->free;
	slab->free = *object;
	if (++slab->used == slab->capacity)
		list_remove(slab);
	return object;
}

void *net_calloc(size_t count, size_t size)
{
	size_t total;
	if (__builtin_mul_overflow(count, size, &total))
		return NULL;
	void *memory = net_malloc(total);
	return memory ? memset(memory, 0, total) : NULL;
}

void *handle_memory(size_t size)
{
	return net_calloc(1, size);
}

void net_free(void *memory)
{
	if (!memory)
		return;
	struct slab *slab = (void *)((uintptr_t)memory & ~(uintptr_t)(SLAB_SIZE - 1));
	if (slab->class == LARGE) {
		give_pages(slab);
		return;
	}
	if (slab->used == slab->capacity)
		list_add(slab);
	*(void **)memory = slab->free;
	slab->free = memory;
	if (--slab->used == 0 && (slab->next || slab->previous)) {
		list_remove(slab);
		give_pages(slab);
	}
}
