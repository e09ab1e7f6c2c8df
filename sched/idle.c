/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sleeping when there is no work, and being woken when there is.
 *
 * An M with a P runs Gs. One that finds nothing looks around for a moment: it is *spinning*, it has a P
 * and takes from others. One that still finds nothing gives its P up and parks: its hart sleeps.
 *
 * How many Ms should be awake? To wake one for every G that becomes ready wakes too many (a wake-up costs
 * as much as hundreds of switches); to hand over the P at each ready tears pairs of Gs apart. So, as in
 * Go: whoever makes a G ready wakes one M, and only if there is an idle P and no M spins already; a
 * spinning M that finds work wakes the next, if there is more. (Go's always wakes it, and without more work
 * it looks around in vain.) So the number of Ms rises until there is one for all that is to do.
 *
 * No wake-up may be lost between the two sides, which do
 *
 *     submitter: publish the G              M that goes idle: announce (idle sets, spinning - 1)
 *                fence                                        fence
 *                look for spinning and idle                   look for work everywhere once more
 *
 * and an M that stops spinning because it has found work does as one that goes idle. The fences
 * (memory_order_seq_cst, in wake_p(), m_idle() and spinning_end()) order each side's store before its
 * load, so at least one side sees the other. (Go looks once more only as an M that was spinning, and has
 * needspinning for work that found no idle P. Here every M that parks looks, so there is no such flag.)
 *
 * The same holds for work that an interrupt brings: the handler marks the network ready, then looks at the
 * idle Ms and kicks one; and a kick is latched, so that a hart which is about to sleep does not.
 *
 * An M without a P takes an idle one itself, or is given one by a waker in m->next_p: both under sched.lock.
 */
#include <assert.h>

#include "sched/sched.h"
#include "sched/trace.h"

static void set_add(_Atomic(uint32_t) *set, uint32_t id)
{
	store_relaxed(set, load_relaxed(set) | bit(id));
}

static void set_remove(_Atomic(uint32_t) *set, uint32_t id)
{
	store_relaxed(set, load_relaxed(set) & ~bit(id));
}

void p_acquire(struct m *m, struct p *p)
{
	assert(m->p == NULL && "p_acquire: M has a P");
	m->p = p;
	p->m = m;
	p->slice_end = 0; /* that slice was for whoever ran here before */
	p_change(p, P_RUNNING);
	check_m(m, m->spinning ? M_SPINNING : M_WORKING);
}

/* Under sched.lock: m->p becomes idle. */
static void p_release(struct m *m)
{
	struct p *p = m->p;
	assert(runq_empty(p) && "p_release: P with work");
	m->p = NULL;
	p->m = NULL;
	p_change(p, P_IDLE);
	idle_p_add(p);
}

struct p *idle_p_take(unsigned prefer)
{
	uint32_t idle = load_relaxed(&sched.idle_ps);
	if (idle == 0)
		return NULL;
	uint32_t with_m = idle & load_relaxed(&sched.idle_ms);
	unsigned id = idle & bit(prefer) ? prefer
		    : (unsigned)__builtin_ctz(with_m != 0 ? with_m : idle);
	set_remove(&sched.idle_ps, id);
	return p_get(id);
}

void idle_p_add(struct p *p)
{
	set_add(&sched.idle_ps, p->id);
}

bool no_other_runs(const struct p *p)
{
	for (uint32_t i = 0; i < procs_now(); i++)
		if (p_get(i) != p && load_relaxed(&p_get(i)->status) == P_RUNNING)
			return false;
	return true;
}

void idle_m_add(struct m *m)
{
	requeue_locked(m); /* or they would wait for an M that nobody wakes for them */
	set_add(&sched.idle_ms, m->hart.id);
	check_m(m, M_IDLE);
	fuzz_wait(FUZZ_ANNOUNCED);
}

void idle_m_remove(struct m *m)
{
	set_remove(&sched.idle_ms, m->hart.id);
	check_m_taken(m);
}

bool m_start(struct p *p, bool spinning)
{
	uint32_t idle = load_relaxed(&sched.idle_ms);
	if (idle == 0)
		return false;
	return m_start_this(m_get(idle & bit(p->id) ? p->id : (unsigned)__builtin_ctz(idle)), p, spinning);
}

bool m_start_this(struct m *m, struct p *p, bool spinning)
{
	unsigned id = m->hart.id;
	if (!(load_relaxed(&sched.idle_ms) & bit(id)))
		return false;
	idle_m_remove(m);
	trace(TRACE_HANDOFF, NULL, p->id, id);
	m->spinning = spinning;
	fuzz_wait(FUZZ_START);
	/* Release: m sees all that led to this; pairs with the acquire in m_park_until_p(). */
	store_release(&m->next_p, p);
	hart_kick(id);
	return true;
}

void wake_p_slow(void)
{
	uint32_t none = 0;
	if (load_relaxed(&sched.spinning) != 0 ||
	    !atomic_compare_exchange_strong_explicit(&sched.spinning, &none, 1, memory_order_relaxed,
						     memory_order_relaxed))
		return;

	fuzz_wait(FUZZ_START);
	spin_lock(&sched.lock);
	struct p *p = sched.stopping ? NULL : idle_p_take(m_self()->hart.id);
	if (p != NULL && !m_start(p, true)) {
		idle_p_add(p);
		p = NULL;
	}
	if (p == NULL)
		atomic_fetch_sub_explicit(&sched.spinning, 1, memory_order_relaxed);
	spin_unlock(&sched.lock);
}

/* Is there work that an M without a P should take one for? After the caller's fence: see the file's head. */
bool work_somewhere(int64_t now)
{
	if (fuzz_saw_no_work())
		return false;
	if (load_relaxed(&sched.runq_size) != 0 || load_relaxed(&sched.netpoll_ready))
		return true;
	fuzz_wait(FUZZ_LOOK);
	for (uint32_t i = 0; i < procs_now(); i++)
		if (!runq_empty(p_get(i)) || timers_due(p_get(i), now))
			return true;
	return false;
}

/* A parked M wakes itself up if there is an idle P. False: nothing to be had, or a waker was faster. */
static bool m_unpark(struct m *m)
{
	bool got = false;
	spin_acquire(&sched.lock);
	if (load_relaxed(&sched.idle_ms) & bit(m->hart.id) && !sched.stopping) {
		struct p *p = idle_p_take(m->hart.id);
		if (p != NULL) {
			idle_m_remove(m);
			m_spin_start(m);
			p_acquire(m, p);
			got = true;
		}
	}
	spin_release(&sched.lock);
	return got;
}

void m_park_until_p(struct m *m)
{
	fuzz_wait(FUZZ_ANNOUNCED);
	while (m->p == NULL) {
		/* Acquire: pairs with the release in m_start_this() and start_tied(). */
		struct p *p = load_acquire(&m->next_p);
		if (p != NULL) {
			store_relaxed(&m->next_p, NULL);
			p_acquire(m, p);
			break;
		}
		reclaim_heap_trim_if_asked(m);
		/* one look at the clock for both, so that no timer falls between */
		int64_t now = now_ticks();
		bool work = work_somewhere(now);
		if (((work || reclaim_is_due(now)) && m_unpark(m)) || p_retake_blocked(m, work))
			break;
		/* A waker that gave us a P since then has kicked: hart_idle() returns at once. */
		sysmon_arm_idle(m, now);
		fuzz_wait(FUZZ_SLEEP);
		check_asleep(m);
		hart_idle();
		check_awake(m);
		fuzz_wait(FUZZ_WOKEN);
	}
	m->now = now_ticks();
	trace(TRACE_WAKE, NULL, m->p->id, 0);
}

/*
 * Gs wait for a stack, and the other Ps have become idle: now a cycle may take its time, and pack what has
 * parked there. Each M that is the last tries that once before it sleeps. Under sched.lock.
 */
static bool last_to_try(struct m *m, bool *tried)
{
	bool tries = sched.unbound.size != 0 && !*tried && no_other_runs(m->p);

	*tried = tries;
	return tries;
}

void m_idle(struct m *m, bool *tried_alone)
{
	spin_acquire(&sched.lock);
	if (sched.stopping || sched.runq.size != 0 || m->locked_ready || last_to_try(m, tried_alone)) {
		spin_release(&sched.lock);
		return;
	}
	trace(TRACE_IDLE, NULL, m->p->id, 0);
	fuzz_announce();
	p_release(m);
	if (m->spinning)
		m_spin_end(m);
	idle_m_add(m);
	check_dead();
	spin_release(&sched.lock);
	/* Pairs with the fence in wake_p(): see the head of this file. */
	fence_store_load();
	m_park_until_p(m);
}

/* The P of an M that stops for other reasons than want of work goes to an M that can use it. */
void p_hand_off(struct m *m)
{
	struct p *p = m->p;
	/* An M that finds nothing but Gs without a stack may be the last that tries to make one. */
	bool work = !runq_empty(p) || sched.runq.size != 0 || sched.unbound.size != 0;

	m->p = NULL;
	p->m = NULL;
	if (sched.stopping) {
		trace(TRACE_IDLE, NULL, TRACE_NO_P, 0);
		p_stop(p);
		return;
	}
	if (work && m_start(p, false)) {
		trace(TRACE_IDLE, NULL, TRACE_NO_P, 0);
		return;
	}
	trace(TRACE_IDLE, NULL, p->id, 0);
	runq_drain(p);
	p_change(p, P_IDLE);
	idle_p_add(p);
}

/* An M that comes back without a P, with a G that wants one: an idle P, or both wait. */
void m_without_p(struct m *m, struct g *g)
{
	spin_acquire(&sched.lock);
	struct p *p = sched.stopping ? NULL : idle_p_take(m->hart.id);
	if (p != NULL) {
		p_acquire(m, p);
		spin_release(&sched.lock);
		runq_put_next(p, g);
		return;
	}
	struct glist list = { 0 };
	glist_push(&list, g);
	globrunq_put(&list);
	bool locked = exclusive(m);
	trace(TRACE_IDLE, NULL, TRACE_NO_P, 0);
	if (!locked)
		idle_m_add(m);
	spin_release(&sched.lock);
	if (locked)
		return; /* schedule() parks it until somebody finds its G */
	/* Pairs with the fence in wake_p(), as in m_idle(). */
	fence_store_load();
	m_park_until_p(m);
}

/* m has come after all others went to sleep, and is the one that can look. Under sched.lock. */
static bool look_for_a_stack(struct m *m)
{
	struct p *p = sched.unbound.size != 0 && !sched.stopping ? idle_p_take(m->hart.id) : NULL;

	return p != NULL && m_start_this(m, p, false);
}

void sched_hart_start(void)
{
	struct m *m = m_self();

	hart_irq_restore(true);
	spin_acquire(&sched.lock);
	trace(TRACE_IDLE, NULL, TRACE_NO_P, 0);
	idle_m_add(m);
	if (!look_for_a_stack(m))
		check_dead();
	spin_release(&sched.lock);
	/* Pairs with the fence in wake_p(), as in m_idle(). */
	fence_store_load();
	m_park_until_p(m);
	schedule();
}
