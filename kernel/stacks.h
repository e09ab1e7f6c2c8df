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

enum slot_state { SLOT_IN_USE, SLOT_PACKED, SLOT_FREE };

struct slot { /* under the VM lock, but for `next`, which is under its region's */
	union {
		void *packed;      /* what was in the topmost page, which was given up */
		uintptr_t next;    /* of a free one: the top of the next */
	};
	uint32_t depth : 24;   /* pages from the top down to the last one that may be there */
	uint32_t state : 8;
	/* of a packed one, its bytes; of another, the cycle that hid pages of it last */
	uint32_t mark;
};

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

/* Calls fn for each stack that is free, under its region's lock. */
void stacks_each_free(void (*fn)(uintptr_t top, struct slot *slot));

/*
 * trim.c: puts back what was packed, into the page that is going to be the stack's topmost. Under the VM
 * lock. Answers a page that is to be freed after it, or 0.
 */
uint64_t slot_unpack(struct slot *slot, uint64_t page);

#endif
