/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random scheduling, for the build with checks: see fuzz.h.
 *
 * All of it comes from one seed, which is printed at the start; GUMPDEBUG=seed=N sets it, and seed=0 turns
 * random scheduling off. Each hart draws from a stream of its own, so with -icount and one hart a seed
 * repeats a run exactly; with more it repeats what is drawn, and the host decides when.
 *
 * A bug mostly wants much of one disturbance and little of the others: one that needs a long queue never
 * comes up where every wake-up goes elsewhere. So the seed also draws how often each kind is done in this
 * run, and how often each window is held open, from never to nearly always. GUMPDEBUG=windows holds all of
 * them open half of the time and does nothing else: for what is lost in a window.
 */
#include <stdlib.h>
#include <string.h>

#include "sched/sched.h"

#define WAIT_NS 30000       /* a window is held open for up to so long, */
#define LONG_WAIT_NS 300000 /* and one in 16 for up to so long */
#define HOLD_NS INT64_C(5000000000) /* a test that holds one has an end */
#define SLICE_MIN_NS 50000

enum kind { PICK, RUNNEXT, MIGRATE, PREEMPT, INTERRUPT, SLICE, KINDS };

/* In a sanitizer's build a woken G mostly goes elsewhere: what only one hart's order hides is a race then. */
#if GUMP_SANITIZED
#define MIGRATE_RATES { 32, 256, 256, 256 }
#else
#define MIGRATE_RATES { 0, 0, 32, 256 }
#endif

static const uint16_t rates[KINDS][4] = { /* of 256: the four are equally likely */
	[PICK] = { 0, 0, 64, 192 },
	[RUNNEXT] = { 0, 0, 32, 256 },
	[MIGRATE] = MIGRATE_RATES,
	[PREEMPT] = { 0, 0, 1, 32 },
	[INTERRUPT] = { 0, 0, 16, 128 },
	[SLICE] = { 0, 0, 128, 256 },
};

static const uint16_t wait_rates[4] = { 0, 2, 32, 128 };

static bool on, only_windows;
static uint16_t rate[KINDS], wait_rate[FUZZ_POINTS];
static int64_t wait_ticks, long_wait_ticks, slice_min;

static struct stream {
	uint64_t random;
	bool saw_no_idle_p, saw_no_work, saw_no_idle_m;
	enum fuzz_point held;
	bool (*held_until)(void); /* NULL: no test holds a window open here */
} __attribute__((aligned(CACHE_LINE))) streams[HARTS_MAX];

static struct stream *mine(void)
{
	return &streams[hart_self()->id];
}

static bool draw(uint32_t of_256)
{
	return of_256 != 0 && random_next(&mine()->random) >> 24 < of_256;
}

static bool chance(enum kind kind)
{
	return on && draw(rate[kind]);
}

static uint64_t seed_of_run(void)
{
	const char *debug = getenv("GUMPDEBUG"), *word = debug != NULL ? strstr(debug, "seed=") : NULL;
	return word != NULL ? strtoull(word + 5, NULL, 10)
			    : (hart_ticks() * UINT64_C(0x9e3779b97f4a7c15) >> 32) | 1;
}

void fuzz_init(void)
{
	uint64_t seed = seed_of_run(), state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;

	hart_print("gump: checks on, seed=%llu\n", (unsigned long long)seed);
	if (seed == 0)
		return;
	wait_ticks = (int64_t)hart_ns_to_ticks(WAIT_NS);
	long_wait_ticks = (int64_t)hart_ns_to_ticks(LONG_WAIT_NS);
	slice_min = (int64_t)hart_ns_to_ticks(SLICE_MIN_NS);
	for (unsigned id = 0; id < hart_count(); id++) {
		streams[id].random = state + id * UINT64_C(0xd1342543de82ef95);
		random_next(&streams[id].random);
	}
	for (int kind = 0; kind < KINDS; kind++)
		rate[kind] = rates[kind][random_next(&state) % 4];
	for (int point = 0; point < FUZZ_POINTS; point++)
		wait_rate[point] = wait_rates[random_next(&state) % 4];
	only_windows = hart_debug_word("windows");
	if (only_windows) {
		memset(rate, 0, sizeof(rate));
		for (int point = 0; point < FUZZ_POINTS; point++)
			wait_rate[point] = wait_rates[3];
	}
	/* A program that chooses with the P's random numbers (select, the thief's start)
	   is to repeat, too. */
	for (unsigned id = 0; id < hart_count(); id++)
		p_get(id)->random = streams[id].random ^ UINT64_C(0x5851f42d4c957f2d);
	on = true;
}

bool fuzz_is_on(void)
{
	return on;
}

static void wait_for(int64_t ticks, bool (*enough)(void))
{
	int64_t until = now_ticks() + ticks;
	while (now_ticks() < until && !(enough != NULL && enough()))
		hart_relax();
}

static int64_t random_part(int64_t ticks)
{
	return (int64_t)((uint64_t)ticks * random_next(&mine()->random) >> 32);
}

void fuzz_hold(enum fuzz_point point, bool (*enough)(void))
{
	mine()->held = point;
	mine()->held_until = enough;
}

/* Is this the window that a test holds open? Then that was it. */
static bool hold(enum fuzz_point point)
{
	bool (*enough)(void) = mine()->held_until;

	if (enough == NULL || mine()->held != point)
		return false;
	mine()->held_until = NULL;
	wait_for((int64_t)hart_ns_to_ticks(HOLD_NS), enough);
	return true;
}

/*
 * Holds a window open. What is waited for has often to go on for a while before it is too late
 * for the other side.
 */
static void wait_until(enum fuzz_point point, bool (*enough)(void))
{
	if (hold(point) || !on || !draw(wait_rate[point]))
		return;
	bool wait_long = random_next(&mine()->random) % (only_windows && enough != NULL ? 2 : 16) == 0;
	wait_for(random_part(wait_long ? long_wait_ticks : wait_ticks), enough);
	if (enough != NULL && enough())
		wait_for(random_part(wait_ticks), NULL);
}

void fuzz_wait(enum fuzz_point point)
{
	wait_until(point, NULL);
}

/*
 * Takes further Gs from the ring and puts back what it had. What is put back was nowhere meanwhile, so it is
 * a submission like any other.
 */
struct g *fuzz_pick(struct p *p, struct g *g)
{
	bool moved = false;

	if (g == NULL || !chance(PICK) || spin_held_here(&sched.lock))
		return g;
	for (uint32_t n = random_next(&mine()->random) % 8; n > 0; n--) {
		struct g *other = runq_get_ring(p);
		if (other == NULL)
			break;
		runq_put(p, g);
		g = other;
		moved = true;
	}
	if (moved)
		wake_p();
	return g;
}

bool fuzz_refuse_runnext(void)
{
	return chance(RUNNEXT);
}

bool fuzz_migrate(void)
{
	return chance(MIGRATE);
}

int64_t fuzz_slice(int64_t quantum)
{
	if (!chance(SLICE) || quantum <= slice_min)
		return quantum;
	return slice_min + (int64_t)(random_next(&mine()->random) % (uint64_t)(quantum - slice_min));
}

bool fuzz_interrupt(void)
{
	return chance(INTERRUPT);
}

bool fuzz_preempt(void)
{
	return chance(PREEMPT);
}

/* ---- Loads ahead of stores ---- */

/*
 * Each waits for the other side to come: then what it has seen is wrong, and only its fence
 * makes it look again.
 */

static bool some_p_is_idle(void)
{
	return load_relaxed(&sched.idle_ps) != 0;
}

static bool there_is_work(void)
{
	return work_somewhere(now_ticks());
}

void fuzz_publish(void)
{
	if (on)
		mine()->saw_no_idle_p = !some_p_is_idle();
	wait_until(FUZZ_PUBLISH, some_p_is_idle);
}

void fuzz_announce(void)
{
	bool none = on && !there_is_work();

	wait_until(FUZZ_ANNOUNCE, there_is_work);
	mine()->saw_no_work = none;
}

static bool some_m_is_idle(void)
{
	return load_relaxed(&sched.idle_ms) != 0;
}

void fuzz_leave_p(void)
{
	if (on)
		mine()->saw_no_idle_m = !some_m_is_idle();
	wait_until(FUZZ_BLOCK, some_m_is_idle);
}

void fuzz_fence(void)
{
	mine()->saw_no_idle_p = mine()->saw_no_work = mine()->saw_no_idle_m = false;
}

/* One early load is used once. */
static bool take(bool *seen)
{
	bool was = *seen;
	*seen = false;
	return was;
}

bool fuzz_saw_no_idle_p(void)
{
	return take(&mine()->saw_no_idle_p);
}

bool fuzz_saw_no_work(void)
{
	return take(&mine()->saw_no_work);
}

bool fuzz_saw_no_idle_m(void)
{
	return take(&mine()->saw_no_idle_m);
}
