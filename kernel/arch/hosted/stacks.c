/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stacks of goroutines: mapped many at a time, with a guard below each.
 *
 * A mapping takes a whole row of slots, so that a million stacks are a few thousand mappings: the kernel
 * allows 65,530 unless told otherwise. The guards would cut them up; Linux 6.13 has guards that do not
 * (MADV_GUARD_INSTALL). On an older kernel each is a mapping of its own, and some 30,000 goroutines are the
 * limit (vm.max_map_count), after which go() is out of memory. A guard costs an entry of the page table for
 * each of its pages, and a system call: so it is short, since the program is compiled with
 * -fstack-clash-protection and no frame can step over it, and many are made by one call.
 *
 * Pages come on the first touch. A freed stack keeps its own until a reclaim cycle (trim.c) takes them; so
 * freed stacks are listed in memory of their own, not linked through theirs.
 */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "hosted.h"
#include "kernel/vm.h"

#define PAGE ((size_t)4096)
#define CLASS_MIN_SHIFT 18 /* 256 KiB */
#define CLASS_MAX_SHIFT 30 /* 1 GiB */
#define CLASSES (CLASS_MAX_SHIFT - CLASS_MIN_SHIFT + 1)
#define ROW_BYTES ((size_t)64 << 20)
#define ROWS_MAX 32768
#define GUARD_MIN ((size_t)64 << 10) /* or a quarter of the stack, */
#define GUARD_MAX ((size_t)1 << 20) /* but no longer than this */
#define GUARDS_AT_ONCE 32

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

struct row {
	uintptr_t start;
	size_t bytes;
	unsigned class;
};

static struct class {
	struct spinlock lock;
	uintptr_t *free;       /* tops of freed stacks: room for all that there can be */
	size_t free_count;
	size_t dropped;        /* so many of them, from the first on, have no pages */
	uintptr_t next, end;   /* what is left of the newest row */
	uintptr_t guarded;     /* up to here the guards are there */
	bool guarding;         /* somebody makes the next ones, without the lock */
} classes[CLASSES] = { [0 ... CLASSES - 1] = { .lock = SPINLOCK(LOCK_STACKS) } };

/* Only grows. One that is not filled in yet is empty. Read by the fault handler. */
static struct row rows[ROWS_MAX];
static _Atomic(unsigned) row_places;

static size_t class_size(unsigned class)
{
	return (size_t)1 << (CLASS_MIN_SHIFT + class);
}

static size_t guard_size(unsigned class)
{
	size_t size = class_size(class) / 4;
	return size < GUARD_MIN ? GUARD_MIN : size < GUARD_MAX ? size : GUARD_MAX;
}

/* From the low end: the guard, the stack, and a page that spreads the tops over the sets of caches. */
static size_t stride(unsigned class)
{
	return guard_size(class) + class_size(class) + PAGE;
}

static size_t slots(unsigned class)
{
	size_t n = ROW_BYTES / stride(class);
	return n == 0 ? 1 : n;
}

/*
 * The class's lock is held. The first row has the list of freed stacks behind it: memory.c
 * leaves out that, too.
 */
static bool row_new(unsigned index)
{
	struct class *class = &classes[index];
	size_t bytes = stride(index) * slots(index);
	size_t list = class->free == NULL ? ROWS_MAX * slots(index) * sizeof(*class->free) : 0;
	void *start = mmap(NULL, bytes + list, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (start == MAP_FAILED)
		return false;
	/* Only now: places do not come back, and memory may be refused any number of times. */
	unsigned place = atomic_load(&row_places) < ROWS_MAX ? atomic_fetch_add(&row_places, 1) : ROWS_MAX;
	if (place >= ROWS_MAX) {
		munmap(start, bytes + list);
		return false;
	}
	madvise(start, bytes + list, MADV_NOHUGEPAGE); /* a stack's first touch would take 2 MiB */
	class->next = class->guarded = (uintptr_t)start;
	class->end = class->next + bytes;
	if (list != 0)
		class->free = (uintptr_t *)class->end;
	rows[place] = (struct row){ class->next, bytes, index };
	return true;
}

/*
 * The guards from `at` on, as many as one call takes, up to `end`. Where they end, or `at` if there are none:
 * the kernel is too old, which is not asked for again what it does not know, or has no memory.
 */
static uintptr_t guard_many(unsigned index, uintptr_t at, uintptr_t end)
{
	enum { UNOPENED = INT_MIN };
	static _Atomic(int) self = UNOPENED; /* a descriptor of this process, or why there is none */
	size_t size = guard_size(index);
	struct iovec guards[GUARDS_AT_ONCE];
	unsigned n = 0;

	if (self == UNOPENED)
		self = RUNNING_ON_VALGRIND ? -ENOSYS /* it prints a warning */
					   : (int)SYS(SYS_pidfd_open, getpid(), 0, 0, 0, 0, 0);
	for (uintptr_t guard = at; n < GUARDS_AT_ONCE && guard < end; guard += stride(index))
		guards[n++] = (struct iovec){ (void *)guard, size };
	long made = self < 0 ? self : SYS(SYS_process_madvise, self, guards, n, MADV_GUARD_INSTALL, 0, 0);
	if (made == -EINVAL)
		self = -EINVAL;
	return made == (long)(n * size) ? at + n * stride(index) : at;
}

/* The class's lock is held: the guard of the next stack, and of more if they can be had. */
static bool guard_next(unsigned index)
{
	static _Atomic(bool) by_mprotect;
	struct class *class = &classes[index];
	size_t size = guard_size(index);

	class->guarded = guard_many(index, class->next, class->end);
	if (class->guarded != class->next)
		return true;
	class->guarded += stride(index);
	if (!by_mprotect && madvise((void *)class->next, size, MADV_GUARD_INSTALL) == 0)
		return true;
	by_mprotect |= errno == EINVAL;
	return mprotect((void *)class->next, size, PROT_NONE) == 0;
}

/*
 * More guards when few stacks are left that have one, without the lock, so that other harts take those
 * meanwhile. If they run out of them, and make these guards, too, nothing changes by that.
 */
static void guard_ahead(unsigned index, uintptr_t at, uintptr_t end)
{
	struct class *class = &classes[index];
	uintptr_t guarded = guard_many(index, at, end);

	spin_lock(&class->lock);
	if (class->guarded == at)
		class->guarded = guarded;
	class->guarding = false;
	spin_unlock(&class->lock);
}

static uintptr_t stack_new(unsigned index)
{
	struct class *class = &classes[index];
	if (class->next == class->end && !row_new(index))
		return 0;
	uintptr_t start = class->next;
	if (start == class->guarded && !guard_next(index)) {
		class->guarded = start;
		return 0;
	}
	class->next += stride(index);
	uintptr_t bottom = start + guard_size(index), top = bottom + class_size(index);
	(void)VALGRIND_STACK_REGISTER(bottom, top - 1); /* else a switch to it looks like a large frame */
	return top;
}

int hart_stack_alloc(struct hart_stack *stack, size_t size)
{
	unsigned index = 0;
	while (index < CLASSES && class_size(index) < size)
		index++;
	if (index == CLASSES)
		return -1;

	struct class *class = &classes[index];
	spin_lock(&class->lock);
	uintptr_t top = class->free_count != 0 ? class->free[--class->free_count] : stack_new(index);
	if (class->dropped > class->free_count)
		class->dropped = class->free_count;
	uintptr_t guarded = class->guarded, end = class->end;
	bool ahead = top != 0 && !class->guarding && guarded != end &&
		     guarded - class->next < GUARDS_AT_ONCE / 2 * stride(index);
	class->guarding |= ahead;
	spin_unlock(&class->lock);
	if (ahead)
		guard_ahead(index, guarded, end);
	if (top == 0)
		return -1;
	stack->top = top;
	stack->size = class_size(index);
	return 0;
}

void hart_stack_free(struct hart_stack *stack)
{
	unsigned index = (unsigned)__builtin_ctzll(stack->size) - CLASS_MIN_SHIFT;
	assert(index < CLASSES && "hart_stack_free: not a stack");
	struct class *class = &classes[index];

	spin_lock(&class->lock);
	class->free[class->free_count++] = stack->top;
	spin_unlock(&class->lock);
}

bool hart_stacks_used_up(void)
{
	return false;
}

/* The row that `address` lies in, or NULL. */
static const struct row *row_of(uintptr_t address)
{
	for (unsigned i = 0; i < ROWS_MAX && i < atomic_load(&row_places); i++)
		if (address - rows[i].start < rows[i].bytes)
			return &rows[i];
	return NULL;
}

bool stack_row(uintptr_t address)
{
	return row_of(address) != NULL;
}

/* The host makes the pages, and takes no lock of ours. */
bool vm_fault_locked_here(void)
{
	return false;
}

bool stack_guard_hit(uintptr_t address, uintptr_t *top, size_t *size)
{
	const struct row *row = row_of(address);
	if (row == NULL)
		return false;
	size_t offset = (address - row->start) % stride(row->class);
	*size = class_size(row->class);
	*top = address - offset + guard_size(row->class) + *size;
	return offset < guard_size(row->class);
}

size_t stack_size_of(uintptr_t top)
{
	const struct row *row = row_of(top - 1);
	return row != NULL ? class_size(row->class) : 0;
}

size_t stacks_drop_free(size_t (*drop)(uintptr_t bottom, uintptr_t top))
{
	size_t bytes = 0;

	for (unsigned index = 0; index < CLASSES; index++) {
		struct class *class = &classes[index];
		spin_lock(&class->lock);
		for (; class->dropped < class->free_count; class->dropped++) {
			uintptr_t top = class->free[class->dropped];
			bytes += drop(top - class_size(index), top);
		}
		spin_unlock(&class->lock);
	}
	return bytes;
}

size_t stacks_each_row(size_t (*fn)(uintptr_t start, uintptr_t end))
{
	size_t sum = 0;

	for (unsigned i = 0; i < ROWS_MAX && i < atomic_load(&row_places); i++)
		sum += fn(rows[i].start, rows[i].start + rows[i].bytes);
	return sum;
}
