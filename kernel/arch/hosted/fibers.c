/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Switches as the sanitizers see them, in builds with -fsanitize=thread or address: what they know
 * of a thread (a vector clock and a stack of calls, or the bounds of the stack) goes with the stack
 * that is in use.
 *
 * Each G has a `struct arch_fiber` at the top of its stack, each hart one for its g0. The switch
 * itself is switch.S; whoever goes on tells the sanitizer first thing, on its own stack, in functions
 * that are not instrumented.
 *
 * ThreadSanitizer takes a switch for a synchronisation between the two fibers, as it should: one thread has
 * run the one, then the other. What a G has written reaches another hart only through the scheduler's own
 * atomics. It also counts calls and returns, and code on g0 does not return: it is left by hart_gogo(). So
 * g0's code is called from thread_run(), to which a longjmp, which the sanitizer knows, leads back.
 */
#include "hosted.h"

#if FIBERS
#include <setjmp.h>
#include <stdatomic.h>

struct arch_fiber {
	void *tsan;
	uintptr_t bottom;
	size_t size;
	jmp_buf base;            /* of a g0 */
	void (*fn)(void *);      /* what to call there */
	void *arg;
} __attribute__((aligned(16)));

static struct arch_fiber g0_fibers[HARTS_MAX];

void context_mcall(uintptr_t *sp, void (*fn)(void *), void *arg);
noreturn void context_gogo(uintptr_t sp);
noreturn void fiber_start(struct arch_fiber *fiber, void (*entry)(void));

#ifdef __SANITIZE_THREAD__
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
void *__tsan_get_current_fiber(void);

static inline void sanitizer_end(struct arch_fiber *fiber)
{
	if (fiber->tsan != NULL)
		__tsan_destroy_fiber(fiber->tsan);
	fiber->tsan = NULL;
}

/*
 * The fiber of the G that had this stack before, if one had, ends here: at its own end it was still running.
 */
static inline void sanitizer_new(struct arch_fiber *fiber)
{
	sanitizer_end(fiber);
	fiber->tsan = __tsan_create_fiber(0);
}

static inline void sanitizer_g0(struct arch_fiber *fiber)
{
	fiber->tsan = __tsan_get_current_fiber();
}

static inline __attribute__((always_inline)) void sanitizer_switch(struct arch_fiber *fiber)
{
	__tsan_switch_to_fiber(fiber->tsan, 0);
}
#else
#include <pthread.h>
void __sanitizer_start_switch_fiber(void **fake, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *fake, const void **bottom, size_t *size);
void __asan_unpoison_memory_region(const volatile void *start, size_t size);

static inline void sanitizer_end(struct arch_fiber *fiber)
{
	(void)fiber;
}

/* Frames that were never returned from are still marked on a stack that is used again. */
static inline void sanitizer_new(struct arch_fiber *fiber)
{
	fiber->size = stack_size_of(fiber->bottom); /* `bottom` is the top still */
	fiber->bottom -= fiber->size;
	__asan_unpoison_memory_region((void *)fiber->bottom, fiber->size - sizeof(*fiber));
}

static inline void sanitizer_g0(struct arch_fiber *fiber)
{
	pthread_attr_t attr;
	void *bottom;
	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstack(&attr, &bottom, &fiber->size);
	pthread_attr_destroy(&attr);
	fiber->bottom = (uintptr_t)bottom;
}

static inline __attribute__((always_inline)) void sanitizer_switch(struct arch_fiber *fiber)
{
	__sanitizer_start_switch_fiber(NULL, (void *)fiber->bottom, fiber->size);
	__sanitizer_finish_switch_fiber(NULL, NULL, NULL);
}
#endif

static struct arch_fiber *fiber_of(uintptr_t top)
{
	return (struct arch_fiber *)((top - sizeof(struct arch_fiber) - 64) & ~(uintptr_t)63);
}

/* At the top of a stack that is going to be used. The creator's past comes before the new G's. */
struct arch_fiber *fiber_new(uintptr_t top)
{
	struct arch_fiber *fiber = fiber_of(top);

	fiber->bottom = top;
	sanitizer_new(fiber);
	return fiber;
}

void fiber_free(uintptr_t top)
{
	sanitizer_end(fiber_of(top));
}

UNSANITIZED void fiber_start(struct arch_fiber *fiber, void (*entry)(void))
{
	hart_self()->arch.fiber = fiber;
	sanitizer_switch(fiber);
	entry();
	__builtin_unreachable();
}

/* The first code on g0. */
UNSANITIZED static void enter_g0(void *unused)
{
	struct hart *hart = hart_self();
	struct arch_fiber *g0 = &g0_fibers[hart->id];

	(void)unused;
	hart->arch.fiber = g0;
	sanitizer_switch(g0);
#ifdef __SANITIZE_THREAD__
	longjmp(g0->base, 1);
#else
	g0->fn(g0->arg);
#endif
}

UNSANITIZED void hart_mcall(uintptr_t *sp, void (*fn)(void *), void *arg)
{
	struct hart *hart = hart_self();
	struct arch_fiber *me = hart->arch.fiber, *g0 = &g0_fibers[hart->id];

	g0->fn = fn;
	g0->arg = arg;
	context_mcall(sp, enter_g0, NULL);
	hart_self()->arch.fiber = me; /* on whichever hart we are now */
	sanitizer_switch(me);
}

UNSANITIZED void hart_gogo(uintptr_t sp)
{
	context_gogo(sp);
}

struct restarting {
	uintptr_t top;
	void (*entry)(void);
};

static void restart_on_g0(void *arg)
{
	struct restarting r = *(struct restarting *)arg;

	hart_gogo(hart_context_new(r.top, r.entry));
}

/* Over g0: the fiber that this stack has until now has to be left. */
void hart_restart(uintptr_t top, void (*entry)(void))
{
	struct restarting r = { top, entry };
	uintptr_t sp;

	hart_mcall(&sp, restart_on_g0, &r);
	__builtin_unreachable();
}

struct switching {
	uintptr_t to;
	void *g;
	_Atomic(uint32_t) *word;
	uint32_t value;
};

static void switch_on_g0(void *arg)
{
	struct switching s = *(struct switching *)arg;

	hart_self()->g = s.g;
	atomic_store_explicit(s.word, s.value, memory_order_release);
	hart_gogo(s.to);
}

/* Over g0: the store has to be one that the sanitizer sees. */
void hart_switch(uintptr_t *sp, uintptr_t to, void *g, _Atomic(uint32_t) *word, uint32_t value)
{
	struct switching s = { to, g, word, value };

	hart_mcall(sp, switch_on_g0, &s);
}

UNSANITIZED void thread_run(struct hart *hart, void (*fn)(void))
{
	struct arch_fiber *g0 = &g0_fibers[hart->id];

	sanitizer_g0(g0);
	hart->arch.fiber = g0;
	g0->fn = NULL;
	hart->g0_sp = ((uintptr_t)__builtin_frame_address(0) - 4096) & ~(uintptr_t)15;
	setjmp(g0->base);
	if (g0->fn == NULL)
		fn();
	else
		g0->fn(g0->arg);
	__builtin_unreachable();
}
#else

void thread_run(struct hart *hart, void (*fn)(void))
{
	hart->g0_sp = (uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)15;
	fn();
	__builtin_unreachable();
}

#endif
