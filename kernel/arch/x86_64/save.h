/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How registers are saved on a stack, for switch.S and C, of the machine and of the hosted port, which is a
 * process of the same processor.
 */
#ifndef KERNEL_ARCH_X86_64_SAVE_H
#define KERNEL_ARCH_X86_64_SAVE_H

/* A context that hart_mcall left on a stack, from its stack pointer up. */
#define CONTEXT_MXCSR 0
#define CONTEXT_CW 4
#define CONTEXT_R12 32
#define CONTEXT_RBX 40
#define CONTEXT_RBP 48
#define CONTEXT_RIP 56
#define CONTEXT_SIZE 64

#define MXCSR_DEFAULT 0x1f80    /* all exceptions masked, round to nearest */
#define CW_DEFAULT 0x37f        /* the same for the x87 */

#ifdef __ASSEMBLER__
/* A context is left on the stack, from where rsp is then. */
	.macro push_registers
	push %rbp
	push %rbx
	push %r12
	push %r13
	push %r14
	push %r15
	.endm

	.macro push_context
	push_registers
	push $0                 /* fnstcw writes two bytes of four */
	stmxcsr CONTEXT_MXCSR(%rsp)
	fnstcw CONTEXT_CW(%rsp)
	.endm

/* What lies above its control words; its rip is on top of the stack then. */
	.macro pop_registers
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbx
	pop %rbp
	.endm

/* Every register, below a frame that iretq takes; rbp is then as after the prologue of a function. */
	.macro save_all
	push %rbp
	mov %rsp, %rbp
	push %rax
	push %rcx
	push %rdx
	push %rbx
	push %rsi
	push %rdi
	push %r8
	push %r9
	push %r10
	push %r11
	push %r12
	push %r13
	push %r14
	push %r15
	cld
	sub fpu_area_size, %rsp
	and $-64, %rsp
	mov fpu_mask, %rax
	test %rax, %rax
	jz 91f
	xor %ecx, %ecx          /* XRSTOR faults on a header with stray bits: XSAVE sets only some */
	mov %rcx, 512(%rsp)
	mov %rcx, 520(%rsp)
	mov %rcx, 528(%rsp)
	mov %rcx, 536(%rsp)
	mov %rcx, 544(%rsp)
	mov %rcx, 552(%rsp)
	mov %rcx, 560(%rsp)
	mov %rcx, 568(%rsp)
	mov fpu_mask + 4, %edx
	xsave64 (%rsp)
	jmp 92f
91:	fxsave64 (%rsp)
92:	fninit                  /* whoever runs next finds the x87's stack empty */
	.endm

	.macro restore_all
	mov fpu_mask, %rax
	test %rax, %rax
	jz 91f
	mov fpu_mask + 4, %edx
	xrstor64 (%rsp)
	jmp 92f
91:	fxrstor64 (%rsp)
92:	lea -14*8(%rbp), %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rdi
	pop %rsi
	pop %rbx
	pop %rdx
	pop %rcx
	pop %rax
	pop %rbp
	.endm
#endif

#endif
