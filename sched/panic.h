/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SCHED_PANIC_H
#define SCHED_PANIC_H

#include <setjmp.h>

#include "sched/sched.h"

struct deferred {
	void (*fn)(void *);
	void *arg;
	struct deferred *next;
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
};

/* Runs what g, the caller, has deferred, last first, down to `mark`. Each is taken off before it runs. */
void panic_run_deferred(struct g *g, struct deferred *mark);
/* Frees what this file keeps for a G that ends. */
void panic_g_end(struct g *g);

#endif
