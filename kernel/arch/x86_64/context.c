/* SPDX-License-Identifier: BSD-2-Clause */
/* Contexts that hart_mcall saved (switch.S), read from C; frames of the rbp chain. */
#include "asm.h"
#include "kernel/hart.h"
#include "kernel/trap.h"
#include "kernel/vm.h"

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
