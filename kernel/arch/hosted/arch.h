/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inline part of kernel/hart.h where harts are threads of a Linux process, and what the
 * port keeps for each.
 *
 * A thread's gs base is the address of its hart's block: user programs have no other use for gs, and
 * the kernel keeps it for each thread. So everything here is one instruction, as on the machine, and
 * neither a signal nor a preemption comes in the middle of it. A thread-local variable would take two, the
 * first of which (the thread's address) a compiler may keep while the G moves to another thread.
 *
 * Other hosts than x86_64 need their own version of this file, switch.S, and the few words about registers in
 * signals.c.
 */
#ifndef KERNEL_ARCH_HOSTED_ARCH_H
#define KERNEL_ARCH_HOSTED_ARCH_H

#ifndef __x86_64__
#error "the hosted build runs on x86_64 hosts only: kernel/arch/hosted has no switch for this one yet"
#endif

#define HART_ERROR HART_ARCH          /* offset of arch.error */
#define HART_RELAXES (HART_ARCH + 8)  /* of arch.relaxes */
#define HART_IRQ_OFF (HART_ARCH + 32) /* of arch.irq_off */

struct arch_fiber;

struct arch_hart {
	int *error;                     /* the thread's own errno */
	int32_t relaxes;                /* turns of spin loops left before the thread lets others run */
	_Atomic(int) thread;            /* its id; 0: it has not started */
	int64_t relaxed;                /* when it last did, ns, in a row of so many */
	unsigned in_vain;
	int timer;                      /* the kernel's timer that signals this thread */
	volatile uint32_t irq_off;      /* signals only set irq_pending */
	volatile uint32_t irq_pending;
	_Atomic(uint32_t) signalled;    /* a kick's signal is on its way */
	_Atomic(uint32_t) asleep;       /* in hart_idle(): a kick takes no signal */
	_Atomic(uint32_t) device;       /* the sockets have events */
	_Atomic(uint32_t) paused;       /* the last round in which it waited: trim.c */
	/* By this hart only, also from its signal handler, with irq_off or in the handler. */
	volatile int64_t deadline;      /* of the scheduler's timer, ns; INT64_MAX: none */
	/* when to look again at what could not be preempted; INT64_MAX: never */
	volatile int64_t retry;
	volatile int64_t armed;         /* when the kernel's timer comes */
	volatile int64_t slack;         /* not sooner than so long from when it is set */
	int64_t retry_step;
	int32_t steps;                  /* left, through the sanitizer's runtime: signals.c */
	int64_t stepped_since;          /* and when they began */
	int64_t step_after;             /* none before that time */
	bool reporting;                 /* a fault's report is under way */
	struct arch_fiber *fiber;       /* whose stack is in use; builds with a sanitizer only: fibers.c */
};

struct hart;

/* Code in this section is not preempted. */
#define CALLED_BY_LIBC __attribute__((section("gump_called_by_libc")))

/*
 * Of functions in which one G stops and another, which was called from elsewhere, goes on: they return by a
 * jump through __x86_return_thunk (switch.S), since a `ret` would be predicted wrongly.
 */
#if __has_attribute(function_return)
#define SWITCHES __attribute__((function_return("thunk-extern")))
#endif

/* Always, since a sanitizer's instrumentation of a function of its own would be called in signal handlers. */
#define HOSTED_INLINE static inline __attribute__((always_inline))

HOSTED_INLINE struct hart *hart_self(void)
{
	struct hart *hart;
	__asm__ volatile("mov %%gs:%c1, %0" : "=r"(hart) : "i"(HART_SELF));
	return hart;
}

HOSTED_INLINE void *hart_g(void)
{
	void *g;
	__asm__ volatile("mov %%gs:%c1, %0" : "=r"(g) : "i"(HART_G));
	return g;
}

HOSTED_INLINE uint32_t hart_mark(void)
{
	uint32_t mark;
	__asm__ volatile("movl %%gs:%c1, %0" : "=r"(mark) : "i"(HART_MARK));
	return mark;
}

HOSTED_INLINE void hart_lock_raise(void)
{
	__asm__ volatile("incl %%gs:%c0" : : "i"(HART_LOCKS) : "cc", "memory");
}

HOSTED_INLINE bool hart_lock_lower(void)
{
	bool zero, due;
	__asm__ volatile("decl %%gs:%c1" : "=@ccz"(zero) : "i"(HART_LOCKS) : "memory");
	if (!zero)
		return false;
	/* From here a preemption may take us to another hart; then this one has been seen to. */
	__asm__ volatile("cmpl $0, %%gs:%c1" : "=@ccnz"(due) : "i"(HART_PREEMPT) : "memory");
	return due;
}

/* clock.c: the CPU's counter, or, where it cannot be trusted, the kernel's clock. */
extern bool hart_clock_is_tsc;
uint64_t hart_ticks_slow(void);

HOSTED_INLINE uint64_t hart_ticks(void)
{
	uint32_t low, high;
	if (__builtin_expect(!hart_clock_is_tsc, 0))
		return hart_ticks_slow();
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

HOSTED_INLINE bool hart_word_take(_Atomic(uint32_t) *word, uint32_t free)
{
	return __atomic_compare_exchange_n((uint32_t *)word, &free, free | hart_mark(), true,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* There may be more harts than CPUs: whoever is waited for may want this one. */
void hart_relax_slow(void);

HOSTED_INLINE void hart_relax(void)
{
	bool enough;
	__asm__ volatile("pause\n\tdecl %%gs:%c1" : "=@ccs"(enough) : "i"(HART_RELAXES) : "memory");
	if (__builtin_expect(enough, 0))
		hart_relax_slow();
}

bool hart_irq_off(void);
void hart_irq_restore(bool on);

uintptr_t hart_context_new(uintptr_t top, void (*entry)(void));

#endif
