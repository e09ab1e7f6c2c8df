/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What go_stats() tells. Nothing is counted for it alone, and nothing is locked: each number
 * is read once, relaxed.
 */
#include "sched/sched.h"

_Static_assert(GO_PROCS_MAX == HARTS_MAX, "a P for each hart");

void go_stats(struct go_stats *stats)
{
	*stats = (struct go_stats){
		.harts = (int)hart_count(),
		.procs = (int)procs_now(),
		.idle_procs = __builtin_popcount(load_relaxed(&sched.idle_ps)),
		.goroutines = go_count(),
		.runq = load_relaxed(&sched.runq_size),
	};
	for (unsigned id = 0; id < hart_count(); id++) {
		const struct p *p = p_get(id);
		stats->proc[id] = (struct go_proc_stats){
			.runq = runq_length(p),
			.steals = load_relaxed(&p->steals),
			.preemptions = load_relaxed(&p->preemptions),
		};
	}
}
