/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Leaving and resuming a goroutine on an x86_64 host: as kernel/arch/x86_64/switch.S, whose save.h it shares, without
 * what only a kernel may do, and with errno.
 *
 * The C library's errno belongs to the thread. A G that leaves takes along what the library has left there
 * since it last looked (libc.c), and whoever comes finds 0.
 *
 * With a sanitizer that has to know of each change of stack, fibers.c wraps these.
 */
#include "kernel/arch/x86_64/save.h"
#include "offsets.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define hart_mcall context_mcall
#define hart_gogo context_gogo
#endif

	.text

	.globl hart_mcall
	.type hart_mcall, @function
hart_mcall:
	push_context
	mov %rsp, (%rdi)
	mov %gs:ASM_HART_ERROR, %rax
	mov (%rax), %ecx
	test %ecx, %ecx
	jnz 2f
1:	mov %gs:HART_G0_SP, %rsp
	mov %rdx, %rdi
	xor %ebp, %ebp          /* backtraces on g0 end here */
	call *%rsi
	ud2
2:	mov %gs:HART_G, %r8
	mov %ecx, (%r8)         /* its first word: struct hart_goroutine */
	movl $0, (%rax)
	jmp 1b
	.size hart_mcall, . - hart_mcall

	.globl hart_gogo
	.type hart_gogo, @function
hart_gogo:
	mov %gs:ASM_HART_ERROR, %rax
	movl $0, (%rax)         /* whatever the scheduler's own calls have left */
	push $0
	stmxcsr CONTEXT_MXCSR(%rsp)
	fnstcw CONTEXT_CW(%rsp)
	pop %rax
	mov %rdi, %rsp
	pop %rcx
	cmp %rax, %rcx
	jne 2f
1:	pop_context
2:	ldmxcsr CONTEXT_MXCSR - 8(%rsp)
	fldcw CONTEXT_CW - 8(%rsp)
	jmp 1b
	.size hart_gogo, . - hart_gogo

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
/* The first code on a fresh stack: hart_context_new() put the arguments into these registers. */
	.globl context_start
	.type context_start, @function
context_start:
	mov %rbx, %rdi
	mov %r12, %rsi
	xor %ebp, %ebp
	push %rbp               /* to where a call leaves the stack */
	call fiber_start
	ud2
	.size context_start, . - context_start
#else
	.globl hart_switch
	.type hart_switch, @function
hart_switch:
	push_context
	mov %gs:ASM_HART_ERROR, %rax
	mov (%rax), %r9d
	test %r9d, %r9d
	jnz 4f
3:	mov (%rsp), %rax
	mov %rsp, (%rdi)
	mov %rsi, %rsp
	mov %rdx, %gs:HART_G
	mov %r8d, (%rcx)        /* another hart may run the old G from here on; a store is a release */
	pop %rcx
	cmp %rax, %rcx
	jne 2b
	pop_context
4:	mov %gs:HART_G, %r10
	mov %r9d, (%r10)
	movl $0, (%rax)
	jmp 3b
	.size hart_switch, . - hart_switch

	.globl hart_restart
	.type hart_restart, @function
hart_restart:
	mov %gs:ASM_HART_ERROR, %rax
	movl $0, (%rax)         /* as hart_gogo */
	restart
	.size hart_restart, . - hart_restart
#endif

/*
 * The signal that preempts a G puts an iretq frame on the G's stack and returns here with rsp at that frame
 * and locks == 1. So this looks as if the G had called it: the frame's first word is the return address, and the
 * rbp chain goes through. iretq works in user mode, too: it is the one instruction that gives back the flags, pc and
 * stack pointer at once, so that what lies below the stack pointer of a function without a frame stays.
 *
 * Signals do not preempt here (signals.c asks for the address), so that preemptions do not pile up on the stack.
 */
	.globl preempt_entry, preempt_entry_end
	.type preempt_entry, @function
preempt_entry:
	save_all
	decl %gs:HART_LOCKS
	call sched_preempt
	restore_all
	iretq
preempt_entry_end:
	.size preempt_entry, . - preempt_entry

	.bss
	.balign 8
	.globl fpu_mask, fpu_area_size
fpu_mask:	.quad 0
fpu_area_size:	.quad 0

	.section .note.GNU-stack, "", @progbits
