/* SPDX-License-Identifier: BSD-2-Clause */
/* Traps: what the architectures share. */
#ifndef KERNEL_TRAP_H
#define KERNEL_TRAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>

struct trap_register {
	const char *name;
	uint64_t value;
};

/* What was interrupted. */
struct trap_point {
	uintptr_t pc, sp, fp;
	uintptr_t link;                        /* its return address, if it has no frame; or 0 */
};

struct trap_report {
	const char *cause;                     /* "load page fault", "invalid opcode" */
	uint64_t code;                         /* scause, vector << 32 | error code */
	struct trap_point at;
	uintptr_t address;                     /* stval, cr2; 0 when it has none */
	const struct trap_register *registers;
	size_t register_count;
};

/*
 * An unexpected trap: stops the other harts, prints cause, address, registers, the goroutine
 * and its backtrace with function names, and ends the machine with status 2. A trap during
 * the report ends it at once with status 2 and one line.
 */
noreturn void trap_fatal(const struct trap_report *report);

/* Prints the frames from (pc, fp) on. `fp` chains as the ABI of a frame-pointer build has it. */
void backtrace_print(uintptr_t pc, uintptr_t fp);
void backtrace_trapped(const struct trap_point *at);

/* The return addresses from the frame `at` up, to be printed later; 0 behind the last if there are fewer. */
void backtrace_take(void *at, uintptr_t *pcs, size_t n);
void backtrace_print_taken(const uintptr_t *pcs, size_t n);

/*
 * One step up a frame-pointer chain, in arch.h terms: arch_frame_up() reads the return
 * address and the caller's fp; false at the end or when the memory is not readable.
 */
bool arch_frame_up(uintptr_t *pc, uintptr_t *fp);
/* pc and fp of a context saved by hart_mcall. */
void arch_context_frame(uintptr_t saved_sp, uintptr_t *pc, uintptr_t *fp);

#endif
