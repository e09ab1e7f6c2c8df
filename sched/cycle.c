/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reclaim cycle: goroutines that wait give back the pages of their stacks that they can spare.
 *
 * An M runs it on g0, in the steps that kernel/trim.c describes; the world is not stopped, and G, P and M
 * know nothing of it. It asks the owners of the stacks that were touched since a cycle last asked them, which
 * kernel/trim.c knows; hosted, where nobody does, all Gs that there are.
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
 * Its hart runs nobody meanwhile. So it can be done in parts, of about a millisecond, and others run in
 * between. Hosted the first part asks all.
 */
#include <stdio.h>
#include <string.h>

#include "sched/cycle.h"
#include "sched/trace.h"

#define COLD_NS INT64_C(1000000000) /* has waited for so long, for a periodic cycle */
#define PART_STACKS 100             /* asked in a part, or up to 252 more; 2,100 instructions each */
#define PART_GS 2000                /* dead Gs that a part has to do with: 50 to 100 instructions each */

struct cycle cycle;
size_t reclaim_asked;
unsigned reclaim_parts;
bool reclaim_packs_all; /* GUMPDEBUG=pack: after each park, for tests */
static bool traced;     /* GUMPDEBUG=reclaim: a line for each cycle */

static _Atomic(uint32_t) taken; /* a hart has the cycle */

bool cycle_take(void)
{
	uint32_t free = 0;
	/* Acquire: pairs with the release in cycle_leave(). */
	return atomic_compare_exchange_strong_explicit(&taken, &free, 1, memory_order_acquire,
						       memory_order_relaxed);
}

void cycle_leave(void)
{
	/* Release: the next one sees what this one has left. */
	atomic_store_explicit(&taken, 0, memory_order_release);
}

/* Meanwhile m has no dead G's address, though it is in a critical section: gfree.c relies on that. */
void cycle_wait(struct m *m)
{
	if (m->spinning) /* not for so long: who makes Gs ready relies on those that do */
		spinning_end(m);
	/* Release: what this M has read of Gs it has read; pairs with wait_for_others() in gfree.c. */
	atomic_fetch_or_explicit(&sched.cycle_waiters, bit(m->hart.id), memory_order_release);
	while (load_relaxed(&taken) != 0)
		hart_relax();
	atomic_fetch_and_explicit(&sched.cycle_waiters, ~bit(m->hart.id), memory_order_acquire);
}

/* ---- Whom it asks ---- */

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
	uint32_t status = load_acquire(&g->status);

	if (status == G_RUNNABLE || status == G_PREEMPTED) {
		cycle.left_warm |= cycle.periodic;
		return !cycle.periodic;
	}
	if (status != G_WAITING || runs_somewhere(g)) {
		cycle.left_warm |= status != G_DEAD && status != G_IDLE;
		return false;
	}
	/*
	 * Acquire: its stack pointer, after it was seen on no hart. Pairs with the release in g_stop(). After
	 * hart_switch() it may be an older one still: then other pages are hidden, and those in use are shown
	 * when they are touched, as always.
	 */
	atomic_thread_fence(memory_order_acquire);
	if (peek_time(&g->wait_since) < before)
		return true;
	cycle.left_warm = true;
	return false;
}

static int64_t cold_before;                           /* in this pass of the cycle */
static void (*for_this)(uintptr_t top, uintptr_t sp); /* the same */

/* owner had the stack with that top; if its top is another by now, or none, it is passed over. */
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
	if (hart_trim_each(for_owner, sizeof(struct g)) || cycle.parts != 0)
		return;
	for (struct g *g = load_acquire(&sched.all_gs); g != NULL; g = g->all_next)
		if (peek(&g->stack.top) != 0)
			for_owner(g, (uintptr_t)peek(&g->stack.top));
}

/* ---- What else gives ---- */

/* Dead Gs that no P keeps at hand: their stacks go back then, to be taken or used for larger ones. */
static void flush_pools(struct p *p)
{
	gfree_flush(p);
	spin_acquire(&sched.lock);
	for (uint32_t i = 0; i < sched.procs; i++)
		if (load_relaxed(&sched.idle_ps) & bit(i))
			gfree_flush(p_get(i));
	spin_release(&sched.lock);
}

void reclaim_heap_trim(struct m *m)
{
	m->heap_trims = load_relaxed(&sched.heap_trims);
	hart_heap_trim();
}

/*
 * Each M gives back what it keeps of the heap: those that sleep, also for a locked G, are woken to do so, the
 * others find it at their time.
 */
static void trim_heaps(struct m *m)
{
	atomic_fetch_add_explicit(&sched.heap_trims, 1, memory_order_relaxed);
	reclaim_heap_trim(m);
	for (uint32_t asleep = ms_parked() & ~bit(m->hart.id); asleep != 0; asleep &= asleep - 1)
		hart_kick((unsigned)__builtin_ctz(asleep));
}

/* ---- One part ---- */

/* GUMPDEBUG=reclaim. Hosted, the host knows what stacks and others have. */
static void tell(void)
{
	char memory[80] = "";

	if (hart_memory_total() != 0)
		snprintf(memory, sizeof(memory), ", stacks have %zu KiB, %zu KiB are free",
			 hart_stacks_in() >> 10, hart_memory_free() >> 10);
	hart_print("gump: reclaim %u at %lld ms: %lld us in %u parts of %lld us at most, of those flushes of "
		   "%lld us; %zu stacks asked, %zu KiB came free, %zu packed%s\n",
		   (unsigned)cycle.number, (long long)(cycle.start / 1000000),
		   (long long)(cycle.took / 1000), (unsigned)cycle.parts,
		   (long long)(cycle.longest / 1000), (long long)(cycle.flushes / 1000),
		   cycle.asked, cycle.bytes >> 10, cycle.packed, memory);
}

static void count(const struct hart_trim *got, int64_t start)
{
	int64_t took = hart_now() - start;

	cycle.parts++;
	cycle.took += took;
	cycle.longest = took > cycle.longest ? took : cycle.longest;
	cycle.bytes += got->bytes;
	cycle.packed += got->packed;
	cycle.asked += got->asked;
	cycle.unfinished = got->more;
}

void cycle_begin(struct m *m, bool periodic)
{
	uint32_t number = cycle.number + 1;

	memset(&cycle, 0, sizeof(cycle));
	cycle.number = number;
	cycle.start = hart_now();
	cycle.in = hart_stacks_in();
	cycle.periodic = periodic;
	if (m->p != NULL)
		flush_pools(m->p);
	gfree_begin();
}

/* The three steps. *possible: this machine can flush. */
static struct hart_trim ask(size_t most, bool *possible)
{
	int64_t before = now_ticks() - (cycle.periodic ? (int64_t)hart_ns_to_ticks(COLD_NS) : 0);

	hart_trim_begin(cycle.parts == 0, most);
	for_cold(before, hart_trim_hide);
	int64_t start = hart_now();
	*possible = hart_trim_flush(gfree_awaits_flush());
	int64_t took = hart_now() - start;
	cycle.flushes += took;
	trace(TRACE_RECLAIM_FLUSH, NULL, (uint64_t)took, 0);
	if (*possible)
		for_cold(before, hart_trim_take);
	return hart_trim_end();
}

size_t cycle_part(struct m *m, bool all)
{
	int64_t start = hart_now();
	size_t free_before = hart_memory_free(), gs = all ? SIZE_MAX : PART_GS;
	bool possible;

	if (m->spinning) /* as in cycle_wait() */
		spinning_end(m);
	trace(TRACE_RECLAIM, NULL, !cycle.periodic, 0);
	/* The dead have theirs until they are released, and would be asked in vain. */
	bool releases = gfree_release(gs), more = releases || gfree_spare(gs);
	struct hart_trim got = ask(releases ? 0 : all ? SIZE_MAX : PART_STACKS, &possible);
	got.more |= gfree_spare_end(possible, gs) || more;
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
	count(&got, start);
	if (!got.more) {
		reclaim_asked = cycle.asked;
		reclaim_parts = cycle.parts;
		if (traced)
			tell();
	}
	m->now = now_ticks();
	return got.bytes;
}

/* ---- For tests ---- */

void cycle_init(void)
{
	traced = hart_debug_word("reclaim");
	reclaim_packs_all = hart_debug_word("pack");
	for (unsigned id = 0; id < hart_count() && reclaim_packs_all; id++)
		m_get(id)->long_way++; /* the parks of the short way are not seen here */
}

/* g has just been parked, and is anybody's. On g0, no lock held. */
void reclaim_pack(struct g *g)
{
	int64_t now;

	while (!cycle_take())
		cycle_wait(m_self());
	while ((now = now_ticks()) <= peek_time(&g->wait_since))
		hart_relax();
	hart_trim_begin(false, 0);
	if (is_cold(g, now))
		hart_trim_hide((uintptr_t)peek(&g->stack.top), (uintptr_t)peek(&g->sp));
	if (hart_trim_flush(true) && is_cold(g, now))
		hart_trim_take((uintptr_t)peek(&g->stack.top), (uintptr_t)peek(&g->sp));
	hart_trim_end();
	cycle_leave();
}
