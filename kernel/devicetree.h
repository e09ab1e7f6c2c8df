/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the device tree says beyond `struct machine`: what only a machine that has one needs.
 * Written once at boot, read-only afterwards. What was not found is 0.
 */
#ifndef KERNEL_DEVICETREE_H
#define KERNEL_DEVICETREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>

#include "kernel/machine.h"

#define DEVICETREE_DEVICES (MACHINE_VIRTIO + 4)

struct devicetree_uart { /* a 16550; base 0: none */
	uint64_t base, size;
	unsigned shift, width; /* registers 1 << shift bytes apart, `width` bytes wide */
};

struct devicetree_plic { /* base 0: none */
	uint64_t base, size;
	unsigned sources;          /* 1 .. sources are interrupts */
	int context[HARTS_MAX];    /* of each hart's S-mode; -1: none */
};

struct devicetree {
	uint64_t timebase;         /* ticks of the clock in a second */
	unsigned mmu_levels;       /* page table levels of the weakest hart */
	bool sstc;                 /* every hart has stimecmp */
	uint64_t test_device;      /* the finisher; 0: none */
	struct devicetree_uart uart;
	struct devicetree_plic plic;
	struct machine_range ram[MACHINE_RANGES];      /* all of it */
	unsigned ram_count;
	struct machine_range firmware[MACHINE_RANGES]; /* reserved by firmware: not to be mapped */
	unsigned firmware_count;
	struct machine_range device[DEVICETREE_DEVICES]; /* registers to map */
	unsigned device_count;
};

extern struct devicetree devicetree;

/* Reads the tree at `tree` into `machine` and `devicetree`. Does not return if it is unusable. */
void devicetree_read(const void *tree, uint32_t boot_hwid);

/* One line that says what is wrong with the machine, and the end, with status 2. */
noreturn void devicetree_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Shared by the two files that read the tree: `node` is an offset, and a read that finds
 * something malformed answers as if it were absent.
 */

/* Entry `index` of the node's `reg`, in the cells of its parent. */
bool devicetree_reg(const void *tree, int node, unsigned index, struct machine_range *range);
/* A property that is one number of 32 or 64 bits. */
bool devicetree_number(const void *tree, int node, const char *name, uint64_t *value);
/* A property that is a string. NULL: absent. */
const char *devicetree_string(const void *tree, int node, const char *name);
bool devicetree_is_okay(const void *tree, int node);
void devicetree_read_test_device(const void *tree);
void devicetree_read_devices(const void *tree); /* after the harts are known */

#endif
