/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GUMPDEBUG=heap: a heap that watches how it is used.
 *
 * It is a choice at boot and not another build, so that any program can be run with it as it is. That costs
 * the usual heap nothing: harts keep no objects while it is on, and its spans have classes of their own, so
 * malloc and free leave their fast paths where they do in any case (heap.c). What was allocated before it was
 * turned on is not watched, and neither are alignments above 8 KiB.
 *
 * In front of each object lies a record: its size, who allocated it and who freed it. Between the two and
 * behind the object are red zones, which are looked at when it is freed. A freed object is filled with poison
 * and kept in quarantine for a while, so that a second free finds the first one's record; whoever writes to
 * it is noticed when it leaves that, or when it is handed out again.
 */
#include <string.h>

#include "kernel/hart.h"
#include "kernel/heap.h"
#include "kernel/pages.h"
#include "kernel/spans.h"
#include "kernel/trap.h"

#define FRAMES 8
#define RED_ZONE 16
#define RED 0xfd     /* in the red zones */
#define POISON 0xdf  /* in freed objects */
#define FRESH 0xa5   /* in those just allocated */
#define NO_OFFSET (SIZE_MAX / 2) /* for report(): it is of no byte */
#define QUARANTINE_MAX 256
#define QUARANTINE_SHARE 64 /* of the machine's memory, at most one part of so many */

enum state { UNUSED, LIVE = 0x4c495645, FREED = 0x46524545 };

struct record {
	struct object link;         /* the span's, while it is free */
	_Atomic(uint32_t) state;    /* enum state */
	uint32_t lead;              /* bytes from here to the object */
	size_t size;
	uintptr_t allocated[FRAMES], freed[FRAMES]; /* return addresses; 0 behind the last */
};

bool heap_debugging;

static struct spinlock lock = SPINLOCK(LOCK_HEAP); /* guards these: */
static struct record *quarantine[QUARANTINE_MAX];
static size_t first, count, bytes;

static unsigned char *object_of(struct record *record)
{
	return (unsigned char *)record + record->lead;
}

/* ---- Reports ---- */

static noreturn void report(const char *what, void *p, struct record *record, const char *where,
			    size_t offset)
{
	hart_stop_others();
	hart_print("fatal: %s %p", what, p);
	if (record != NULL)
		hart_print(", %s%zu bytes", where, record->size);
	if (offset != NO_OFFSET)
		hart_print(", at offset %td", (ptrdiff_t)offset);
	hart_print("\n");
	sched_describe_current();
	if (record != NULL) {
		hart_print("allocated by\n");
		backtrace_print_taken(record->allocated, FRAMES);
		if (record->freed[0] != 0) {
			hart_print("freed by\n");
			backtrace_print_taken(record->freed, FRAMES);
		}
	}
	hart_print("now\n");
	hart_backtrace_here();
	hart_poweroff(2);
}

static noreturn void report_bytes(const char *what, struct record *record, const unsigned char *at)
{
	unsigned char *object = object_of(record);
	report(what, object, record, "an object of ", (size_t)(at - object));
}

/* The first of n bytes that is another, or NULL. */
static const unsigned char *changed(const unsigned char *at, size_t n, int value)
{
	for (; n > 0; at++, n--)
		if (*at != value)
			return at;
	return NULL;
}

static void check_red_zones(struct record *record)
{
	unsigned char *object = object_of(record);
	const unsigned char *at = changed(object + record->size, RED_ZONE, RED);
	if (at == NULL)
		at = changed((unsigned char *)(record + 1), record->lead - sizeof(*record), RED);
	if (at != NULL)
		report_bytes("written beyond", record, at);
}

static void check_poison(struct record *record)
{
	const unsigned char *at = changed(object_of(record), record->size, POISON);
	if (at != NULL)
		report_bytes("written after it was freed:", record, at);
}

/* The record of the object that p lies in or beside; NULL if there is none, or it was never handed out. */
static struct record *record_of(void *p)
{
	struct span *span = span_of(p);
	size_t class = span_class(span);
	struct record *record = NULL;

	if (class == DEBUG_LARGE)
		record = (struct record *)(span + 1);
	else if (class >= DEBUG_CLASS && class < LARGE && (struct span *)p > span)
		record = span_object(span, span_index(span, p));
	return record == NULL || record->state == UNUSED ? NULL : record;
}

static struct record *checked_record(void *p)
{
	struct record *record = record_of(p);

	if (record == NULL)
		report("free or realloc, malloc did not return", p, NULL, "", NO_OFFSET);
	if (p != object_of(record))
		report("free or realloc, malloc did not return", p, record, "it lies in an object of ",
		       (size_t)((unsigned char *)p - object_of(record)));
	if (record->state != LIVE)
		report("double free or realloc of", p, record, "an object of ", NO_OFFSET);
	return record;
}

/* ---- Allocation ---- */

static struct record *take(size_t total)
{
	void *record = NULL;

	if (total > SMALL_MAX) {
		record = large_alloc(DEBUG_LARGE, 16, total);
		if (record != NULL)
			memset(record, 0, sizeof(struct record));
	} else {
		spans_take(DEBUG_CLASS + class_of(total), &record, 1);
	}
	return record;
}

void *heap_debug_alloc(size_t align, size_t size)
{
	size_t around = sizeof(struct record) + RED_ZONE + align + RED_ZONE;
	struct record *record = size > SIZE_MAX - around ? NULL : take(size + around);

	if (record == NULL && size <= SIZE_MAX - around && ((int)heap_debug_drain() | (int)heap_reclaim()))
		record = take(size + around);
	if (record == NULL)
		return heap_no_memory();
	if (record->state == FREED)
		check_poison(record);
	uintptr_t at = ((uintptr_t)(record + 1) + RED_ZONE + align - 1) & ~(align - 1);
	record->lead = (uint32_t)(at - (uintptr_t)record);
	record->size = size;
	memset(record + 1, RED, record->lead - sizeof(*record));
	unsigned char *object = object_of(record);
	memset(object, FRESH, size);
	memset(object + size, RED, RED_ZONE);
	memset(record->freed, 0, sizeof(record->freed));
	backtrace_take(__builtin_frame_address(0), record->allocated, FRAMES);
	record->state = LIVE;
	return object;
}

/* ---- Freeing ---- */

static void release(struct record *record)
{
	struct span *span = span_of(record);
	void *object = record;

	check_poison(record);
	if (span_class(span) == DEBUG_LARGE)
		large_free(span);
	else
		spans_give(span_class(span), &object, 1);
}

static struct record *oldest(void) /* under the lock; count > 0 */
{
	struct record *record = quarantine[first];
	first = (first + 1) % QUARANTINE_MAX;
	count--;
	bytes -= record->size;
	return record;
}

/* The oldest one while there is too much in quarantine, or while there is any. */
static struct record *leaves(size_t limit)
{
	spin_lock(&lock);
	struct record *record = bytes > limit || (limit == 0 && count > 0) ? oldest() : NULL;
	spin_unlock(&lock);
	return record;
}

size_t heap_debug_kept(void)
{
	size_t kept = 0;

	spin_lock(&lock);
	for (size_t i = 0; i < count; i++) {
		struct span *span = span_of(quarantine[(first + i) % QUARANTINE_MAX]);
		size_t class = span_class(span);
		kept += class == DEBUG_LARGE ? span->pages << PAGE_SHIFT : class_bytes(class);
	}
	spin_unlock(&lock);
	return kept;
}

bool heap_debug_drain(void)
{
	struct record *record;
	bool any = false;

	for (; (record = leaves(0)) != NULL; any = true)
		release(record);
	return any;
}

void heap_debug_free(void *p)
{
	if (span_class(span_of(p)) == LARGE) {
		large_free(span_of(p));
		return;
	}
	struct record *record = checked_record(p), *old = NULL;
	uint32_t state = LIVE;
	check_red_zones(record);
	/* Of two harts that free it at once, one comes second. */
	if (!atomic_compare_exchange_strong(&record->state, &state, FREED))
		checked_record(p);
	backtrace_take(__builtin_frame_address(0), record->freed, FRAMES);
	memset(p, POISON, record->size);

	spin_lock(&lock);
	if (count == QUARANTINE_MAX)
		old = oldest();
	quarantine[(first + count++) % QUARANTINE_MAX] = record;
	bytes += record->size;
	spin_unlock(&lock);
	if (old != NULL)
		release(old);
	while ((old = leaves((pages_total() << PAGE_SHIFT) / QUARANTINE_SHARE)) != NULL)
		release(old);
}

size_t heap_debug_size(void *p)
{
	return checked_record(p)->size;
}

void heap_debug_init(void)
{
	if (!hart_debug_word("heap"))
		return;
	heap_trim();
	heap_debugging = true;
}
