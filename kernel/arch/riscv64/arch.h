/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * riscv64's part of a hart, and the inline functions of kernel/hart.h.
 *
 * tp holds the address of the calling hart's block, always: no thread-local storage exists, so
 * compilers leave it alone. A G that is preempted goes on with another hart's tp, so each
 * access addresses through tp in its own instruction, and none may be merged with another:
 * hence the volatile assembly.
 */
#ifndef RISCV64_ARCH_H
#define RISCV64_ARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "csr.h"
#include "offsets.h"

struct hart;
struct heap;

struct arch_hart {
	uintptr_t trap_sp;       /* top of the trap stack */
	uint64_t fp;             /* not 0: FP is on, and the running G's FP registers are live: switch.S */
	uintptr_t interrupted_sp; /* trap.S parks sp here for a moment */
	uintptr_t preempt_pc;    /* where preempt_entry's caller stood; interrupts are off meanwhile */
	uint64_t fcsr;           /* what fcsr holds while no G with FP runs: switch.S */
	uint64_t preempt_t0;     /* the interrupted t0, as preempt_entry ends; interrupts are off meanwhile */
	uint64_t timer;          /* ticks that the timer is set to, UINT64_MAX: off. By this hart */
	/* where in a stack it faulted last, if it was not made to forget then. By its traps */
	uintptr_t faulted;
	_Atomic(uint32_t) ipi;   /* a kick's interrupt is under way: harts.c */
	_Atomic(uint32_t) arrived;
	_Atomic(uint32_t) vm_sleep; /* enum vm_sleep: kernel/vm.h */
	int64_t vm_refreshed;       /* hart_now(), in vm_refresh(). By this hart, interrupts off */
};

static inline struct hart *hart_self(void)
{
	struct hart *hart;
	__asm__ volatile("mv %0, tp" : "=r"(hart));
	return hart;
}

static inline void *hart_g(void)
{
	void *g;
	__asm__ volatile("ld %0, %1(tp)" : "=r"(g) : "i"(HART_G));
	return g;
}

static inline uint32_t hart_mark(void)
{
	uint32_t mark;
	__asm__ volatile("lw %0, %1(tp)" : "=r"(mark) : "i"(HART_MARK));
	return mark;
}

static inline struct heap *hart_heap(void)
{
	struct heap *heap;
	__asm__ volatile("ld %0, %1(tp)" : "=r"(heap) : "i"(HART_HEAP));
	return heap;
}

/*
 * A preemption between the load and the store finds the count at 0, and leaves it at 0 on
 * whichever hart the G continues.
 */
static inline void hart_lock_raise(void)
{
	long locks;
	__asm__ volatile("lw %0, %1(tp)\n\t"
			 "addiw %0, %0, 1\n\t"
			 "sw %0, %1(tp)"
			 : "=&r"(locks)
			 : "i"(HART_LOCKS)
			 : "memory");
}

static inline bool hart_lock_lower(void)
{
	long locks, due;
	__asm__ volatile("lw %0, %1(tp)\n\t"
			 "addiw %0, %0, -1\n\t"
			 "sw %0, %1(tp)"
			 : "=&r"(locks)
			 : "i"(HART_LOCKS)
			 : "memory");
	if (locks != 0)
		return false;
	/* From here a preemption may take us to another hart; then this one has been seen to. */
	__asm__ volatile("lw %0, %1(tp)" : "=r"(due) : "i"(HART_PREEMPT) : "memory");
	return due != 0;
}

static inline uint64_t hart_ticks(void)
{
	uint64_t ticks;
	__asm__ volatile("rdtime %0" : "=r"(ticks));
	return ticks;
}

/* gcc 12 makes twice as many instructions of C11's. In `long`, so that it sign-extends nothing. */
static inline bool hart_word_take(_Atomic(uint32_t) *word, uint32_t free)
{
	long was, mark, from = (int32_t)free;
	__asm__ volatile("lw %0, %1(tp)" : "=r"(mark) : "i"(HART_MARK));
	__asm__ goto("lr.w.aq %0, %1\n\t"
		     "bne %0, %z2, %l[no]\n\t"
		     "sc.w %0, %3, %1\n\t"
		     "bnez %0, %l[no]"
		     : "=&r"(was), "+A"(*word)
		     : "rJ"(from), "r"(from | mark)
		     : "memory"
		     : no);
	return true;
no:
	return false;
}

/* The pause hint, spelled as the fence that it is: older assemblers do not know it. */
static inline void hart_relax(void)
{
	__asm__ volatile(".4byte 0x0100000f" ::: "memory");
}

static inline bool hart_irq_off(void)
{
	uint64_t sstatus;
	__asm__ volatile("csrrci %0, sstatus, %1" : "=r"(sstatus) : "i"(SSTATUS_SIE) : "memory");
	return (sstatus & SSTATUS_SIE) != 0;
}

static inline void hart_irq_restore(bool on)
{
	if (on)
		csr_set("sstatus", SSTATUS_SIE);
}

void hart_context_start(void); /* switch.S */

/* The frame is complete on a fresh stack, so that hart_gogo needs to know no other kind. */
static inline uintptr_t hart_context_new(uintptr_t top, void (*entry)(void))
{
	uintptr_t sp = top - HART_STACK_OWNER - CONTEXT_SIZE;

	/* The other registers begin as whatever lies there. */
	*(uintptr_t *)(sp + CONTEXT_FP) = 0;
	*(uintptr_t *)(sp + CONTEXT_RA) = (uintptr_t)hart_context_start;
	*(uintptr_t *)(sp + CONTEXT_S0) = 0;
	*(uintptr_t *)(sp + CONTEXT_S0 + 8) = (uintptr_t)entry;
	return sp;
}

#endif
