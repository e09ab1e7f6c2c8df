/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What panic.c shares with proc.c and sync.c: a goroutine's deferred calls, panics and go_call()s. Only the
 * goroutine itself touches them, so there is no lock.
 */
#ifndef SCHED_PANIC_H
#define SCHED_PANIC_H

#include <setjmp.h>

#include "sched/sched.h"

struct deferred {
	void (*fn)(void *);
	void *arg;
	struct deferred *next;
	bool in_frame; /* of the function that runs it at its end: not from malloc() */
};

struct panicking { /* a panic whose deferred calls run, in go_panic()'s frame */
	const char *message;
	struct panicking *outer;
};

struct call { /* a go_call under way, in its frame */
	jmp_buf env;
	struct call *outer;
	/* Of its goroutine, when it began: */
	struct deferred *mark;
	struct panicking *panicking;
	uint32_t block_depth;
	bool exiting;
	const char *literal; /* the message of what it catches, when there is no memory for a copy */
};

/* Runs what g, the caller, has deferred, last first, down to `mark`. Each is taken off before it runs. */
void panic_run_deferred(struct g *g, struct deferred *mark);
/* All of it, of a G that exits: each in the go_call that it was deferred in, which catches its panics. */
void panic_run_all_deferred(struct g *g);
/* Frees what this file keeps for a G that ends. */
void panic_g_end(struct g *g);

#endif
