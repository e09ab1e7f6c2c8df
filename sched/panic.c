/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * go_panic, go_defer, go_call.
 *
 * A panic runs the deferred calls on top of the stack that panicked, which is therefore still whole when an
 * uncaught panic prints its backtrace. A caught one leaves by longjmp to the frame of its go_call; nothing
 * between needs unwinding in C. A panic in a deferred call takes the place of the one under way; if none is
 * caught, all are printed. A panic and go_exit() leave the blocking sections that were entered since the
 * go_call. go_exit() cannot be undone: a go_call that catches the panic of a deferred call goes on with it.
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
		if (!d.in_frame)
			free(g->deferred);
		g->deferred = d.next;
		d.fn(d.arg);
	}
}

void panic_run_all_deferred(struct g *g)
{
	for (; g->call != NULL; g->call = g->call->outer)
		panic_run_deferred(g, g->call->mark);
	panic_run_deferred(g, NULL);
}

void sched_run_deferred(void)
{
	panic_run_all_deferred(g_self());
}

void panic_g_end(struct g *g)
{
	free(g->panic_message);
	g->panic_message = NULL;
	g->call = NULL;
	g->panicking = NULL;
	g->exiting = false;
}

void go_defer(void (*fn)(void *), void *arg)
{
	struct g *g = g_self();
	if (fn == NULL)
		go_panic("go_defer: the function is NULL");
	struct deferred *d = malloc(sizeof(*d));
	if (d == NULL)
		go_panic("go_defer: out of memory");
	g->tidy_up = true;
	*d = (struct deferred){ .fn = fn, .arg = arg, .next = g->deferred };
	g->deferred = d;
}

/* The second return of go_call's setjmp: nothing kept in a register is trusted. */
static NOINLINE const char *caught(void)
{
	struct g *g = g_self();
	struct call *call = g->call;

	g->call = call->outer;
	g->panicking = call->panicking;
	if (g->exiting && !call->exiting)
		go_exit();
	if (g->panic_message != NULL)
		return g->panic_message;
	return call->literal != NULL ? call->literal : "out of memory for the message";
}

const char *go_call(void (*fn)(void *), void *arg)
{
	struct g *g = g_self();
	struct call call = { .outer = g->call,
			     .mark = g->deferred,
			     .panicking = g->panicking,
			     .block_depth = g->block_depth,
			     .exiting = g->exiting };

	g->tidy_up = true;
	g->call = &call;
	if (setjmp(call.env) != 0)
		return caught();
	fn(arg);
	panic_run_deferred(g, call.mark);
	g->call = call.outer;
	return NULL;
}

static void print_panics(const struct panicking *panic)
{
	if (panic->outer != NULL)
		print_panics(panic->outer);
	hart_print("%spanic: %s\n", panic->outer != NULL ? "\t" : "", panic->message);
}

static noreturn void uncaught(const struct panicking *panics)
{
	fflush(stdout);
	hart_stop_others();
	print_panics(panics);
	hart_print("\n");
	sched_describe_current();
	hart_backtrace_here();
	hart_poweroff(2);
}

/* Interrupts off: a G that moves between the two loads would read another hart's count. */
static bool no_locks(void)
{
	bool on = hart_irq_off();
	uint32_t locks = hart_self()->locks;
	hart_irq_restore(on);
	return locks == 0;
}

/* A longjmp that has left a go_call: its frame is below what is in use, if nobody has gone as deep since. */
static void check_call(const struct g *g, const char *message)
{
	if (g->call != NULL && (uintptr_t)g->call < (uintptr_t)__builtin_frame_address(0))
		hart_fatal("a longjmp has left a go_call; then: panic: %s", message);
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
	assert(no_locks() && "go_panic under a lock");
	check_call(g, message);
	struct panicking panic = { message, g->panicking };
	g->panicking = &panic;
	block_leave_to(g, g->call != NULL ? g->call->block_depth : 0);
	panic_run_deferred(g, g->call != NULL ? g->call->mark : NULL);
	if (g->call == NULL)
		uncaught(&panic);
	if (g->panic_message == NULL)
		g->panic_message = malloc(MESSAGE_SIZE);
	if (g->panic_message != NULL)
		memcpy(g->panic_message, message, MESSAGE_SIZE);
	else if (strchr(fmt, '%') == NULL)
		g->call->literal = fmt;
	longjmp(g->call->env, 1);
}
