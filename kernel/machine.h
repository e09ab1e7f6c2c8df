/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What was found: the one description of the machine that boot code fills in (from the
 * device tree, from PVH's start_info, ACPI, the MP table and microvm's command line) and
 * everything later reads. Nothing in it is assumed; what was not found is 0 or absent.
 * Written on the boot hart before the others start, read-only afterwards.
 */
#ifndef KERNEL_MACHINE_H
#define KERNEL_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/hart.h"

#define MACHINE_RANGES 32
#define MACHINE_VIRTIO 32

struct machine_range {
	uint64_t base, size;
};

struct machine_owned {
	uint64_t base, size;
	const char *owner; /* for the memory map: memory.c */
};

struct machine_virtio { /* one virtio-mmio transport, empty or not */
	uint64_t base;
	uint64_t size;
	unsigned irq; /* for irq_attach() */
};

struct machine {
	struct machine_range memory[MACHINE_RANGES]; /* usable RAM: firmware, image, tables left out */
	unsigned memory_count;
	struct machine_range ram[MACHINE_RANGES];    /* all of it; may overlap */
	unsigned ram_count;
	struct machine_owned owned[MACHINE_RANGES];  /* what was left out of `memory` */
	unsigned owned_count;
	unsigned hart_count;                         /* 1 .. HARTS_MAX; the boot hart is index 0 */
	uint32_t hart_hwid[HARTS_MAX];
	char *cmdline;                               /* NUL-terminated, in memory that stays; "" when none */
	struct machine_virtio virtio[MACHINE_VIRTIO];
	unsigned virtio_count;
	struct machine_range pci_ecam;               /* size 0: no PCI */
	struct machine_range pci_mmio32, pci_mmio64; /* windows for BARs that nobody assigned */
	unsigned pci_bus_first, pci_bus_last;
	uint64_t random_seed[4];                     /* from /chosen/rng-seed, RDRAND, or the clock */
};

extern struct machine machine;

/*
 * Adds RAM; then takes a range out of it (splitting what it cuts). Too many ranges: the smallest is dropped.
 */
void machine_add_memory(uint64_t base, uint64_t size);
void machine_reserve(uint64_t base, uint64_t size, const char *owner);
/* RAM that is nobody's to use: only so that the memory map knows it. */
void machine_add_ram(uint64_t base, uint64_t size);
#define OWNER_TABLES "page tables" /* of machine_reserve(), and of the pages that are */

/*
 * Boot order (boot/boot.c calls these; each architecture implements them in boot/ARCH/ and
 * kernel/arch/ARCH/). All on the boot hart, interrupts off, until arch_harts_start().
 */

/* From the entry code, on the boot stack, bss cleared, tp/gs set to &boot_hart_early: firmware's
   arguments in the architecture's own form. */
extern struct hart boot_hart_early;
void boot_main(uintptr_t a0, uintptr_t a1);

void arch_console_early(void);              /* a console that works before anything is known */
void arch_discover(uintptr_t a0, uintptr_t a1); /* fills in `machine` */
void arch_vm_init(void);                    /* page tables (from pages_alloc), switched on for this hart */
void arch_hart_install(struct hart *hart);  /* tp/gs, trap vectors and trap stacks, on the calling hart */
void arch_clock_init(void);                 /* hart_now() works from here on */
void arch_irq_init(void);                   /* interrupt controllers: irq_attach() works from here on */
/*
 * Starts every other hart; each switches its page tables on, installs itself, goes to its g0
 * stack and calls sched_hart_start() with locks == 1. Does not wait for them longer than
 * needed; a hart that does not come is reported. On hart 0's g0 stack.
 */
void arch_harts_start(void);

noreturn void arch_poweroff(int status);    /* never returns; locks and heap may be in any state */
noreturn void arch_halt(void);              /* this hart stops for good, interrupts off */

#endif
