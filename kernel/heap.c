/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * malloc and its family, and the objects that each hart keeps at hand.
 *
 * A hart has a stack of free objects for each size class, in memory that no other hart touches: the usual
 * malloc or free moves one pointer, with no lock and no atomic operation; that it is not preempted
 * meanwhile (hart_lock) suffices. An empty stack is filled with a batch from the spans that all harts share
 * (spans.c), a full one returns one. So an object that is freed on another hart than the one that allocates
 * finds its way back, at a batch's share of the lock. A hart keeps 4 KiB of a class at most, or one object
 * if they are larger than that.
 *
 * malloc() and free() call nothing but at their end, and are compiled without frames: so they take some 25
 * instructions each. Whatever is not usual is behind a branch that is there in any case.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/hart.h"
#include "kernel/heap.h"
#include "kernel/spans.h"

#define NOINLINE __attribute__((noinline))
#if __has_attribute(optimize) /* gcc; clang has none */
#define FRAMELESS __attribute__((optimize("omit-frame-pointer")))
#else
#define FRAMELESS
#endif
#define GRAIN 16

struct kept {
	void **top;  /* the next one, if there is one, is in top[-1]; else that is NULL */
	void **end;  /* when top is there, no more fit */
};

struct heap {
	uint8_t class_of[SMALL_MAX / GRAIN + 1]; /* by size / GRAIN, rounded up; here, where it is at hand */
	struct kept kept[CLASSES];
	void *slots[];
};

/*
 * One more than are kept is two batches, so a full stack that has given a batch is about as far from empty.
 */
static uint32_t kept_max(size_t class)
{
	return 2 * class_batch(class) - 1;
}

static size_t slots_of_all(void)
{
	size_t n = 0;
	for (unsigned class = 0; class < CLASSES; class++)
		n += 1 + kept_max(class);
	return n;
}

size_t heap_hart_size(void)
{
	return sizeof(struct heap) + slots_of_all() * sizeof(void *);
}

void heap_hart_init(struct hart *hart, void *memory)
{
	struct heap *heap = hart->heap = memory;
	void **slot = heap->slots;

	for (size_t grains = 0; grains <= SMALL_MAX / GRAIN; grains++)
		heap->class_of[grains] = (uint8_t)class_of(grains * GRAIN);
	for (unsigned class = 0; class < CLASSES; class++) {
		*slot++ = NULL;
		heap->kept[class] = (struct kept){ slot, slot + kept_max(class) };
		slot += kept_max(class);
	}
}

static void **kept_bottom(const struct kept *kept, size_t class)
{
	return kept->end - kept_max(class);
}

/* ---- When a stack is empty or full, and when memory is out ---- */

void *heap_no_memory(void)
{
	errno = ENOMEM;
	return NULL;
}

/* What this hart keeps goes back, and with it each span that is not in use at all. True if there is one. */
bool heap_trim(void)
{
	hart_lock();
	struct heap *heap = hart_heap();
	for (unsigned class = 0; class < CLASSES; class++) {
		struct kept *kept = &heap->kept[class];
		void **bottom = kept_bottom(kept, class);
		if (kept->top != bottom)
			spans_give(class, bottom, (uint32_t)(kept->top - bottom));
		kept->top = bottom;
	}
	hart_unlock();
	return spans_trim();
}

void hart_heap_trim(void)
{
	heap_trim();
}

/*
 * Nothing was left: is it worth to try once more? Goroutines' stacks are asked for what they can spare,
 * unless the caller is in a critical section of its own, whose lock the answer may need. g0 and the boot
 * always are in one.
 */
bool heap_reclaim(void)
{
	bool trimmed = heap_trim();
	return sched_reclaim() || trimmed;
}

/* One object; the others of a batch are kept. NULL: there is none. locks > 0. */
static void *take_batch(unsigned class)
{
	struct kept *kept = &hart_heap()->kept[class];
	if (kept->top[-1] == NULL)
		kept->top += spans_take(class, kept->top, class_batch(class));
	void *object = kept->top[-1];
	if (object != NULL)
		kept->top--;
	return object;
}

/* This hart keeps none of that size: locks > 0; lowered. */
static NOINLINE void *refill(size_t size)
{
	unsigned class = class_of(size);
	void *object;

	if (heap_debugging) {
		hart_unlock();
		return heap_debug_alloc(GRAIN, size);
	}
	for (bool again = false; (object = take_batch(class)) == NULL; again = true) {
		hart_unlock();
		if (again || !heap_reclaim())
			return heap_no_memory();
		hart_lock(); /* on another hart maybe, which keeps some */
	}
	hart_unlock();
	return object;
}

/* This hart keeps enough of them: those that it has had for longest go back. locks > 0; lowered. */
static NOINLINE void put_full(void *p, size_t class)
{
	struct kept *kept = &hart_heap()->kept[class];
	void **bottom = kept_bottom(kept, class);
	uint32_t batch = class_batch(class);

	spans_give(class, bottom, batch);
	memmove(bottom, bottom + batch, (kept_max(class) - batch) * sizeof(void *));
	kept->top -= batch;
	*kept->top++ = p;
	hart_unlock();
}

static NOINLINE void *large(size_t align, size_t size)
{
	if (heap_debugging && align <= SMALL_MAX)
		return heap_debug_alloc(align, size);
	void *p = large_alloc(LARGE, align, size);
	/* What the machine has not got nobody can give. */
	if (p == NULL && size < pages_total() << PAGE_SHIFT && heap_reclaim())
		p = large_alloc(LARGE, align, size);
	return p != NULL ? p : heap_no_memory();
}

static struct span *checked_span_of(void *p)
{
	struct span *span = span_of(p);
	size_t class = span_class(span);
	if (class >= CLASSES && class != LARGE)
		hart_fatal("free or realloc of %p, which malloc did not return", p);
	return span;
}

/* Not a small object, or none at all. */
static NOINLINE void free_other(void *p)
{
	if (p == NULL)
		return;
	if (heap_debugging)
		heap_debug_free(p); /* the last call, so that this function is not in its backtrace */
	else
		large_free(checked_span_of(p));
}

/* ---- The usual case ---- */

/* The last hart_unlock() of malloc, when a preemption is due. */
static NOINLINE void *preempted(void *object)
{
	sched_preempt();
	return object;
}

/* Not named malloc: the compiler would make malloc and memset in calloc() a call of calloc(). */
static inline __attribute__((always_inline)) FRAMELESS void *allocate(size_t size)
{
	if (size > SMALL_MAX)
		return large(GRAIN, size);
	hart_lock();
	struct heap *heap = hart_heap();
	struct kept *kept = &heap->kept[heap->class_of[(size + GRAIN - 1) / GRAIN]];
	void **top = kept->top, *object = top[-1];
	if (__builtin_expect(object == NULL, 0))
		return refill(size);
	kept->top = top - 1;
	return hart_unlock_due() ? preempted(object) : object;
}

FRAMELESS void *malloc(size_t size)
{
	return allocate(size);
}

FRAMELESS void free(void *p)
{
	/* NULL is such an address, too. */
	if (__builtin_expect(((uintptr_t)p & (SPAN_SIZE - 1)) == 0, 0)) {
		free_other(p);
		return;
	}
	size_t class = span_class((struct span *)((uintptr_t)p & ~(SPAN_SIZE - 1)));
	if (__builtin_expect(class >= CLASSES, 0)) {
		free_other(p);
		return;
	}
	__asm__("" : "+r"(class)); /* has been computed: gcc would do it anew, with the magic shifted */
	hart_lock();
	struct kept *kept = &hart_heap()->kept[class];
	void **top = kept->top;
	if (__builtin_expect(top == kept->end, 0)) {
		put_full(p, class);
		return;
	}
	*top = p;
	kept->top = top + 1;
	hart_unlock();
}

/* ---- The rest of the family ---- */

static size_t at_most(size_t n, size_t most)
{
	return n < most ? n : most;
}

void heap_count(struct heap_count *count, size_t pages)
{
	*count = (struct heap_count){ .pages = pages, .large_pages = at_most(large_pages_count(), pages) };
	for (size_t class = 0; class < 2 * CLASSES; class++) {
		size_t spans, taken, bytes = class_bytes(class);
		spans_count(class, &spans, &taken);
		for (unsigned id = 0; class < CLASSES && id < hart_count(); id++) {
			struct kept *kept = &hart_get(id)->heap->kept[class];
			void **top = __atomic_load_n(&kept->top, __ATOMIC_RELAXED);
			taken -= at_most((size_t)(top - kept_bottom(kept, class)), taken);
		}
		size_t left = spans * span_objects(class) - taken;
		count->used += taken * bytes;
		count->free_objects += left;
		count->free_bytes += left * bytes;
	}
	count->used += count->large_pages << PAGE_SHIFT;
	count->used -= at_most(heap_debug_kept(), count->used);
	count->used = at_most(count->used, pages << PAGE_SHIFT);
}

size_t malloc_usable_size(void *p)
{
	if (p == NULL)
		return 0;
	size_t class = span_class(span_of(p));
	if (heap_debugging && class >= CLASSES && class != LARGE)
		return heap_debug_size(p);
	struct span *span = checked_span_of(p);
	return class < CLASSES ? class_bytes(class) : large_bytes(span, p);
}

void *calloc(size_t count, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes))
		return heap_no_memory();
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
	/* Stay while it fits and does not waste more than half of it; and never if somebody
	   may rely on that. */
	if (size <= have && size >= have / 2 && !heap_debugging)
		return p;
	void *to = malloc(size);
	if (to == NULL) /* what shrinks needs no memory */
		return size <= have ? p : NULL;
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
	if (align < GRAIN)
		align = GRAIN;
	/* A class that a multiple of `align` falls into is a multiple of it itself: see spans.h. */
	if (align <= SMALL_MAX && size <= SMALL_MAX && !heap_debugging) {
		size_t bytes = size == 0 ? align : (size + align - 1) & ~(align - 1);
		return allocate(bytes);
	}
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
