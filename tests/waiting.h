/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For tests of queues' orders: who has come up to a queue need not stand in it yet, however long ago it said so,
 * as its hart may be away. One comes at a time:
 *
 *     here_i_come(); go_send(ch, &value);                       WAIT_FOR(it_waits_for(WAIT_CHAN_SEND));
 */
#ifndef TESTS_WAITING_H
#define TESTS_WAITING_H

#include "sched/sched.h"

static _Atomic(struct g *) it_comes;

static inline void here_i_come(void)
{
	it_comes = g_self();
}

/* The one that said so last, and if so, nobody. It looks at what another is writing, and is asked again. */
static inline __attribute__((no_sanitize("thread"))) bool it_waits_for(enum wait_reason reason)
{
	struct g *g = it_comes;
	if (g == NULL || atomic_load(&g->status) != G_WAITING || g->wait_reason != reason)
		return false;
	it_comes = NULL;
	return true;
}

#endif
