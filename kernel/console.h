/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console: a 16550 UART that drivers/uart.c drives. Output only.
 *
 * stdout collects a line for each goroutine and writes it whole (kernel/lines.h); reports of the
 * system go through hart_print(), which writes at once.
 */
#ifndef KERNEL_CONSOLE_H
#define KERNEL_CONSOLE_H

#include <stddef.h>

/* Registers the byte sink; from arch_console_early(), maybe again when a better one is found. */
void console_set(void (*put)(const char *text, size_t length));
/*
 * Writes the bytes as one piece: no other hart's text comes between. '\n' goes out as it is. From
 * anywhere but a trap.
 */
void console_write(const char *text, size_t length);
/* The same without a lock, for traps and a machine that is ending. */
void console_write_unlocked(const char *text, size_t length);
/* From here on no lock is taken. */
void console_ending(void);
/* What comes next begins a line. Without a lock. */
void console_end_line(void);

#endif
