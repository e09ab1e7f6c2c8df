/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frame pointers. The ABI keeps the return address at fp - 8 and the caller's fp at fp - 16; a
 * function that calls nobody stores only the caller's fp, at fp - 8, and its return
 * address stays in ra, which is lost here: such a caller is skipped.
 */
#include "riscv64.h"

#include "kernel/layout.h"
#include "kernel/trap.h"
#include "kernel/vm.h"

static bool readable(uintptr_t at)
{
	return at % sizeof(uintptr_t) == 0 && arch_vm_lookup(at) != 0;
}

static bool is_code(uintptr_t pc)
{
	return pc >= (uintptr_t)__text_start && pc < (uintptr_t)__text_end;
}

bool arch_frame_up(uintptr_t *pc, uintptr_t *fp)
{
	uintptr_t at = *fp;

	for (int leaf = 0; leaf < 2; leaf++) {
		if (at < 16 || !readable(at - 8) || !readable(at - 16))
			return false;
		uintptr_t ra = *(uintptr_t *)(at - 8), caller = *(uintptr_t *)(at - 16);
		if (is_code(ra)) {
			*pc = ra;
			*fp = caller;
			return true;
		}
		/* Stacks grow down: a caller's frame lies above. */
		if (ra <= at)
			return false;
		at = ra;
	}
	return false;
}

void arch_context_frame(uintptr_t saved_sp, uintptr_t *pc, uintptr_t *fp)
{
	*pc = *(uintptr_t *)(saved_sp + CONTEXT_RA);
	*fp = *(uintptr_t *)(saved_sp + CONTEXT_S0);
}
