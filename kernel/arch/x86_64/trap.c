/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Traps: page faults in the stack area, interrupts and their handlers, preemption on the way
 * out, and the report of everything that should not have come.
 *
 * All of it runs on IST stacks with interrupts off. The handler lists only grow: written under
 * handlers_lock, read by traps without it.
 */
#include <stdatomic.h>
#include <string.h>

#include "asm.h"
#include "cpu.h"
#include "kernel/hart.h"
#include "kernel/trap.h"
#include "kernel/vm.h"
#include "x86.h"

#define HANDLERS_MAX 64
#define RED_ZONE 128 /* libraries may have been built with one */
#define VECTOR_PAGE_FAULT 14

#define FAULT_PRESENT 0x1
#define FAULT_WRITE 0x2
#define FAULT_RESERVED 0x8
#define FAULT_FETCH 0x10

struct iret_frame { /* what the CPU pushes */
	uint64_t rip, cs, rflags, rsp, ss;
};

struct exception_frame { /* what exception_entry adds below it */
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error;
	struct iret_frame iret;
};

static struct handler {
	irq_handler *call;
	void *arg;
	struct handler *next;
} handlers[HANDLERS_MAX];
static unsigned handler_count;
static int vector_next = VECTOR_DEVICE;
static struct spinlock handlers_lock = SPINLOCK(LOCK_HANDLERS); /* guards the three above */
static struct handler *_Atomic vector_handlers[VECTOR_COUNT];

void trap_exception(struct exception_frame *frame);
void trap_interrupt(unsigned vector, struct iret_frame *frame);

int vector_alloc(void)
{
	spin_lock(&handlers_lock);
	int vector = vector_next < VECTOR_DEVICE_END ? vector_next++ : -1;
	spin_unlock(&handlers_lock);
	return vector;
}

int vector_attach(int vector, irq_handler *call, void *arg)
{
	int result = -1;

	spin_lock(&handlers_lock);
	if (handler_count < HANDLERS_MAX) {
		struct handler *handler = &handlers[handler_count++];

		*handler = (struct handler){ call, arg, vector_handlers[vector] };
		/* Release: pairs with the acquire in device_interrupt. */
		atomic_store_explicit(&vector_handlers[vector], handler, memory_order_release);
		result = 0;
	}
	spin_unlock(&handlers_lock);
	return result;
}

static void device_interrupt(unsigned vector)
{
	struct handler *handler = load_acquire(&vector_handlers[vector]);

	for (; handler != NULL; handler = handler->next)
		handler->call(handler->arg);
}

static const char *page_fault_cause(uint64_t error)
{
	if (error & FAULT_RESERVED)
		return "page fault: broken page table";
	if (error & FAULT_FETCH)
		return error & FAULT_PRESENT ? "page fault: execution of data"
					     : "page fault: jump to unmapped memory";
	if (error & FAULT_WRITE)
		return error & FAULT_PRESENT ? "page fault: write to read-only memory"
					     : "page fault: write to unmapped memory";
	return error & FAULT_PRESENT ? "page fault: read of protected memory"
				     : "page fault: read of unmapped memory";
}

static const char *cause(const struct exception_frame *frame)
{
	static const char *const names[] = {
		"divide error", "debug", "NMI", "breakpoint", "overflow", "bound range",
		"invalid opcode", "no FPU", "double fault", "FPU segment overrun", "invalid TSS",
		"segment not present", "stack segment fault", "general protection fault", "",
		"vector 15", "x87 floating-point error", "alignment check", "machine check",
		"SIMD floating-point error", "virtualisation exception", "control protection",
	};

	if (frame->vector == VECTOR_PAGE_FAULT)
		return page_fault_cause(frame->error);
	if (frame->vector < sizeof(names) / sizeof(names[0]))
		return names[frame->vector];
	return "reserved exception";
}

/*
 * The return address of a function that has no frame, or none yet: on top of the stack. A frame
 * begins with push %rbp; mov %rsp, %rbp.
 */
static uintptr_t return_address(const struct exception_frame *f)
{
	static const uint8_t frame[] = { 0x55, 0x48, 0x89, 0xe5 };
	uintptr_t sp = f->iret.rsp;
	size_t offset;

	hart_symbol(f->iret.rip, &offset);
	const uint8_t *start = (const uint8_t *)(f->iret.rip - offset);
	for (size_t i = 0; i < 16 && i + sizeof(frame) <= offset; i++)
		if (memcmp(start + i, frame, sizeof(frame)) == 0)
			return 0;
	return sp % 8 == 0 && arch_vm_lookup(sp) != 0 ? *(uintptr_t *)sp : 0;
}

static noreturn void fatal(const struct exception_frame *f, uintptr_t address)
{
	struct arch_hart *arch = &hart_self()->arch;

	if (arch->reporting) { /* a report that does not get through would never end */
		hart_print("fatal: %s at %p while reporting\n", cause(f), (void *)f->iret.rip);
		arch_poweroff(2);
	}
	arch->reporting = true;
	const struct trap_register registers[] = {
		{ "rax", f->rax }, { "rbx", f->rbx }, { "rcx", f->rcx }, { "rdx", f->rdx },
		{ "rsi", f->rsi }, { "rdi", f->rdi }, { "rbp", f->rbp }, { "rsp", f->iret.rsp },
		{ "r8", f->r8 }, { "r9", f->r9 }, { "r10", f->r10 }, { "r11", f->r11 },
		{ "r12", f->r12 }, { "r13", f->r13 }, { "r14", f->r14 }, { "r15", f->r15 },
		{ "rip", f->iret.rip }, { "rflags", f->iret.rflags }, { "cr2", address },
		{ "cr3", read_cr3() },
	};
	const struct trap_report report = {
		.cause = cause(f),
		.code = f->vector << 32 | (f->error & 0xffffffff),
		.at = { .pc = f->iret.rip, .sp = f->iret.rsp, .fp = f->rbp, .link = return_address(f) },
		.address = f->vector == VECTOR_PAGE_FAULT ? address : 0,
		.registers = registers,
		.register_count = sizeof(registers) / sizeof(registers[0]),
	};

	trap_fatal(&report);
}

void trap_exception(struct exception_frame *frame)
{
	struct hart *hart = hart_self();
	uintptr_t address = read_cr2();
	/* Without a link, which may lie in the page that is missing. */
	struct trap_point at = { .pc = frame->iret.rip, .sp = frame->iret.rsp, .fp = frame->rbp };

	hart->in_trap++;
	if (frame->vector == VECTOR_PAGE_FAULT && address >= vm_stacks_start &&
	    address < vm_stacks_end && !(frame->error & (FAULT_PRESENT | FAULT_FETCH)) &&
	    stack_fault(address, &at)) {
		hart->in_trap--;
		return;
	}
	fatal(frame, address);
}

/*
 * Makes the interrupted G find itself in preempt_entry, with the frame that leads back to where
 * it was. The G's stack may end in a page that is not there yet: the fault comes on
 * another trap stack and is handled like the G's own.
 */
static void inject_preemption(struct iret_frame *frame)
{
	struct iret_frame *resume = (struct iret_frame *)((frame->rsp - RED_ZONE) & ~(uint64_t)15) - 1;

	*resume = *frame;
	frame->rip = (uintptr_t)preempt_entry;
	frame->rsp = (uintptr_t)resume;
	frame->rflags &= ~(uint64_t)(RFLAGS_IF | RFLAGS_DF | RFLAGS_TF);
}

void trap_interrupt(unsigned vector, struct iret_frame *frame)
{
	struct hart *hart = hart_self();
	bool preempt = false;

	hart->in_trap++;
	vm_wake(hart); /* it may have slept until now */
	switch (vector) {
	case VECTOR_TIMER:
		vm_refresh(hart, hart_now());
		if (clock_timer_interrupt()) {
			atomic_store_explicit(&hart->kicked, 1, memory_order_relaxed);
			preempt = sched_interrupt(HART_TIMER);
		}
		break;
	case VECTOR_KICK:
		/* Acquire: pairs with the exchange in hart_kick. Before the event is looked at, so
		   that a kick from now on sends another interrupt. */
		atomic_exchange_explicit(&hart->arch.ipi, 0, memory_order_acq_rel);
		preempt = sched_interrupt(HART_KICK);
		break;
	case VECTOR_FLUSH:
		arch_vm_flush_here();
		break;
	case VECTOR_SPURIOUS: /* has no end of interrupt */
		hart->in_trap--;
		return;
	default:
		vm_refresh(hart, hart_now());
		/* What the device brought may have come after hart_idle's caller looked. */
		atomic_store_explicit(&hart->kicked, 1, memory_order_relaxed);
		device_interrupt(vector);
	}
	lapic_eoi();
	hart->in_trap--;
	if (!preempt)
		return;
	if (hart->locks == 0)
		inject_preemption(frame);
	else
		hart->preempt = 1;
}
