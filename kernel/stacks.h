/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What stacks.c, which hands stacks out, and trim.c, which takes their pages away, share: a slot for each
 * stack that was ever handed out, and the lock of the page tables that map them.
 */
#ifndef KERNEL_STACKS_H
#define KERNEL_STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/spinlock.h"
#include "kernel/vm.h"

enum slot_state { SLOT_IN_USE, SLOT_PACKED, SLOT_FREE };

struct slot { /* under the VM lock, but for `next`, which is under its region's */
	union {
		void *packed;      /* what was in the topmost page, which was given up */
		uintptr_t next;    /* of a free one: the top of the next */
	};
	uint32_t depth : 24;   /* pages from the top down to the last one that may be there */
	/* enum slot_state. No bit-field: it changes under the region's lock, too, and a store to `depth`
	   may not write it back */
	uint8_t state;
	/* of a packed one, its bytes; of another, the cycle that last hid pages of it, 0 if it was touched */
	uint32_t mark;
};

_Static_assert(sizeof(struct slot) == 16, "one for each stack that there ever was");

#define SLOTS_A_PAGE 253

/*
 * A page of slots. A slot is warm if a page of its stack came, or was shown, since a cycle last found nothing
 * there to hide: so a cycle looks at those, and not at each goroutine that there is.
 */
struct slots {
	uint64_t warm[(SLOTS_A_PAGE + 63) / 64]; /* a bit for each; under the VM lock */
	/* of the list of pages with such a bit, which ends with SLOTS_END; NULL: in none. The same */
	struct slots *next_warm;
	unsigned class;          /* whose region it is in */
	struct slot slot[SLOTS_A_PAGE] __attribute__((aligned(16)));
};
_Static_assert(sizeof(struct slots) == PAGE_SIZE, "a page");
#define SLOTS_END ((struct slots *)1)

static inline struct slots *slots_of(const struct slot *slot)
{
	return (struct slots *)((uintptr_t)slot & ~(PAGE_SIZE - 1));
}

/*
 * The VM lock. On g0 or the trap stack, or on a G's stack after pages_touch_stack(): no new page is needed
 * under it. locks > 0 or interrupts off.
 */
void vm_lock(void);
void vm_unlock(void);

/*
 * The slot of a stack, by any address in it, and the stack's top and size. NULL: no such stack
 * was ever handed out.
 */
struct slot *slot_of(uintptr_t va, uintptr_t *top, size_t *size);

uintptr_t slot_top(const struct slot *slot); /* of its stack */

/* Is it free? Then nobody takes it until slot_free_unlock(). In a critical section of g0's. */
bool slot_free_lock(struct slot *slot);
void slot_free_unlock(struct slot *slot);

/* trim.c: it is warm. Under the VM lock. */
void slot_warm(struct slot *slot);

/*
 * trim.c: puts back what was packed, into the page that is going to be the stack's topmost. Under the VM
 * lock. Answers a page that is to be freed after it, or 0.
 */
uint64_t slot_unpack(struct slot *slot, uint64_t page);

#endif
