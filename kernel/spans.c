/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of the heap that all harts share: see spans.h for what a span is.
 *
 * There is a lock for each size class. It is taken for a batch of objects, not for each (heap.c). A span
 * all of whose objects have returned goes back to the page allocator, but for the last of its class, so
 * that a lone object does not move pages to and fro.
 */
#include "kernel/spans.h"

#include "kernel/hart.h"

struct class {
	struct spinlock lock;
	struct span *partial; /* spans with something free; doubly linked */
} __attribute__((aligned(CACHE_LINE)));

static struct class classes[CLASSES] = { [0 ... CLASSES - 1] = { .lock = SPINLOCK(LOCK_HEAP) } };

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

static struct span *span_new(unsigned class)
{
	struct span *span = pages_alloc(SPAN_ORDER, PAGES_HEAP);
	if (span == NULL)
		return NULL;
	uint32_t count = (uint32_t)((SPAN_SIZE - sizeof(*span)) / class_bytes(class));
	*span = (struct span){ .magic = SPAN_MAGIC, .class = (uint8_t)class,
			       .batch = (uint8_t)class_batch(class),
			       .pages = SPAN_SIZE >> PAGE_SHIFT, .block = span,
			       .free_count = count, .count = count };
	return span;
}

/* One object of a span that has one: one that was used before, whose lines may still be in a cache. */
static struct object *span_take(struct span *span)
{
	struct object *object = span->free;
	if (object != NULL)
		span->free = object->next;
	else
		object = (void *)((char *)(span + 1) + span->fresh++ * class_bytes(span->class));
	span->free_count--;
	return object;
}

struct object *spans_take(unsigned index, uint32_t n, uint32_t *got)
{
	struct class *class = &classes[index];
	struct object *first = NULL, **last = &first;
	uint32_t taken = 0;

	spin_lock(&class->lock);
	/* A new span only if there is nothing at all: a batch need not be full. */
	if (class->partial == NULL) {
		struct span *span = span_new(index);
		if (span != NULL)
			partial_add(class, span);
	}
	for (struct span *span; taken < n && (span = class->partial) != NULL;) {
		while (taken < n && span->free_count != 0) {
			*last = span_take(span);
			last = &(*last)->next;
			taken++;
		}
		if (span->free_count == 0)
			partial_remove(class, span);
	}
	spin_unlock(&class->lock);
	*last = NULL;
	*got = taken;
	return first;
}

void spans_give(struct object *first, uint32_t n)
{
	struct class *class = &classes[span_of(first)->class];
	struct span *empty = NULL; /* go back to the page allocator, after the lock */

	spin_lock(&class->lock);
	while (n-- > 0) {
		struct object *object = first;
		struct span *span = span_of(object);
		first = object->next;
		object->next = span->free;
		span->free = object;
		if (span->free_count++ == 0)
			partial_add(class, span);
		if (span->free_count == span->count && (span->next != NULL || span->prev != NULL)) {
			partial_remove(class, span);
			span->next = empty;
			empty = span;
		}
	}
	spin_unlock(&class->lock);
	for (struct span *span; (span = empty) != NULL;) {
		empty = span->next;
		span->magic = 0;
		pages_free(span, SPAN_ORDER);
	}
}

void *large_alloc(size_t align, size_t size)
{
	size_t lead = align > sizeof(struct span) ? align : sizeof(struct span);
	if (size > SIZE_MAX - lead - PAGE_SIZE)
		return NULL;
	size_t pages = (lead + size + PAGE_SIZE - 1) >> PAGE_SHIFT;
	/* Aligned to a span at least, so that span_of() finds the header. */
	char *block = pages_alloc_run(pages, (align > SPAN_SIZE ? align : SPAN_SIZE) >> PAGE_SHIFT,
				      PAGES_HEAP);
	if (block == NULL)
		return NULL;
	void *p = block + lead;
	void *header = ((uintptr_t)p & (SPAN_SIZE - 1)) == 0 ? (char *)p - sizeof(struct span) : block;
	*(struct span *)header = (struct span){ .magic = SPAN_MAGIC, .class = LARGE,
						.pages = pages, .block = block };
	return p;
}

void large_free(struct span *span)
{
	span->magic = 0;
	pages_free_run(span->block, span->pages);
}
