/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the riscv64 port and its boot code share, and nobody else may include. */
#ifndef RISCV64_RISCV64_H
#define RISCV64_RISCV64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>

#include "kernel/hart.h"

/* trap.c, trap.S */

struct trap_frame { /* on the trap stack; only what trap.S says is filled in */
	uint64_t x[31]; /* x[n - 1] is register xn */
	uint64_t unused;
	uint64_t fp, pc; /* a frame record */
};

/* The handler of the platform's interrupt controller; on the trap stack. Set once at boot. */
void trap_set_external(void (*handler)(void));
void trap_entry(void);
void preempt_entry(void);

/* harts.c: points this hart's trap and interrupt CSRs at `hart`, whose trap stack is set up. */
void hart_csrs_init(struct hart *hart);
/* Gives a hart a trap stack with a guard page below it. -1 when memory is out. */
int hart_trap_stack_alloc(struct hart *hart);
noreturn void hart_arrive(void);
void hart_kick_taken(void); /* from the handler of a kick's interrupt */

/* timer.c: from the handler of the timer's interrupt. */
void timer_fired(void);

/* vm.c */
void vm_discover(void); /* which page tables there are; after the device tree is read */
#define TRAP_STACK_SIZE ((size_t)16 << 10)
#define TRAP_STACK_STRIDE ((uintptr_t)64 << 10)
extern uint64_t vm_satp; /* what each hart writes to satp */
/* True when the page that a load or store faulted on is there: what the hart knew was stale. */
bool vm_fault_is_stale(uintptr_t va, bool store);
uintptr_t vm_trap_stack_top(unsigned hart); /* reserved addresses, nothing mapped */
uint64_t vm_table_page(void);               /* from pages_alloc; zeroed; 0 when there is none */

#endif
