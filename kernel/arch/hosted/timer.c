/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hart's timer: a POSIX timer that signals its thread.
 *
 * The kernel's timer is set for the scheduler's deadline, or for a second look at a G that could not be
 * preempted (signals.c), whichever comes first; and only when that is earlier than what it is set to: a signal
 * that comes too early is cheaper than a system call each time.
 */
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "hosted.h"

void timer_install(struct hart *hart)
{
	struct arch_hart *a = &hart->arch;
	struct sigevent event;

	memset(&event, 0, sizeof(event));
	event.sigev_notify = SIGEV_THREAD_ID;
	event.sigev_signo = SIGURG;
	event._sigev_un._tid = a->thread;
	a->deadline = a->retry = a->armed = INT64_MAX;
	if (SYS(SYS_timer_create, CLOCK_MONOTONIC, &event, &a->timer, 0, 0, 0) < 0)
		hart_fatal("timer_create: no timer for hart %u", (unsigned)hart->id);
}

UNSANITIZED void timer_update(struct hart *hart)
{
	struct arch_hart *a = &hart->arch;
	int64_t now = hart_now(), when = a->deadline < a->retry ? a->deadline : a->retry;

	if (a->retry != INT64_MAX && a->deadline <= now) /* it has come, and is looked at then */
		when = a->retry;
	if (when >= a->armed)
		return;
	a->armed = when;
	/* Relative, since the clocks differ by a little. 0 would turn it off. */
	int64_t left = when > now ? when - now : 1;
	struct itimerspec set = { .it_value = { left / 1000000000, left % 1000000000 } };
	SYS(SYS_timer_settime, a->timer, 0, &set, NULL, 0, 0);
}

void hart_timer_set(int64_t deadline)
{
	struct hart *hart = hart_self();
	bool on = hart_irq_off();

	hart->arch.deadline = deadline;
	timer_update(hart);
	hart_irq_restore(on);
}
