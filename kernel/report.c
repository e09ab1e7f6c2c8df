/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the machine ends when it must: the report of a fault or a broken invariant.
 *
 * One hart reports: the first to come. The others are kicked and halt in their interrupt handler;
 * one that comes to report meanwhile halts too, so that two reports never mix. Who reports may need a page of
 * his stack: so nobody halts with a lock that a page fault takes, but when he gives it back.
 */
#include <stdarg.h>
#include <stdio.h>

#include "kernel/console.h"
#include "kernel/hart.h"
#include "kernel/layout.h"
#include "kernel/lines.h"
#include "kernel/machine.h"
#include "kernel/trap.h"
#include "kernel/vm.h"

#define FRAMES_MAX 40

static _Atomic(uint32_t) reporter; /* hart id + 1 of the hart that ends the machine */

void hart_stop_others(void)
{
	hart_lock(); /* first: who is preempted after he has read `me` would halt himself as another */
	uint32_t me = hart_self()->id + 1, none = 0;
	if (!atomic_compare_exchange_strong_explicit(&reporter, &none, me, memory_order_acq_rel,
						     memory_order_acquire) &&
	    none != me)
		arch_halt();
	console_ending();
	for (unsigned id = 0; id < hart_count(); id++)
		if (id + 1 != me && hart_get(id) != NULL) /* NULL: so early that it has no block */
			hart_kick(id);
	lines_report();
	console_end_line();
}

void hart_stop_if_asked(void)
{
	uint32_t who = load_acquire(&reporter);
	if (who != 0 && who != hart_self()->id + 1 && !vm_fault_locked_here())
		arch_halt();
}

/* A return address is past its call, which may be the last thing of its function. */
static uintptr_t print_frame(uintptr_t pc, bool returns)
{
	size_t offset;
	const char *name = hart_symbol(pc - returns, &offset);
	hart_print("  %p %s+%#zx\n", (void *)pc, name, offset + returns);
	return pc - returns - offset; /* where the function starts */
}

static void print_frames_above(uintptr_t pc, uintptr_t fp)
{
	for (int depth = 1; arch_frame_up(&pc, &fp); depth++) {
		if (depth == FRAMES_MAX) {
			hart_print("  ... (deeper frames left out)\n");
			return;
		}
		print_frame(pc, true);
	}
}

void backtrace_print(uintptr_t pc, uintptr_t fp)
{
	print_frame(pc, false);
	print_frames_above(pc, fp);
}

void backtrace_take(void *at, uintptr_t *pcs, size_t n)
{
	uintptr_t pc = 0, fp = (uintptr_t)at;

	for (size_t i = 0; i < n; i++) {
		bool more = (i == 0 || pcs[i - 1] != 0) && arch_frame_up(&pc, &fp);
		pcs[i] = more ? pc : 0;
	}
}

void backtrace_print_taken(const uintptr_t *pcs, size_t n)
{
	for (size_t i = 0; i < n && pcs[i] != 0; i++)
		print_frame(pcs[i], true);
}

/*
 * A function that calls none may have no frame of its own; then the first frame of the chain is
 * its caller's, and only `link` leads to the caller itself. If it has a frame, link repeats that
 * frame's return address; if it has called others, link may lie in the function itself.
 */
void backtrace_trapped(const struct trap_point *at)
{
	uintptr_t start = print_frame(at->pc, false), link = at->link;
	uintptr_t pc = at->pc, fp = at->fp;
	size_t offset;
	bool framed = arch_frame_up(&pc, &fp) && pc == link;

	if (!framed && link > (uintptr_t)__text_start && link <= (uintptr_t)__text_end) {
		hart_symbol(link - 1, &offset);
		if (link - 1 - offset != start)
			print_frame(link, true);
	}
	print_frames_above(at->pc, at->fp);
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

	if (!hart_trim_show(sp)) {
		hart_print("\t(no memory is left to put its stack back)\n");
		return;
	}
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
	const char *name = hart_symbol(report->at.pc, &offset);

	hart_stop_others();
	hart_print("fatal: %s at %p (%s+%#zx), address %p, code %#llx, hart %u\n", report->cause,
		   (void *)report->at.pc, name, offset, (void *)report->address,
		   (unsigned long long)report->code, (unsigned)hart_self()->id);
	for (size_t i = 0; i < report->register_count; i++)
		hart_print("%7s %016llx%s", report->registers[i].name,
			   (unsigned long long)report->registers[i].value,
			   i % 3 == 2 || i + 1 == report->register_count ? "\n" : "");
	sched_describe_current();
	backtrace_trapped(&report->at);
	hart_poweroff(2);
}
