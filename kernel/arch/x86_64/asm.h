/* SPDX-License-Identifier: BSD-2-Clause */
/* What assembly and C share. install.c asserts the offsets. */
#ifndef KERNEL_ARCH_X86_64_ASM_H
#define KERNEL_ARCH_X86_64_ASM_H

/* Fields of struct hart, as kernel/hart.h numbers them. */
#define HART_G 8
#define HART_G0_SP 16
#define HART_STACK_OWNER 16
#define HART_LOCKS 24
#define HART_PREEMPT 28

/* Selectors in every GDT of ours. */
#define CODE_SELECTOR 0x08
#define DATA_SELECTOR 0x10
#define TSS_SELECTOR 0x20

/* Interrupt vectors. Up to 31 the CPU defines them. */
#define VECTOR_DEVICE 0x20      /* first of those that irq_attach() gives out */
#define VECTOR_DEVICE_END 0x70
#define VECTOR_TIMER 0x70
#define VECTOR_KICK 0x71
#define VECTOR_FLUSH 0x72
#define VECTOR_SPURIOUS 0x7f    /* its low four bits must be set on old APICs */
#define VECTOR_COUNT 0x80

#endif
