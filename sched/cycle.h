/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a reclaim cycle does; when one comes is in reclaim.c. On g0, but for taking the right to run one.
 */
#ifndef SCHED_CYCLE_H
#define SCHED_CYCLE_H

#include "sched/sched.h"

/*
 * The one that is under way, or the last one. From cycle_take() to cycle_leave() one hart alone reads and
 * writes it; between two of its parts nobody has it.
 */
extern struct cycle {
	uint32_t number, parts;
	int64_t start, took, longest, flushes; /* ns; of all parts, of one, of all flushes */
	size_t in;       /* bytes that stacks had as it began */
	size_t bytes, packed, asked;
	bool periodic;   /* asks only those that have waited for a second */
	bool left_warm;  /* has met some that had not */
	bool unfinished; /* there are more parts to come */
} cycle;

bool cycle_take(void);                       /* false: another hart has it */
void cycle_leave(void);
void cycle_wait(struct m *m);                /* until it may be had; no lock held */
void cycle_begin(struct m *m, bool periodic);
size_t cycle_part(struct m *m, bool all);    /* bytes that came free; all: to its end */
void cycle_init(void);                       /* GUMPDEBUG=reclaim, pack */

#endif
