/* SPDX-License-Identifier: BSD-2-Clause */
/* What switch.S and C share. fibers.c and context.c assert the offsets. */
#ifndef KERNEL_ARCH_HOSTED_OFFSETS_H
#define KERNEL_ARCH_HOSTED_OFFSETS_H

/* Fields of struct hart, as kernel/hart.h numbers them; HART_ERROR as arch.h does. */
#define HART_G 8
#define HART_G0_SP 16
#define HART_LOCKS 24
#define ASM_HART_ERROR 56

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

#endif
