/* SPDX-License-Identifier: BSD-2-Clause */
/* The memory map: memory.c. */
#ifndef KERNEL_MEMORY_H
#define KERNEL_MEMORY_H

void memory_map_print(void); /* on the console; from a G */

#endif
