/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The port: everything that the scheduler may ask of a machine.
 *
 * A hart is a RISC-V hardware thread or an x86 logical CPU. Each has a block of
 * memory of its own whose head is `struct hart`; what follows the head belongs to
 * the scheduler, and neither the kernel nor an architecture looks at it. The block is
 * reached in one instruction (tp on riscv64, gs on x86_64).
 *
 * Three kinds of stack exist on a hart: the stacks of goroutines, the hart's own g0
 * stack, on which the scheduler runs, and the trap stack, on which every trap and
 * interrupt is handled. A function here says on which of them it may be called.
 *
 * Preemption is not interruption. `locks` counts the critical sections that the hart is
 * in: while it is not zero, what runs there is not preempted, yet interrupts stay on.
 * Code on g0 always runs with locks > 0. The count stays with the hart over a switch:
 * a G that switches away holds one lock, and whoever is switched to releases it.
 *
 * An architecture implements this header in kernel/arch/ARCH: arch.h holds the inline
 * part and `struct arch_hart`, the rest is in C and assembly beside it.
 */
#ifndef KERNEL_HART_H
#define KERNEL_HART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>

#define HARTS_MAX 16
#define CACHE_LINE 64

struct arch_hart; /* what the architecture keeps for each hart: defined in arch.h */

/* Offsets of the fields that assembly reads; arch code asserts them. */
#define HART_SELF 0
#define HART_G 8
#define HART_G0_SP 16
#define HART_LOCKS 24
#define HART_PREEMPT 28
#define HART_MARK 48
#define HART_HEAP 56
#define HART_ARCH 64

#define HART_STACK_OWNER 16 /* bytes at the top of each stack: hart_stack_own() */

#include "arch.h"

#ifndef CALLED_BY_LIBC
#define CALLED_BY_LIBC
#endif
#ifndef SWITCHES
#define SWITCHES
#endif

struct hart {
	struct hart *self;          /* this block's own address */
	void *g;                    /* the G that runs here; written by the scheduler only */
	uintptr_t g0_sp;            /* top of the g0 stack: hart_mcall starts there */
	uint32_t locks;             /* > 0: not preempted. Written by this hart only */
	uint32_t preempt;           /* a preemption came while locks > 0; due when it drops to 0 */
	uint32_t id;                /* 0 .. hart_count() - 1 */
	uint32_t hwid;              /* mhartid, APIC id */
	_Atomic(uint32_t) kicked;   /* a kick, the timer or a device came since hart_idle last returned */
	uint32_t in_trap;           /* depth of traps under way here */
	uint32_t mark;              /* id + 1: stands in the spin locks that this hart holds */
	struct heap *heap;          /* kernel/heap.c's: free objects that are kept for this hart */
	struct arch_hart arch;
} __attribute__((aligned(CACHE_LINE)));

/*
 * The inline part, in arch.h:
 *
 *   CALLED_BY_LIBC                   Before a function that the C library calls while it holds a
 *                                    lock of its own, so that its caller may not be preempted. Defined
 *                                    where there is such a library.
 *   SWITCHES                         Before a function that mostly returns to another G's caller than its
 *                                    own. Defined where returns need to know that.
 *   struct hart *hart_self(void)     The calling hart's block. Stale as soon as it is read
 *                                    unless locks > 0 or interrupts are off.
 *   void *hart_g(void)               hart_self()->g, read in one instruction, so that a G
 *                                    gets itself at any time, preemption or not.
 *   uint32_t hart_mark(void)         hart_self()->mark, in one instruction.
 *   struct heap *hart_heap(void)     hart_self()->heap, the same. On the machines: hosted, the heap is
 *                                    the host's.
 *   void hart_lock_raise(void)       ++locks and --locks of the calling hart, safe against
 *   bool hart_lock_lower(void)       preemption between their instructions (a preemption
 *                                    can only come while the count is 0 on the old hart and
 *                                    the new). lower answers whether the count is 0 now and a
 *                                    preemption is due.
 *   uint64_t hart_ticks(void)        The monotonic counter, raw. One instruction or two;
 *                                    the same on all harts.
 *   bool hart_word_take(_Atomic(uint32_t) *word, uint32_t free)
 *                                    *word was `free` and is free | hart_mark() now: a compare-and-swap, an
 *                                    acquire operation. May fail for no reason.
 *   void hart_relax(void)            In a spin loop.
 *   bool hart_irq_off(void)          Interrupts off; answers whether they were on.
 *   void hart_irq_restore(bool on)
 *   uintptr_t hart_context_new(uintptr_t top, void (*entry)(void))
 *                                    Prepares a context on a fresh stack whose highest address
 *                                    (exclusive, 16-aligned) is `top`, below its owner's: hart_gogo on
 *                                    the result calls entry(), which must not return. A backtrace
 *                                    ends there.
 */

/* Implemented by each architecture, out of line. */

/*
 * Saves the calling G's callee-saved registers on its stack and the resulting stack
 * pointer in *sp, switches to the top of the g0 stack and calls fn(arg) there. fn must
 * not return. The call returns, with locks as the scheduler left it (1), when somebody
 * passes *sp to hart_gogo, maybe on another hart. On a G's stack, locks == 1.
 * From the moment fn runs the G's context is complete: it may be published.
 */
void hart_mcall(uintptr_t *sp, void (*fn)(void *), void *arg);

/* Leaves for the context that `sp` names, for good. On any stack, locks == 1; whoever resumes lowers it. */
noreturn void hart_gogo(uintptr_t sp);

/*
 * hart_mcall and hart_gogo in one: saves the calling G in *sp and continues the context `to`, which is `g`'s,
 * without going over g0. In between, when the one is complete and its stack is left, hart->g becomes `g` and
 * *word becomes `value`, a release operation: so a lock released or a state changed by that store
 * publishes the calling G. On a G's stack, locks == 1.
 */
void hart_switch(uintptr_t *sp, uintptr_t to, void *g, _Atomic(uint32_t) *word, uint32_t value);

/*
 * The calling G has ended, and hart->g is another one that has not run yet and gets this stack, which ends
 * at `top`: leaves for entry(), as hart_gogo on a context that hart_context_new had made there. On that
 * stack, locks == 1.
 */
noreturn void hart_restart(uintptr_t top, void (*entry)(void));

/*
 * Sleeps until an interrupt; returns at once when a kick, the timer's or a device's interrupt came since
 * the last return, handled or not: so nothing that comes after the caller's last look for work is slept over.
 * Interrupts are on when it returns. On g0. May return for no reason.
 */
void hart_idle(void);

/*
 * Makes hart `id` return from hart_idle, or, if it runs a G, calls sched_interrupt there.
 * From anywhere, also a trap. A kick is never lost; several may become one. A release
 * operation: what the caller wrote before is seen by the kicked hart's sched_interrupt and
 * after its hart_idle.
 */
void hart_kick(unsigned id);

/*
 * This hart's timer interrupt comes at `deadline` (ns, absolute), or at once if that is past;
 * INT64_MAX: none. One timer a hart: a new call replaces the old. locks > 0 or interrupts off.
 */
void hart_timer_set(int64_t deadline);

int64_t hart_now(void);                     /* monotonic ns since boot; from anywhere */
int64_t hart_ticks_to_ns(uint64_t ticks);   /* a difference or a point of hart_ticks() */
uint64_t hart_ns_to_ticks(int64_t ns);      /* rounded up; from HART_NEVER on INT64_MAX */
/* A tick is shorter than what is left to INT64_MAX: no deadline before it passes that by rounding. */
#define HART_NEVER (INT64_MAX - 1000000000)

/* Implemented by the kernel for all architectures. */

unsigned hart_count(void);
struct hart *hart_get(unsigned id);         /* any hart's block; id < hart_count() */

/*
 * A G's stack: `size` bytes of virtual addresses that end at `top`, with a guard of at least
 * 64 KiB below. Pages come on the first touch, also when somebody else touches it.
 */
struct hart_stack {
	uintptr_t top;
	size_t size;
};
static inline bool hart_stack_holds(const struct hart_stack *stack, uintptr_t address)
{
	return stack->top - address <= stack->size;
}
#define HART_STACK_DEFAULT ((size_t)256 << 10)
#define HART_STACK_MAX ((size_t)1 << 30)

/*
 * The topmost bytes of a stack are its owner's: whoever gets it, from hart_stack_alloc() or from another,
 * says so before it runs there, so that hart_trim_each() knows whose it is.
 */
static inline void hart_stack_own(const struct hart_stack *stack, void *owner)
{
	((void **)stack->top)[-1] = owner;
}

/* 0, or -1: addresses, page tables or pages ran out. size: 0 is the default; rounded up. locks > 0. */
int hart_stack_alloc(struct hart_stack *stack, size_t size);
void hart_stack_free(struct hart_stack *stack);

/*
 * Bytes from the top, in pages, that were touched since its pages were last taken: its high-water mark. From
 * anywhere.
 */
size_t hart_stack_depth(const struct hart_stack *stack);
/* All addresses for stacks of the default size are taken: no memory would help. A hint. */
bool hart_stacks_used_up(void);

/*
 * Pages that waiting goroutines' stacks can spare: kernel/trim.c says how. On g0, locks == 1, one hart at a
 * time: begin; hide for each G that waits; flush; if that was possible, take for each that has waited ever
 * since; end, which says what came of it. `top` is the stack's, and `sp` where the G's context is saved.
 * Others run on meanwhile; hosted, they wait from flush to end, and no lock is taken in between.
 *
 * A round asks each stack once that may have something to give. It can be done a part at a time.
 */
struct hart_trim {
	size_t bytes;  /* came free */
	size_t packed; /* stacks */
	size_t asked;  /* stacks that were looked at before the flush */
	bool more;     /* the round has others */
};
/*
 * anew: a round begins. Else it goes on. At least `most` stacks are asked, if there are so many, and up to
 * 252 more, since a page of slots is asked as a whole. Hosted, all.
 */
void hart_trim_begin(bool anew, size_t most);
/*
 * Calls fn with the owner and the top of each stack that may have something to give: with owners that have
 * ended, too, and are `size` bytes of the heap with anything in them. False: nobody knows which those are.
 */
bool hart_trim_each(void (*fn)(void *owner, uintptr_t top), size_t size);
void hart_trim_hide(uintptr_t top, uintptr_t sp);
/* false: not possible here, and nothing is to be taken. Left out if nothing was asked, unless it must be. */
bool hart_trim_flush(bool must);
void hart_trim_take(uintptr_t top, uintptr_t sp);
struct hart_trim hart_trim_end(void);
/*
 * All is there again that a saved context needs; false: no memory. In a report, other harts stopped, not in
 * a trap.
 */
bool hart_trim_show(uintptr_t sp);
void hart_heap_trim(void);         /* the free objects of malloc's that this hart keeps go back. locks > 0 */
/* Hints, in bytes, which cost a load: of the machine's memory. Hosted, SIZE_MAX and 0. */
size_t hart_memory_free(void);
size_t hart_memory_total(void);
bool hart_memory_is_little(void);  /* less than half is free. Hosted, false */
size_t hart_stacks_in(void);       /* pages of stacks */

bool hart_debug_word(const char *word); /* is it among the words of GUMPDEBUG? */

/* Writes to the console at once, past stdout and its buffers. From anywhere. */
void hart_print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Prints a backtrace: of the caller, or of a context that hart_mcall saved. */
void hart_backtrace_here(void);
void hart_backtrace_saved(uintptr_t sp);
/* The name of the function that `pc` lies in, and how far into it; "?" when unknown. */
const char *hart_symbol(uintptr_t pc, size_t *offset);
/* Stops the other harts (they finish what their trap handlers do), so that a report is alone. */
void hart_stop_others(void);
/* Ends the machine; qemu/run exits with status & 0xff. */
noreturn void hart_poweroff(int status);
/* Prints "fatal: " and the message, registers none, a backtrace, and ends with status 2. */
noreturn void hart_fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The machine's memory in bytes, as go_memory() tells it; what is not in here is others'. From a G. */
struct hart_memory {
	size_t total, free, heap, heap_used, stacks, tables, image;
};
void hart_memory(struct hart_memory *memory);

/*
 * What the kernel keeps for each goroutine, at the head of the scheduler's `struct g`, so that
 * hart_g() finds it. errno is there and not in the hart: a compiler may keep its address over
 * a switch.
 */
struct hart_goroutine {
	int error;   /* errno */
	_Atomic(void *) line;  /* the line of stdout that it has begun: kernel/lines.c */
};

/* The running goroutine ends: flushes and frees what the kernel keeps for it. On its stack. */
void hart_goroutine_end(void);

/*
 * Halts this hart for good if another one called hart_stop_others(). From sched_interrupt(), and where a lock
 * that such a report may need is given back.
 */
void hart_stop_if_asked(void);

/* Implemented by the scheduler, called by the kernel and the architectures. */

/* Calls fn with each goroutine there is, and some that have ended; they run on meanwhile. From anywhere. */
void sched_each_goroutine(void (*fn)(struct hart_goroutine *));

extern const size_t sched_hart_size;        /* bytes of a hart's block, struct hart included */

/* Before any other hart is started: the Ms and Ps, by GOMAXPROCS and QUANTUM_US in the environment. */
void sched_init(void);
/* The boot hart becomes M0 and runs fn() in the first goroutine. On the g0 stack, locks == 1. */
noreturn void sched_start(void (*fn)(void));
/* Any other hart arrives here, on its g0 stack, locks == 1, interrupts off. */
noreturn void sched_hart_start(void);

/*
 * The timer fired, or somebody kicked this hart, while it ran a G or g0. On the trap
 * stack, interrupts off. Takes no lock. True: the G that was interrupted is to be preempted.
 * The architecture then, if locks == 0, makes the trap return into a routine on the G's stack
 * that saves every register, calls sched_preempt() and resumes the G where it was; if
 * locks > 0, it sets `preempt`, and the last hart_unlock() calls sched_preempt().
 */
enum hart_event { HART_TIMER, HART_KICK };
bool sched_interrupt(enum hart_event event);
void sched_preempt(void);

/* With GUMP_CHECKS: a critical section is about to end. Is the goroutine to be preempted here? locks > 0. */
#if GUMP_CHECKS
bool sched_check_unlock(void);
#else
static inline bool sched_check_unlock(void) { return false; }
#endif

/* A network device has work. From its interrupt handler, on the trap stack. */
void sched_netpoll_ready(void);

/*
 * Memory is short: gives back what goroutines' stacks can spare. True if pages came free. On a G's stack,
 * which may be in a blocking section and so without a P. In a critical section, where g0 always is, it does
 * nothing: what the answer needs may be held there.
 */
bool sched_reclaim(void);
/*
 * A stack grew out of the reserve, or the network is short of memory: a cycle is to come soon. From anywhere.
 * True: it has something to gain; a trap handler then preempts what runs.
 */
bool sched_reclaim_soon(void);
void sched_stack_grew(void); /* a page has come, and hart_memory_is_little(). On the trap stack */

/* The stack of the G that runs here; its top is 0 if none does. From a trap, too. */
struct hart_stack sched_stack_of_current(void);

/* main() has returned: runs what the calling goroutine has deferred. */
void sched_run_deferred(void);

/* Describes the running G for a fatal report ("goroutine NAME, created by ..."); may print nothing. */
void sched_describe_current(void);

/* Critical sections: not preempted between them. They nest. From a G or g0. */

static inline void hart_lock(void)
{
	hart_lock_raise();
	__asm__ volatile("" ::: "memory");
}

/* hart_unlock() but for one thing: when it answers true the caller has to call sched_preempt(). */
static inline bool hart_unlock_due(void)
{
	__asm__ volatile("" ::: "memory");
	if (sched_check_unlock())
		hart_self()->preempt = 1;
	return __builtin_expect(hart_lock_lower(), 0);
}

static inline void hart_unlock(void)
{
	if (hart_unlock_due())
		sched_preempt();
}

#include "kernel/spinlock.h"

#endif
