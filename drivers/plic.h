/* SPDX-License-Identifier: BSD-2-Clause */
/* RISC-V's platform-level interrupt controller. It implements irq_attach() of kernel/irq.h. */
#ifndef DRIVERS_PLIC_H
#define DRIVERS_PLIC_H

#include <stddef.h>
#include <stdint.h>

/* Sources 1 .. `sources` go to `context`. 0, or -1 when the registers have no such context. */
int plic_init(uintptr_t base, size_t size, unsigned sources, int context);
/* The interrupt that the controller raises at that context's hart. */
void plic_interrupt(void);

#endif
