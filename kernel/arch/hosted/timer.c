/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hart's timer: a POSIX timer that signals its thread.
 *
 * The kernel's timer is set for the scheduler's deadline, or for a second look at a G that could not be
 * preempted (signals.c), whichever comes first; and only when that is earlier than what it is set to: a
 * signal that comes too early is cheaper than a system call each time.
 *
 * A signal costs as much as hundreds of switches. So none is asked for sooner than SLACK_NS from now, which
 * makes one of many timers that are close together; it is also what Linux adds to the waits of any thread.
 * While a hart has Gs to run it looks at its timers at each switch, and the signal is for the G that does
 * not. So after each that had nothing to preempt the next one may be twice as late, up to SLACK_MAX_NS. A
 * sleep needs no signal: if that would come too late for it, it has an end of its own.
 */
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "hosted.h"

#define SLACK_NS 50000
#define SLACK_MAX_NS 500000

void timer_install(struct hart *hart)
{
	struct arch_hart *a = &hart->arch;
	struct sigevent event;

	memset(&event, 0, sizeof(event));
	event.sigev_notify = SIGEV_THREAD_ID;
	event.sigev_signo = SIGURG;
	event._sigev_un._tid = a->thread;
	a->deadline = a->retry = a->armed = INT64_MAX;
	a->slack = SLACK_NS;
	if (SYS(SYS_timer_create, CLOCK_MONOTONIC, &event, &a->timer, 0, 0, 0) < 0)
		hart_fatal("timer_create: no timer for hart %u", (unsigned)hart->id);
}

HOSTED_INLINE int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

UNSANITIZED void timer_update(struct hart *hart)
{
	struct arch_hart *a = &hart->arch;
	int64_t now = hart_now(), when = later(a->deadline, now + a->slack);

	/* A deadline that has come is looked at when it is tried again. */
	if (a->retry < when || (a->retry != INT64_MAX && a->deadline <= now))
		when = a->retry;
	if (when >= a->armed)
		return;
	a->armed = when;
	/* Relative, since the clocks differ by a little. */
	int64_t left = when > now ? when - now : 1; /* 0 would turn it off */
	struct itimerspec set = { .it_value = { left / 1000000000, left % 1000000000 } };
	SYS(SYS_timer_settime, a->timer, 0, &set, NULL, 0, 0);
}

UNSANITIZED void timer_came(struct hart *hart, bool preempts)
{
	struct arch_hart *a = &hart->arch;

	a->slack = preempts ? SLACK_NS : 2 * a->slack < SLACK_MAX_NS ? 2 * a->slack : SLACK_MAX_NS;
}

int64_t timer_sleep(struct hart *hart)
{
	struct arch_hart *a = &hart->arch;
	int64_t now = hart_now(), when = later(a->deadline, now + SLACK_NS);

	a->slack = SLACK_NS;
	return when < a->armed ? when - now : 0;
}

void hart_timer_set(int64_t deadline)
{
	struct hart *hart = hart_self();
	bool on = hart_irq_off();

	hart->arch.deadline = deadline;
	timer_update(hart);
	hart_irq_restore(on);
}
