/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random scheduling, for the build with checks: see fuzz.h.
 *
 * All of it comes from one seed, which is printed at the start; GUMPDEBUG=seed=N sets it, and seed=0 turns random
 * scheduling off. Each hart draws from a stream of its own, so with -icount and one hart a seed repeats a run
 * exactly; with more it repeats what is drawn, and the host decides when.
 *
 * A bug mostly wants much of one disturbance and little of the others: one that needs a long queue never comes up
 * where every wake-up goes elsewhere. So the seed also draws how often each kind is done in this run, from never
 * to nearly always.
 */
#include <stdlib.h>
#include <string.h>

#include "sched/sched.h"

#define relaxed memory_order_relaxed
#define WAIT_NS 20000      /* a window is held open for up to so long, */
#define LONG_WAIT_NS 300000 /* and one in 64 for up to so long */
#define SLICE_MIN_NS 50000

enum kind { WAIT, PICK, RUNNEXT, MIGRATE, PREEMPT, INTERRUPT, SLICE, KINDS };

static const uint16_t rates[KINDS][4] = { /* of 256: the four are equally likely */
	[WAIT] = { 0, 1, 8, 64 },
	[PICK] = { 0, 16, 64, 192 },
	[RUNNEXT] = { 0, 16, 128, 256 },
	[MIGRATE] = { 0, 16, 128, 256 },
	[PREEMPT] = { 0, 1, 4, 32 },
	[INTERRUPT] = { 0, 0, 16, 128 },
	[SLICE] = { 0, 16, 128, 256 },
};

static bool on;
static uint16_t rate[KINDS];
static int64_t wait_ticks, long_wait_ticks, slice_min;

static struct stream {
	uint64_t random;
	bool saw_no_idle_p, saw_no_work;
} __attribute__((aligned(CACHE_LINE))) streams[HARTS_MAX];

static struct stream *mine(void)
{
	return &streams[hart_self()->id];
}

static bool chance(enum kind kind)
{
	return rate[kind] != 0 && random_next(&mine()->random) >> 24 < rate[kind];
}

static uint64_t seed_of_run(void)
{
	const char *debug = getenv("GUMPDEBUG");
	const char *word = debug != NULL ? strstr(debug, "seed=") : NULL;
	return word != NULL ? strtoull(word + 5, NULL, 10)
			    : (hart_ticks() * UINT64_C(0x9e3779b97f4a7c15) >> 32) | 1;
}

void fuzz_init(void)
{
	uint64_t seed = seed_of_run(), state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;

	hart_print("gump: checks on, seed=%llu\n", (unsigned long long)seed);
	wait_ticks = (int64_t)hart_ns_to_ticks(WAIT_NS);
	long_wait_ticks = (int64_t)hart_ns_to_ticks(LONG_WAIT_NS);
	slice_min = (int64_t)hart_ns_to_ticks(SLICE_MIN_NS);
	for (unsigned id = 0; id < hart_count(); id++) {
		streams[id].random = state + id * UINT64_C(0xd1342543de82ef95);
		random_next(&streams[id].random);
	}
	for (int kind = 0; kind < KINDS && seed != 0; kind++)
		rate[kind] = rates[kind][random_next(&state) % 4];
	/* A program that chooses with the P's random numbers (select, the thief's start) is to repeat, too. */
	for (unsigned id = 0; id < hart_count() && seed != 0; id++)
		p_get(id)->random = streams[id].random ^ UINT64_C(0x5851f42d4c957f2d);
	on = seed != 0;
}

void fuzz_wait(enum fuzz_point point)
{
	(void)point;
	if (!on || !chance(WAIT))
		return;
	uint32_t draw = random_next(&mine()->random);
	int64_t most = draw % 64 == 0 ? long_wait_ticks : wait_ticks;
	int64_t until = now_ticks() + (int64_t)((uint64_t)most * (draw >> 8) >> 24);
	while (now_ticks() < until)
		hart_relax();
}

/*
 * Takes further Gs from the ring and puts back what it had. What is put back was nowhere meanwhile, so it is a
 * submission like any other.
 */
struct g *fuzz_pick(struct p *p, struct g *g)
{
	bool inherit, moved = false;

	if (!on || g == NULL || !chance(PICK) || spin_held_here(&sched.lock))
		return g;
	for (uint32_t n = random_next(&mine()->random) % 8; n > 0; n--) {
		struct g *other = runq_get_ring(p);
		if (other == NULL)
			break;
		runq_put(p, g);
		g = other;
		moved = true;
	}
	(void)inherit;
	if (moved)
		wake_p();
	return g;
}

bool fuzz_refuse_runnext(void)
{
	return on && chance(RUNNEXT);
}

bool fuzz_migrate(void)
{
	return on && chance(MIGRATE);
}

int64_t fuzz_slice(int64_t quantum)
{
	if (!on || !chance(SLICE) || quantum <= slice_min)
		return quantum;
	return slice_min + (int64_t)(random_next(&mine()->random) % (uint64_t)(quantum - slice_min));
}

bool fuzz_interrupt(void)
{
	return on && chance(INTERRUPT);
}

/* At the end of a critical section: is the goroutine preempted here? Declared in kernel/hart.h. */
bool sched_preempt_at_random(void)
{
	struct hart *hart = hart_self();

	return on && hart->locks == 1 && hart->in_trap == 0 && hart->g != NULL && chance(PREEMPT);
}

/* ---- Loads ahead of stores ---- */

void fuzz_publish(void)
{
	if (on)
		mine()->saw_no_idle_p = atomic_load_explicit(&sched.idle_ps, relaxed) == 0;
	fuzz_wait(FUZZ_PUBLISH);
}

void fuzz_announce(void)
{
	if (on)
		mine()->saw_no_work = !work_somewhere(now_ticks());
	fuzz_wait(FUZZ_PUBLISH);
}

void fuzz_fence(void)
{
	mine()->saw_no_idle_p = mine()->saw_no_work = false;
}

bool fuzz_saw_no_idle_p(void)
{
	return mine()->saw_no_idle_p;
}

bool fuzz_saw_no_work(void)
{
	return mine()->saw_no_work;
}
