/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program's own signal handlers, which run on a hart, on top of whatever was interrupted. That may be the
 * C library, in the middle of malloc(), and a preemption of the handler would be one of that. So SIGURG waits
 * until the handler has returned, and then looks at what it had interrupted.
 *
 * The linker sends the program's calls here (--wrap), but not in a sanitizer's build: see qemu/gump-cc.
 */
#include <signal.h>

#include "hosted.h"

int __real_sigaction(int number, const struct sigaction *action, struct sigaction *old);
int __wrap_sigaction(int number, const struct sigaction *action, struct sigaction *old);
sighandler_t __wrap_signal(int number, sighandler_t handler);
sighandler_t __wrap___sysv_signal(int number, sighandler_t handler);

int __wrap_sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
	struct sigaction masked;

	if (action == NULL)
		return __real_sigaction(number, NULL, old);
	masked = *action;
	sigaddset(&masked.sa_mask, SIGURG);
	return __real_sigaction(number, &masked, old);
}

static sighandler_t handle(int number, sighandler_t handler, int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags }, old;

	return __wrap_sigaction(number, &action, &old) == 0 ? old.sa_handler : SIG_ERR;
}

sighandler_t __wrap_signal(int number, sighandler_t handler)
{
	return handle(number, handler, SA_RESTART);
}

/* What signal() is to a program that asks for nothing but ISO C. */
sighandler_t __wrap___sysv_signal(int number, sighandler_t handler)
{
	return handle(number, handler, (int)SA_RESETHAND | SA_NODEFER);
}
