/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages of stacks: which there are, and those that are taken from goroutines that wait.
 *
 * A machine's kernel hides a page first, and takes it if nobody has touched it (kernel/trim.c). Here a hidden
 * page would be seen: a system call that is given an address in one fails. So there is no hiding, and the
 * other harts wait in their signal handlers from hart_trim_flush() to hart_trim_end(). What the scheduler
 * then finds waiting cannot go on, nothing below its saved stack pointer is of use, and those pages are given
 * back. Nothing is packed: what a goroutine needs to wait stays where it is.
 *
 * The harts that wait may hold any lock. So nothing in between takes one: it is system calls only.
 *
 *     hart_trim_flush: pausing = round         pause_if_asked, in the handler: paused = pausing
 *                      signal; wait for paused == round     wait while pausing is what it was
 *
 * A hart that has no thread yet is not waited for: it looks at `pausing` after it has said
 * which thread it is.
 */
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "hosted.h"

#define PAGE ((size_t)4096)
#define CHUNK 256 /* pages that are asked for at once */
#define PATIENCE_NS INT64_C(100000000) /* see all_paused() */

static _Atomic(uint32_t) pausing; /* the round; 0: none is under way */
static struct hart *pauser;       /* for whom the others wait; written before that */
static size_t freed;              /* bytes, in this cycle */
static bool asks;                 /* this part does: the first */

/* ---- Which pages there are ---- */

static size_t pages_in(const unsigned char *there, size_t pages)
{
	size_t n = 0;

	for (size_t i = 0; i < pages; i++)
		n += there[i] & 1;
	return n;
}

/* Bytes of the range that the host has in memory, and the first of them. */
static size_t bytes_in(uintptr_t start, uintptr_t end, uintptr_t *first)
{
	unsigned char there[CHUNK];
	size_t pages = 0;

	*first = end;
	for (uintptr_t at = start; at < end; at += CHUNK * PAGE) {
		size_t n = end - at < CHUNK * PAGE ? (end - at) / PAGE : CHUNK;
		if (SYS(SYS_mincore, at, n * PAGE, there, 0, 0, 0) != 0)
			return 0;
		for (size_t i = 0; i < n && *first == end; i++)
			if (there[i] & 1)
				*first = at + i * PAGE;
		pages += pages_in(there, n);
	}
	return pages * PAGE;
}

size_t hart_stack_depth(const struct hart_stack *stack)
{
	uintptr_t first;

	bytes_in(stack->top - stack->size, stack->top, &first);
	return stack->top - first;
}

static size_t row_in(uintptr_t start, uintptr_t end)
{
	uintptr_t first;
	return bytes_in(start, end, &first);
}

size_t stacks_in(void)
{
	return stacks_each_row(row_in);
}

static size_t drop(uintptr_t bottom, uintptr_t end)
{
	uintptr_t first;
	size_t bytes = bytes_in(bottom, end, &first);

	if (bytes == 0 || SYS(SYS_madvise, first, end - first, MADV_DONTNEED, 0, 0, 0) != 0)
		return 0;
	return bytes;
}

/* ---- The other harts wait ---- */

UNSANITIZED void pause_if_asked(struct hart *hart)
{
	uint32_t round;

	while ((round = atomic_load(&pausing)) != 0 && hart != pauser) {
		atomic_store(&hart->arch.paused, round);
		SYS(SYS_futex, &pausing, FUTEX_WAIT_PRIVATE, round, NULL, NULL, 0);
	}
}

static bool is_paused(unsigned id, uint32_t round)
{
	const struct arch_hart *a = &hart_get(id)->arch;

	return id == pauser->id || a->thread == 0 || atomic_load(&a->paused) == round;
}

/*
 * A hart may not listen for long: posix_spawn() takes no signal until its child has come to exec(), fsync()
 * none until the disk has answered, and with ThreadSanitizer the C library is not interrupted. That child may
 * even wait for one of those that wait here already. Then not this time.
 */
static bool all_paused(uint32_t round)
{
	int64_t until = hart_now() + PATIENCE_NS;

	for (unsigned id = 0; id < hart_count(); id++)
		while (!is_paused(id, round)) {
			if (hart_now() > until)
				return false;
			hart_relax();
		}
	return true;
}

static void go_on(void)
{
	atomic_store(&pausing, 0);
	SYS(SYS_futex, &pausing, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* ---- What the scheduler calls ---- */

static size_t drop_dead(uintptr_t bottom, uintptr_t top)
{
#if FIBERS
	fiber_free(top);
#endif
	return drop(bottom, top);
}

void hart_trim_begin(bool anew, size_t most)
{
	(void)most;
	asks = anew;
	freed = stacks_drop_free(drop_dead);
}

/* The host knows which pages there are, and says so of one range of them at a time. */
bool hart_trim_each(void (*fn)(void *owner, uintptr_t top), size_t size)
{
	(void)fn;
	(void)size;
	return false;
}

void hart_trim_hide(uintptr_t top, uintptr_t sp)
{
	(void)top;
	(void)sp;
}

bool hart_trim_flush(bool must)
{
	static uint32_t round;

	if (!must && !asks)
		return true;
	if (++round == 0)
		round = 1;
	pauser = hart_self();
	atomic_store(&pausing, round);
	for (unsigned id = 0; id < hart_count(); id++)
		if (!is_paused(id, round))
			hart_signal(hart_get(id));
	if (all_paused(round))
		return true;
	go_on();
	return false;
}

/*
 * `top` and `sp` may be of two lives of the G: one that is about to run for the first time has got
 * its stack just now.
 */
void hart_trim_take(uintptr_t top, uintptr_t sp)
{
	size_t size = stack_size_of(top);

	if (sp < top && sp >= top - size)
		freed += drop(top - size, sp & ~(PAGE - 1));
}

struct hart_trim hart_trim_end(void)
{
	go_on();
	return (struct hart_trim){ .bytes = freed };
}

bool hart_trim_show(uintptr_t sp)
{
	(void)sp;
	return true;
}
