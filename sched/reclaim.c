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
 */
#include <stdio.h>

#include "sched/sched.h"
#include "sched/trace.h"

#define relaxed memory_order_relaxed
#define PERIOD_NS INT64_C(10000000000)
#define COLD_NS INT64_C(1000000000) /* has waited for so long, for a periodic cycle */
#define LITTLE ((size_t)1 << 20)   /* bytes of stacks: a periodic cycle does not come for less */
#define VAIN_NS INT64_C(1000000)    /* of a shorter cycle: see is_vain() */

size_t reclaim_asked;
bool reclaim_packs_all; /* GUMPDEBUG=pack: after each park, for tests */
static bool reclaim_traced; /* GUMPDEBUG=reclaim: a line for each cycle */

static _Atomic(uint32_t) cycling;  /* an M runs a cycle */
static _Atomic(size_t) in_after;   /* bytes that stacks had after the last cycle that asked all */
static _Atomic(int64_t) ended;     /* ns: when that was, */
static _Atomic(int64_t) duration;  /* and how long it took */
static uint32_t cycles;            /* by whoever runs one, as the next */
static bool runnable_too;          /* this cycle asks those, too */
static _Atomic(bool) left_warm;    /* it has met some that had not waited for long enough */

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
	if (hart_trim_each(for_owner, sizeof(struct g)))
		return;
	for (struct g *g = atomic_load_explicit(&sched.all_gs, memory_order_acquire); g != NULL;
	     g = g->all_next)
		if (peek(&g->stack.top) != 0)
			for_owner(g, (uintptr_t)peek(&g->stack.top));
}

/* Stacks of dead Gs that no P keeps at hand go back, to be taken or used for larger ones. */
static void release_pools(struct p *p)
{
	gfree_flush(p);
	spin_acquire(&sched.lock);
	for (uint32_t i = 0; i < sched.procs; i++)
		if (atomic_load_explicit(&sched.idle_ps, relaxed) & bit(i))
			gfree_flush(p_get(i));
	spin_release(&sched.lock);
	gfree_release();
}

/* `all`: that cycle has asked all, so what stacks have now they need. */
static void end(bool all)
{
	int64_t now = hart_now();

	if (all)
		atomic_store_explicit(&in_after, hart_stacks_in(), relaxed);
	atomic_store_explicit(&ended, now, relaxed);
	atomic_store_explicit(&sched.reclaim_wanted, false, relaxed);
	/* Release: the next cycle sees what this one has left. */
	atomic_store_explicit(&cycling, 0, memory_order_release);
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
static void tell(int64_t start, int64_t flush, const struct hart_trim *got)
{
	char memory[80] = "";

	if (hart_memory_total() != 0)
		snprintf(memory, sizeof(memory), ", stacks have %zu KiB, %zu KiB are free",
			 hart_stacks_in() >> 10, hart_memory_free() >> 10);
	hart_print("gump: reclaim %u at %lld ms: %lld us, of those a flush of %lld us; %zu stacks asked, "
		   "%zu KiB came free, %zu packed%s\n",
		   (unsigned)cycles, (long long)(start / 1000000),
		   (long long)((hart_now() - start) / 1000), (long long)(flush / 1000), got->asked,
		   got->bytes >> 10, got->packed, memory);
}

/* Of those that have waited since before that time, in ticks. On g0, begun. */
static struct hart_trim cycle(struct m *m, int64_t before)
{
	int64_t start_ticks = m->now, start = hart_now(), flush, flushed;
	struct hart_trim got;
	size_t free_before = hart_memory_free();

	runnable_too = before >= start_ticks;
	trace(TRACE_RECLAIM, NULL, runnable_too, 0);
	if (m->p != NULL)
		release_pools(m->p);
	gfree_spare();
	hart_trim_begin();
	for_cold(before, hart_trim_hide);
	flush = hart_now();
	bool possible = hart_trim_flush();
	flushed = hart_now();
	trace(TRACE_RECLAIM_FLUSH, NULL, (uint64_t)(flushed - flush), 0);
	if (possible)
		for_cold(before, hart_trim_take);
	got = hart_trim_end();
	gfree_spare_end(possible);
	timers_shrink();
	if (possible)
		trim_heaps(m);
	/* With what the heap gave back, and what others took or freed meanwhile. */
	size_t free_after = hart_memory_free();
	if (free_after > free_before && free_after - free_before > got.bytes)
		got.bytes = free_after - free_before;
	cycles++;
	reclaim_asked = got.asked;
	trace(TRACE_RECLAIM_END, NULL, got.bytes, got.packed);
	atomic_store_explicit(&duration, hart_now() - start, relaxed);
	if (reclaim_traced)
		tell(start, flushed - flush, &got);
	return got;
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
		cycle(m, now_ticks());
		end(true);
		break;
	}
}

/*
 * Not before that much time has passed again; nor, of a long one, before a hundred times as much as it took.
 */
static void put_off(void)
{
	int64_t took = 100 * atomic_load_explicit(&duration, relaxed);
	int64_t pause = took > PERIOD_NS ? took : PERIOD_NS;
	atomic_store_explicit(&sched.reclaim_due, now_ticks() + (int64_t)hart_ns_to_ticks(pause), relaxed);
}

void reclaim_if_due(struct m *m)
{
	static _Atomic(size_t) in_looked; /* bytes that stacks had when this last looked */
	size_t in = hart_stacks_in(), before = atomic_load_explicit(&in_looked, relaxed);

	if (reclaim_wanted()) {
		reclaim_if_short(m);
		return;
	}
	put_off();
	timers_shrink();
	bool grown = in > before + before / 4 + LITTLE;
	if (in > LITTLE && (grown || atomic_load_explicit(&left_warm, relaxed)) && begin()) {
		atomic_store_explicit(&left_warm, false, relaxed);
		cycle(m, m->now - (int64_t)hart_ns_to_ticks(COLD_NS));
		end(false);
		in = hart_stacks_in();
	}
	atomic_store_explicit(&in_looked, in, relaxed);
}

bool sched_reclaim_soon(void)
{
	/* Not for each page, if the last cycle could not help. */
	bool gain = hart_stacks_in() > atomic_load_explicit(&in_after, relaxed) + hart_memory_total() / 32;

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
	bool any = cycle(m, now_ticks()).bytes != 0;
	end(true);
	return any;
}

/* ---- On call ---- */

struct call_on_g0 {
	struct g *g;
	size_t bytes;  /* that came free */
};

static void call_on_g0(void *arg)
{
	struct call_on_g0 *call = arg;
	struct g *g = call->g;
	struct m *m = g_stop(g);

	/* Its stack may be written to: it runs, if only not now, and so is not cold. */
	call->bytes = cycle(m, now_ticks()).bytes;
	end(true);
	m->now = now_ticks();
	g->run_ticks -= m->now;
	m->hart.g = g;
	hart_gogo(g->sp);
}

/* locks == 1 */
static size_t cycle_from_g(void)
{
	struct call_on_g0 call = { g_self(), 0 };

	hart_mcall(&call.g->sp, call_on_g0, &call);
	return call.bytes;
}

bool sched_reclaim(void)
{
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
	if (atomic_load_explicit(&ended, relaxed) == before)
		any = cycle_from_g() != 0;
	else
		atomic_store_explicit(&cycling, 0, memory_order_release);
	hart_unlock();
	return any;
}

size_t go_reclaim(void)
{
	size_t bytes;

	for (;;) {
		hart_lock();
		if (begin())
			break;
		hart_unlock();
		go_yield(); /* the one that is under way ends soon */
	}
	bytes = cycle_from_g();
	hart_unlock();
	return bytes;
}

/* ---- For tests ---- */

void reclaim_init(void)
{
	put_off();
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
	hart_trim_begin();
	if (is_cold(g, now))
		hart_trim_hide((uintptr_t)peek(&g->stack.top), (uintptr_t)peek(&g->sp));
	if (hart_trim_flush() && is_cold(g, now))
		hart_trim_take((uintptr_t)peek(&g->stack.top), (uintptr_t)peek(&g->sp));
	hart_trim_end();
	atomic_store_explicit(&cycling, 0, memory_order_release);
}
