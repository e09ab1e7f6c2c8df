/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this port and its boot code tell each other. */
#ifndef KERNEL_ARCH_X86_64_X86_H
#define KERNEL_ARCH_X86_64_X86_H

#include "kernel/hart.h"
#include "kernel/irq.h"
#include "kernel/machine.h"

/* install.c */
void cpu_install_early(void);  /* the boot hart as boot_hart_early: first thing of all */
void cpu_install(struct hart *hart); /* gs, GDT, TSS, IDT; the trap stacks in the TSS are set */
void cpu_features_on(void);    /* FP state, write protection of read-only pages */
void cpu_trap_stacks(struct hart *hart); /* the two halves of arch_hart_install(): on any hart, */
void cpu_hart_install(struct hart *hart); /* and on its own */

/* trap.c, vectors.S */
extern char trap_vectors[]; /* VECTOR_COUNT stubs of TRAP_STUB_SIZE bytes */
/* A free device vector whose interrupts call handler(arg), or -1; one vector may have several handlers. */
int vector_alloc(void);
int vector_attach(int vector, irq_handler *handler, void *arg);

/* switch.S */
void preempt_entry(void);
extern uint64_t fpu_mask;      /* of XSAVE; 0: the CPU has FXSAVE only */
extern uint64_t fpu_area_size; /* bytes, a multiple of 64 */

/* vm.c */
extern uint64_t vm_root; /* the page tables of all harts, once vm_build() has made them */
/*
 * RAM as the firmware reported it: maps it, and the image in it; switches over. Takes pages for
 * tables behind the image.
 */
void vm_build(const struct machine_range *ram, unsigned count);
/* The trap stacks of a hart, with a guard page below each, by index IST_x - 1. False: no memory. */
bool vm_trap_stacks(unsigned id, uint64_t top[IST_COUNT]);

/* lapic.c */
void lapic_install(void);     /* enables the calling hart's local APIC; masks the 8259s the first time */
void lapic_eoi(void);
void lapic_timer(uint32_t count); /* one-shot, at divide 1; 0 stops it */
uint32_t lapic_timer_left(void);
void lapic_init_ipi(uint32_t id);
void lapic_startup_ipi(uint32_t id, uint8_t page);
void lapic_flush_ipi(uint32_t id);

/* clock.c */
bool clock_timer_interrupt(void);   /* the deadline has passed; else the alarm is set again */
void clock_wait_us(unsigned us);  /* busy; after arch_clock_init() */

#endif
