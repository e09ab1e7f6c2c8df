/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the host's C library and goroutines meet: errno, and how a program ends.
 *
 * The library writes the thread's errno. A goroutine's own is in its `struct hart_goroutine`, and what
 * the library has left in the thread's is moved there whenever the goroutine asks for its errno or leaves
 * the hart. The library never sets errno to 0, so anything else in the thread's is news. errno.h of the
 * hosted build says (*go_errno()).
 *
 * A thread that the program has made is no hart, but its %gs leads to the hart that it was made on, which it
 * must not touch: its errno is the library's.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hosted.h"
#include "kernel/lines.h"
#include "kernel/machine.h"

int *go_errno(void)
{
	if (!thread_is_hart)
		return __errno_location();
	hart_lock();
	struct hart_goroutine *g = hart_g();
	int *thread = hart_self()->arch.error, *mine = g != NULL ? &g->error : thread;
	if (g != NULL && *thread != 0) {
		*mine = *thread;
		*thread = 0;
	}
	/*
	 * Not hart_unlock(): a signal handler asks for errno, too, and may have interrupted the library. The
	 * signal that preempts comes once more, and looks.
	 */
	if (hart_lock_lower())
		hart_kick(hart_self()->id);
	return mine;
}

/* The library's own would read the thread's. */
void perror(const char *what)
{
	int error = errno;

	if (what != NULL && *what != '\0')
		fprintf(stderr, "%s: ", what);
	fprintf(stderr, "%s\n", strerror(error));
}

/* ---- Children: on the way from fork() or vfork() to exec() ---- */

int process_id;

bool is_child(void)
{
	return getpid() != process_id;
}

/*
 * There is one thread, and it stays with the goroutine that called fork(): the others are the parent's, and a
 * preemption that is due would run them here as well. So it is in a critical section for good.
 */
static void child_begins(void)
{
	if (thread_is_hart)
		hart_lock_raise();
}

void process_init(void)
{
	process_id = getpid();
	pthread_atfork(NULL, NULL, child_begins);
}

/* ---- The end ---- */

void _exit(int status)
{
	/* What is unfinished is the parent's to write, and after vfork() the locks are its own. */
	while (is_child())
		SYS(SYS_exit_group, status, 0, 0, 0, 0, 0);
	fflush(stdout);
	lines_end();
	hart_poweroff(status);
}

void _Exit(int status)
{
	_exit(status);
}

/* As on the machines: a report, and status 2. */
void abort(void)
{
	fflush(stdout);
	hart_fatal("abort() was called");
}

void __assert_fail(const char *what, const char *file, unsigned line, const char *function)
{
	fflush(stdout);
	hart_fatal("assertion \"%s\" failed: file \"%s\", line %u, function: %s", what, file, line, function);
}

/* ---- What the sanitizers are told ---- */

/*
 * A race ends the program at its report (status 66): it would end by hart_poweroff(), past the place where
 * the runtime looks whether there was one. Harts are threads that nobody joins.
 */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "halt_on_error=1:report_thread_leaks=0:report_signal_unsafe=0:handle_segv=0:handle_sigbus=0:"
	       "handle_abort=0:handle_sigill=0:handle_sigfpe=0:second_deadlock_stack=1:"
	       "allocator_may_return_null=1";
}

/*
 * Stacks of parked goroutines are not searched for pointers, so what only they point to would count as lost.
 */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0:handle_segv=0:handle_sigbus=0:handle_abort=0:handle_sigill=0:handle_sigfpe=0:"
	       "detect_stack_use_after_return=0:use_sigaltstack=0:allocator_may_return_null=1";
}

const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void)
{
	return "print_stacktrace=1";
}
