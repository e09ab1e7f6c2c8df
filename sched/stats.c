/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What go_stats() tells. Nothing is counted for it alone, and nothing is locked: each number
 * is read once, relaxed.
 */
#include "sched/sched.h"

#define relaxed memory_order_relaxed

_Static_assert(GO_PROCS_MAX == HARTS_MAX, "a P for each hart");

void go_stats(struct go_stats *stats)
{
	*stats = (struct go_stats){
		.harts = (int)hart_count(),
		.procs = (int)procs_now(),
		.idle_procs = __builtin_popcount(atomic_load_explicit(&sched.idle_ps, relaxed)),
		.goroutines = go_count(),
		.runq = atomic_load_explicit(&sched.runq_size, relaxed),
	};
	for (unsigned id = 0; id < hart_count(); id++) {
		const struct p *p = p_get(id);
		stats->proc[id] = (struct go_proc_stats){
			.runq = runq_length(p),
			.steals = atomic_load_explicit(&p->steals, relaxed),
			.preemptions = atomic_load_explicit(&p->preemptions, relaxed),
		};
	}
}
