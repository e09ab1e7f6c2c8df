/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * go_panic, go_defer, go_call.
 *
 * A panic runs the deferred calls on top of the stack that panicked, which is therefore still whole when an
 * uncaught panic prints its backtrace. A caught one leaves by longjmp to the frame of its go_call; nothing
 * between needs unwinding in C. A panic in a deferred call takes the place of the one under way.
 */
#include "sched/panic.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_SIZE 256

void panic_run_deferred(struct g *g, struct deferred *mark)
{
	while (g->deferred != mark) {
		struct deferred d = *g->deferred;
		free(g->deferred);
		g->deferred = d.next;
		d.fn(d.arg);
	}
}

void panic_g_end(struct g *g)
{
	free(g->panic_message);
	g->panic_message = NULL;
	g->call = NULL;
}

void go_defer(void (*fn)(void *), void *arg)
{
	struct g *g = g_self();
	struct deferred *d = malloc(sizeof(*d));
	if (d == NULL)
		go_panic("go_defer: out of memory");
	*d = (struct deferred){ fn, arg, g->deferred };
	g->deferred = d;
}

const char *go_call(void (*fn)(void *), void *arg)
{
	struct g *g = g_self();
	struct call call = { .outer = g->call, .mark = g->deferred };

	g->call = &call;
	if (setjmp(call.env) != 0) {
		/* Nothing kept in a register is trusted: this is the second return. */
		g = g_self();
		g->call = g->call->outer;
		return g->panic_message != NULL ? g->panic_message : "panic: out of memory for the message";
	}
	fn(arg);
	panic_run_deferred(g, call.mark);
	g->call = call.outer;
	return NULL;
}

static noreturn void uncaught(const char *message)
{
	fflush(stdout);
	hart_stop_others();
	hart_print("panic: %s\n\n", message);
	sched_describe_current();
	hart_backtrace_here();
	hart_poweroff(2);
}

void go_panic(const char *fmt, ...)
{
	char message[MESSAGE_SIZE];
	va_list args;
	struct g *g = g_self();

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	if (g == NULL)
		hart_fatal("panic on the scheduler's stack: %s", message);
	assert(hart_self()->locks == 0 && "go_panic under a lock");
	panic_run_deferred(g, g->call != NULL ? g->call->mark : NULL);
	if (g->call == NULL)
		uncaught(message);
	if (g->panic_message == NULL)
		g->panic_message = malloc(MESSAGE_SIZE);
	if (g->panic_message != NULL)
		memcpy(g->panic_message, message, MESSAGE_SIZE);
	longjmp(g->call->env, 1);
}
