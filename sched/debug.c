/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GUMPDEBUG: what the scheduler tells of itself, asked for by the environment. Words split by commas:
 *
 *     schedtrace=MS   a line every MS milliseconds, with the fields of Go's
 *     detail          with it, a line for each P, M and G, as Go's scheddetail=1
 *     seed=N          of random scheduling; in the build with checks only (fuzz.h). 0: none
 *     trace=EVENTS    the event trace from the start, with room for so many events on each hart
 *     windows         in the build with checks: fuzz.c
 *     reclaim, pack   cycle.c
 *     memory, heap    kernel/memory.c, kernel/heap_debug.c
 */
#include <gump/trace.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sched/sched.h"

static bool detail;

/* Go says nil for none; each name may be used for one number of a line. */
static const char *number_or_nil(char text[12], bool some, uint32_t number)
{
	snprintf(text, 12, some ? "%u" : "nil", (unsigned)number);
	return text;
}

static const char *yes_or_no(bool yes)
{
	return yes ? "true" : "false";
}

static uint32_t ring_length(const struct p *p) /* Go does not count runnext */
{
	return load_relaxed(&p->runq_tail) - load_relaxed(&p->runq_head);
}

/* Go's numbers of the states. */
static unsigned p_status_number(const struct p *p)
{
	static const unsigned char numbers[] = {
		[P_IDLE] = 0, [P_RUNNING] = 1, [P_BLOCKED] = 2, [P_STOPPED] = 3, [P_DEAD] = 4,
	};
	return numbers[load_relaxed(&p->status) & 0xff];
}

static unsigned g_status_number(uint32_t status)
{
	static const unsigned char numbers[] = {
		[G_IDLE] = 0, [G_RUNNABLE] = 1, [G_RUNNING] = 2, [G_BLOCKING] = 3, [G_WAITING] = 4,
		[G_DEAD] = 6, [G_PREEMPTED] = 9,
	};
	return numbers[status];
}

static void print_ps(void)
{
	char m_text[12];

	for (uint32_t i = 0; i < sched.procs; i++) {
		struct p *p = p_get(i);
		struct m *m = p->m;
		hart_print("  P%u: status=%u schedtick=%u syscalltick=0 m=%s runqsize=%u gfreecnt=%u "
			   "timerslen=%u\n",
			   (unsigned)i, p_status_number(p), (unsigned)p->sched_tick,
			   number_or_nil(m_text, m != NULL, m != NULL ? m->hart.id : 0),
			   (unsigned)ring_length(p), (unsigned)(p->gfree.count + p->gfree_bare.count),
			   (unsigned)(p->timer_count - p->timer_dead));
	}
}

/* lockedg is one of those that are locked to it; Go's M has one at most. */
static uint32_t locked_number(const struct m *m)
{
	for (struct g *g = load_acquire(&sched.all_gs); g != NULL; g = g->all_next)
		if (g->locked_m == m)
			return g->number;
	return 0;
}

static void print_ms(void)
{
	char p_text[12], g_text[12], locked_text[12];
	uint32_t parked = ms_parked();

	for (unsigned id = 0; id < hart_count(); id++) {
		struct m *m = m_get(id);
		struct p *p = m->p;
		struct g *g = m->hart.g;
		uint32_t locked = m->locked_gs != 0 ? locked_number(m) : 0;
		hart_print("  M%u: p=%s curg=%s mallocing=0 throwing=0 preemptoff= locks=%u dying=0 "
			   "spinning=%s blocked=%s lockedg=%s\n", id,
			   number_or_nil(p_text, p != NULL, p != NULL ? p->id : 0),
			   number_or_nil(g_text, g != NULL, g != NULL ? g->number : 0),
			   (unsigned)m->hart.locks, yes_or_no(m->spinning), yes_or_no(parked & bit(id)),
			   number_or_nil(locked_text, locked != 0, locked));
	}
}

static struct m *runs_on(const struct g *g)
{
	for (unsigned id = 0; id < hart_count(); id++)
		if (m_get(id)->hart.g == g)
			return m_get(id);
	return NULL;
}

/* Go's fields, and then what a report says. */
static void print_gs(void)
{
	char m_text[12], locked_text[12], fields[120];

	for (struct g *g = load_acquire(&sched.all_gs); g != NULL; g = g->all_next) {
		uint32_t status = load_relaxed(&g->status);
		struct m *m = runs_on(g), *locked = g->locked_m;
		if (status == G_DEAD || status == G_IDLE)
			continue;
		snprintf(fields, sizeof(fields), "  G%u: status=%u(%s) m=%s lockedm=%s  ",
			 (unsigned)g->number,
			 g_status_number(status), status == G_WAITING ? wait_reason_name(g->wait_reason) : "",
			 number_or_nil(m_text, m != NULL, m != NULL ? m->hart.id : 0),
			 number_or_nil(locked_text, locked != NULL, locked != NULL ? locked->hart.id : 0));
		g_describe(fields, g);
	}
}

struct text {
	char bytes[768]; /* 16 Ps with the longest numbers need 600 */
	size_t length;
};

static void __attribute__((format(printf, 2, 3))) append(struct text *text, const char *format, ...)
{
	va_list args;
	size_t left = sizeof(text->bytes) - text->length;

	va_start(args, format);
	int n = vsnprintf(text->bytes + text->length, left, format, args);
	va_end(args);
	text->length += n < 0 ? 0 : (size_t)n < left ? (size_t)n : left - 1;
}

static int64_t begun; /* hosted, the clock is the host's */

/* On g0, from a timer. Others run on: the numbers are of slightly different times. */
static void fire_schedtrace(void *unused, int64_t now, void (*fn)(void *))
{
	struct text line = { .length = 0 };
	uint32_t ms = load_relaxed(&sched.idle_ms);
	uint32_t ps = load_relaxed(&sched.idle_ps);

	(void)unused;
	(void)fn;
	append(&line, "SCHED %lldms: gomaxprocs=%u idleprocs=%d threads=%u spinningthreads=%u needspinning=0 "
	       "idlethreads=%d runqueue=%u",
	       (long long)((now - begun) / 1000000), (unsigned)sched.procs, __builtin_popcount(ps),
	       hart_count(),
	       (unsigned)load_relaxed(&sched.spinning), __builtin_popcount(ms),
	       (unsigned)load_relaxed(&sched.runq_size));
	if (detail) {
		hart_print("%s gcwaiting=%s nmidlelocked=%d stopwait=%u sysmonwait=false\n", line.bytes,
			   yes_or_no(sched.stopping),
			   __builtin_popcount(load_relaxed(&sched.parked_locked)),
			   (unsigned)load_relaxed(&sched.stop_wait));
		print_ps();
		print_ms();
		print_gs();
		return;
	}
	append(&line, " [");
	for (uint32_t i = 0; i < sched.procs; i++)
		append(&line, " %u", (unsigned)ring_length(p_get(i)));
	append(&line, " ] schedticks=[");
	for (uint32_t i = 0; i < sched.procs; i++)
		append(&line, " %u", (unsigned)p_get(i)->sched_tick);
	hart_print("%s ]\n", line.bytes);
}

static bool is(const char *word, size_t length, const char *name)
{
	return length == strlen(name) && memcmp(word, name, length) == 0;
}

static void option(const char *word, size_t length)
{
	static go_timer timer = { .flags_ = TIMER_SYSTEM };
	char *end;
	const char *value = memchr(word, '=', length);
	size_t name = value != NULL ? (size_t)(value - word) : length;
	long number = value != NULL ? strtol(value + 1, &end, 10) : 0;
	bool whole = value != NULL && end == word + length && number > 0 && number <= INT32_MAX;

	if (length == 0)
		return;
	if (is(word, length, "detail")) {
		detail = true;
	} else if (is(word, name, "schedtrace") && whole) {
		int64_t period = number * INT64_C(1000000);
		timer_start(&timer, hart_now() + period, period, fire_schedtrace, NULL);
	} else if (is(word, name, "trace") && whole) {
		if (go_trace_start((size_t)number) != 0)
			hart_print("gump: no memory for a trace of %ld events a hart\n", number);
	} else if (is(word, name, "seed") || is(word, length, "windows") || is(word, length, "reclaim") ||
		   is(word, length, "pack")) {
		return; /* read before the harts start */
	} else if (is(word, length, "memory") || is(word, length, "heap")) {
		return; /* the kernel's, which reads them itself */
	} else {
		hart_print("gump: GUMPDEBUG=%.*s is not understood; ignored\n", (int)length, word);
	}
}

void debug_init(void)
{
	const char *at = getenv("GUMPDEBUG");

	begun = hart_now();
	while (at != NULL && *at != '\0') {
		size_t length = strcspn(at, ",");
		option(at, length);
		at += length + (at[length] == ',');
	}
}
