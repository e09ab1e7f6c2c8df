/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stacks of goroutines: ranges of virtual addresses whose pages come on the first touch.
 *
 * The stack area is cut into one region for each power of two from 256 KiB to 1 GiB. A slot of a region is as
 * long as its stack, a guard below it, which is never mapped, and a page. Growing moves nothing: pointers
 * into a stack stay valid.
 *
 * What a slot of the default size takes of addresses is memory: a page table maps 2 MiB, and most stacks need
 * no more of one than a single entry. So its guard is short, 64 KiB; the others' are as long as their stacks.
 * Whoever steps over a guard at once, by an array that is larger, is in another's slot. That is found by its
 * stack pointer, which points out of its own stack: at the first touch that faults (stack_fault()), or, if
 * what it touches is there already, when it is preempted (sched_preempt()).
 *
 * A freed stack keeps its pages, until trim.c takes them.
 *
 * Touching a page that is not there traps: stack_fault() runs on the trap stack with interrupts off. It takes
 * two locks, one after the other: the page allocator's, for a new page, and the VM lock, under which all page
 * tables of the area change. A page that trim.c has hidden needs the second only, which is why a hidden one
 * may be touched even under the first.
 */
#include <assert.h>
#include <string.h>

#include "kernel/hart.h"
#include "kernel/pages.h"
#include "kernel/stacks.h"
#include "kernel/trap.h"
#include "kernel/vm.h"

#define CLASS_MIN_SHIFT 18 /* 256 KiB */
#define CLASS_MAX_SHIFT 30 /* 1 GiB */
#define CLASSES (CLASS_MAX_SHIFT - CLASS_MIN_SHIFT + 1)
#define GUARD_DEFAULT ((size_t)64 << 10)
#define TABLES_MAX 4 /* that one page may need: Sv57's below the root */

struct region {
	struct spinlock lock;
	uintptr_t start;       /* set at boot */
	size_t count;          /* how many fit; set at boot */
	struct slots *slots;   /* at the region's end; a page of them is mapped when it is needed */
	_Atomic(size_t) used;  /* slots ever handed out; written under the lock */
	uintptr_t free;        /* top of a freed stack; under the lock */
};

uintptr_t vm_stacks_start, vm_stacks_end;
static size_t first_share, share; /* bytes of the area: of the default size, of each other one; set at boot */
static struct region regions[CLASSES] = { [0 ... CLASSES - 1] = { .lock = SPINLOCK(LOCK_STACKS) } };

static struct spinlock lock = SPINLOCK(LOCK_VM);
static uint64_t tables[TABLES_MAX]; /* zeroed pages for page tables; under the VM lock */
static unsigned table_count;

static inline size_t class_size(unsigned class)
{
	return (size_t)1 << (CLASS_MIN_SHIFT + class);
}

static inline size_t class_guard(unsigned class)
{
	return class == 0 ? GUARD_DEFAULT : class_size(class);
}

/*
 * The page more spreads the tops of stacks over a TLB's sets. At a distance of a power of two they
 * would all fall into one or two of them: a switch among 12 goroutines then takes three times as
 * long (QEMU's TLB has 256 sets of one entry and a small victim cache).
 */
static inline size_t class_stride(unsigned class)
{
	return class_size(class) + class_guard(class) + PAGE_SIZE;
}

/* The default size gets half of the area; the others share the rest. */
void stacks_init(void)
{
	uintptr_t at = vm_stacks_start;

	first_share = (vm_stacks_end - vm_stacks_start) / 2;
	share = first_share / (CLASSES - 1);
	for (unsigned class = 0; class < CLASSES; class++) {
		struct region *region = &regions[class];
		uintptr_t next = at + (class == 0 ? first_share : share), end = next & ~(PAGE_SIZE - 1);
		region->start = (at + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
		region->count = (end - region->start - PAGE_SIZE) /
			(class_stride(class) + PAGE_SIZE / SLOTS_A_PAGE + 1);
		region->slots = (struct slots *)end - (region->count + SLOTS_A_PAGE - 1) / SLOTS_A_PAGE;
		at = next;
	}
}

/* The region that `va` lies in, and the number of the slot; NULL: none that was ever handed out. */
static struct region *find(uintptr_t va, size_t *number)
{
	size_t at = va - vm_stacks_start;
	size_t class = at < first_share ? 0 : 1 + (at - first_share) / share;

	if (class >= CLASSES) /* also below the area */
		return NULL;
	/* Below a region's start the number is greater than any. Nearly all are of the default size: a
	   division by a constant. */
	size_t offset = va - regions[class].start;
	*number = class == 0 ? offset / class_stride(0) : offset / class_stride((unsigned)class);
	/* Acquire: pairs with the release in stack_new(). Never more than fit. */
	return *number < load_acquire(&regions[class].used) ? &regions[class] : NULL;
}

static struct slot *slot_at(const struct region *region, size_t number)
{
	return &region->slots[number / SLOTS_A_PAGE].slot[number % SLOTS_A_PAGE];
}

static uintptr_t top_at(const struct region *region, size_t number)
{
	return region->start + (number + 1) * class_stride((unsigned)(region - regions));
}

struct slot *slot_of(uintptr_t va, uintptr_t *top, size_t *size)
{
	size_t number;
	struct region *region = find(va, &number);

	if (region == NULL)
		return NULL;
	*top = top_at(region, number);
	*size = class_size((unsigned)(region - regions));
	return slot_at(region, number);
}

uintptr_t slot_top(const struct slot *slot)
{
	const struct slots *page = slots_of(slot);
	const struct region *region = &regions[page->class];

	return top_at(region, (size_t)(page - region->slots) * SLOTS_A_PAGE + (size_t)(slot - page->slot));
}

/* ---- Page tables ---- */

/* Not spin_lock(): its unlock may call the scheduler, which a trap handler must not. */
void vm_lock(void)
{
	if (spin_held_here(&lock))
		hart_fatal("a page fault under the lock of the page tables");
	spin_acquire(&lock);
}

void vm_unlock(void)
{
	spin_release(&lock);
	hart_stop_if_asked();
}

bool vm_fault_locked_here(void)
{
	return spin_held_here(&lock) || pages_locked_here();
}

static uint64_t table_page(void)
{
	return table_count != 0 ? tables[--table_count] : 0;
}

/* One more of the pages above; false: no memory. No lock held. */
static bool table_provide(void)
{
	uint64_t page = pages_alloc_in_trap(PAGES_TABLES);
	if (page == 0)
		return false;
	memset((void *)(uintptr_t)page, 0, PAGE_SIZE);
	vm_lock();
	bool full = table_count == TABLES_MAX;
	if (!full)
		tables[table_count++] = page;
	vm_unlock();
	if (full)
		pages_free_in_trap(page);
	return true;
}

/* A page of it came or was shown. Under the VM lock. */
static void touched(struct slot *slot)
{
	if (slot->state != SLOT_PACKED)
		slot->mark = 0;
	slot_warm(slot);
}

/* Under the VM lock. True: a page is there, which may have been hidden. */
static bool show(struct slot *slot, uintptr_t va)
{
	if (!vm_show(va))
		return false;
	if (slot != NULL)
		touched(slot);
	return true;
}

/*
 * Maps a page there, with what was packed if it is the topmost of a stack that was. Provides tables, outside
 * of the lock, as often as one is missing.
 */
static enum vm_result map(struct slot *slot, uintptr_t top, uintptr_t va, uint64_t page)
{
	enum vm_result result;
	uint64_t unused = 0;

	do {
		vm_lock();
		if (slot == NULL || slot->state != SLOT_PACKED || va != top - PAGE_SIZE) {
			result = arch_vm_map_page(va, page, table_page);
			if (result == VM_WAS_MAPPED)
				show(slot, va); /* or hidden */
		} else if (table_count < TABLES_MAX) { /* nobody may see it half done, so it must not fail */
			result = VM_NO_MEMORY;
		} else {
			unused = slot_unpack(slot, page);
			result = arch_vm_map_page(va, page, table_page);
		}
		uint32_t depth = (uint32_t)((top - va) >> PAGE_SHIFT);
		if (slot != NULL && result == VM_MAPPED) {
			if (depth > slot->depth)
				slot->depth = depth & 0xffffff;
			touched(slot);
		}
		vm_unlock();
	} while (result == VM_NO_MEMORY && table_provide());
	if (unused != 0)
		pages_free_in_trap(unused);
	return result;
}

/* A page of slots is there before the first of them is used. The region's lock is held. */
static bool slots_provide(struct region *region, size_t number)
{
	if (number % SLOTS_A_PAGE != 0)
		return true;
	uintptr_t va = (uintptr_t)&region->slots[number / SLOTS_A_PAGE];
	uint64_t page = pages_alloc_in_trap(PAGES_TABLES);
	if (page == 0)
		return false;
	memset((void *)(uintptr_t)page, 0, PAGE_SIZE);
	((struct slots *)(uintptr_t)page)->class = (unsigned)(region - regions);
	enum vm_result result = map(NULL, va, va, page);
	if (result != VM_MAPPED)
		pages_free_in_trap(page);
	return result != VM_NO_MEMORY;
}

/* The topmost page comes with the stack: a caller can be told that memory is out, a fault cannot. */
static bool map_top(struct slot *slot, uintptr_t top)
{
	void *page = pages_alloc(0, PAGES_STACKS);
	if (page == NULL)
		return false;
	enum vm_result result = map(slot, top, top - PAGE_SIZE, (uintptr_t)page);
	if (result != VM_MAPPED)
		pages_free(page, 0);
	return result != VM_NO_MEMORY;
}

/* ---- Stacks ---- */

/*
 * The region's lock is held, and by code on a G's stack maybe: only a fault's handler looks
 * at the field meanwhile.
 */
static void slot_change(struct slot *slot, enum slot_state state)
{
	slot->state = (uint8_t)state;
}

/* One that was never used. The region's lock is held, as below. */
static uintptr_t stack_new(struct region *region)
{
	size_t number = load_relaxed(&region->used);
	uintptr_t top = top_at(region, number);

	if (number >= region->count || !slots_provide(region, number) ||
	    !map_top(slot_at(region, number), top))
		return 0;
	/* Release: whoever finds the stack finds its slot mapped. */
	atomic_store_explicit(&region->used, number + 1, memory_order_release);
	return top;
}

static uintptr_t stack_again(struct region *region)
{
	uintptr_t top = region->free;
	size_t size;
	struct slot *slot = slot_of(top - 1, &top, &size);

	if (slot->depth == 0 && !map_top(slot, top)) /* its pages were taken */
		return 0;
	region->free = slot->next;
	slot_change(slot, SLOT_IN_USE);
	return top;
}

int hart_stack_alloc(struct hart_stack *stack, size_t size)
{
	unsigned class = 0;
	while (class < CLASSES && class_size(class) < size)
		class++;
	if (class == CLASSES)
		return -1;

	struct region *region = &regions[class];
	pages_touch_stack();
	spin_lock(&region->lock);
	uintptr_t top = region->free != 0 ? stack_again(region) : stack_new(region);
	spin_unlock(&region->lock);
	if (top == 0)
		return -1;
	stack->top = top;
	stack->size = class_size(class);
	return 0;
}

void hart_stack_free(struct hart_stack *stack)
{
	unsigned class = (unsigned)__builtin_ctzll(stack->size) - CLASS_MIN_SHIFT;
	assert(class < CLASSES && "hart_stack_free: not a stack");
	struct region *region = &regions[class];
	uintptr_t top;
	size_t size;
	struct slot *slot = slot_of(stack->top - 1, &top, &size);

	spin_lock(&region->lock);
	slot->next = region->free;
	slot_change(slot, SLOT_FREE);
	region->free = stack->top;
	spin_unlock(&region->lock);
}

bool slot_free_lock(struct slot *slot)
{
	struct region *region = &regions[slots_of(slot)->class];

	if (slot->state != SLOT_FREE) /* a look */
		return false;
	spin_lock(&region->lock);
	if (slot->state == SLOT_FREE)
		return true;
	spin_unlock(&region->lock);
	return false;
}

void slot_free_unlock(struct slot *slot)
{
	spin_unlock(&regions[slots_of(slot)->class].lock);
}

size_t hart_stack_depth(const struct hart_stack *stack)
{
	uintptr_t top;
	size_t size;
	const struct slot *slot = stack->top == 0 ? NULL : slot_of(stack->top - 1, &top, &size);

	return slot == NULL ? 0 : (size_t)slot->depth << PAGE_SHIFT;
}

bool hart_stacks_used_up(void)
{
	const volatile struct region *region = &regions[0];

	return load_relaxed(&region->used) == region->count && region->free == 0;
}

/* ---- Faults ---- */

static noreturn void report_end(const char *what, const struct trap_point *at, size_t depth, size_t limit)
{
	hart_stop_others();
	hart_print("fatal: %s\n", what);
	sched_describe_current();
	hart_print("stack: %zu KiB deep, limit %zu KiB\n", depth >> 10, limit >> 10);
	backtrace_trapped(at);
	hart_poweroff(2);
}

/* The running G's stack pointer is out of its stack. A critical section may be on the way to another one. */
static void check_own_stack(uintptr_t va, const struct trap_point *at)
{
	const struct hart *hart = hart_self();
	struct hart_stack stack;

	if (hart->locks != 0 || at->sp - vm_stacks_start >= vm_stacks_end - vm_stacks_start)
		return;
	stack = sched_stack_of_current();
	if (stack.top != 0 && !hart_stack_holds(&stack, at->sp))
		report_end("stack overflow", at, stack.top - (va < stack.top ? va : at->sp), stack.size);
}

/* A pointer ran into the guard of the stack with this top, and the running G is in its own. */
static bool beside_own_stack(uintptr_t top, const struct trap_point *at)
{
	struct hart_stack own = sched_stack_of_current();

	return own.top != 0 && own.top != top && hart_stack_holds(&own, at->sp);
}

bool stack_fault(uintptr_t va, const struct trap_point *at)
{
	uintptr_t top;
	size_t limit;
	struct slot *slot = slot_of(va, &top, &limit);
	check_own_stack(va, at);
	if (slot == NULL)
		return false;
	size_t depth = top - va;
	if (depth > limit && beside_own_stack(top, at))
		return false;
	if (depth > limit)
		report_end("stack overflow", at, depth, limit);

	va &= ~(PAGE_SIZE - 1);
	/* Its holder touched its stack before, and a cycle took it for one that waits: only just hidden. */
	if (spin_held_here(&lock) && show(slot, va))
		return true;
	uint64_t page = pages_locked_here() ? 0 : pages_alloc_in_trap(PAGES_STACKS);
	enum vm_result result = page != 0 ? map(slot, top, va, page) : VM_NO_MEMORY;
	if (page == 0) { /* a hidden one needs none */
		vm_lock();
		bool there = show(slot, va);
		vm_unlock();
		if (there)
			return true;
		if (pages_locked_here())
			hart_fatal("a page fault under the page allocator's lock");
	}
	if (result == VM_NO_MEMORY)
		report_end("out of memory growing the stack of a goroutine", at, depth, limit);
	if (result == VM_WAS_MAPPED)
		pages_free_in_trap(page);
	/* Is this one from the reserve? At the next scheduling point, which is now if it can
	   be, others give some. */
	if (pages_short() && sched_reclaim_soon())
		hart_kick(hart_self()->id);
	if (pages_little())
		sched_stack_grew();
	return true;
}
