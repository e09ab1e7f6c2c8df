/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Physical pages: runs of free pages of any length, coalesced as they are freed.
 *
 * Each range of RAM is a zone with one byte a page, which marks the first and the last page of each free run;
 * the run's length stands in those pages themselves. So a freed run finds its free neighbours at once, and
 * zones never meet. A page in use has its owner in that byte: so who holds what is known to the page
 * (memory.c), a run that is freed says whose it was, and one that is not in use is not freed.
 *
 * Free runs are listed by the power of two that their length reaches: a request looks in the list of its own
 * length for one that fits, else in those above, and takes the end of it. Not buddies, because those give a
 * request of 40 MiB only blocks of 64 MiB, aligned to that: on a machine of 128 MiB there is none.
 *
 * One lock guards all of it. A trap handler takes it (stack_fault() needs pages), as it takes that of the
 * page tables and no other. That is safe because their holders cannot fault: whoever allocates or frees
 * touches the stack that it is going to need before it takes the lock. If it is preempted in between and the
 * page is taken, what it needs is still there: the preemption's frame reached further down.
 */
#include <assert.h>
#include <string.h>

#include "kernel/machine.h"
#include "kernel/pages.h"

#define FIRST 1 /* marks in the map */
#define LAST 2
#define OWNED(owner) ((uint8_t)((owner) << 2))
#define LISTS 40
#define RESERVE_MAX 1024 /* pages that are left to stacks that grow; of a smaller machine's, a 16th */
#define LOCKED_STACK 2048 /* bytes of stack that the code under the lock may need */

struct run { /* in the first page of a free run; `pages` also at the start of its last page */
	uint64_t pages;
	struct run *next, *prev;
	unsigned list;
};

struct zone {
	uint64_t first, pages; /* page numbers */
	uint8_t *map;
};

static struct spinlock lock = SPINLOCK(LOCK_PAGES);
static size_t reserve;                           /* set once at boot */
static struct zone zones[MACHINE_RANGES];        /* set once at boot */
static unsigned zone_count;
static struct run lists[LISTS];                  /* under `lock`; circular, by log2 of the length */
static uint64_t not_empty;                       /* of the lists: bit i for lists[i]; under `lock` */
static unsigned shortest = LISTS;                /* none before that one has any; under `lock` */
static size_t counts[PAGES_OWNERS];              /* pages of each owner, and those free; under `lock` */
static size_t total_pages;

static uint64_t page_of(const void *p)
{
	return (uintptr_t)p >> PAGE_SHIFT;
}

static struct run *run_at(uint64_t page)
{
	return (struct run *)(uintptr_t)(page << PAGE_SHIFT);
}

static struct zone *zone_of(uint64_t page)
{
	for (unsigned i = 0; i < zone_count; i++)
		if (page - zones[i].first < zones[i].pages)
			return &zones[i];
	return NULL;
}

/* The log2. Not every machine has an instruction for it, and runs of one page are many. */
static unsigned list_of(uint64_t pages)
{
	return pages == 1 ? 0 : 63 - (unsigned)__builtin_clzll(pages);
}

/* So long is the free run that begins with that page: noted at both of its ends. */
static void run_mark(struct zone *zone, uint64_t page, uint64_t pages)
{
	run_at(page + pages - 1)->pages = pages;
	run_at(page)->pages = pages;
	zone->map[page + pages - 1 - zone->first] |= LAST;
	zone->map[page - zone->first] |= FIRST;
}

static void run_add(struct zone *zone, uint64_t page, uint64_t pages)
{
	unsigned list = list_of(pages);
	struct run *run = run_at(page), *head = &lists[list];

	run_mark(zone, page, pages);
	run->list = list;
	run->next = head->next;
	run->prev = head;
	head->next->prev = run;
	head->next = run;
	if (list < shortest)
		shortest = list;
	not_empty |= UINT64_C(1) << list;
}

static void run_remove(struct zone *zone, struct run *run)
{
	uint64_t page = page_of(run);

	run->prev->next = run->next;
	run->next->prev = run->prev;
	if (run->next == run->prev) /* both the head */
		not_empty &= ~(UINT64_C(1) << run->list);
	zone->map[page - zone->first] = 0;
	zone->map[page + run->pages - 1 - zone->first] = 0;
}

/* Takes pages off the run's end; `rest` of them stay. */
static void run_cut(struct zone *zone, struct run *run, uint64_t rest)
{
	uint64_t page = page_of(run);

	if (rest >> run->list == 0) { /* too short for its list */
		run_remove(zone, run);
		if (rest != 0)
			run_add(zone, page, rest);
		return;
	}
	zone->map[page + run->pages - 1 - zone->first] = 0;
	run_mark(zone, page, rest);
}

/*
 * Where in the run a block of that length and alignment begins, as near to its end as can be; 0 if
 * it does not fit.
 */
static uint64_t fit(const struct run *run, uint64_t pages, uint64_t align)
{
	uint64_t page = page_of(run), at = (page + run->pages - pages) & ~(align - 1);
	return run->pages >= pages && at >= page ? at : 0;
}

/* The first of a list's runs in which the block fits, and where. */
static struct run *run_find(unsigned list, uint64_t pages, uint64_t align, uint64_t *at)
{
	for (struct run *run = lists[list].next; run != &lists[list]; run = run->next)
		if ((*at = fit(run, pages, align)) != 0)
			return run;
	return NULL;
}

static void *alloc_locked(uint64_t pages, uint64_t align, enum pages_owner owner)
{
	struct run *run = NULL;
	uint64_t at = 0;
	unsigned list = list_of(pages);

	for (uint64_t left = not_empty >> list << list; left != 0 && run == NULL; left &= left - 1)
		run = run_find((unsigned)__builtin_ctzll(left), pages, align, &at);
	if (run == NULL)
		return NULL;

	uint64_t page = page_of(run), end = page + run->pages;
	struct zone *zone = zone_of(page);
	run_cut(zone, run, at - page);
	if (at + pages < end)
		run_add(zone, at + pages, end - at - pages);
	memset(&zone->map[at - zone->first], OWNED(owner), pages);
	counts[PAGES_FREE] -= pages;
	counts[owner] += pages;
	return run_at(at);
}

/* The same for one page: the last of a run in the first list that has any. */
static void *alloc_one_locked(enum pages_owner owner)
{
	if (not_empty == 0)
		return NULL;
	while (lists[shortest].next == &lists[shortest])
		shortest++;
	struct run *run = lists[shortest].next;
	uint64_t rest = run->pages - 1, page = page_of(run) + rest;
	struct zone *zone = zone_of(page);
	run_cut(zone, run, rest);
	zone->map[page - zone->first] = OWNED(owner);
	counts[PAGES_FREE]--;
	counts[owner]++;
	return run_at(page);
}

/* Not under the lock, as an assertion would be: its report may need a page. */
static noreturn void not_in_use(const char *what)
{
	spin_release(&lock);
	hart_fatal("pages_free: %s", what);
}

static void free_locked(uint64_t page, uint64_t pages)
{
	struct zone *zone = zone_of(page);
	if (zone == NULL || page + pages > zone->first + zone->pages)
		not_in_use("not RAM");
	uint8_t *map = &zone->map[page - zone->first];
	if (map[0] < OWNED(1) || map[pages - 1] != map[0])
		not_in_use("freed twice");

	counts[map[0] / OWNED(1)] -= pages;
	counts[PAGES_FREE] += pages;
	memset(map, 0, pages);
	if (page > zone->first && zone->map[page - 1 - zone->first] & LAST) {
		struct run *before = run_at(page - run_at(page - 1)->pages);
		run_remove(zone, before);
		page -= before->pages;
		pages += before->pages;
	}
	uint64_t end = page + pages;
	if (end < zone->first + zone->pages && zone->map[end - zone->first] & FIRST) {
		struct run *after = run_at(end);
		run_remove(zone, after);
		pages += after->pages;
	}
	run_add(zone, page, pages);
}

/*
 * Makes sure that no page fault comes while the lock is held: see the head of this file. By no array, of
 * which a compiler makes no more than is used, and in a frame of its own, below its caller's.
 */
__attribute__((noinline)) void pages_touch_stack(void)
{
	*(volatile char *)((uintptr_t)__builtin_frame_address(0) - LOCKED_STACK) = 0;
}

/* A report stops no hart under the lock, since it may need pages itself: it is stopped here. */
static void release(void)
{
	spin_release(&lock);
	hart_stop_if_asked();
}

static void unlock(void)
{
	release();
	hart_unlock();
}

void *pages_alloc_run(size_t count, size_t align, enum pages_owner owner)
{
	assert(count > 0 && (align & (align - 1)) == 0);
	pages_touch_stack();
	spin_lock(&lock);
	void *block = counts[PAGES_FREE] >= count + reserve ? alloc_locked(count, align, owner) : NULL;
	unlock();
	return block;
}

void pages_free_run(void *block, size_t count)
{
	pages_touch_stack();
	spin_lock(&lock);
	free_locked(page_of(block), count);
	unlock();
}

void *pages_alloc(unsigned order, enum pages_owner owner)
{
	return pages_alloc_run((size_t)1 << order, (size_t)1 << order, owner);
}

void pages_free(void *block, unsigned order)
{
	pages_free_run(block, (size_t)1 << order);
}

void *pages_alloc_zeroed(unsigned order, enum pages_owner owner)
{
	void *block = pages_alloc(order, owner);
	if (block != NULL)
		memset(block, 0, PAGE_SIZE << order);
	return block;
}

/* Not spin_lock(): its unlock may call the scheduler, which a trap handler must not. */
static void lock_in_trap(void)
{
	if (spin_held_here(&lock))
		hart_fatal("a page fault under the page allocator's lock");
	spin_acquire(&lock);
}

bool pages_locked_here(void)
{
	return spin_held_here(&lock);
}

uint64_t pages_alloc_in_trap(enum pages_owner owner)
{
	lock_in_trap();
	void *page = alloc_one_locked(owner);
	release();
	return (uintptr_t)page;
}

void pages_free_in_trap(uint64_t page)
{
	lock_in_trap();
	free_locked(page >> PAGE_SHIFT, 1);
	release();
}

size_t pages_count_of(enum pages_owner owner)
{
	return __atomic_load_n(&counts[owner], __ATOMIC_RELAXED);
}

bool pages_short(void)
{
	return pages_free_count() < reserve;
}

bool pages_little(void)
{
	return pages_free_count() < total_pages / 2;
}

size_t pages_free_count(void)
{
	return __atomic_load_n(&counts[PAGES_FREE], __ATOMIC_RELAXED);
}

void pages_counts(size_t pages[PAGES_OWNERS])
{
	pages_touch_stack();
	spin_lock(&lock);
	memcpy(pages, counts, sizeof(counts));
	unlock();
}

bool pages_owner_at(uint64_t address, enum pages_owner *owner, uint64_t *end)
{
	uint64_t page = address >> PAGE_SHIFT;
	struct zone *zone = zone_of(page);
	if (zone == NULL)
		return false;

	pages_touch_stack();
	spin_lock(&lock);
	const uint8_t *map = &zone->map[page - zone->first], *map_end = zone->map + zone->pages;
	*owner = *map / OWNED(1);
	do
		page++;
	while (++map < map_end && *map / OWNED(1) == *owner);
	unlock();
	*end = page << PAGE_SHIFT;
	return true;
}

bool pages_of_heap(uintptr_t at, size_t size)
{
	uint64_t last = (at + size - 1) >> PAGE_SHIFT;

	if (at + size < at)
		return false;
	for (uint64_t page = at >> PAGE_SHIFT; page <= last; page++) {
		struct zone *zone = zone_of(page);
		if (zone == NULL ||
		    __atomic_load_n(&zone->map[page - zone->first], __ATOMIC_RELAXED) != OWNED(PAGES_HEAP))
			return false;
	}
	return true;
}

size_t pages_total(void)
{
	return total_pages;
}

void pages_init(void)
{
	for (unsigned i = 0; i < LISTS; i++)
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
		memset(zone->map, OWNED(PAGES_MAP), map_pages);
		counts[PAGES_MAP] += map_pages;
		counts[PAGES_FREE] += end - first - map_pages;
		run_add(zone, first + map_pages, end - first - map_pages);
	}
	total_pages = counts[PAGES_FREE];
	reserve = total_pages / 16 < RESERVE_MAX ? total_pages / 16 : RESERVE_MAX;
}
