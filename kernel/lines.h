/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lines of stdout: a goroutine collects one of its own, which is written whole at its newline,
 * when it is full, at lines_flush(), and when the goroutine ends (hart_goroutine_end). So lines never
 * mix, whatever prints on whichever hart, and putting a byte takes no lock. The C library's stdout
 * lies above: kernel/stdio.c, kernel/arch/hosted/stdio.c.
 */
#ifndef KERNEL_LINES_H
#define KERNEL_LINES_H

#include <stddef.h>

/* To the running goroutine's line; written at once before there is one, and without memory. */
void lines_put(const char *text, size_t size);
/* Writes what the running goroutine has begun. */
void lines_flush(void);
/* The machine ends: writes what all have begun, the running one's first. Others may be printing still. */
void lines_end(void);
/*
 * The same for a report, once: others have been told to stop, and took no care where. By hart_stop_others(),
 * from traps, too.
 */
void lines_report(void);

/* What is below: a machine's console, a process's standard output. In one piece. */
void lines_write(const char *text, size_t size);

#endif
