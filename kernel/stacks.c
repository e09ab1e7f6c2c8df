/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stacks of goroutines: ranges of virtual addresses whose pages come on the first touch.
 *
 * The stack area is cut into one region for each power of two from 256 KiB to 1 GiB. A slot of a
 * region is twice as long as its stack and a page: the upper part is the stack, the rest is never
 * mapped, so the guard reaches as far as the stack is long. Growing moves nothing: pointers into
 * a stack stay valid.
 *
 * A freed stack keeps its pages, and its slot is linked into the region's free list through the
 * topmost word of the stack.
 *
 * Touching a page that is not there traps: stack_fault() runs on the trap stack with
 * interrupts off and takes no lock but the page allocator's (see kernel/pages.c). Two harts may
 * touch the same page at once: the page table entry is installed by compare-and-swap, and the
 * loser gives its page back.
 */
#include <assert.h>

#include "kernel/hart.h"
#include "kernel/pages.h"
#include "kernel/trap.h"
#include "kernel/vm.h"

#define CLASS_MIN_SHIFT 18 /* 256 KiB */
#define CLASS_MAX_SHIFT 30 /* 1 GiB */
#define CLASSES (CLASS_MAX_SHIFT - CLASS_MIN_SHIFT + 1)

struct region {
	struct spinlock lock;
	uintptr_t start;       /* set at boot */
	size_t slots;          /* how many fit; set at boot */
	_Atomic(size_t) used;  /* slots ever handed out; written under the lock */
	uintptr_t free;        /* top of a freed stack, linked by its topmost word; under the lock */
};

uintptr_t vm_stacks_start, vm_stacks_end;
static struct region regions[CLASSES] = { [0 ... CLASSES - 1] = { .lock = SPINLOCK(LOCK_STACKS) } };

static size_t class_size(unsigned class)
{
	return (size_t)1 << (CLASS_MIN_SHIFT + class);
}

/*
 * The page more spreads the tops of stacks over a TLB's sets. At a distance of a power of two they
 * would all fall into one or two of them: a switch among 12 goroutines then takes three times as
 * long (QEMU's TLB has 256 sets of one entry and a small victim cache).
 */
static size_t class_stride(unsigned class)
{
	return 2 * class_size(class) + PAGE_SIZE;
}

/* The default size gets half of the area; the others share the rest. */
void stacks_init(void)
{
	size_t span = vm_stacks_end - vm_stacks_start;
	uintptr_t at = vm_stacks_start;

	for (unsigned class = 0; class < CLASSES; class++) {
		size_t share = class == 0 ? span / 2 : span / 2 / CLASSES;
		regions[class].start = (at + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
		regions[class].slots = (at + share - regions[class].start) / class_stride(class);
		at += share;
	}
}

static uint64_t table_page(void)
{
	uint64_t page = pages_alloc_in_trap(PAGES_TABLES);
	if (page != 0)
		__builtin_memset((void *)(uintptr_t)page, 0, PAGE_SIZE);
	return page;
}

/* The topmost page comes with the stack: a caller can be told that memory is out, a fault cannot. */
static bool map_top(uintptr_t top)
{
	void *page = pages_alloc(0, PAGES_STACKS);
	if (page == NULL)
		return false;
	enum vm_result result = arch_vm_map_page(top - PAGE_SIZE, (uintptr_t)page, table_page);
	if (result != VM_MAPPED)
		pages_free(page, 0);
	return result != VM_NO_MEMORY;
}

int hart_stack_alloc(struct hart_stack *stack, size_t size)
{
	unsigned class = 0;
	while (class < CLASSES && class_size(class) < size)
		class++;
	if (class == CLASSES)
		return -1;

	struct region *region = &regions[class];
	spin_lock(&region->lock);
	uintptr_t top = region->free;
	if (top != 0) {
		region->free = ((uintptr_t *)top)[-1];
	} else {
		size_t slot = atomic_load_explicit(&region->used, memory_order_relaxed);
		if (slot < region->slots) {
			top = region->start + (slot + 1) * class_stride(class);
			if (map_top(top))
				atomic_store_explicit(&region->used, slot + 1, memory_order_relaxed);
			else
				top = 0;
		}
	}
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

	spin_lock(&region->lock);
	((uintptr_t *)stack->top)[-1] = region->free;
	region->free = stack->top;
	spin_unlock(&region->lock);
}

/* The class and the top of the stack whose slot `va` lies in; false if no such stack was handed out. */
static bool find_slot(uintptr_t va, unsigned *class, uintptr_t *top)
{
	for (*class = 0; *class < CLASSES; ++*class) {
		struct region *region = &regions[*class];
		size_t slot = (va - region->start) / class_stride(*class);
		if (va < region->start || slot >= region->slots)
			continue;
		*top = region->start + (slot + 1) * class_stride(*class);
		return slot < atomic_load_explicit(&region->used, memory_order_relaxed);
	}
	return false;
}

static noreturn void report_end(const char *what, uintptr_t pc, uintptr_t fp, size_t depth,
				size_t limit)
{
	hart_stop_others();
	hart_print("fatal: %s\n", what);
	sched_describe_current();
	hart_print("stack: %zu KiB deep, limit %zu KiB\n", depth >> 10, limit >> 10);
	backtrace_print(pc, fp);
	hart_poweroff(2);
}

bool stack_fault(uintptr_t va, uintptr_t pc, uintptr_t fp)
{
	unsigned class;
	uintptr_t top;
	if (!find_slot(va, &class, &top))
		return false;
	size_t depth = top - va, limit = class_size(class);
	if (depth > limit)
		report_end("stack overflow", pc, fp, depth, limit);

	uint64_t page = pages_alloc_in_trap(PAGES_STACKS);
	enum vm_result result = VM_NO_MEMORY;
	if (page != 0)
		result = arch_vm_map_page(va & ~(PAGE_SIZE - 1), page, table_page);
	if (result == VM_NO_MEMORY)
		report_end("out of memory growing the stack", pc, fp, depth, limit);
	if (result == VM_WAS_MAPPED)
		pages_free_in_trap(page);
	return true;
}
