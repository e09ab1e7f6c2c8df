/* SPDX-License-Identifier: BSD-2-Clause */
/* How the scheduler comes up: the Ms and Ps by the environment, and the first goroutine. */
#include <stdlib.h>

#include "sched/sched.h"
#include "sched/trace.h"

struct sched sched = { .lock = SPINLOCK(LOCK_SCHED), .gfree_lock = SPINLOCK(LOCK_GFREE) };

int go_harts(void)
{
	return (int)hart_count();
}

int go_hart(void)
{
	return (int)hart_self()->id;
}

int64_t go_now(void)
{
	return hart_now();
}

static void (*main_fn)(void);

static void main_entry(void *arg)
{
	(void)arg;
	main_fn();
}

/* A number in the environment; one that is too large is refused, or, if `cut`, quietly taken for `high`. */
static long env_number(const char *name, long low, long high, bool cut, long otherwise)
{
	const char *text = getenv(name);
	if (text == NULL || *text == '\0')
		return otherwise;
	char *end;
	long n = strtol(text, &end, 10);
	if (*end == '\0' && n >= low && (n <= high || cut))
		return n <= high ? n : high;
	hart_print("gump: %s=%s is not a number from %ld to %ld; taking %ld\n", name, text, low, high,
		   otherwise);
	return otherwise;
}

const size_t sched_hart_size = sizeof(struct hart_block);

static void procs_init(void)
{
	long harts = (long)hart_count();

	sched.quantum = (int64_t)hart_ns_to_ticks(
		env_number("QUANTUM_US", 100, 1000000, false, QUANTUM_NS / 1000) * 1000);
	sched.spin = (int64_t)hart_ns_to_ticks(SPIN_NS);
	sched.procs = (uint32_t)env_number("GOMAXPROCS", 1, harts, true, harts); /* as go_maxprocs() */
}

void sched_init(void)
{
	for (unsigned id = 0; id < hart_count(); id++) {
		struct p *p = p_get(id);
		p->id = id;
		p->random = UINT64_C(0x9e3779b97f4a7c15) * (id + 1) ^ hart_ticks();
		lockrank_set(&p->timer_lock, LOCK_TIMERS);
		store_relaxed(&p->timer_when, INT64_MAX);
		store_relaxed(&p->status, P_DEAD);
		m_get(id)->timer_deadline = INT64_MAX;
	}
	procs_init();
	fuzz_init();
	reclaim_init();
	p_acquire(m_self(), p_get(0));
	for (unsigned id = 1; id < sched.procs; id++) {
		store_relaxed(&p_get(id)->status, P_IDLE);
		idle_p_add(p_get(id));
	}
	checks_start();
}

void sched_start(void (*fn)(void))
{
	main_fn = fn;
	debug_init();
	m_self()->now = now_ticks();
	if (!go_first(main_entry, "main", (uintptr_t)fn))
		hart_fatal("no memory for the first goroutine");
	hart_irq_restore(true);
	schedule();
}
