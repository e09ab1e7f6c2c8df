/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Harts as threads: sleeping, and being kicked.
 *
 * A hart sleeps in the kernel (a futex) on its `kicked` word. Whoever kicks sets the word and then either
 * wakes the sleeper or sends a signal to the thread that runs:
 *
 *     hart_kick: kicked = 1          hart_idle: asleep = 1
 *                look at asleep                 look at kicked, sleep only if it is 0
 *
 * both in one sequentially consistent order, so one side sees the other. A hart that was seen asleep has no
 * signal to handle: whatever the kicker wrote, it sees when it has left hart_idle().
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "hosted.h"
#include "kernel/machine.h"

/*
 * Some 10 us of a spin loop. With checks some 100: their windows (sched/fuzz.c) are held open for
 * microseconds, and who gives the processor away meanwhile has it back after milliseconds on a busy host.
 */
#define RELAXES (GUMP_CHECKS ? 2000 : 200)

/*
 * To yield is cheap, but no promise: Linux 6.18 runs those who yield to one another again and again, and the
 * one that they all wait for seconds later. A thread that sleeps is not chosen. (Go's lock spins, yields,
 * then sleeps.)
 */
#define YIELDS 4       /* to others in a row, before a sleep after each */
#define ALONE_NS 10000 /* so soon a yield returns when there was nobody */
#define ROW_NS 4000000 /* what comes so long after the last is another wait */
#define SLEEP_NS 20000 /* the first; each doubles the next, */
#define SLEEP_LONGER 4 /* so often */

UNSANITIZED void hart_relax_slow(void)
{
	/* Of any hart's: if this G moves in between, nothing comes of it. */
	struct arch_hart *a = &hart_self()->arch;
	int64_t before = hart_now();

	a->relaxes = RELAXES;
	SYS(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
	int64_t after = hart_now();
	unsigned in_vain = a->in_vain;
	if (before - a->relaxed > ROW_NS)
		in_vain = 0;
	else if (after - before < ALONE_NS)
		in_vain /= 2;
	else if (in_vain < YIELDS + SLEEP_LONGER)
		in_vain++;
	a->in_vain = in_vain;
	if (in_vain >= YIELDS) {
		struct timespec ns = { .tv_nsec = SLEEP_NS << (in_vain - YIELDS) };
		SYS(SYS_nanosleep, &ns, NULL, 0, 0, 0, 0);
		after = hart_now();
	}
	a->relaxed = after;
}

/* ns: for how long at most, or 0. True: so long it was. */
static bool sleep_on(_Atomic(uint32_t) *word, int64_t ns)
{
	struct timespec most = { ns / 1000000000, ns % 1000000000 };

	return SYS(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, ns != 0 ? &most : NULL, NULL, 0) == -ETIMEDOUT;
}

static void wake(_Atomic(uint32_t) *word)
{
	SYS(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void hart_signal(struct hart *hart)
{
	SYS(SYS_tgkill, process_id, hart->arch.thread, SIGURG, 0, 0, 0);
}

/* ---- The one device: the sockets, whose thread is none of a hart's (net/hosted/poller.c) ---- */

static void (*device_handler)(void);

void device_attach(void (*handler)(void))
{
	device_handler = handler;
}

static bool device_taken(struct hart *hart)
{
	return atomic_load(&hart->arch.device) != 0 && atomic_exchange(&hart->arch.device, 0) != 0;
}

/* One that sleeps needs no signal, as with a kick: `device` is set before its `asleep` is looked at. */
void device_interrupt(void)
{
	struct hart *hart = hart_get(0);

	for (unsigned id = 0; id < hart_count(); id++)
		if (atomic_load(&hart_get(id)->arch.asleep)) {
			hart = hart_get(id);
			break;
		}
	atomic_store(&hart->arch.device, 1);
	atomic_exchange(&hart->kicked, 1);
	if (atomic_load(&hart->arch.asleep))
		wake(&hart->kicked);
	else
		hart_signal(hart);
}

void device_events(void)
{
	struct hart *hart = hart_self();

	if (!device_taken(hart))
		return;
	/* What the device brought may have come after hart_idle's caller looked. */
	atomic_store(&hart->kicked, 1);
	device_handler();
}

/* ---- Sleep ---- */

/*
 * A signal that comes while it sleeps ends the sleep, and has set `kicked` if there was a reason. What it
 * does to the deadline after that was read does no harm: who has set an earlier one kicks.
 */
void hart_idle(void)
{
	struct hart *hart = hart_self();

	atomic_store(&hart->arch.asleep, 1);
	while (atomic_exchange(&hart->kicked, 0) == 0)
		if (sleep_on(&hart->kicked, timer_sleep(hart)))
			timer_passed(hart);
	atomic_store(&hart->arch.asleep, 0);
	if (device_taken(hart))
		device_handler();
	hart_stop_if_asked();
}

void hart_kick(unsigned id)
{
	struct hart *hart = hart_get(id);

	atomic_exchange(&hart->kicked, 1);
	if (atomic_load(&hart->arch.asleep))
		wake(&hart->kicked);
	else if (hart->arch.thread != 0 && atomic_exchange(&hart->arch.signalled, 1) == 0)
		hart_signal(hart);
}

/* ---- The end ---- */

void __gcov_dump(void) __attribute__((weak)); /* in the build for tests/coverage */

void arch_poweroff(int status)
{
	hart_lock_raise(); /* what follows lies in the program's text, and may take locks */
	if (__gcov_dump != NULL)
		__gcov_dump();
	memory_save();
	for (;;)
		SYS(SYS_exit_group, status, 0, 0, 0, 0, 0);
}

void arch_halt(void)
{
	for (;;)
		SYS(SYS_pause, 0, 0, 0, 0, 0, 0);
}
