/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first instructions, in S-mode, without page tables, interrupts off.
 *
 * Firmware enters _start on one hart, any of them, with its mhartid in a0 and the device tree's
 * address in a1. The other harts wait in firmware until arch_harts_start() has them enter
 * hart_entry.
 */
#include "csr.h"
#include "offsets.h"

#define BOOT_STACK_SIZE 16384
#define BOOT_TRAP_STACK_SIZE 8192

	.section .text.entry, "ax", @progbits
	.globl	_start
	.type	_start, @function
_start:
	csrw	sie, zero
	csrw	satp, zero
	la	t0, __bss_start
	la	t1, __bss_end
1:	bgeu	t0, t1, 2f
	sd	zero, (t0)
	addi	t0, t0, 8
	j	1b

	/* From here on a trap is reported. FP is on, and its word says so: see switch.S. */
2:	la	tp, boot_hart_early
	la	t0, boot_trap_stack_top
	sd	t0, HART_TRAP_SP(tp)
	li	t0, 1
	sd	t0, HART_FP(tp)
	csrw	sscratch, tp
	la	t0, trap_entry
	csrw	stvec, t0
	li	t0, SSTATUS_FS
	csrs	sstatus, t0
	fscsr	zero
	la	sp, boot_stack_top
	li	s0, 0
	call	boot_main
	ebreak
	.size	_start, . - _start

/* Firmware starts a hart with a1 = its block, which is complete; no page tables yet. */
	.text
	.globl	hart_entry
	.type	hart_entry, @function
	.balign	4
hart_entry:
	fence	rw, rw			/* pairs with the fence in start(), harts.c */
	csrw	sie, zero
	mv	tp, a1
	csrw	sscratch, tp
	la	t0, trap_entry
	csrw	stvec, t0
	la	t0, vm_satp
	ld	t0, (t0)
	sfence.vma
	csrw	satp, t0
	sfence.vma
	/* fcsr 0, FP off, as the block says. */
	li	t0, SSTATUS_FS
	csrs	sstatus, t0
	fscsr	zero
	csrc	sstatus, t0
	ld	sp, HART_G0_SP(tp)
	li	s0, 0
	call	hart_arrive
	ebreak
	.size	hart_entry, . - hart_entry

	.section .bss.boot_stack, "aw", @nobits
	.balign	16
	.skip	BOOT_STACK_SIZE
boot_stack_top:
	.skip	BOOT_TRAP_STACK_SIZE
boot_trap_stack_top:
