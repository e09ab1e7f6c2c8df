/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of the heap that all harts share: see spans.h for what a span is.
 *
 * There is a lock for each size class. It is taken for a batch of objects, not for each (heap.c). A span
 * all of whose objects have returned goes back to the page allocator, but for the last of its class, so
 * that a lone object does not move pages to and fro; when memory is short, that one goes, too.
 */
#include <string.h>

#include "kernel/hart.h"
#include "kernel/heap.h"
#include "kernel/spans.h"

struct class {
	struct spinlock lock;
	struct span *partial; /* spans with something free; doubly linked */
	size_t spans;
	size_t taken;         /* objects that are not in a span: in use, or kept for a hart */
} __attribute__((aligned(CACHE_LINE)));

static struct class classes[2 * CLASSES] = { [0 ... 2 * CLASSES - 1] = { .lock = SPINLOCK(LOCK_HEAP) } };

static _Atomic(size_t) large_pages;

static void partial_add(struct class *class, struct span *span)
{
	span->prev = NULL;
	span->next = class->partial;
	if (span->next != NULL)
		span->next->prev = span;
	class->partial = span;
}

static void partial_remove(struct class *class, struct span *span)
{
	if (span->prev != NULL)
		span->prev->next = span->next;
	else
		class->partial = span->next;
	if (span->next != NULL)
		span->next->prev = span->prev;
}

static struct span *span_new(size_t class)
{
	struct span *span = pages_alloc(SPAN_ORDER, PAGES_HEAP);
	if (span == NULL)
		return NULL;
	if (class >= DEBUG_CLASS) /* what was never handed out is told from what was freed */
		memset(span, 0, SPAN_SIZE);
	uint32_t count = span_objects(class);
	*span = (struct span){ .word = (uint32_t)(SPAN_MAGIC + class), .pages = SPAN_SIZE >> PAGE_SHIFT,
			       .block = span, .free_count = count, .count = count };
	return span;
}

/* One object of a span that has one: one that was used before, whose lines may still be in a cache. */
static void *span_take(struct span *span)
{
	struct object *object = span->free;

	span->free_count--;
	if (object == NULL)
		return span_object(span, span->fresh++);
	span->free = object->next;
	return object;
}

uint32_t spans_take(size_t index, void **objects, uint32_t n)
{
	struct class *class = &classes[index];
	uint32_t taken = 0;

	spin_lock(&class->lock);
	/* A new span only if there is nothing at all: a batch need not be full. */
	if (class->partial == NULL) {
		struct span *span = span_new(index);
		if (span != NULL) {
			partial_add(class, span);
			class->spans++;
		}
	}
	for (struct span *span; taken < n && (span = class->partial) != NULL;) {
		while (taken < n && span->free_count != 0)
			objects[taken++] = span_take(span);
		if (span->free_count == 0)
			partial_remove(class, span);
	}
	class->taken += taken;
	spin_unlock(&class->lock);
	return taken;
}

/* The span, of which nothing is in use, out of its class and into a list. */
static struct span *retire(struct class *class, struct span *span, struct span *list)
{
	partial_remove(class, span);
	class->spans--;
	span->next = list;
	return span;
}

/* Retired spans go back; without the class's lock. */
static void give_pages(struct span *list)
{
	for (struct span *span; (span = list) != NULL;) {
		list = span->next;
		span->word = 0;
		pages_free(span, SPAN_ORDER);
	}
}

void spans_give(size_t index, void **objects, uint32_t n)
{
	struct class *class = &classes[index];
	struct span *empty = NULL;

	spin_lock(&class->lock);
	class->taken -= n;
	for (uint32_t i = 0; i < n; i++) {
		struct object *object = objects[i];
		struct span *span = span_of(object);
		object->next = span->free;
		span->free = object;
		if (span->free_count++ == 0)
			partial_add(class, span);
		if (span->free_count == span->count && (span->next != NULL || span->prev != NULL))
			empty = retire(class, span, empty);
	}
	spin_unlock(&class->lock);
	give_pages(empty);
}

bool spans_trim(void)
{
	bool any = false;

	for (struct class *class = classes; class < &classes[2 * CLASSES]; class++) {
		struct span *empty = NULL, *next;
		spin_lock(&class->lock);
		for (struct span *span = class->partial; span != NULL; span = next) {
			next = span->next;
			if (span->free_count == span->count)
				empty = retire(class, span, empty);
		}
		spin_unlock(&class->lock);
		any |= empty != NULL;
		give_pages(empty);
	}
	return any;
}

void spans_count(size_t index, size_t *spans, size_t *taken)
{
	struct class *class = &classes[index];

	spin_lock(&class->lock);
	*spans = class->spans;
	*taken = class->taken;
	spin_unlock(&class->lock);
}

void *large_alloc(size_t class, size_t align, size_t size)
{
	size_t lead = align > sizeof(struct span) ? align : sizeof(struct span);
	if (size > SIZE_MAX - lead - PAGE_SIZE)
		return NULL;
	size_t pages = (lead + size + PAGE_SIZE - 1) >> PAGE_SHIFT;
	/* Aligned to a span at least, so that span_of() finds the header. */
	char *block =
		pages_alloc_run(pages, (align > SPAN_SIZE ? align : SPAN_SIZE) >> PAGE_SHIFT, PAGES_HEAP);
	if (block == NULL)
		return NULL;
	atomic_fetch_add_explicit(&large_pages, pages, memory_order_relaxed);
	void *p = block + lead;
	void *header = ((uintptr_t)p & (SPAN_SIZE - 1)) == 0 ? (char *)p - sizeof(struct span) : block;
	*(struct span *)header = (struct span){ .word = (uint32_t)(SPAN_MAGIC + class), .pages = pages,
						.block = block };
	return p;
}

void large_free(struct span *span)
{
	span->word = 0;
	atomic_fetch_sub_explicit(&large_pages, span->pages, memory_order_relaxed);
	pages_free_run(span->block, span->pages);
}

size_t large_pages_count(void)
{
	return load_relaxed(&large_pages);
}
