/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * malloc and its family, and the objects that each hart keeps at hand.
 *
 * A hart has a list of free objects for each size class, in memory that no other hart touches: the usual
 * malloc or free moves one object, with no lock and no atomic operation; that it is not preempted meanwhile
 * (hart_lock) suffices. An empty list is filled with a batch from the spans that all harts share
 * (spans.c), one that has grown to two batches returns one. So an object that is freed on another hart than
 * the one that allocates finds its way back, at a batch's share of the lock. A hart keeps 4 KiB of a class
 * at most, or one object if they are larger than that.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/hart.h"
#include "kernel/spans.h"

struct kept {
	struct object *first;
	uint32_t count;
};

static struct cache {
	struct kept kept[CLASSES];
} __attribute__((aligned(CACHE_LINE))) caches[HARTS_MAX];

static struct kept *kept_here(unsigned class) /* locks > 0 */
{
	return &caches[hart_self()->id].kept[class];
}

static void *__attribute__((noinline)) no_memory(void)
{
	errno = ENOMEM;
	return NULL;
}

/*
 * Nothing was left: is it worth to try once more? Goroutines' stacks are asked for what they can spare, unless the
 * caller is in a critical section of its own, whose lock the answer may need. g0 and the boot always are in one.
 */
static bool reclaimed(void)
{
	hart_lock();
	bool alone = hart_self()->locks == 1;
	hart_unlock();
	return alone && sched_reclaim();
}

/* One object; the others of a batch go to the list. NULL: there is none. locks > 0. */
static struct object *take_batch(unsigned class)
{
	struct kept *kept = kept_here(class);
	if (kept->first == NULL)
		kept->first = spans_take(class, class_batch(class), &kept->count);
	struct object *object = kept->first;
	if (object != NULL) {
		kept->first = object->next;
		kept->count--;
	}
	return object;
}

/* The list of a class is empty: fills it, and answers one. locks > 0; lowered. */
static void *__attribute__((noinline)) refill(unsigned class)
{
	struct object *object;

	for (bool again = false; (object = take_batch(class)) == NULL; again = true) {
		hart_unlock();
		if (again || !reclaimed())
			return no_memory();
		hart_lock(); /* on another hart maybe, whose list is not empty */
	}
	hart_unlock();
	return object;
}

static void __attribute__((noinline)) give_back(struct kept *kept, uint32_t batch)
{
	struct object *first = kept->first, *last = first;
	for (uint32_t i = 1; i < batch; i++)
		last = last->next;
	kept->first = last->next;
	kept->count -= batch;
	spans_give(first, batch);
}

static inline void small_free(const struct span *span, void *p)
{
	struct object *object = p;

	hart_lock();
	struct kept *kept = kept_here(span->class);
	object->next = kept->first;
	kept->first = object;
	if (++kept->count >= 2u * span->batch)
		give_back(kept, span->batch);
	hart_unlock();
}

static struct span *checked_span_of(void *p)
{
	struct span *span = span_of(p);
	if (__builtin_expect(span->magic != SPAN_MAGIC, 0))
		hart_fatal("free or realloc of %p, which malloc did not return", p);
	return span;
}

static void *__attribute__((noinline)) large(size_t align, size_t size)
{
	void *p = large_alloc(align, size);
	if (p == NULL && reclaimed())
		p = large_alloc(align, size);
	return p != NULL ? p : no_memory();
}

/* Not named malloc: the compiler would make malloc and memset in calloc() a call of calloc(). */
static inline __attribute__((always_inline)) void *allocate(size_t size)
{
	if (size > SMALL_MAX)
		return large(16, size);
	unsigned class = class_of(size);
	hart_lock();
	struct kept *kept = kept_here(class);
	struct object *object = kept->first;
	if (__builtin_expect(object == NULL, 0))
		return refill(class);
	kept->first = object->next;
	kept->count--;
	hart_unlock();
	return object;
}

void *malloc(size_t size)
{
	return allocate(size);
}

void free(void *p)
{
	if (p == NULL)
		return;
	struct span *span = checked_span_of(p);
	if (span->class != LARGE)
		small_free(span, p);
	else
		large_free(span);
}

size_t malloc_usable_size(void *p)
{
	if (p == NULL)
		return 0;
	struct span *span = checked_span_of(p);
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
	return large(align, size);
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
