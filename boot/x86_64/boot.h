/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the x86_64 boot code tell each other. */
#ifndef BOOT_X86_64_BOOT_H
#define BOOT_X86_64_BOOT_H

#include <stdbool.h>
#include <stdint.h>

/* Number of a page of low RAM that nobody uses, for the other harts' first instructions; 0: none. */
uint8_t boot_trampoline_page(void);

/* Looks for an MP table where the specification puts it; adds its harts and I/O APICs. */
bool mptable_discover(void);

/* Takes Linux's virtio_mmio.device=SIZE@BASE:IRQ words out of the command line. */
void virtio_words_take(char *cmdline);

#endif
