/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way into a trap and out of it, and the call that a preempted G did not write.
 *
 * Every trap comes from S-mode. sscratch holds the address of the hart's block, so that a trap is
 * handled right even when the interrupted code broke tp or sp. Interrupts stay off in a handler,
 * which must not trap: a trap within a trap is reported and ends the machine.
 *
 * A handler runs with FP off, so that a use of FP registers there is caught. Callee-saved
 * registers are left to the C code; they are stored only for the report of an unexpected trap.
 */
#include "csr.h"
#include "offsets.h"

	.text
	.globl	trap_entry
	.type	trap_entry, @function
	.balign	16
trap_entry:
	csrr	tp, sscratch
	sd	sp, HART_INTERRUPTED_SP(tp)
	lw	sp, HART_IN_TRAP(tp)
	bnez	sp, trap_within_trap
	addi	sp, sp, 1
	sw	sp, HART_IN_TRAP(tp)
	ld	sp, HART_TRAP_SP(tp)
	addi	sp, sp, -TRAP_FRAME_SIZE
	sd	ra, TRAP_X(1)(sp)
	sd	t0, TRAP_X(5)(sp)
	sd	t1, TRAP_X(6)(sp)
	sd	t2, TRAP_X(7)(sp)
	sd	s0, TRAP_X(8)(sp)
	sd	a0, TRAP_X(10)(sp)
	sd	a1, TRAP_X(11)(sp)
	sd	a2, TRAP_X(12)(sp)
	sd	a3, TRAP_X(13)(sp)
	sd	a4, TRAP_X(14)(sp)
	sd	a5, TRAP_X(15)(sp)
	sd	a6, TRAP_X(16)(sp)
	sd	a7, TRAP_X(17)(sp)
	sd	t3, TRAP_X(28)(sp)
	sd	t4, TRAP_X(29)(sp)
	sd	t5, TRAP_X(30)(sp)
	sd	t6, TRAP_X(31)(sp)
	ld	t0, HART_INTERRUPTED_SP(tp)
	sd	t0, TRAP_X(2)(sp)
	/* A frame record: a backtrace of the handler goes on in the interrupted code. */
	csrr	t0, sepc
	sd	t0, TRAP_FRAME_PC(sp)
	sd	s0, TRAP_FRAME_FP(sp)
	addi	s0, sp, TRAP_FRAME_SIZE
	ld	t0, HART_FP(tp)
	beqz	t0, 1f
	li	t0, SSTATUS_FS
	csrc	sstatus, t0
1:	mv	a0, sp
	csrr	a1, scause
	call	trap_handle
	beqz	a0, trap_unhandled

	/* trap_handle() may have turned FP on, and may have changed sepc and SPIE. */
	ld	t0, HART_FP(tp)
	beqz	t0, 2f
	li	t0, SSTATUS_FS
	csrs	sstatus, t0
2:	ld	ra, TRAP_X(1)(sp)
	ld	t0, TRAP_X(5)(sp)
	ld	t1, TRAP_X(6)(sp)
	ld	t2, TRAP_X(7)(sp)
	ld	s0, TRAP_X(8)(sp)
	ld	a0, TRAP_X(10)(sp)
	ld	a1, TRAP_X(11)(sp)
	ld	a2, TRAP_X(12)(sp)
	ld	a3, TRAP_X(13)(sp)
	ld	a4, TRAP_X(14)(sp)
	ld	a5, TRAP_X(15)(sp)
	ld	a6, TRAP_X(16)(sp)
	ld	a7, TRAP_X(17)(sp)
	ld	t3, TRAP_X(28)(sp)
	ld	t4, TRAP_X(29)(sp)
	ld	t5, TRAP_X(30)(sp)
	ld	t6, TRAP_X(31)(sp)
	sw	zero, HART_IN_TRAP(tp)
	ld	sp, TRAP_X(2)(sp)
	sret

trap_unhandled:
	sd	gp, TRAP_X(3)(sp)
	sd	tp, TRAP_X(4)(sp)
	sd	s1, TRAP_X(9)(sp)
	sd	s2, TRAP_X(18)(sp)
	sd	s3, TRAP_X(19)(sp)
	sd	s4, TRAP_X(20)(sp)
	sd	s5, TRAP_X(21)(sp)
	sd	s6, TRAP_X(22)(sp)
	sd	s7, TRAP_X(23)(sp)
	sd	s8, TRAP_X(24)(sp)
	sd	s9, TRAP_X(25)(sp)
	sd	s10, TRAP_X(26)(sp)
	sd	s11, TRAP_X(27)(sp)
	mv	a0, sp
	csrr	a1, scause
	csrr	a2, stval
	call	trap_report_and_end

	/* sp is in_trap. The stack starts anew: nobody returns to the handler that failed. */
trap_within_trap:
	addi	sp, sp, 1
	sw	sp, HART_IN_TRAP(tp)
	mv	a0, sp
	csrr	a1, scause
	csrr	a2, sepc
	csrr	a3, stval
	ld	sp, HART_TRAP_SP(tp)
	li	s0, 0
	call	trap_nested
	.size	trap_entry, . - trap_entry

/*
 * The trap of a preemption returns to here instead of to the interrupted pc, on the G's own stack,
 * with every register as it was, interrupts off, and the pc in the hart's block. The stack may
 * need a page: the fault is handled as anywhere else.
 */
	.globl	preempt_entry
	.type	preempt_entry, @function
	.balign	16
preempt_entry:
	addi	sp, sp, -PREEMPT_SIZE
	sd	t0, PREEMPT_T0(sp)
	sd	s0, PREEMPT_FRAME_FP(sp)
	ld	t0, HART_PREEMPT_PC(tp)
	sd	t0, PREEMPT_FRAME_PC(sp)
	addi	s0, sp, PREEMPT_SIZE
	sd	ra, PREEMPT_RA(sp)
	ld	t0, HART_FP(tp)
	/* The pc is safe: from here on this is a call like any other, preemptible too. */
	csrsi	sstatus, SSTATUS_SIE
	sd	t1, PREEMPT_T1(sp)
	sd	t2, PREEMPT_T1+8(sp)
	sd	a0, PREEMPT_A0(sp)
	sd	a1, PREEMPT_A0+8(sp)
	sd	a2, PREEMPT_A0+16(sp)
	sd	a3, PREEMPT_A0+24(sp)
	sd	a4, PREEMPT_A0+32(sp)
	sd	a5, PREEMPT_A0+40(sp)
	sd	a6, PREEMPT_A0+48(sp)
	sd	a7, PREEMPT_A0+56(sp)
	sd	t3, PREEMPT_T3(sp)
	sd	t4, PREEMPT_T3+8(sp)
	sd	t5, PREEMPT_T3+16(sp)
	sd	t6, PREEMPT_T3+24(sp)
	sd	t0, PREEMPT_FP(sp)
	beqz	t0, 1f
	frcsr	t0
	sd	t0, PREEMPT_FCSR(sp)
	fsd	ft0, PREEMPT_FT0(sp)
	fsd	ft1, PREEMPT_FT0+8(sp)
	fsd	ft2, PREEMPT_FT0+16(sp)
	fsd	ft3, PREEMPT_FT0+24(sp)
	fsd	ft4, PREEMPT_FT0+32(sp)
	fsd	ft5, PREEMPT_FT0+40(sp)
	fsd	ft6, PREEMPT_FT0+48(sp)
	fsd	ft7, PREEMPT_FT0+56(sp)
	fsd	fa0, PREEMPT_FA0(sp)
	fsd	fa1, PREEMPT_FA0+8(sp)
	fsd	fa2, PREEMPT_FA0+16(sp)
	fsd	fa3, PREEMPT_FA0+24(sp)
	fsd	fa4, PREEMPT_FA0+32(sp)
	fsd	fa5, PREEMPT_FA0+40(sp)
	fsd	fa6, PREEMPT_FA0+48(sp)
	fsd	fa7, PREEMPT_FA0+56(sp)
	fsd	ft8, PREEMPT_FT8(sp)
	fsd	ft9, PREEMPT_FT8+8(sp)
	fsd	ft10, PREEMPT_FT8+16(sp)
	fsd	ft11, PREEMPT_FT8+24(sp)
1:	call	sched_preempt			/* may return on another hart */
	ld	t0, PREEMPT_FP(sp)
	beqz	t0, 2f
	fld	ft0, PREEMPT_FT0(sp)
	fld	ft1, PREEMPT_FT0+8(sp)
	fld	ft2, PREEMPT_FT0+16(sp)
	fld	ft3, PREEMPT_FT0+24(sp)
	fld	ft4, PREEMPT_FT0+32(sp)
	fld	ft5, PREEMPT_FT0+40(sp)
	fld	ft6, PREEMPT_FT0+48(sp)
	fld	ft7, PREEMPT_FT0+56(sp)
	fld	fa0, PREEMPT_FA0(sp)
	fld	fa1, PREEMPT_FA0+8(sp)
	fld	fa2, PREEMPT_FA0+16(sp)
	fld	fa3, PREEMPT_FA0+24(sp)
	fld	fa4, PREEMPT_FA0+32(sp)
	fld	fa5, PREEMPT_FA0+40(sp)
	fld	fa6, PREEMPT_FA0+48(sp)
	fld	fa7, PREEMPT_FA0+56(sp)
	fld	ft8, PREEMPT_FT8(sp)
	fld	ft9, PREEMPT_FT8+8(sp)
	fld	ft10, PREEMPT_FT8+16(sp)
	fld	ft11, PREEMPT_FT8+24(sp)
	ld	t0, PREEMPT_FCSR(sp)
	fscsr	t0
2:	ld	t1, PREEMPT_T1(sp)
	ld	t2, PREEMPT_T1+8(sp)
	ld	a0, PREEMPT_A0(sp)
	ld	a1, PREEMPT_A0+8(sp)
	ld	a2, PREEMPT_A0+16(sp)
	ld	a3, PREEMPT_A0+24(sp)
	ld	a4, PREEMPT_A0+32(sp)
	ld	a5, PREEMPT_A0+40(sp)
	ld	a6, PREEMPT_A0+48(sp)
	ld	a7, PREEMPT_A0+56(sp)
	ld	t3, PREEMPT_T3(sp)
	ld	t4, PREEMPT_T3+8(sp)
	ld	t5, PREEMPT_T3+16(sp)
	ld	t6, PREEMPT_T3+24(sp)
	/*
	 * No trap may come between the write of sepc and sret. A load from the stack might: a cycle of
	 * kernel/trim.c that took this G for one that waits hides its pages, and the flush that follows is
	 * firmware's, which an S-mode hart cannot keep off. So t0 goes over the hart's block.
	 */
	csrci	sstatus, SSTATUS_SIE
	ld	t0, PREEMPT_T0(sp)
	sd	t0, HART_PREEMPT_T0(tp)
	ld	ra, PREEMPT_RA(sp)
	ld	t0, PREEMPT_FRAME_PC(sp)
	ld	s0, PREEMPT_FRAME_FP(sp)
	csrw	sepc, t0
	li	t0, SSTATUS_SPP | SSTATUS_SPIE
	csrs	sstatus, t0
	ld	t0, HART_PREEMPT_T0(tp)
	addi	sp, sp, PREEMPT_SIZE
	sret
	.size	preempt_entry, . - preempt_entry
