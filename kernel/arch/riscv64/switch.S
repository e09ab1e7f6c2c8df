/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The switch: hart_mcall saves, hart_gogo restores, so that G to scheduler to G is one of each. hart_switch
 * is both, for a G that knows who comes next.
 *
 * FP registers follow their user. A G starts with FP off; its first FP instruction traps, trap.c
 * turns FP on and sets the hart's `fp` word, and from then on the G's context carries fs0-fs11
 * and fcsr. So `fp` always says whether FP is on and whose registers are live, and a G that
 * computes with integers pays two loads and two branches and reads no CSR. The scheduler does not
 * use FP, so between two Gs fcsr keeps its value, and is written only where the next G's differs.
 */
#include "csr.h"
#include "offsets.h"

/* The two parts of a context, at sp. The integer part lies below the FP part. t0: the hart's fp word. */
	.macro save_integers
	addi	sp, sp, -CONTEXT_SIZE
	sd	t0, CONTEXT_FP(sp)
	sd	ra, CONTEXT_RA(sp)
	sd	s0, CONTEXT_S0(sp)
	sd	s1, CONTEXT_S0+8(sp)
	sd	s2, CONTEXT_S0+16(sp)
	sd	s3, CONTEXT_S0+24(sp)
	sd	s4, CONTEXT_S0+32(sp)
	sd	s5, CONTEXT_S0+40(sp)
	sd	s6, CONTEXT_S0+48(sp)
	sd	s7, CONTEXT_S0+56(sp)
	sd	s8, CONTEXT_S0+64(sp)
	sd	s9, CONTEXT_S0+72(sp)
	sd	s10, CONTEXT_S0+80(sp)
	sd	s11, CONTEXT_S0+88(sp)
	.endm

	.macro save_fp
	addi	sp, sp, -CONTEXT_FP_SIZE
	frcsr	t1
	sd	t1, CONTEXT_FCSR-CONTEXT_SIZE(sp)
	sd	t1, HART_FCSR(tp)
	fsd	fs0, CONTEXT_FS0-CONTEXT_SIZE(sp)
	fsd	fs1, CONTEXT_FS0-CONTEXT_SIZE+8(sp)
	fsd	fs2, CONTEXT_FS0-CONTEXT_SIZE+16(sp)
	fsd	fs3, CONTEXT_FS0-CONTEXT_SIZE+24(sp)
	fsd	fs4, CONTEXT_FS0-CONTEXT_SIZE+32(sp)
	fsd	fs5, CONTEXT_FS0-CONTEXT_SIZE+40(sp)
	fsd	fs6, CONTEXT_FS0-CONTEXT_SIZE+48(sp)
	fsd	fs7, CONTEXT_FS0-CONTEXT_SIZE+56(sp)
	fsd	fs8, CONTEXT_FS0-CONTEXT_SIZE+64(sp)
	fsd	fs9, CONTEXT_FS0-CONTEXT_SIZE+72(sp)
	fsd	fs10, CONTEXT_FS0-CONTEXT_SIZE+80(sp)
	fsd	fs11, CONTEXT_FS0-CONTEXT_SIZE+88(sp)
	.endm

	.macro restore_integers
	ld	ra, CONTEXT_RA(sp)
	ld	s0, CONTEXT_S0(sp)
	ld	s1, CONTEXT_S0+8(sp)
	ld	s2, CONTEXT_S0+16(sp)
	ld	s3, CONTEXT_S0+24(sp)
	ld	s4, CONTEXT_S0+32(sp)
	ld	s5, CONTEXT_S0+40(sp)
	ld	s6, CONTEXT_S0+48(sp)
	ld	s7, CONTEXT_S0+56(sp)
	ld	s8, CONTEXT_S0+64(sp)
	ld	s9, CONTEXT_S0+72(sp)
	ld	s10, CONTEXT_S0+80(sp)
	ld	s11, CONTEXT_S0+88(sp)
	.endm

	.macro restore_fp
	fld	fs0, CONTEXT_FS0(sp)
	fld	fs1, CONTEXT_FS0+8(sp)
	fld	fs2, CONTEXT_FS0+16(sp)
	fld	fs3, CONTEXT_FS0+24(sp)
	fld	fs4, CONTEXT_FS0+32(sp)
	fld	fs5, CONTEXT_FS0+40(sp)
	fld	fs6, CONTEXT_FS0+48(sp)
	fld	fs7, CONTEXT_FS0+56(sp)
	fld	fs8, CONTEXT_FS0+64(sp)
	fld	fs9, CONTEXT_FS0+72(sp)
	fld	fs10, CONTEXT_FS0+80(sp)
	fld	fs11, CONTEXT_FS0+88(sp)
	.endm

	.text

/* void hart_mcall(uintptr_t *sp, void (*fn)(void *), void *arg) */
	.globl	hart_mcall
	.type	hart_mcall, @function
	.balign	16
hart_mcall:
	ld	t0, HART_FP(tp)
	bnez	t0, 2f
1:	save_integers
	sd	sp, (a0)
	ld	sp, HART_G0_SP(tp)
	li	s0, 0			/* a backtrace of the scheduler ends here */
	mv	a0, a2
	jalr	a1
	ebreak				/* fn returned */

2:	save_fp
	j	1b
	.size	hart_mcall, . - hart_mcall

/* void hart_gogo(uintptr_t sp) */
	.globl	hart_gogo
	.type	hart_gogo, @function
	.balign	16
hart_gogo:
	ld	t0, HART_FP(tp)
	beqz	t0, 1f
	frcsr	t1			/* hart_mcall has done that, but who ends comes without it */
	sd	t1, HART_FCSR(tp)
1:	mv	sp, a0
	j	resume
	.size	hart_gogo, . - hart_gogo

/* void hart_switch(uintptr_t *sp, uintptr_t to, void *g, _Atomic(uint32_t) *word, uint32_t value) */
	.globl	hart_switch
	.type	hart_switch, @function
	.balign	16
hart_switch:
	ld	t0, HART_FP(tp)
	bnez	t0, 2f
1:	save_integers
	sd	sp, (a0)
	mv	sp, a1
	sd	a2, HART_G(tp)
	fence	rw, w			/* release: another hart may run the old G from the store on */
	sw	a4, (a3)
resume:
	ld	t0, CONTEXT_FP(sp)
	ld	t1, HART_FP(tp)
	or	t2, t0, t1
	bnez	t2, 3f
resume_integers:
	restore_integers
	addi	sp, sp, CONTEXT_SIZE
	ret

2:	save_fp
	j	1b

	/* Either of the two Gs has used FP: t0, the one that resumes; t1, the one before. */
3:	beqz	t0, 6f
	bnez	t1, 4f
	/* The word first, here and at 6: a trap's end turns FP on if the word says so. */
	sd	t0, HART_FP(tp)
	li	t1, SSTATUS_FS
	csrs	sstatus, t1
4:	ld	t1, CONTEXT_FCSR(sp)
	ld	t2, HART_FCSR(tp)
	beq	t1, t2, 5f
	fscsr	t1
5:	restore_fp
	restore_integers
	addi	sp, sp, CONTEXT_SIZE+CONTEXT_FP_SIZE
	ret

6:	sd	zero, HART_FP(tp)
	li	t1, SSTATUS_FS
	csrc	sstatus, t1
	j	resume_integers
	.size	hart_switch, . - hart_switch

/* void hart_restart(uintptr_t top, void (*entry)(void)) */
	.globl	hart_restart
	.type	hart_restart, @function
	.balign	16
hart_restart:
	ld	t0, HART_FP(tp)
	bnez	t0, 2f
1:	addi	sp, a0, -HART_STACK_OWNER
	li	s0, 0
	jalr	a1
	ebreak				/* entry() returned */

2:	frcsr	t1
	sd	t1, HART_FCSR(tp)
	sd	zero, HART_FP(tp)	/* the word first: see above */
	li	t1, SSTATUS_FS
	csrc	sstatus, t1
	j	1b
	.size	hart_restart, . - hart_restart

/* Where a fresh context starts: s1 is its function. The frame chain ends here. */
	.globl	hart_context_start
	.type	hart_context_start, @function
	.balign	16
hart_context_start:
	jalr	s1
	ebreak				/* entry() returned */
	.size	hart_context_start, . - hart_context_start
