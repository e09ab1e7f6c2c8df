/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Offsets and frame layouts that assembly and C share. kernel/hart.h fixes the first ones; harts.c
 * and trap.c assert that all of them are true.
 */
#ifndef RISCV64_OFFSETS_H
#define RISCV64_OFFSETS_H

#ifdef __ASSEMBLER__
#define HARTS_MAX 16
#define HART_SELF 0
#define HART_G 8
#define HART_G0_SP 16
#define HART_LOCKS 24
#define HART_PREEMPT 28
#define HART_ARCH 64
#define HART_STACK_OWNER 16
#endif
#define HART_IN_TRAP 44
#define HART_TRAP_SP (HART_ARCH + 0)
#define HART_FP (HART_ARCH + 8)
#define HART_INTERRUPTED_SP (HART_ARCH + 16)
#define HART_PREEMPT_PC (HART_ARCH + 24)
#define HART_FCSR (HART_ARCH + 32)
#define HART_PREEMPT_T0 (HART_ARCH + 40)

/* An entry of hart_starts: harts.c, boot/riscv64/entry.S. */
#define HART_START_HWID 0
#define HART_START_HART 8
#define HART_START_SIZE 16

/* What hart_mcall leaves on a G's stack; its address is the saved sp. */
#define CONTEXT_FP 0 /* 1: a CONTEXT_FP_SIZE block of FP registers follows the frame */
#define CONTEXT_RA 8
#define CONTEXT_S0 16 /* s0 to s11 */
#define CONTEXT_SIZE 112
#define CONTEXT_FCSR CONTEXT_SIZE
#define CONTEXT_FS0 (CONTEXT_SIZE + 8) /* fs0 to fs11 */
#define CONTEXT_FP_SIZE 112

/* What trap_entry leaves on the trap stack: x1 to x31, then a frame record for backtraces. */
#define TRAP_X(n) (((n) - 1) * 8)
#define TRAP_FRAME_FP 256
#define TRAP_FRAME_PC 264
#define TRAP_FRAME_SIZE 272

/* What preempt_entry leaves on a G's stack: caller-saved registers, FP, a frame record. */
#define PREEMPT_RA 0
#define PREEMPT_T0 8
#define PREEMPT_T1 16    /* t1 and t2 */
#define PREEMPT_A0 32    /* a0 to a7 */
#define PREEMPT_T3 96    /* t3 to t6 */
#define PREEMPT_FP 128   /* 0: the FP part was not written */
#define PREEMPT_FCSR 136
#define PREEMPT_FT0 144  /* ft0 to ft7 */
#define PREEMPT_FA0 208  /* fa0 to fa7 */
#define PREEMPT_FT8 272  /* ft8 to ft11 */
#define PREEMPT_FRAME_FP 304
#define PREEMPT_FRAME_PC 312
#define PREEMPT_SIZE 320

#endif
