/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first instructions, in S-mode, without page tables, interrupts off.
 *
 * Firmware enters _start on one hart, any of them, with its mhartid in a0 and the device tree's
 * address in a1. The other harts wait in firmware until arch_harts_start() has them enter
 * hart_entry.
 *
 * Some versions of OpenSBI, 1.1 among them, mark a hart as to be started before they note where.
 * A hart that is just then on its way into firmware's waiting loop enters _start instead, or
 * hart_entry with the device tree's address. So both places serve for every hart but the first,
 * and a hart looks itself up by its mhartid, which is always right.
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
	li	t0, SSTATUS_VS		/* nobody saves vector registers: whoever uses one is to be told */
	csrc	sstatus, t0
	la	t0, boot_taken
	li	t1, 1
	amoswap.w.aq t1, t1, (t0)
	bnez	t1, hart_entry
	la	t0, __bss_start
	la	t1, __bss_end
1:	bgeu	t0, t1, 2f
	sd	zero, (t0)
	addi	t0, t0, 8
	j	1b

	/* FP is on, and its word says so: see switch.S. A hart without it is turned away by devicetree.c. */
2:	la	tp, boot_hart_early
	li	t0, 1
	sd	t0, HART_FP(tp)
	la	t0, 3f
	csrw	stvec, t0
	li	t0, SSTATUS_FS
	csrs	sstatus, t0
	fscsr	zero

	/* From here on a trap is reported. */
	.balign	4
3:	la	t0, boot_trap_stack_top
	sd	t0, HART_TRAP_SP(tp)
	csrw	sscratch, tp
	la	t0, trap_entry
	csrw	stvec, t0
	la	sp, boot_stack_top
	li	s0, 0
	call	boot_main
	ebreak
	.size	_start, . - _start

	/* Waits until arch_harts_start() has listed this hart. */
	.globl	hart_entry
	.type	hart_entry, @function
	.balign	4
hart_entry:
	csrw	sie, zero
	li	t0, SSTATUS_VS		/* as above */
	csrc	sstatus, t0
	la	t0, hart_starts
	li	t1, HARTS_MAX
1:	ld	tp, HART_START_HART(t0)
	beqz	tp, 2f
	fence	r, rw			/* pairs with the release in start(), harts.c */
	ld	t2, HART_START_HWID(t0)
	beq	t2, a0, 3f
2:	addi	t0, t0, HART_START_SIZE
	addi	t1, t1, -1
	bnez	t1, 1b
	.4byte	0x0100000f		/* pause */
	j	hart_entry

	/* The block is complete; no page tables yet. */
3:	csrw	sscratch, tp
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

	.section .data.boot_taken, "aw", @progbits
	.balign	4
boot_taken:
	.word	0			/* not in bss: it is used before that is cleared */

	.section .bss.boot_stack, "aw", @nobits
	.balign	16
	.skip	BOOT_STACK_SIZE
boot_stack_top:
	.skip	BOOT_TRAP_STACK_SIZE
boot_trap_stack_top:
