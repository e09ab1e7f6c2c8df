/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Leaving and resuming a goroutine on an x86_64 host: as kernel/arch/x86_64/switch.S, whose save.h it shares,
 * without what only a kernel may do, and with errno.
 *
 * The C library's errno belongs to the thread. A G that leaves takes along what the library has left there
 * since it last looked (libc.c), and whoever comes finds 0.
 *
 * With a sanitizer that has to know of each change of stack, fibers.c wraps these.
 *
 * Here time is measured in nanoseconds, not in instructions, and two things would cost 5 ns and more each:
 *
 *   - A load of what two stores have just written in parts waits until they are in the cache. So each control
 *     word is compared for itself.
 *   - The processor takes it that a `ret` goes where the last call came from. Here that was another G's. So
 *     these are indirect jumps, which it predicts by what has come before them.
 */
#include "kernel/arch/x86_64/save.h"
#include "offsets.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define hart_mcall context_mcall
#define hart_gogo context_gogo
#endif

/* The last word of a context; and the two in eax and r9w. */
	.macro push_control_words
	push $0
	stmxcsr CONTEXT_MXCSR(%rsp)
	fnstcw CONTEXT_CW(%rsp)
	mov CONTEXT_MXCSR(%rsp), %eax
	movzwl CONTEXT_CW(%rsp), %r9d
	.endm

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
	push_control_words
	mov %rdi, %rsp
go_on:
	cmp %eax, CONTEXT_MXCSR(%rsp)
	jne 2f
	cmp %r9w, CONTEXT_CW(%rsp)
	jne 2f
1:	add $8, %rsp
	pop_registers
	pop %rcx
	jmp *%rcx
2:	ldmxcsr CONTEXT_MXCSR(%rsp)
	fldcw CONTEXT_CW(%rsp)
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
	push_registers
	mov %gs:ASM_HART_ERROR, %rax
	mov (%rax), %r9d
	test %r9d, %r9d
	jnz 2f
1:	push_control_words
	mov %rsp, (%rdi)
	mov %rsi, %rsp
	mov %rdx, %gs:HART_G
	mov %r8d, (%rcx)        /* another hart may run the old G from here on; a store is a release */
	jmp go_on
2:	mov %gs:HART_G, %r10
	mov %r9d, (%r10)
	movl $0, (%rax)
	jmp 1b
	.size hart_switch, . - hart_switch

	.globl hart_restart
	.type hart_restart, @function
hart_restart:
	mov %gs:ASM_HART_ERROR, %rax
	movl $0, (%rax)         /* as hart_gogo */
	push_control_words
	mov %rdi, %rcx
	shr $CONTEXT_SPREAD_SHIFT, %rcx
	and $CONTEXT_SPREAD_MASK, %ecx
	lea -HART_STACK_OWNER(%rdi), %rsp
	sub %rcx, %rsp
	cmp $MXCSR_DEFAULT, %eax
	jne 2f
	cmp $CW_DEFAULT, %r9w
	jne 2f
1:	xor %ebp, %ebp
	push %rbp               /* as after a call: see hart_context_new() */
	jmp *%rsi
2:	push $0
	movl $MXCSR_DEFAULT, CONTEXT_MXCSR(%rsp)
	movw $CW_DEFAULT, CONTEXT_CW(%rsp)
	ldmxcsr CONTEXT_MXCSR(%rsp)
	fldcw CONTEXT_CW(%rsp)
	pop %rcx
	jmp 1b
	.size hart_restart, . - hart_restart
#endif

/* How a function returns that is marked with SWITCHES: arch.h. */
	.globl __x86_return_thunk
	.type __x86_return_thunk, @function
__x86_return_thunk:
	pop %rcx
	jmp *%rcx
	.size __x86_return_thunk, . - __x86_return_thunk

/*
 * The signal that preempts a G puts an iretq frame on the G's stack and returns here with rsp at that
 * frame and locks == 1. So this looks as if the G had called it: the frame's first word is the return
 * address, and the rbp chain goes through. iretq works in user mode, too: it is the one instruction that
 * gives back the flags, pc and stack pointer at once, so that what lies below the stack pointer of a
 * function without a frame stays.
 *
 * Signals do not preempt here (signals.c asks for the address), so that preemptions do not pile
 * up on the stack.
 */
	.globl preempt_entry, preempt_return, preempt_entry_end
	.type preempt_entry, @function
preempt_entry:
	save_all
	decl %gs:HART_LOCKS
	call sched_preempt
	restore_all
preempt_return:
	iretq
preempt_entry_end:
	.size preempt_entry, . - preempt_entry

	.bss
	.balign 8
	.globl fpu_mask, fpu_area_size
fpu_mask:	.quad 0
fpu_area_size:	.quad 0

	.section .note.GNU-stack, "", @progbits
