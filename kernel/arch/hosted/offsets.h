/* SPDX-License-Identifier: BSD-2-Clause */
/* What switch.S and C share. fibers.c and context.c assert the offsets. */
#ifndef KERNEL_ARCH_HOSTED_OFFSETS_H
#define KERNEL_ARCH_HOSTED_OFFSETS_H

/* Fields of struct hart, as kernel/hart.h numbers them; HART_ERROR as arch.h does. */
#define HART_G 8
#define HART_G0_SP 16
#define HART_LOCKS 24
#define HART_STACK_OWNER 16
#define ASM_HART_ERROR 64

#endif
