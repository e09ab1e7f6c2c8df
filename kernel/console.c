/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console: one sink for bytes, one writer at a time.
 *
 * A spin lock keeps lines whole; its holder is not preempted, so the wait is as long as the UART
 * takes for a line. Reports of a machine that is ending take no lock: whoever holds it may have
 * been stopped.
 */
#include <stdarg.h>
#include <stdio.h>

#include "kernel/console.h"
#include "kernel/hart.h"

static void (*put_bytes)(const char *text, size_t length);
static struct spinlock lock = SPINLOCK(LOCK_CONSOLE);
static _Atomic(bool) ending; /* hart_stop_others() was called: see console_ending() */
static _Atomic(char) last = '\n'; /* byte that was written */

void console_set(void (*put)(const char *text, size_t length))
{
	put_bytes = put;
}

void console_write_unlocked(const char *text, size_t length)
{
	if (put_bytes == NULL || length == 0)
		return;
	put_bytes(text, length);
	atomic_store_explicit(&last, text[length - 1], memory_order_relaxed);
}

void console_write(const char *text, size_t length)
{
	if (load_relaxed(&ending)) {
		console_write_unlocked(text, length);
		return;
	}
	spin_lock(&lock);
	console_write_unlocked(text, length);
	spin_unlock(&lock);
}

void console_end_line(void)
{
	if (load_relaxed(&last) != '\n')
		console_write_unlocked("\n", 1);
}

void console_ending(void)
{
	atomic_store_explicit(&ending, true, memory_order_relaxed);
}

void hart_print(const char *fmt, ...)
{
	char text[1024]; /* a line of schedtrace with 16 Ps has up to 700 */
	va_list args;

	va_start(args, fmt);
	int length = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (length < 0)
		return;
	if ((size_t)length >= sizeof(text)) {
		length = sizeof(text) - 1;
		text[length - 1] = '\n';
	}
	console_write(text, (size_t)length);
}
