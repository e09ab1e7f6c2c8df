/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals are the traps: SIGURG is the timer's and a kick's interrupt, SIGSEGV and its like are faults. All
 * are handled on a stack of their own for each hart.
 *
 * What runs on a hart may be in the C library or in a sanitizer's runtime, which hold locks and keep
 * pointers to the thread's own data: a G is preempted only where its pc lies in the executable's own text
 * (the program and gump), which those are not linked into, and not in what the library calls back with a
 * lock held, nor in the stubs (.plt) by which that calls the library in turn. Elsewhere the signal is asked
 * for again: after some 20 us, because most calls of the library are shorter than that, then twice as long
 * each time up to some 500 us: one that blocks is not to be woken all the time, but a loop that prints is
 * nearly always in the library, and is caught outside by chance only. So the times vary.
 *
 * A signal handler of the program's lies in that text, and may have interrupted the library: so SIGURG waits
 * for its end (handlers.c).
 *
 * "Interrupts off" is a flag that the handler looks at: two system calls to mask signals would cost more than
 * what they protect.
 */
#include <cpuid.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "hosted.h"
#include "kernel/machine.h"
#include "kernel/trap.h"

#define SIGNAL_STACK 65536
#define RED_ZONE 128
#define RETRY_MIN_NS 20000
#define RETRY_MAX_NS 500000

extern uint64_t fpu_mask, fpu_area_size;

/* These two and at_system_call() are inlined: the sanitizer may be what was interrupted. */
HOSTED_INLINE bool within(uintptr_t pc, uintptr_t start, uintptr_t end)
{
	return pc >= start && pc < end;
}

HOSTED_INLINE bool preemptible(uintptr_t pc)
{
	return within(pc, text_start, text_end) &&
	       !within(pc, (uintptr_t)preempt_entry, (uintptr_t)preempt_entry_end);
}

/* ---- SIGURG ---- */

struct iret_frame {
	uint64_t rip, cs, rflags, rsp, ss;
};

/*
 * What was interrupted goes on at `entry`, with a frame below its red zone that leads back to where it was.
 */
UNSANITIZED static void go_on_at(greg_t *r, void (*entry)(void))
{
	uintptr_t below = ((uintptr_t)r[REG_RSP] - RED_ZONE) & ~(uintptr_t)15;
	struct iret_frame *resume = (struct iret_frame *)below - 1;

	/* From here on they are in use: the frame, and the red zone below what is going to be rsp. */
	(void)VALGRIND_MAKE_MEM_UNDEFINED((char *)resume - RED_ZONE, sizeof(*resume) + RED_ZONE);
	*resume = (struct iret_frame){ (uint64_t)r[REG_RIP], (uint64_t)r[REG_CSGSFS] & 0xffff,
				       (uint64_t)r[REG_EFL], (uint64_t)r[REG_RSP],
				       (uint64_t)r[REG_CSGSFS] >> 48 };
	r[REG_RIP] = (greg_t)(uintptr_t)entry;
	r[REG_RSP] = (greg_t)(uintptr_t)resume;
}

/* Elsewhere `locks` is changed in assembly, which the sanitizer does not see; checks look at other harts'. */
UNSANITIZED static void inject_preemption(struct hart *hart, greg_t *r)
{
	hart->locks = 1;
	go_on_at(r, preempt_entry);
}

/*
 * valgrind runs one thread at a time, and notes in which stack that is: when a thread goes on, and when a
 * stack pointer comes from somewhere else, but not when a handler returns. If others ran while this one was
 * in its handler, the next frame is taken for another stack, and each use of it reported. So the stack
 * pointer is loaded once more; and while the timer's signal is handled others do run, so that it is not once
 * in a hundred times that this matters.
 */
UNSANITIZED static void tell_valgrind(greg_t *r, bool timer)
{
	if (!RUNNING_ON_VALGRIND)
		return;
	if (timer)
		SYS(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
	go_on_at(r, preempt_return);
}

UNSANITIZED static void ask_again(struct hart *hart)
{
	struct arch_hart *a = &hart->arch;

	a->retry_step = a->retry_step == 0 ? RETRY_MIN_NS : 2 * a->retry_step;
	if (a->retry_step > RETRY_MAX_NS)
		a->retry_step = RETRY_MAX_NS;
	int64_t now = hart_now();
	a->retry = now + a->retry_step / 2 + now % a->retry_step;
}

/* What the signal may be for. True: the G is to be preempted. */
static bool events(struct hart *hart)
{
	struct arch_hart *a = &hart->arch;
	int64_t now = hart_now();
	bool preempt = false, again = a->retry <= now;

	if (again)
		a->retry = INT64_MAX;
	device_events();
	if (a->deadline <= now) {
		a->deadline = INT64_MAX;
		atomic_store(&hart->kicked, 1);
		preempt = sched_interrupt(HART_TIMER);
		timer_came(hart, preempt);
		again = false;
	}
	/* The exchange pairs with the one in hart_kick(): a kick from now on sends another signal. */
	if (atomic_exchange(&a->signalled, 0) != 0 || again)
		preempt |= sched_interrupt(HART_KICK);
	return preempt;
}

/* The interrupt, wherever the hart is. */
UNSANITIZED static void take(struct hart *hart, greg_t *r, bool here)
{
	bool preempt = false;

	if (here || HANDLED_ANYWHERE)
		pause_if_asked(hart);
	if (hart->arch.irq_off) {
		hart->arch.irq_pending = 1;
		return;
	}
	hart->arch.irq_off = 1;
	hart->in_trap++;
	if (here || HANDLED_ANYWHERE)
		preempt = events(hart);
	else
		ask_again(hart);
	if (preempt && hart->locks == 0 && !here)
		ask_again(hart);
	else if (preempt || here)
		hart->arch.retry_step = 0;
	timer_update(hart);
	hart->in_trap--;
	hart->arch.irq_off = 0;
	if (!preempt)
		return;
	if (hart->locks == 0 && here)
		inject_preemption(hart, r);
	else
		hart->preempt = 1;
}

/*
 * ThreadSanitizer's runtime is where a program is mostly: of a loop that reads an atomic, 99 % of the time.
 * So to ask again until the program is met outside takes some hundred signals; and each of its calls is
 * but some hundred instructions long. When it has been asked in vain for some time, the runtime is stepped
 * through, instruction by instruction, until it is back in the program: that takes as long as hundreds of its
 * calls, so not sooner, and only where a G could be preempted. Not over a system call, which may block the
 * step's own signal, or make a thread that would inherit the stepping; and not where a debugger steps. Each
 * takes 2 us, or 30 where the host is a guest itself, and others may wait for a lock of the runtime: after
 * steps in vain the next are put off, so that at most a tenth of the time goes to those.
 */
#define TRAP_FLAG 0x100
#define STEPS_MAX 500
#define STEPS_PAUSE 9 /* times as long as they took */

static bool steps; /* with ThreadSanitizer only */

HOSTED_INLINE bool at_system_call(uintptr_t pc)
{
	const uint8_t *code = (const uint8_t *)pc;
	return code[0] == 0x0f && code[1] == 0x05;
}

UNSANITIZED static void interrupt(int signal, siginfo_t *info, void *context)
{
	struct hart *hart = hart_self();
	struct arch_hart *a = &hart->arch;
	greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
	bool here = preemptible((uintptr_t)r[REG_RIP]);

	(void)signal;
	if (info->si_code == SI_TIMER)
		a->armed = INT64_MAX; /* it has come, if early by our clock */
	if (!here && r[REG_EFL] & TRAP_FLAG)
		return; /* when it has been stepped through */
	if (!here && steps && hart->locks == 0 && a->retry_step == RETRY_MAX_NS &&
	    a->step_after <= hart_now()) {
		a->retry_step = 0;
		a->steps = STEPS_MAX;
		a->stepped_since = hart_now();
		r[REG_EFL] |= TRAP_FLAG;
	} else {
		r[REG_EFL] &= ~TRAP_FLAG;
		take(hart, r, here);
	}
	tell_valgrind(r, info->si_code == SI_TIMER);
}

static noreturn void fault(int signal, siginfo_t *info, void *context);

/* A breakpoint is SI_KERNEL. Where a hypervisor loses DR6, Linux says TRAP_BRKPT of a step. */
HOSTED_INLINE bool is_step(const siginfo_t *info, const greg_t *r)
{
	return info->si_code == TRAP_TRACE || (info->si_code == TRAP_BRKPT && r[REG_EFL] & TRAP_FLAG);
}

UNSANITIZED static void stepped(int signal, siginfo_t *info, void *context)
{
	struct hart *hart = hart_self();
	struct arch_hart *a = &hart->arch;
	greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
	bool here = preemptible((uintptr_t)r[REG_RIP]);

	if (!is_step(info, r))
		fault(signal, info, context);
	if (!here && --a->steps > 0 && !at_system_call((uintptr_t)r[REG_RIP]))
		return;
	r[REG_EFL] &= ~TRAP_FLAG;
	if (!here) {
		int64_t now = hart_now();
		a->step_after = now + STEPS_PAUSE * (now - a->stepped_since);
	}
	take(hart, r, here);
}

static bool debugged(void)
{
	char line[100];
	int tracer = 0;
	FILE *file = fopen("/proc/self/status", "r");

	if (file == NULL)
		return true;
	while (fgets(line, sizeof(line), file) != NULL && sscanf(line, "TracerPid: %d", &tracer) != 1)
		;
	fclose(file);
	return tracer != 0;
}

void timer_passed(struct hart *hart)
{
	bool on = hart_irq_off();

	hart->in_trap++;
	events(hart); /* there is no G to preempt */
	hart->in_trap--;
	hart_irq_restore(on);
}

/*
 * The caller may be preempted until the flag is set, and be on another hart then: each of the two is this
 * hart's, whichever it is, and where it stops in between nothing has changed yet.
 */
bool hart_irq_off(void)
{
	uint32_t was;

	__asm__ volatile("movl %%gs:%c1, %0\n\tmovl $1, %%gs:%c1" : "=r"(was) : "i"(HART_IRQ_OFF) : "memory");
	return !was;
}

void hart_irq_restore(bool on)
{
	struct hart *hart = hart_self();

	if (!on)
		return;
	hart->arch.irq_off = 0;
	if (hart->arch.irq_pending) {
		hart->arch.irq_pending = 0;
		hart_signal(hart);
	}
}

/* ---- Faults ---- */

static const char *cause(int signal, const siginfo_t *info)
{
	switch (signal) {
	case SIGSEGV:
		return info->si_code == SEGV_MAPERR ? "page fault: no memory there"
		     : info->si_code == SEGV_ACCERR ? "page fault: protected memory"
						    : "general protection fault";
	case SIGBUS:
		return "bus error: memory fault";
	case SIGILL:
		return "invalid opcode: SIGILL";
	case SIGTRAP:
		return "breakpoint";
	default:
		return "arithmetic fault";
	}
}

/*
 * The return address of a function that has no frame, or none yet: on top of the stack. A frame begins with
 * push %rbp; mov %rsp, %rbp.
 */
static uintptr_t return_address(const greg_t *r)
{
	static const uint8_t frame[] = { 0x55, 0x48, 0x89, 0xe5 };
	uintptr_t pc = (uintptr_t)r[REG_RIP], address = 0;
	uint8_t code[16];
	size_t offset;

	hart_symbol(pc, &offset);
	size_t length = offset < sizeof(code) ? offset : sizeof(code);
	if (memory_read(code, pc - offset, length))
		for (size_t i = 0; i + sizeof(frame) <= length; i++)
			if (memcmp(code + i, frame, sizeof(frame)) == 0)
				return 0;
	return memory_read(&address, (uintptr_t)r[REG_RSP], sizeof(address)) ? address : 0;
}

static noreturn void overflow(const greg_t *r, uintptr_t depth, size_t limit)
{
	hart_stop_others();
	hart_print("fatal: stack overflow\n");
	sched_describe_current();
	hart_print("stack: %zu KiB deep, limit %zu KiB\n", (size_t)depth >> 10, limit >> 10);
	backtrace_print((uintptr_t)r[REG_RIP], (uintptr_t)r[REG_RBP]);
	hart_poweroff(2);
}

static noreturn void fault(int signal, siginfo_t *info, void *context)
{
	const greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
	struct hart *hart = hart_self();
	uintptr_t address = signal == SIGSEGV || signal == SIGBUS ? (uintptr_t)info->si_addr : 0, top;
	size_t size;

	hart->in_trap++;
	if (hart->arch.reporting) { /* a report that does not get through would never end */
		hart_print("fatal: %s at %p while reporting\n", cause(signal, info), (void *)r[REG_RIP]);
		arch_poweroff(2);
	}
	hart->arch.reporting = true;
	struct hart_stack own = sched_stack_of_current();
	/* or a pointer ran out of an object of this stack into the guard of another one */
	if (signal == SIGSEGV && stack_guard_hit(address, &top, &size) &&
	    (own.top == 0 || own.top == top || !hart_stack_holds(&own, (uintptr_t)r[REG_RSP])))
		overflow(r, top - address, size);

	static const struct {
		const char *name;
		int number;
	} names[] = {
		{ "rax", REG_RAX }, { "rbx", REG_RBX }, { "rcx", REG_RCX }, { "rdx", REG_RDX },
		{ "rsi", REG_RSI }, { "rdi", REG_RDI }, { "rbp", REG_RBP }, { "rsp", REG_RSP },
		{ "r8", REG_R8 }, { "r9", REG_R9 }, { "r10", REG_R10 }, { "r11", REG_R11 },
		{ "r12", REG_R12 }, { "r13", REG_R13 }, { "r14", REG_R14 }, { "r15", REG_R15 },
		{ "rip", REG_RIP }, { "rflags", REG_EFL },
	};
	struct trap_register registers[sizeof(names) / sizeof(names[0])];
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		registers[i] = (struct trap_register){ names[i].name, (uint64_t)r[names[i].number] };
	const struct trap_report report = {
		.cause = cause(signal, info),
		.code = (uint64_t)signal << 32 | (uint32_t)info->si_code,
		.at = { .pc = (uintptr_t)r[REG_RIP], .sp = (uintptr_t)r[REG_RSP], .fp = (uintptr_t)r[REG_RBP],
			.link = return_address(r) },
		.address = address,
		.registers = registers,
		.register_count = sizeof(registers) / sizeof(registers[0]),
	};
	trap_fatal(&report);
}

/* ---- Setting up ---- */

/* What the C library's sigaction() would pass; a sanitizer's would put its own handler between. */
struct kernel_sigaction {
	void (*handler)(int, siginfo_t *, void *);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

void signal_restorer(void);
__asm__(".text\n.globl signal_restorer\nsignal_restorer:\n\tmov $15, %eax\n\tsyscall\n"); /* rt_sigreturn */

#define SA_RESTORER 0x04000000

static void handle(int signal, void (*handler)(int, siginfo_t *, void *), int flags, uint64_t mask)
{
	struct kernel_sigaction action = { handler, SA_SIGINFO | SA_ONSTACK | SA_RESTORER | (unsigned)flags,
					   signal_restorer, mask };
	SYS(SYS_rt_sigaction, signal, &action, NULL, 8, 0, 0);
}

static void fpu_init(void)
{
	unsigned a, b, c, d, low, high;

	fpu_area_size = 512;
	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
		return;
	__asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	fpu_mask = ((uint64_t)high << 32 | low) & 0xe7; /* x87, SSE, AVX, AVX-512: what a compiler uses */
	__get_cpuid_count(0xd, 0, &a, &b, &c, &d);
	fpu_area_size = b;
}

/* Whoever started the process may have blocked signals, which exec keeps. */
static void unblock(const int *signals, size_t count)
{
	uint64_t set = (uint64_t)1 << (SIGURG - 1) | (uint64_t)1 << (SIGTRAP - 1);

	for (size_t i = 0; i < count; i++)
		set |= (uint64_t)1 << (signals[i] - 1);
	SYS(SYS_rt_sigprocmask, SIG_UNBLOCK, &set, NULL, sizeof(set), 0, 0);
}

void signals_init(void)
{
	fpu_init();
	/* A report begins without a lock, on a stack that is no G's: it is not to be preempted there. */
	static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE };
	const uint64_t no_interrupt = (uint64_t)1 << (SIGURG - 1);
	handle(SIGURG, interrupt, SA_RESTART, 0);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		handle(faults[i], fault, SA_NODEFER, no_interrupt);
	if (!HANDLED_ANYWHERE)
		steps = !debugged();
	handle(SIGTRAP, HANDLED_ANYWHERE ? fault : stepped, SA_NODEFER, no_interrupt);
	unblock(faults, sizeof(faults) / sizeof(faults[0]));
}

#define ARCH_SET_GS 0x1001

__thread bool thread_is_hart;

void thread_install(struct hart *hart)
{
	stack_t stack = { .ss_size = SIGNAL_STACK };

	/* Before others can signal it: a timer that is set in the handler would be lost below. */
	hart->arch.irq_off = 1;
	SYS(SYS_arch_prctl, ARCH_SET_GS, hart, 0, 0, 0, 0);
	stack.ss_sp = mmap(NULL, SIGNAL_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack.ss_sp == MAP_FAILED)
		hart_fatal("no memory for hart %u", (unsigned)hart->id);
	SYS(SYS_sigaltstack, &stack, NULL, 0, 0, 0, 0);
	hart->arch.thread = (int)SYS(SYS_gettid, 0, 0, 0, 0, 0, 0);
	pause_if_asked(hart);
	hart->arch.error = __errno_location();
	thread_is_hart = true;
	SYS(SYS_prctl, PR_SET_TIMERSLACK, 1, 0, 0, 0, 0); /* timer.c has its own */
	timer_install(hart);
}
