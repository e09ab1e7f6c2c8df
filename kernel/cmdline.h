/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef KERNEL_CMDLINE_H
#define KERNEL_CMDLINE_H

#include <stdbool.h>

/* Sets up the environment and main's arguments from machine.cmdline, which it cuts up. */
void cmdline_parse(int *argc, char ***argv);

#endif
