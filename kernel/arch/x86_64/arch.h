/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inline part of kernel/hart.h on x86_64, and what the port keeps for each hart.
 *
 * The gs base is the address of the hart's block from the first C instruction on and never
 * changes on a hart; it is set by wrmsr once, so no FSGSBASE is needed.
 */
#ifndef KERNEL_ARCH_X86_64_ARCH_H
#define KERNEL_ARCH_X86_64_ARCH_H

#include "save.h"

#define IST_INTERRUPT 1 /* devices, timer, kicks */
#define IST_EXCEPTION 2 /* faults: one may come while an interrupt is handled */
#define IST_LAST 3      /* NMI and double fault */
#define IST_COUNT 3

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7]; /* index IST_x - 1 */
	uint64_t reserved2;
	uint16_t reserved3, io_map;
} __attribute__((packed));

struct arch_hart {
	uint64_t gdt[6]; /* null, code, data, unused, TSS (two words) */
	struct tss tss;
	/* of the timer, INT64_MAX: none. This hart only, locks > 0 or interrupts off */
	int64_t deadline;
	_Atomic(uint32_t) ipi;   /* a kick's interrupt is on its way */
	bool reporting;          /* a fault's report is under way */
	_Atomic(uint64_t) flushed;  /* vm.c: how many flushes this hart has done */
	_Atomic(uint32_t) vm_sleep; /* enum vm_sleep: kernel/vm.h */
	int64_t vm_refreshed;       /* hart_now(), in vm_refresh(). By this hart, interrupts off */
};

struct hart;
struct heap;

static inline struct hart *hart_self(void)
{
	struct hart *hart;
	__asm__ volatile("mov %%gs:%c1, %0" : "=r"(hart) : "i"(HART_SELF));
	return hart;
}

static inline void *hart_g(void)
{
	void *g;
	__asm__ volatile("mov %%gs:%c1, %0" : "=r"(g) : "i"(HART_G));
	return g;
}

static inline uint32_t hart_mark(void)
{
	uint32_t mark;
	__asm__ volatile("movl %%gs:%c1, %0" : "=r"(mark) : "i"(HART_MARK));
	return mark;
}

static inline struct heap *hart_heap(void)
{
	struct heap *heap;
	__asm__ volatile("mov %%gs:%c1, %0" : "=r"(heap) : "i"(HART_HEAP));
	return heap;
}

static inline void hart_lock_raise(void)
{
	__asm__ volatile("incl %%gs:%c0" : : "i"(HART_LOCKS) : "cc", "memory");
}

static inline bool hart_lock_lower(void)
{
	bool zero, due;
	__asm__ volatile("decl %%gs:%c1" : "=@ccz"(zero) : "i"(HART_LOCKS) : "memory");
	if (!zero)
		return false;
	/* From here a preemption may take us to another hart; then this one has been seen to. */
	__asm__ volatile("cmpl $0, %%gs:%c1" : "=@ccnz"(due) : "i"(HART_PREEMPT) : "memory");
	return due;
}

static inline uint64_t hart_ticks(void)
{
	uint64_t low, high; /* rdtsc clears the upper halves */
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return high << 32 | low;
}

static inline bool hart_word_take(_Atomic(uint32_t) *word, uint32_t free)
{
	return __atomic_compare_exchange_n((uint32_t *)word, &free, free | hart_mark(), true,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static inline void hart_relax(void)
{
	__asm__ volatile("pause" ::: "memory");
}

static inline bool hart_irq_off(void)
{
	uint64_t flags;
	__asm__ volatile("pushfq\n\tpopq %0\n\tcli" : "=r"(flags) : : "memory");
	return flags & 0x200;
}

static inline void hart_irq_restore(bool on)
{
	if (on)
		__asm__ volatile("sti" ::: "memory");
}

static inline uintptr_t hart_context_new(uintptr_t top, void (*entry)(void))
{
	/* entry() finds the stack as after a call whose return address, like rbp, is 0. */
	uintptr_t sp = top - HART_STACK_OWNER - 8 - CONTEXT_SIZE;

	/* The other registers begin as whatever lies there. */
	*(uint64_t *)(sp + CONTEXT_MXCSR) =
		(uint64_t)CW_DEFAULT << 8 * (CONTEXT_CW - CONTEXT_MXCSR) | MXCSR_DEFAULT;
	*(uint64_t *)(sp + CONTEXT_RBP) = 0;
	*(uint64_t *)(sp + CONTEXT_RIP) = (uintptr_t)entry;
	*(uint64_t *)(sp + CONTEXT_SIZE) = 0;
	return sp;
}

#endif
