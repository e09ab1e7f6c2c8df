/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the hosted port share. */
#ifndef KERNEL_ARCH_HOSTED_HOSTED_H
#define KERNEL_ARCH_HOSTED_HOSTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/hart.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FIBERS 1 /* the sanitizer is told of each change of stack: fibers.c */
/* Of code that runs between two fibers, or where a signal may have interrupted the sanitizer's runtime. */
/* clang's no_sanitize leaves calls of the runtime in. */
#if __has_attribute(disable_sanitizer_instrumentation)
#define UNSANITIZED __attribute__((disable_sanitizer_instrumentation, noinline))
#else
#define UNSANITIZED __attribute__((no_sanitize("address", "thread"), noinline))
#endif
#else
#define FIBERS 0
#define UNSANITIZED
#endif

/* valgrind is told of stacks, where its headers are: a few instructions without effect if it is not there. */
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define VALGRIND_STACK_REGISTER(start, end) 0
#define VALGRIND_MAKE_MEM_UNDEFINED(start, size) 0
#define RUNNING_ON_VALGRIND 0
#endif

/*
 * ThreadSanitizer's runtime, if a signal interrupted that, cannot be called again from the handler, and holds
 * locks that others need; so with it nothing at all is done there.
 */
#ifdef __SANITIZE_THREAD__
#define HANDLED_ANYWHERE 0
#else
#define HANDLED_ANYWHERE 1
#endif

/*
 * A system call past the C library: no errno, no sanitizer's interceptor, fit for a signal handler. Answers
 * what the kernel does: -EINTR and so on.
 */
static inline __attribute__((always_inline)) long syscall6(long n, long a, long b, long c, long d, long e,
							   long f)
{
	long result;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

#define SYS(n, a, b, c, d, e, f) \
	syscall6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/* boot/hosted/boot.c, in this order */
void process_init(void);
void clock_init(void);
void signals_init(void);                          /* for the process */
void thread_install(struct hart *hart);           /* the calling thread becomes that hart */
noreturn void thread_run(struct hart *hart, void (*fn)(void)); /* calls fn on the hart's g0 stack, for good */
void symbols_init(void);
/*
 * symbols.c: where the functions of the program and of gump are. Not what leads from one of them into a
 * library (.plt), nor code in a section of its own.
 */
extern uintptr_t text_start, text_end;
void stdio_init(void);

/* timer.c: sets the kernel's timer to whatever comes first. On the hart itself, irq_off or in its handler. */
void timer_update(struct hart *hart);
void timer_install(struct hart *hart);
void timer_came(struct hart *hart, bool preempts); /* the deadline is over */
/* ns until a sleep has to end without a signal; 0: one comes, or none is needed. */
int64_t timer_sleep(struct hart *hart);
void timer_passed(struct hart *hart);      /* that time is over: what the signal would do. From hart_idle() */

/* harts.c: there is one device, the sockets. `handler` is called on a hart, as from an interrupt. */
void device_attach(void (*handler)(void));
void device_interrupt(void);               /* from a thread that is no hart's: wakes one, or interrupts one */
void device_events(void);                  /* from the signal handler */
void hart_signal(struct hart *hart);
extern __thread bool thread_is_hart;       /* signals.c: thread_install() was called on this thread */

/* libc.c */
extern int process_id;                     /* of the process that has the harts */
bool is_child(void);                       /* is this another one, which fork() or vfork() has made? */

bool memory_read(void *to, uintptr_t from, size_t size); /* context.c: false where there is none */

/* stacks.c: is `address` below the end of a goroutine's stack, in its guard? */
bool stack_guard_hit(uintptr_t address, uintptr_t *top, size_t *size);
bool stack_row(uintptr_t address); /* is it among the goroutines' stacks? */
/* Of the stack whose top that is; 0: of none. */
size_t stack_size_of(uintptr_t top);
/*
 * The sums of what the function answers: for each freed stack that it was not called for yet,
 * and for each mapping.
 */
size_t stacks_drop_free(size_t (*drop)(uintptr_t bottom, uintptr_t top));
size_t stacks_each_row(size_t (*fn)(uintptr_t start, uintptr_t end));

/* trim.c */
size_t stacks_in(void);                    /* bytes of stacks that are in memory */
void pause_if_asked(struct hart *hart);    /* from the signal handler, and as the hart starts */

void memory_save(void); /* memory.c: at the end, into the file that GUMP_MEMORY names */

/*
 * fibers.c, with a sanitizer: for a new G, at the top of its stack; and when that stack's
 * pages are given back.
 */
struct arch_fiber *fiber_new(uintptr_t top);
void fiber_free(uintptr_t top);

/* switch.S */
void preempt_entry(void);
void preempt_return(void); /* its last instruction */
extern const char preempt_entry_end[];

#endif
