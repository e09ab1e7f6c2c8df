/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * malloc and its family.
 *
 * Small objects come in size classes of a quarter of a power of two, cut from spans of 32 KiB
 * that are aligned to their size; a span's header is found by masking an object's address. A lock
 * for each class. A span all of whose objects are free goes back to the page allocator. Large
 * objects are blocks of pages of their own, with the same header in front. An object that is itself
 * aligned to 32 KiB (only a large one can be) has its header just below it instead.
 */
#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/hart.h"
#include "kernel/pages.h"

#define SPAN_ORDER 3
#define SPAN_SIZE (PAGE_SIZE << SPAN_ORDER)
#define SMALL_MAX 8192
#define CLASSES 32 /* class_of(SMALL_MAX) + 1 */
#define LARGE 0xff

#define SMALL_MAGIC 0x5be1
#define LARGE_MAGIC 0x1a96

struct object {
	struct object *next;
};

struct span {
	uint16_t magic;
	uint8_t class;          /* LARGE for a large object */
	uint32_t free_count;    /* the rest under the class's lock */
	size_t pages;           /* of its block */
	void *block;            /* the block of pages, which a large object's header need not begin */
	struct object *free;
	uint32_t fresh, count;  /* objects never handed out yet begin at index `fresh` */
	struct span *next, *prev;
} __attribute__((aligned(64)));

struct class {
	struct spinlock lock;
	struct span *partial; /* spans with something free; doubly linked */
} __attribute__((aligned(CACHE_LINE)));

static struct class classes[CLASSES] = { [0 ... CLASSES - 1] = { .lock = SPINLOCK(LOCK_HEAP) } };

/* 16, 32, 48, 64, 80, 96, 112, 128, then four steps to each doubling. */
static unsigned class_of(size_t size)
{
	if (size <= 128)
		return size == 0 ? 0 : (unsigned)((size - 1) >> 4);
	unsigned shift = 61 - (unsigned)__builtin_clzll(size - 1); /* step is 2^shift */
	return 4 * (shift - 4) + (unsigned)((size - 1) >> shift);
}

static size_t class_bytes(unsigned class)
{
	if (class < 8)
		return 16 * (class + 1);
	unsigned shift = class / 4 + 3;
	return ((size_t)(class % 4) + 5) << shift;
}

static struct span *span_of(void *p)
{
	uintptr_t at = (uintptr_t)p;
	struct span *span = (at & (SPAN_SIZE - 1)) == 0 ? (struct span *)p - 1
							: (struct span *)(at & ~(SPAN_SIZE - 1));
	if (span->magic != SMALL_MAGIC && span->magic != LARGE_MAGIC)
		hart_fatal("free or realloc of %p, which malloc did not return", p);
	return span;
}

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
	struct span *span = pages_alloc(SPAN_ORDER);
	if (span == NULL)
		return NULL;
	uint32_t count = (uint32_t)((SPAN_SIZE - sizeof(*span)) / class_bytes(class));
	*span = (struct span){ .magic = SMALL_MAGIC, .class = (uint8_t)class,
			       .pages = SPAN_SIZE >> PAGE_SHIFT, .block = span,
			       .free_count = count, .count = count };
	return span;
}

static void *small_alloc(unsigned index)
{
	struct class *class = &classes[index];

	spin_lock(&class->lock);
	struct span *span = class->partial;
	if (span == NULL) {
		span = span_new(index);
		if (span == NULL) {
			spin_unlock(&class->lock);
			return NULL;
		}
		partial_add(class, span);
	}
	struct object *object = span->free;
	if (object != NULL)
		span->free = object->next;
	else
		object = (void *)((char *)(span + 1) + span->fresh++ * class_bytes(index));
	if (--span->free_count == 0)
		partial_remove(class, span);
	spin_unlock(&class->lock);
	return object;
}

static void small_free(struct span *span, void *p)
{
	struct class *class = &classes[span->class];
	struct object *object = p;

	spin_lock(&class->lock);
	object->next = span->free;
	span->free = object;
	if (span->free_count++ == 0)
		partial_add(class, span);
	/* The last span of a class is kept, so that a lone object does not move pages to and fro. */
	bool give_back = span->free_count == span->count && (span->next != NULL || span->prev != NULL);
	if (give_back)
		partial_remove(class, span);
	spin_unlock(&class->lock);
	if (give_back) {
		span->magic = 0;
		pages_free(span, SPAN_ORDER);
	}
}

static void *large_alloc(size_t align, size_t size)
{
	size_t lead = align > sizeof(struct span) ? align : sizeof(struct span);
	if (size > SIZE_MAX - lead - PAGE_SIZE)
		return NULL;
	size_t pages = (lead + size + PAGE_SIZE - 1) >> PAGE_SHIFT;
	/* Aligned to a span at least, so that span_of() finds the header. */
	char *block = pages_alloc_run(pages, (align > SPAN_SIZE ? align : SPAN_SIZE) >> PAGE_SHIFT);
	if (block == NULL)
		return NULL;
	void *p = block + lead;
	void *header = ((uintptr_t)p & (SPAN_SIZE - 1)) == 0 ? (char *)p - sizeof(struct span) : block;
	*(struct span *)header = (struct span){ .magic = LARGE_MAGIC, .class = LARGE,
						.pages = pages, .block = block };
	return p;
}

/* Not named malloc: the compiler would make malloc and memset in calloc() a call of calloc(). */
static void *allocate(size_t size)
{
	void *p = size <= SMALL_MAX ? small_alloc(class_of(size)) : large_alloc(16, size);
	if (p == NULL)
		errno = ENOMEM;
	return p;
}

void *malloc(size_t size)
{
	return allocate(size);
}

void free(void *p)
{
	if (p == NULL)
		return;
	struct span *span = span_of(p);
	if (span->class != LARGE) {
		small_free(span, p);
		return;
	}
	span->magic = 0;
	pages_free_run(span->block, span->pages);
}

size_t malloc_usable_size(void *p)
{
	if (p == NULL)
		return 0;
	struct span *span = span_of(p);
	if (span->class != LARGE)
		return class_bytes(span->class);
	return (size_t)((char *)span->block + (span->pages << PAGE_SHIFT) - (char *)p);
}

void *calloc(size_t count, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	void *p = allocate(bytes);
	if (p != NULL)
		memset(p, 0, bytes);
	return p;
}

void *realloc(void *p, size_t size)
{
	if (p == NULL)
		return malloc(size);
	size_t have = malloc_usable_size(p);
	/* Stay while it fits and does not waste more than half of it. */
	if (size <= have && size >= have / 2)
		return p;
	void *to = malloc(size);
	if (to == NULL)
		return NULL;
	memcpy(to, p, size < have ? size : have);
	free(p);
	return to;
}

void *aligned_alloc(size_t align, size_t size)
{
	if (align == 0 || (align & (align - 1)) != 0) {
		errno = EINVAL;
		return NULL;
	}
	if (align <= 16)
		return malloc(size);
	void *p = large_alloc(align, size);
	if (p == NULL)
		errno = ENOMEM;
	return p;
}

void *memalign(size_t align, size_t size)
{
	return aligned_alloc(align, size);
}

int posix_memalign(void **p, size_t align, size_t size)
{
	if (align < sizeof(void *) || (align & (align - 1)) != 0)
		return EINVAL;
	void *block = aligned_alloc(align, size);
	if (block == NULL)
		return ENOMEM;
	*p = block;
	return 0;
}
