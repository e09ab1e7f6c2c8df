/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registers of x86_64, SSE's and the x87's too: see tests/registers.h.
 *
 * @test timeout=60
 */
#include "registers.h"

/* rdi is the seed; the others hold seed + their number, xmmN seed + 100 + N twice; rcx counts. */
__asm__(
	"	.text\n"
	"	.globl	hold_registers\n"
	"	.type	hold_registers, @function\n"
	"hold_registers:\n"
	"	.irp	r, rbx, rbp, r12, r13, r14, r15\n"
	"	push	%\\r\n"
	"	.endr\n"
	"	sub	$24, %rsp\n"
	"	mov	%rsi, %rcx\n"
	"	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
	"	lea	100 + \\n(%rdi), %rax\n"
	"	movq	%rax, %xmm\\n\n"
	"	punpcklqdq %xmm\\n, %xmm\\n\n"
	"	.endr\n"
	"	mov	%edi, %eax\n"        /* rounding control: the seed's low bits */
	"	and	$3, %eax\n"
	"	mov	%eax, %edx\n"
	"	shl	$13, %eax\n"
	"	or	$0x1f80, %eax\n"
	"	mov	%eax, (%rsp)\n"
	"	ldmxcsr	(%rsp)\n"
	"	shl	$10, %edx\n"
	"	or	$0x037f, %edx\n"
	"	mov	%edx, 4(%rsp)\n"
	"	fldcw	4(%rsp)\n"
	"	mov	%rdi, 8(%rsp)\n"
	"	fildq	8(%rsp)\n"
	"	.set	i, 1\n"
	"	.irp	r, rax, rbx, rdx, rsi, rbp, r8, r9, r10, r11, r12, r13, r14, r15\n"
	"	lea	i(%rdi), %\\r\n"
	"	.set	i, i + 1\n"
	"	.endr\n"
	"1:	dec	%rcx\n"
	"	jnz	1b\n"
	"	.set	i, 1\n"
	"	.irp	r, rax, rbx, rdx, rsi, rbp, r8, r9, r10, r11, r12, r13, r14, r15\n"
	"	lea	i(%rdi), %rcx\n"
	"	cmp	%rcx, %\\r\n"
	"	jne	2f\n"
	"	.set	i, i + 1\n"
	"	.endr\n"
	"	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
	"	lea	100 + \\n(%rdi), %rcx\n"
	"	movq	%xmm\\n, %rax\n"
	"	cmp	%rcx, %rax\n"
	"	jne	2f\n"
	"	psrldq	$8, %xmm\\n\n"
	"	movq	%xmm\\n, %rax\n"
	"	cmp	%rcx, %rax\n"
	"	jne	2f\n"
	"	.endr\n"
	"	lea	200(%rdi), %rcx\n"
	"	stmxcsr	8(%rsp)\n"
	"	mov	8(%rsp), %eax\n"
	"	and	$0xffc0, %eax\n"     /* without the sticky flags */
	"	cmp	(%rsp), %eax\n"
	"	jne	2f\n"
	"	lea	201(%rdi), %rcx\n"
	"	fnstcw	8(%rsp)\n"
	"	movzwl	8(%rsp), %eax\n"
	"	cmp	4(%rsp), %eax\n"
	"	jne	2f\n"
	"	lea	202(%rdi), %rcx\n"
	"	fistpq	8(%rsp)\n"
	"	cmp	8(%rsp), %rdi\n"
	"	jne	2f\n"
	"	mov	%rdi, %rcx\n"
	"2:	sub	%rdi, %rcx\n"
	"	mov	%rcx, %rax\n"
	"	fninit\n"
	"	movl	$0x1f80, (%rsp)\n"
	"	ldmxcsr	(%rsp)\n"
	"	add	$24, %rsp\n"
	"	.irp	r, r15, r14, r13, r12, rbp, rbx\n"
	"	pop	%\\r\n"
	"	.endr\n"
	"	ret\n"
	"	.size	hold_registers, . - hold_registers\n");

/*
 * Its low bit is SSE's, the high one the x87's: they are two words in a context, and either may be
 * the one that differs.
 */
static void set_rounding(unsigned mode)
{
	unsigned mxcsr = 0x1f80 | (mode & 1) << 13;
	uint16_t cw = (uint16_t)(0x37f | (mode & 2) << 9);
	__asm__ volatile("ldmxcsr %0\n\tfldcw %1" ::"m"(mxcsr), "m"(cw) : "memory");
}

static unsigned get_rounding(void)
{
	unsigned mxcsr;
	uint16_t cw;
	__asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(mxcsr), "=m"(cw)::"memory");
	return (mxcsr >> 13 & 3) | (cw >> 10 & 3) << 1;
}
