/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Physical pages: a buddy allocator over the machine's RAM. A block of order n is 2^n pages,
 * aligned to its size. Contents are undefined. Since RAM is mapped one to one, an address is
 * both physical and a pointer.
 */
#ifndef KERNEL_PAGES_H
#define KERNEL_PAGES_H

#include <stddef.h>
#include <stdint.h>

#include "kernel/vm.h"

#define PAGES_ORDER_MAX 20 /* 4 GiB */

void pages_init(void);                 /* from machine.memory; boot hart only */
void *pages_alloc(unsigned order);     /* NULL when there is none; from a G, g0 or boot, not a trap */
void pages_free(void *block, unsigned order);
void *pages_alloc_zeroed(unsigned order);
uint64_t pages_alloc_in_trap(void);    /* one page for stack_fault(); 0 when there is none */
void pages_free_in_trap(uint64_t page);
size_t pages_free_count(void);         /* free pages now; a hint */
size_t pages_total(void);

#endif
