/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GUMPDEBUG: what the scheduler tells of itself, asked for by the environment. Words split by commas:
 *
 *     schedtrace=MS   a line every MS milliseconds, with the fields of Go's
 *     detail          with it, a line for each P, M and G
 *     seed=N          of random scheduling, in the build with checks (fuzz.h); 0: none
 *     trace=EVENTS    the event trace from the start, with room for so many events on each hart
 */
#include <gump/trace.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sched/sched.h"

#define relaxed memory_order_relaxed

static bool detail;

static void print_ps(void)
{
	for (uint32_t i = 0; i < sched.procs; i++) {
		struct p *p = p_get(i);
		struct m *m = p->m;
		hart_print("  P%u: status=%u schedtick=%u m=%d runqsize=%u gfreecnt=%u timerslen=%u\n",
			   (unsigned)i, (unsigned)atomic_load_explicit(&p->status, relaxed) & 0xff,
			   (unsigned)p->sched_tick, m != NULL ? (int)m->hart.id : -1,
			   (unsigned)runq_length(p), (unsigned)p->gfree_count, (unsigned)p->timer_count);
	}
}

static void print_ms(void)
{
	for (unsigned id = 0; id < hart_count(); id++) {
		struct m *m = m_get(id);
		struct p *p = m->p;
		struct g *g = m->hart.g;
		hart_print("  M%u: p=%d curg=%d locks=%u spinning=%d lockedgs=%u\n", id,
			   p != NULL ? (int)p->id : -1, g != NULL ? (int)g->number : -1,
			   (unsigned)m->hart.locks, m->spinning, (unsigned)m->locked_gs);
	}
}

static void print_gs(void)
{
	for (struct g *g = atomic_load_explicit(&sched.all_gs, memory_order_acquire); g != NULL;
	     g = g->all_next)
		if (atomic_load_explicit(&g->status, relaxed) != G_DEAD) {
			hart_print("  ");
			g_describe(g);
		}
}

/* On g0, from a timer. Others run on: the numbers are of slightly different times. */
static void fire_schedtrace(go_timer *t, int64_t now)
{
	char line[400];
	uint32_t ms = atomic_load_explicit(&sched.idle_ms, relaxed);
	uint32_t ps = atomic_load_explicit(&sched.idle_ps, relaxed);
	int n = snprintf(line, sizeof(line),
			 "SCHED %lldms: gomaxprocs=%u idleprocs=%d threads=%u spinningthreads=%u "
			 "needspinning=0 idlethreads=%d runqueue=%u [",
			 (long long)(now / 1000000), (unsigned)sched.procs, __builtin_popcount(ps),
			 hart_count(), (unsigned)atomic_load_explicit(&sched.spinning, relaxed),
			 __builtin_popcount(ms), (unsigned)atomic_load_explicit(&sched.runq_size, relaxed));

	(void)t;
	for (uint32_t i = 0; i < sched.procs; i++)
		n += snprintf(line + n, sizeof(line) - (size_t)n, " %u", (unsigned)runq_length(p_get(i)));
	n += snprintf(line + n, sizeof(line) - (size_t)n, " ] schedticks=[");
	for (uint32_t i = 0; i < sched.procs; i++)
		n += snprintf(line + n, sizeof(line) - (size_t)n, " %u", (unsigned)p_get(i)->sched_tick);
	hart_print("%s ]\n", line);
	if (detail) {
		print_ps();
		print_ms();
		print_gs();
	}
}

static void option(const char *word, size_t length)
{
	static go_timer timer = { .flags_ = TIMER_SYSTEM };
	char *end;
	const char *value = memchr(word, '=', length);
	size_t name = value != NULL ? (size_t)(value - word) : length;
	long number = value != NULL ? strtol(value + 1, &end, 10) : 0;
	bool whole = value != NULL && end == word + length && number > 0;

	if (length == 0)
		return;
	if (length == 6 && memcmp(word, "detail", 6) == 0) {
		detail = true;
	} else if (name == 10 && memcmp(word, "schedtrace", 10) == 0 && whole) {
		int64_t period = number * INT64_C(1000000);
		timer_start(&timer, hart_now() + period, period, fire_schedtrace);
	} else if (name == 5 && memcmp(word, "trace", 5) == 0 && whole) {
		if (go_trace_start((size_t)number) != 0)
			hart_print("gump: no memory for a trace of %ld events a hart\n", number);
	} else if (GUMP_CHECKS && name == 4 && memcmp(word, "seed", 4) == 0) {
		return; /* read before the harts start */
	} else {
		hart_print("gump: GUMPDEBUG=%.*s is not understood; ignored\n", (int)length, word);
	}
}

void debug_init(void)
{
	const char *at = getenv("GUMPDEBUG");

	while (at != NULL && *at != '\0') {
		size_t length = strcspn(at, ",");
		option(at, length);
		at += length + (at[length] == ',');
	}
}
