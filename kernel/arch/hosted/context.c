/* SPDX-License-Identifier: BSD-2-Clause */
/* Contexts that hart_mcall saved (switch.S), made and read from C; frames of the rbp chain. */
#include <sys/uio.h>
#include <unistd.h>

#include "hosted.h"
#include "kernel/arch/x86_64/save.h"
#include "kernel/trap.h"
#include "offsets.h"

_Static_assert(offsetof(struct hart, g) == HART_G && offsetof(struct hart, g0_sp) == HART_G0_SP &&
	       offsetof(struct hart, locks) == HART_LOCKS, "as kernel/hart.h numbers them");
_Static_assert(offsetof(struct hart, self) == HART_SELF && offsetof(struct hart, preempt) == HART_PREEMPT &&
	       offsetof(struct hart, mark) == HART_MARK, "as kernel/hart.h numbers them");
_Static_assert(offsetof(struct hart, arch.error) == ASM_HART_ERROR && HART_ERROR == ASM_HART_ERROR &&
	       offsetof(struct hart, arch.relaxes) == HART_RELAXES &&
	       offsetof(struct hart, arch.irq_off) == HART_IRQ_OFF, "as arch.h numbers them");
_Static_assert(offsetof(struct hart_goroutine, error) == 0, "where switch.S leaves errno");

/* A context at the top of a stack. `entry` finds it as after a call whose return address, like rbp, is 0. */
static uintptr_t context_at(uintptr_t top, void (*entry)(void), uintptr_t rbx, uintptr_t r12)
{
	uintptr_t sp = top - HART_STACK_OWNER - 8 - CONTEXT_SIZE;

	/* The other registers begin as whatever lies there. */
	*(uint64_t *)(sp + CONTEXT_MXCSR) =
		(uint64_t)CW_DEFAULT << 8 * (CONTEXT_CW - CONTEXT_MXCSR) | MXCSR_DEFAULT;
	*(uint64_t *)(sp + CONTEXT_RBX) = rbx;
	*(uint64_t *)(sp + CONTEXT_R12) = r12;
	*(uint64_t *)(sp + CONTEXT_RBP) = 0;
	*(uint64_t *)(sp + CONTEXT_RIP) = (uintptr_t)entry;
	*(uint64_t *)(sp + CONTEXT_SIZE) = 0;
	return sp;
}

#if FIBERS
void context_start(void);

uintptr_t hart_context_new(uintptr_t top, void (*entry)(void))
{
	struct arch_fiber *fiber = fiber_new(top);
	return context_at((uintptr_t)fiber & ~(uintptr_t)15, context_start, (uintptr_t)fiber,
			  (uintptr_t)entry);
}
#else
uintptr_t hart_context_new(uintptr_t top, void (*entry)(void))
{
	return context_at(top - CONTEXT_SPREAD(top), entry, 0, 0);
}
#endif

void arch_context_frame(uintptr_t saved_sp, uintptr_t *pc, uintptr_t *fp)
{
	*pc = *(uintptr_t *)(saved_sp + CONTEXT_RIP);
	*fp = *(uintptr_t *)(saved_sp + CONTEXT_RBP);
}

/* By the kernel: false where there is no memory. */
bool memory_read(void *to, uintptr_t from, size_t size)
{
	struct iovec here = { to, size }, there = { (void *)from, size };

	return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == (ssize_t)size;
}

/* The C library's functions keep no frame pointer: what looks like one may be anything. */
bool arch_frame_up(uintptr_t *pc, uintptr_t *fp)
{
	uintptr_t frame[2];

	if (*fp == 0 || *fp % 8 != 0 || !memory_read(frame, *fp, sizeof(frame)) ||
	    (frame[0] != 0 && frame[0] <= *fp))
		return false;
	*fp = frame[0];
	*pc = frame[1];
	return *pc != 0;
}
