/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Leaving and resuming a goroutine, asked for (hart_mcall) and not (preempt_entry).
 *
 * A switch from G to G is one hart_mcall and one hart_gogo, as Go's mcall and gogo: one save, one restore;
 * the scheduler in between starts on an empty g0 stack and leaves nothing there. hart_switch is the two in
 * one, for a G that knows who comes next. A saved context is what the ABI has a callee keep: six registers
 * and the control words of SSE and x87. Those words are nearly always the same in both Gs, and loading them
 * is slow: they are compared first with what the G before left in the registers, which nothing in between
 * changes, because the scheduler does no floating point.
 */
#include "asm.h"
#include "save.h"

/* both in a word */
#define CONTROL_WORDS_DEFAULT ((CW_DEFAULT << (8 * (CONTEXT_CW - CONTEXT_MXCSR))) | MXCSR_DEFAULT)

	.text

	.globl hart_mcall
	.type hart_mcall, @function
hart_mcall:
	push_context
	mov %rsp, (%rdi)
	mov %gs:HART_G0_SP, %rsp
	mov %rdx, %rdi
	xor %ebp, %ebp          /* backtraces on g0 end here */
	call *%rsi
	ud2
	.size hart_mcall, . - hart_mcall

	.globl hart_gogo
	.type hart_gogo, @function
hart_gogo:
	push $0
	stmxcsr CONTEXT_MXCSR(%rsp)
	fnstcw CONTEXT_CW(%rsp)
	pop %rax
	mov %rdi, %rsp
	pop %rcx
	cmp %rax, %rcx
	jne 2f
1:	pop_registers
	ret
2:	ldmxcsr CONTEXT_MXCSR - 8(%rsp)
	fldcw CONTEXT_CW - 8(%rsp)
	jmp 1b
	.size hart_gogo, . - hart_gogo

	.globl hart_switch
	.type hart_switch, @function
hart_switch:
	push_context
	mov (%rsp), %rax
	mov %rsp, (%rdi)
	mov %rsi, %rsp
	mov %rdx, %gs:HART_G
	mov %r8d, (%rcx)        /* another hart may run the old G from here on; a store is a release */
	pop %rcx
	cmp %rax, %rcx
	jne 2b
	pop_registers
	ret
	.size hart_switch, . - hart_switch

	.globl hart_restart
	.type hart_restart, @function
hart_restart:
	push $0
	stmxcsr CONTEXT_MXCSR(%rsp)
	fnstcw CONTEXT_CW(%rsp)
	pop %rax
	mov $CONTROL_WORDS_DEFAULT, %rcx
	lea -HART_STACK_OWNER(%rdi), %rsp
	cmp %rax, %rcx
	jne 2f
1:	xor %ebp, %ebp
	push %rbp               /* as after a call: see hart_context_new() */
	jmp *%rsi
2:	push %rcx
	ldmxcsr CONTEXT_MXCSR(%rsp)
	fldcw CONTEXT_CW(%rsp)
	pop %rcx
	jmp 1b
	.size hart_restart, . - hart_restart

/*
 * A trap that preempts a G puts an iretq frame on the G's stack and returns here with
 * interrupts off and rsp at that frame. So this looks as if the G had called it: the frame's
 * first word is the return address, and the rbp chain goes through. Interrupts are off while
 * registers are saved and restored, so that preemptions do not pile up on the stack.
 */
	.globl preempt_entry
	.type preempt_entry, @function
preempt_entry:
	save_all
	sti
	call sched_preempt
	cli
	restore_all
	iretq
	.size preempt_entry, . - preempt_entry

	.bss
	.balign 8
	.globl fpu_mask, fpu_area_size
fpu_mask:	.quad 0
fpu_area_size:	.quad 0

	.section .note.GNU-stack, "", @progbits
