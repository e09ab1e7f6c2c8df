/* SPDX-License-Identifier: BSD-2-Clause */
/* Contexts that hart_mcall saved (switch.S), made and read from C; frames of the rbp chain. */
#include "asm.h"
#include "save.h"
#include "kernel/hart.h"
#include "kernel/trap.h"
#include "kernel/vm.h"

uintptr_t hart_context_new(uintptr_t top, void (*entry)(void))
{
	/* entry() finds the stack as after a call whose return address, like rbp, is 0. */
	uintptr_t sp = top - 8 - CONTEXT_SIZE;

	/* The other registers begin as whatever lies there. */
	*(uint64_t *)(sp + CONTEXT_MXCSR) =
		(uint64_t)CW_DEFAULT << 8 * (CONTEXT_CW - CONTEXT_MXCSR) | MXCSR_DEFAULT;
	*(uint64_t *)(sp + CONTEXT_RBP) = 0;
	*(uint64_t *)(sp + CONTEXT_RIP) = (uintptr_t)entry;
	*(uint64_t *)(sp + CONTEXT_SIZE) = 0;
	return sp;
}

void arch_context_frame(uintptr_t saved_sp, uintptr_t *pc, uintptr_t *fp)
{
	*pc = *(uintptr_t *)(saved_sp + CONTEXT_RIP);
	*fp = *(uintptr_t *)(saved_sp + CONTEXT_RBP);
}

bool arch_frame_up(uintptr_t *pc, uintptr_t *fp)
{
	uintptr_t frame = *fp;

	if (frame == 0 || frame % 8 != 0)
		return false;
	if (arch_vm_lookup(frame) == 0 || arch_vm_lookup(frame + 8) == 0)
		return false;
	*fp = ((uintptr_t *)frame)[0];
	*pc = ((uintptr_t *)frame)[1];
	return *pc != 0;
}
