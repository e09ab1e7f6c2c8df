/* SPDX-License-Identifier: BSD-2-Clause */
/* What switch.S and C share. fibers.c and context.c assert the offsets. */
#ifndef KERNEL_ARCH_HOSTED_OFFSETS_H
#define KERNEL_ARCH_HOSTED_OFFSETS_H

/* Fields of struct hart, as kernel/hart.h numbers them; HART_ERROR as arch.h does. */
#define HART_G 8
#define HART_G0_SP 16
#define HART_LOCKS 24
#define HART_STACK_OWNER 16
#define ASM_HART_ERROR 64

/*
 * First frames begin at sixteen distances from the tops of their stacks, by the page that a top is in (they
 * lie an odd number of pages apart): else all would share a few sets of each cache. A hop in a ring of 1000
 * goroutines takes 90 ns so, and 154 without.
 */
#define CONTEXT_SPREAD_SHIFT 6
#define CONTEXT_SPREAD_MASK 0x3c0
#define CONTEXT_SPREAD(top) ((top) >> CONTEXT_SPREAD_SHIFT & CONTEXT_SPREAD_MASK)

#endif
