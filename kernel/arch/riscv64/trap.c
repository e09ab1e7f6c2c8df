/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Traps, in C: on the hart's trap stack, interrupts off, FP off.
 *
 * Interrupts are told to the scheduler, whose answer may be to preempt the interrupted G. Two
 * exceptions are ordinary: a page fault on a stack that grows, and the first FP instruction of a G.
 * Every other one is reported and ends the machine.
 */
#include "riscv64.h"

#include <stddef.h>

#include "kernel/machine.h"
#include "kernel/trap.h"
#include "kernel/vm.h"

_Static_assert(sizeof(struct trap_frame) == TRAP_FRAME_SIZE &&
	       offsetof(struct trap_frame, fp) == TRAP_FRAME_FP &&
	       offsetof(struct trap_frame, pc) == TRAP_FRAME_PC, "trap.S");

bool trap_handle(struct trap_frame *frame, uint64_t cause);
noreturn void trap_report_and_end(struct trap_frame *frame, uint64_t cause, uint64_t value);
noreturn void trap_nested(uint64_t depth, uint64_t cause, uint64_t pc, uint64_t value);

static void (*external)(void);

static const char *const causes[] = {
	[0] = "instruction address misaligned",
	[1] = "instruction access fault",
	[CAUSE_ILLEGAL_INSTRUCTION] = "illegal instruction",
	[3] = "breakpoint",
	[4] = "load address misaligned",
	[5] = "load access fault",
	[6] = "store address misaligned",
	[7] = "store access fault",
	[9] = "environment call",
	[12] = "instruction page fault",
	[CAUSE_LOAD_PAGE_FAULT] = "load page fault",
	[CAUSE_STORE_PAGE_FAULT] = "store page fault",
};

static const char *const names[31] = {
	"ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1",
	"a2", "a3", "a4", "a5", "a6", "a7", "s2", "s3", "s4", "s5", "s6",
	"s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
};

static const char *cause_name(uint64_t cause)
{
	if (cause < sizeof(causes) / sizeof(causes[0]) && causes[cause] != NULL)
		return causes[cause];
	return cause & CAUSE_INTERRUPT ? "unexpected interrupt" : "unexpected trap";
}

void trap_set_external(void (*handler)(void))
{
	external = handler;
}

/*
 * Makes the trap return into preempt_entry with interrupts off, or notes that the preemption
 * is due. locks == 0 says that a G was interrupted: g0 always holds a lock.
 */
static void preempt(struct hart *hart, struct trap_frame *frame)
{
	if (hart->locks > 0)
		return; /* the last hart_unlock() sees `preempt` */
	hart->preempt = 0;
	hart->arch.preempt_pc = frame->pc;
	csr_write("sepc", (uintptr_t)preempt_entry);
	csr_clear("sstatus", SSTATUS_SPIE);
}

static bool interrupt(struct trap_frame *frame, uint64_t number)
{
	struct hart *hart = hart_self();
	bool due = false;

	switch (number) {
	case IRQ_SOFTWARE:
		hart_kick_taken();
		due = sched_interrupt(HART_KICK);
		break;
	case IRQ_TIMER:
		vm_refresh(hart, hart_now());
		timer_fired();
		due = sched_interrupt(HART_TIMER);
		break;
	case IRQ_EXTERNAL:
		if (external == NULL)
			return false;
		vm_refresh(hart, hart_now());
		/* What the device brought may have come after hart_idle's caller looked. */
		atomic_store_explicit(&hart->kicked, 1, memory_order_relaxed);
		external();
		break;
	default:
		return false;
	}
	if (due)
		hart->preempt = 1;
	if (hart->preempt)
		preempt(hart, frame);
	return true;
}

static struct trap_point point_of(const struct trap_frame *frame)
{
	/* x1 is ra, x2 sp, x8 s0, the frame pointer. */
	return (struct trap_point){ .pc = frame->pc, .sp = frame->x[2 - 1], .fp = frame->x[8 - 1],
				    .link = frame->x[1 - 1] };
}

static bool page_fault(struct trap_frame *frame, bool store)
{
	uintptr_t va = csr_read("stval");
	struct arch_hart *arch = &hart_self()->arch;
	bool in_stack = va >= vm_stacks_start && va < vm_stacks_end;

	/*
	 * A hart may remember that an entry was invalid. In a stack it then faults twice at the same
	 * address, so that those that do not remember need no look at the tables before the page is made;
	 * elsewhere the entry tells.
	 */
	if (in_stack && va != arch->faulted) {
		struct trap_point at = point_of(frame);
		arch->faulted = va;
		return stack_fault(va, &at);
	}
	if (!in_stack && !vm_fault_is_stale(va, store))
		return false;
	arch->faulted = 0;
	/* All: with an address, a table that was missing may be remembered as such still. */
	__asm__ volatile("sfence.vma" ::: "memory");
	return true;
}

/* A G whose FP is off meets an FP instruction: its FP registers live from here on, see switch.S. */
static bool fp_first_use(void)
{
	struct hart *hart = hart_self();

	if (hart->arch.fp != 0)
		return false; /* FP is on: the instruction is illegal in earnest */
	hart->arch.fp = 1;
	csr_set("sstatus", SSTATUS_FS);
	csr_write("fcsr", 0);
	csr_clear("sstatus", SSTATUS_FS);
	return true;
}

/* False: nothing here knows this trap. */
bool trap_handle(struct trap_frame *frame, uint64_t cause)
{
	if (cause & CAUSE_INTERRUPT)
		return interrupt(frame, cause & ~CAUSE_INTERRUPT);
	switch (cause) {
	case CAUSE_LOAD_PAGE_FAULT:
		return page_fault(frame, false);
	case CAUSE_STORE_PAGE_FAULT:
		return page_fault(frame, true);
	case CAUSE_ILLEGAL_INSTRUCTION:
		return fp_first_use();
	default:
		return false;
	}
}

void trap_report_and_end(struct trap_frame *frame, uint64_t cause, uint64_t value)
{
	struct trap_register registers[31];
	struct trap_report report = {
		.cause = cause_name(cause),
		.code = cause,
		.at = point_of(frame),
		.address = value,
		.registers = registers,
		.register_count = 31,
	};

	csr_set("sstatus", SSTATUS_FS); /* for printf */
	for (unsigned i = 0; i < 31; i++)
		registers[i] = (struct trap_register){ names[i], frame->x[i] };
	trap_fatal(&report);
}

/*
 * A trap in a trap handler, or in the report of another. `depth` counts: the third trap comes
 * from the printing below and gets no words, the fourth from the attempt to power off.
 */
void trap_nested(uint64_t depth, uint64_t cause, uint64_t pc, uint64_t value)
{
	csr_set("sstatus", SSTATUS_FS);
	if (depth > 3)
		arch_halt();
	if (depth == 2) {
		size_t offset;
		const char *name = hart_symbol(pc, &offset);
		hart_stop_others();
		hart_print("fatal: %s in a trap handler at %p (%s+%#zx), address %p, hart %u\n",
			   cause_name(cause), (void *)pc, name, offset, (void *)value,
			   (unsigned)hart_self()->id);
	}
	arch_poweroff(2);
}
