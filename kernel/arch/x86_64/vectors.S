/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the CPU goes on a trap: a stub for each vector, then one of two entries. Every
 * vector runs on an IST stack, interrupts off, so nothing is ever pushed on a G's stack.
 * Exceptions save all registers for the report; interrupts only those that C may change.
 * rbp stays the interrupted code's: a backtrace from a handler goes on into it.
 */
#include "asm.h"

	.text
	.balign 16
	.globl trap_vectors
trap_vectors:
	.set vector, 0
	.rept VECTOR_COUNT
	.balign 16
	/* The CPU pushes an error code for 8, 10 to 14, 17, 21, 29, 30. */
	.if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || \
		vector == 29 || vector == 30
	.else
	push $0
	.endif
	push $vector
	.if vector < 32
	jmp exception_entry
	.else
	jmp interrupt_entry
	.endif
	.set vector, vector + 1
	.endr

exception_entry:
	push %rax
	push %rcx
	push %rdx
	push %rbx
	push %rbp
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
	mov %rsp, %rdi
	call trap_exception
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
	pop %rbp
	pop %rbx
	pop %rdx
	pop %rcx
	pop %rax
	add $16, %rsp
	iretq

interrupt_entry:
	push %rax
	push %rcx
	push %rdx
	push %rsi
	push %rdi
	push %r8
	push %r9
	push %r10
	push %r11
	cld
	mov 9*8(%rsp), %edi     /* the vector */
	lea 11*8(%rsp), %rsi    /* what iretq takes */
	call trap_interrupt
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rdi
	pop %rsi
	pop %rdx
	pop %rcx
	pop %rax
	add $16, %rsp
	iretq

	.section .note.GNU-stack, "", @progbits
