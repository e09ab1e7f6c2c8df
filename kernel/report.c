/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the machine ends when it must: the report of a fault or a broken invariant.
 *
 * One hart reports: the first to come. The others are kicked and halt in their interrupt handler;
 * one that comes to report meanwhile halts too, so that two reports never mix.
 */
#include <stdarg.h>
#include <stdio.h>

#include "kernel/console.h"
#include "kernel/hart.h"
#include "kernel/layout.h"
#include "kernel/machine.h"
#include "kernel/trap.h"

#define FRAMES_MAX 40

static _Atomic(uint32_t) reporter; /* hart id + 1 of the hart that ends the machine */

void hart_stop_others(void)
{
	uint32_t me = hart_self()->id + 1, none = 0;

	hart_lock();
	if (!atomic_compare_exchange_strong_explicit(&reporter, &none, me, memory_order_acq_rel,
						     memory_order_acquire) &&
	    none != me)
		arch_halt();
	console_ending();
	for (unsigned id = 0; id < hart_count(); id++)
		if (id + 1 != me && hart_get(id) != NULL) /* NULL: so early that it has no block */
			hart_kick(id);
}

void hart_stop_if_asked(void)
{
	uint32_t who = atomic_load_explicit(&reporter, memory_order_acquire);
	if (who != 0 && who != hart_self()->id + 1)
		arch_halt();
}

void backtrace_print(uintptr_t pc, uintptr_t fp)
{
	for (int depth = 0; depth < FRAMES_MAX; depth++) {
		size_t offset;
		/* A return address is past its call, which may be the last thing of its function. */
		const char *name = hart_symbol(depth == 0 ? pc : pc - 1, &offset);
		hart_print("  %p %s+%#zx\n", (void *)pc, name, depth == 0 ? offset : offset + 1);
		if (!arch_frame_up(&pc, &fp))
			return;
	}
	hart_print("  ... (deeper frames left out)\n");
}

void hart_backtrace_here(void)
{
	uintptr_t fp = (uintptr_t)__builtin_frame_address(0);
	uintptr_t pc = (uintptr_t)__builtin_return_address(0);

	/* This function's own frame is left out: the caller's comes first. */
	if (arch_frame_up(&pc, &fp))
		backtrace_print(pc, fp);
}

void hart_backtrace_saved(uintptr_t sp)
{
	uintptr_t pc, fp;

	arch_context_frame(sp, &pc, &fp);
	backtrace_print(pc, fp);
}

void hart_poweroff(int status)
{
	hart_lock();
	arch_poweroff(status & 0xff);
}

void hart_fatal(const char *fmt, ...)
{
	char message[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	hart_stop_others();
	hart_print("fatal: %s\n", message);
	sched_describe_current();
	hart_backtrace_here();
	hart_poweroff(2);
}

void trap_fatal(const struct trap_report *report)
{
	size_t offset;
	const char *name = hart_symbol(report->pc, &offset);

	hart_stop_others();
	hart_print("fatal: %s at %p (%s+%#zx), address %p, code %#llx, hart %u\n", report->cause,
		   (void *)report->pc, name, offset, (void *)report->address,
		   (unsigned long long)report->code, (unsigned)hart_self()->id);
	for (size_t i = 0; i < report->register_count; i++)
		hart_print("%7s %016llx%s", report->registers[i].name,
			   (unsigned long long)report->registers[i].value,
			   i % 3 == 2 || i + 1 == report->register_count ? "\n" : "");
	sched_describe_current();
	backtrace_print(report->pc, report->fp);
	hart_poweroff(2);
}
