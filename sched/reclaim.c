/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reclaim cycle: goroutines that wait give back the pages of their stacks that they can spare.
 *
 * It takes the place that garbage collection has in Go: once in a while when there is something to gain, when
 * memory is short, and on call. An M runs it on g0, in the steps that kernel/trim.c describes; the world is
 * not stopped, and G, P and M know nothing of it. It asks the owners of the stacks that were touched since a
 * cycle last asked them, which kernel/trim.c knows; hosted, where nobody does, all Gs that there are.
 *
 * What it needs to know of a G is that its context is saved and stays so. That is so if the G
 *   - is WAITING, and has been since before the cycle began: a G that parks later has a later wait_since;
 *   - runs on no hart: a G in the short way is WAITING already while it still saves its context (switch.h).
 * A G is RUNNABLE only when its context is saved, and when memory is short those are asked, too: a thousand
 * that are woken at once need not all have their stacks in until they run.
 *
 * This is looked at before its pages are hidden, and again before they are taken; in between, the flush
 * has made all harts' earlier stores visible. A G that has run in between has touched its context, and
 * what was touched is not hidden any more. So a G that is found wanting is left alone, and needs nothing
 * to be put right.
 *
 * Its hart runs nobody meanwhile. So where nobody is in need of memory a cycle is done in parts, of about a
 * millisecond, and others run in between: on call when it is their turn, as the caller's slice goes on;
 * and the periodic one gets a hundredth of the time.
 */
#include <stdio.h>
#include <string.h>

#include "sched/sched.h"
#include "sched/trace.h"

#define relaxed memory_order_relaxed
#define PERIOD_NS INT64_C(10000000000)
#define COLD_NS INT64_C(1000000000) /* has waited for so long, for a periodic cycle */
#define LITTLE ((size_t)1 << 20)   /* bytes of stacks: a periodic cycle does not come for less */
#define STEP ((size_t)1 << 20)     /* bytes that stacks have taken out of the reserve: a quarter of that */
#define VAIN_NS INT64_C(1000000)    /* of a shorter cycle: see is_vain() */
#define PART_STACKS 100             /* asked in a part, or up to 252 more; 2,100 instructions each */
#define PART_GS 2000                /* dead Gs that a part has to do with: 50 to 100 instructions each */

size_t reclaim_asked;
unsigned reclaim_parts;
bool reclaim_packs_all; /* GUMPDEBUG=pack: after each park, for tests */
static bool reclaim_traced; /* GUMPDEBUG=reclaim: a line for each cycle */

static _Atomic(uint32_t) cycling;  /* an M runs a cycle */
static _Atomic(size_t) in_after;   /* bytes that stacks had after the last cycle that asked all */
static _Atomic(int64_t) ended;     /* ns: when that was, */
static _Atomic(int64_t) duration;  /* and how long it took */
static bool runnable_too;          /* this cycle asks those, too; by whoever runs one, as the next */
static _Atomic(size_t) in_looked;  /* bytes that stacks had when the periodic one last looked */
static _Atomic(bool) left_warm;    /* that has met some that had not waited for long enough */
static _Atomic(bool) periodic_left; /* there are more parts of it to come */
static struct {
	uint32_t number, parts;
	int64_t start, took, longest, flushes; /* ns; of all parts, of one, of all flushes */
	size_t bytes, packed, asked;
	bool periodic;             /* it asks only those that have waited for COLD_NS */
	bool unfinished;           /* there are more parts to come */
} so_far;                          /* what the cycle has come to; by whoever runs a part */

static bool runs_somewhere(const struct g *g)
{
	for (unsigned id = 0; id < hart_count(); id++)
		if (peek(&hart_get(id)->g) == g)
			return true;
	return false;
}

/* Has it waited since before that time, off its stack? */
static bool is_cold(struct g *g, int64_t before)
{
	/* Acquire: what comes next is looked at after it. */
	uint32_t status = atomic_load_explicit(&g->status, memory_order_acquire);

	if (status == G_RUNNABLE)
		return runnable_too;
	if (status != G_WAITING || runs_somewhere(g))
		return false;
	if (peek_time(&g->wait_since) < before)
		return true;
	atomic_store_explicit(&left_warm, true, relaxed);
	return false;
}

static int64_t cold_before;                        /* in this pass of the cycle */
static void (*for_this)(uintptr_t top, uintptr_t sp); /* the same */

/* The owner of the stack with that top; if it is not any more, that one's top is another, or none. */
static void for_owner(void *owner, uintptr_t top)
{
	struct g *g = owner;

	if ((uintptr_t)peek(&g->stack.top) == top && is_cold(g, cold_before))
		for_this(top, (uintptr_t)peek(&g->sp));
}

static void for_cold(int64_t before, void (*fn)(uintptr_t top, uintptr_t sp))
{
	cold_before = before;
	for_this = fn;
	if (hart_trim_each(for_owner, sizeof(struct g)) || so_far.parts != 0)
		return;
	for (struct g *g = atomic_load_explicit(&sched.all_gs, memory_order_acquire); g != NULL;
	     g = g->all_next)
		if (peek(&g->stack.top) != 0)
			for_owner(g, (uintptr_t)peek(&g->stack.top));
}

/* Dead Gs that no P keeps at hand: their stacks go back then, to be taken or used for larger ones. */
static void flush_pools(struct p *p)
{
	gfree_flush(p);
	spin_acquire(&sched.lock);
	for (uint32_t i = 0; i < sched.procs; i++)
		if (atomic_load_explicit(&sched.idle_ps, relaxed) & bit(i))
			gfree_flush(p_get(i));
	spin_release(&sched.lock);
}

static void leave(void)
{
	/* Release: the next one sees what this one has left. */
	atomic_store_explicit(&cycling, 0, memory_order_release);
}

/* Of a part. If it is the last and all were asked, what stacks have now they need. */
static void end(void)
{
	size_t in = hart_stacks_in();

	if (!so_far.unfinished && !so_far.periodic) {
		atomic_store_explicit(&in_after, in, relaxed);
		atomic_store_explicit(&duration, so_far.took, relaxed);
		atomic_store_explicit(&ended, hart_now(), relaxed);
		atomic_store_explicit(&sched.reclaim_wanted, false, relaxed);
	} else if (in < atomic_load_explicit(&in_after, relaxed)) {
		atomic_store_explicit(&in_after, in, relaxed);
	}
	atomic_store_explicit(&periodic_left, so_far.unfinished && so_far.periodic, relaxed);
	leave();
}

static bool begin(void)
{
	uint32_t free = 0;
	return atomic_compare_exchange_strong_explicit(&cycling, &free, 1, memory_order_acquire, relaxed);
}

void reclaim_heap_trim(struct m *m)
{
	m->heap_trims = atomic_load_explicit(&sched.heap_trims, relaxed);
	hart_heap_trim();
}

/*
 * Each M gives back what it keeps of the heap: those that sleep are woken to do so, the others find
 * it at their time.
 */
static void trim_heaps(struct m *m)
{
	atomic_fetch_add_explicit(&sched.heap_trims, 1, relaxed);
	reclaim_heap_trim(m);
	for (uint32_t idle = atomic_load_explicit(&sched.idle_ms, relaxed) & ~bit(m->hart.id); idle != 0;
	     idle &= idle - 1)
		hart_kick((unsigned)__builtin_ctz(idle));
}

/* GUMPDEBUG=reclaim. Hosted, the host knows what stacks and others have. */
static void tell(void)
{
	char memory[80] = "";

	if (hart_memory_total() != 0)
		snprintf(memory, sizeof(memory), ", stacks have %zu KiB, %zu KiB are free",
			 hart_stacks_in() >> 10, hart_memory_free() >> 10);
	hart_print("gump: reclaim %u at %lld ms: %lld us in %u parts of %lld us at most, of those flushes of "
		   "%lld us; %zu stacks asked, %zu KiB came free, %zu packed%s\n",
		   (unsigned)so_far.number, (long long)(so_far.start / 1000000),
		   (long long)(so_far.took / 1000), (unsigned)so_far.parts,
		   (long long)(so_far.longest / 1000), (long long)(so_far.flushes / 1000),
		   so_far.asked, so_far.bytes >> 10, so_far.packed, memory);
}

static void count(const struct hart_trim *got, int64_t start, int64_t flush)
{
	int64_t took = hart_now() - start;

	so_far.parts++;
	so_far.took += took;
	so_far.longest = took > so_far.longest ? took : so_far.longest;
	so_far.flushes += flush;
	so_far.bytes += got->bytes;
	so_far.packed += got->packed;
	so_far.asked += got->asked;
	so_far.unfinished = got->more;
}

/* All of what a cycle does, or so much of it. */
struct amount {
	size_t stacks, gs;
};
static const struct amount all = { SIZE_MAX, SIZE_MAX }, some = { PART_STACKS, PART_GS };

static void cycle_begin(struct m *m, bool periodic)
{
	uint32_t number = so_far.number + 1;

	memset(&so_far, 0, sizeof(so_far));
	so_far.number = number;
	so_far.start = hart_now();
	so_far.periodic = periodic;
	if (m->p != NULL)
		flush_pools(m->p);
	gfree_begin();
}

/* A part of the one that has begun, or all of it. Answers how many bytes came free. On g0. */
static size_t cycle(struct m *m, struct amount most)
{
	int64_t start = hart_now(), flush, flushed;
	int64_t before = now_ticks() - (so_far.periodic ? (int64_t)hart_ns_to_ticks(COLD_NS) : 0);
	struct hart_trim got;
	size_t free_before = hart_memory_free();
	bool anew = so_far.parts == 0, more;

	if (m->spinning) /* not for so long: who makes Gs ready relies on those that do */
		spinning_end(m);
	runnable_too = !so_far.periodic;
	trace(TRACE_RECLAIM, NULL, runnable_too, 0);
	more = gfree_release(most.gs) || gfree_spare(most.gs);
	hart_trim_begin(anew, most.stacks);
	for_cold(before, hart_trim_hide);
	flush = hart_now();
	bool possible = hart_trim_flush();
	flushed = hart_now();
	trace(TRACE_RECLAIM_FLUSH, NULL, (uint64_t)(flushed - flush), 0);
	if (possible)
		for_cold(before, hart_trim_take);
	got = hart_trim_end();
	more |= gfree_spare_end(possible, most.gs);
	got.more |= more;
	if (!got.more) {
		timers_shrink();
		if (possible)
			trim_heaps(m);
	}
	/* With what the heap gave back, and what others took or freed meanwhile. */
	size_t free_after = hart_memory_free();
	if (free_after > free_before && free_after - free_before > got.bytes)
		got.bytes = free_after - free_before;
	trace(TRACE_RECLAIM_END, NULL, got.bytes, got.packed);
	count(&got, start, flushed - flush);
	if (!got.more) {
		reclaim_asked = so_far.asked;
		reclaim_parts = so_far.parts;
		if (reclaim_traced)
			tell();
	}
	m->now = now_ticks();
	return got.bytes;
}

/*
 * Is a quarter of memory free still? If not, is there more in stacks than the last cycle had to leave there?
 */
static bool is_short(void)
{
	size_t total = hart_memory_total(), in = hart_stacks_in();

	return hart_memory_free() < total / 4 && in > atomic_load_explicit(&in_after, relaxed) + total / 16;
}

void reclaim_if_short(struct m *m)
{
	/* While another M's cycle is under way the caller waits: it would take what comes free, a
	   page here and there. */
	while (reclaim_wanted() || is_short()) {
		if (!begin()) {
			hart_relax();
			continue;
		}
		cycle_begin(m, false);
		cycle(m, all);
		end();
		break;
	}
}

static void put_off(int64_t ns)
{
	atomic_store_explicit(&sched.reclaim_due, now_ticks() + (int64_t)hart_ns_to_ticks(ns), relaxed);
}

/* A part of the periodic cycle. The next one comes when a hundred times as much has passed. */
static void periodic_part(struct m *m)
{
	int64_t start = hart_now();

	cycle(m, some);
	if (so_far.unfinished)
		put_off(100 * (hart_now() - start));
	else
		atomic_store_explicit(&in_looked, hart_stacks_in(), relaxed);
}

static bool is_worth_it(void)
{
	size_t in = hart_stacks_in(), before = atomic_load_explicit(&in_looked, relaxed);

	if (in > LITTLE && (in > before + before / 4 + LITTLE || atomic_load_explicit(&left_warm, relaxed)))
		return true;
	atomic_store_explicit(&in_looked, in, relaxed);
	return false;
}

void reclaim_if_due(struct m *m)
{
	bool goes_on = atomic_load_explicit(&periodic_left, relaxed);

	if (reclaim_wanted()) {
		reclaim_if_short(m);
		return;
	}
	put_off(PERIOD_NS);
	if (!goes_on)
		timers_shrink();
	if ((!goes_on && !is_worth_it()) || !begin())
		return;
	/* Nobody else has ended it meanwhile, or is at one between two parts. */
	if (so_far.unfinished == goes_on && (so_far.periodic || !goes_on)) {
		if (!goes_on) {
			atomic_store_explicit(&left_warm, false, relaxed);
			cycle_begin(m, true);
		}
		periodic_part(m);
		end();
	} else {
		leave();
	}
}

bool sched_reclaim_soon(void)
{
	/* Not for each page, if the last cycle could not help. */
	size_t step = hart_memory_total() / 32;
	bool gain = hart_stacks_in() > atomic_load_explicit(&in_after, relaxed) + (step < STEP ? step : STEP);

	if (gain)
		atomic_store_explicit(&sched.reclaim_wanted, true, relaxed);
	return gain;
}

/* Has the last cycle only just looked, and nothing grown since? Nine tenths of the time are for others. */
static bool is_vain(void)
{
	int64_t took = atomic_load_explicit(&duration, relaxed);

	return hart_stacks_in() <= atomic_load_explicit(&in_after, relaxed) &&
	       hart_now() - atomic_load_explicit(&ended, relaxed) < 10 * (took > VAIN_NS ? took : VAIN_NS);
}

/* Does no other P run anything? Then a cycle takes no time from anybody. */
static bool is_alone(void)
{
	uint32_t idle = (uint32_t)__builtin_popcount(atomic_load_explicit(&sched.idle_ps, relaxed));
	return idle + 1 >= sched.procs;
}

bool reclaim_now(struct m *m, bool last_resort)
{
	if ((is_vain() && !(last_resort && is_alone())) || !begin())
		return false;
	cycle_begin(m, false);
	bool any = cycle(m, all) != 0;
	end();
	return any;
}

/* ---- On call ---- */

struct call_on_g0 {
	struct g *g;
	bool anew;
	struct amount most;
	size_t bytes;  /* that came free */
	bool more;
};

static void call_on_g0(void *arg)
{
	struct call_on_g0 *call = arg;
	struct g *g = call->g;
	struct m *m = g_stop(g);

	/* Its stack may be written to: it runs, if only not now, and so is not cold. */
	if (call->anew)
		cycle_begin(m, false);
	call->bytes += cycle(m, call->most);
	call->more = so_far.unfinished;
	end();
	/* The end of its slice may have come meanwhile, and there was nobody to preempt. */
	if (m->p != NULL && m->p->slice_end <= m->now)
		m->hart.preempt = 1;
	else if (m->p != NULL && sysmon_slice_unarmed(m, m->p))
		sysmon_arm_slice(m, m->p);
	g->run_ticks -= m->now;
	m->hart.g = g;
	hart_gogo(g->sp);
}

/* locks == 1 */
static void cycle_from_g(struct call_on_g0 *call)
{
	call->g = g_self();
	hart_mcall(&call->g->sp, call_on_g0, call);
}

bool sched_reclaim(void)
{
	struct call_on_g0 call = { .anew = true, .most = all };
	bool any = true;
	int64_t before = atomic_load_explicit(&ended, relaxed);

	if (is_vain())
		return false;
	hart_lock();
	if (m_self()->hart.locks != 1) {
		hart_unlock();
		return false;
	}
	/* The one that is under way serves as well. It waits for nothing but interrupt handlers. */
	while (!begin())
		hart_relax();
	if (atomic_load_explicit(&ended, relaxed) == before) {
		cycle_from_g(&call);
		any = call.bytes != 0;
	} else {
		leave();
	}
	hart_unlock();
	return any;
}

/* In a critical section, as begin() leaves it. */
static void begin_from_g(void)
{
	for (;;) {
		hart_lock();
		if (begin())
			return;
		hart_unlock();
		go_yield(); /* the one that is under way ends soon */
	}
}

size_t go_reclaim(void)
{
	struct call_on_g0 call = { .anew = true, .most = some };

	do {
		begin_from_g();
		if (call.anew || (so_far.unfinished && !so_far.periodic)) {
			cycle_from_g(&call);
		} else { /* another one has ended it */
			call.more = false;
			leave();
		}
		hart_unlock();
		call.anew = false;
	} while (call.more);
	return call.bytes;
}

/* ---- For tests ---- */

void reclaim_init(void)
{
	put_off(PERIOD_NS);
	reclaim_traced = hart_debug_word("reclaim");
	reclaim_packs_all = hart_debug_word("pack");
	for (unsigned id = 0; id < hart_count() && reclaim_packs_all; id++)
		m_get(id)->long_way++; /* the parks of the short way are not seen here */
}

/* g has just been parked, and is anybody's. On g0, no lock held. */
void reclaim_pack(struct g *g)
{
	int64_t now;

	while (!begin())
		hart_relax();
	while ((now = now_ticks()) <= peek_time(&g->wait_since))
		hart_relax();
	runnable_too = false;
	hart_trim_begin(false, 0);
	if (is_cold(g, now))
		hart_trim_hide((uintptr_t)peek(&g->stack.top), (uintptr_t)peek(&g->sp));
	if (hart_trim_flush() && is_cold(g, now))
		hart_trim_take((uintptr_t)peek(&g->stack.top), (uintptr_t)peek(&g->sp));
	hart_trim_end();
	leave();
}
