/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finding work, and sleeping when there is none.
 *
 * An M with a P runs Gs. One that finds nothing looks around for a moment: it is *spinning*, it has a P
 * and takes from others. One that still finds nothing gives its P up and parks: its hart sleeps.
 *
 * How many Ms should be awake? To wake one for every G that becomes ready wakes too many (a wake-up costs
 * as much as hundreds of switches); to hand over the P at each ready tears pairs of Gs apart. So, as in
 * Go: whoever makes a G ready wakes one M, and only if there is an idle P and no M spins already; a
 * spinning M that finds work wakes the next. So the number of Ms rises until one finds nothing.
 *
 * No wake-up may be lost between the two sides, which do
 *
 *     submitter: publish the G              M that goes idle: announce (idle sets, spinning - 1)
 *                fence                                        fence
 *                look for spinning and idle                   look for work everywhere once more
 *
 * The fences (memory_order_seq_cst, in wake_p() and m_idle()) order each side's store before its
 * load, so at least one side sees the other. The same holds for work that an interrupt brings: the
 * handler marks the network ready, then looks at the idle Ms and kicks one; and a kick is latched, so that a
 * hart which is about to sleep does not.
 *
 * An M takes its P back from idle, or is given one by a waker in m->next_p, always under sched.lock.
 */
#include <assert.h>

#include "sched/sched.h"
#include "sched/trace.h"

#define relaxed memory_order_relaxed

static uint32_t bit(uint32_t id)
{
	return (uint32_t)1 << id;
}

static void set_add(_Atomic(uint32_t) *set, uint32_t id)
{
	atomic_store_explicit(set, atomic_load_explicit(set, relaxed) | bit(id), relaxed);
}

static void set_remove(_Atomic(uint32_t) *set, uint32_t id)
{
	atomic_store_explicit(set, atomic_load_explicit(set, relaxed) & ~bit(id), relaxed);
}

void p_acquire(struct m *m, struct p *p)
{
	assert(m->p == NULL && "p_acquire: M has a P");
	m->p = p;
	p->m = m;
	atomic_store_explicit(&p->status, P_RUNNING, relaxed);
}

void p_release(struct m *m)
{
	struct p *p = m->p;
	assert(runq_empty(p) && "p_release: P with work");
	m->p = NULL;
	p->m = NULL;
	atomic_store_explicit(&p->status, P_IDLE, relaxed);
	set_add(&sched.idle_ps, p->id);
}

struct p *idle_p_take(unsigned prefer)
{
	uint32_t idle = atomic_load_explicit(&sched.idle_ps, relaxed);
	if (idle == 0)
		return NULL;
	uint32_t with_m = idle & atomic_load_explicit(&sched.idle_ms, relaxed);
	unsigned id = idle & bit(prefer) ? prefer
		    : (unsigned)__builtin_ctz(with_m != 0 ? with_m : idle);
	set_remove(&sched.idle_ps, id);
	return p_get(id);
}

void idle_p_add(struct p *p)
{
	set_add(&sched.idle_ps, p->id);
}

void idle_m_add(struct m *m)
{
	set_add(&sched.idle_ms, m->hart.id);
}

void idle_m_remove(struct m *m)
{
	set_remove(&sched.idle_ms, m->hart.id);
}

bool m_start(struct p *p, bool spinning)
{
	uint32_t idle = atomic_load_explicit(&sched.idle_ms, relaxed);
	if (idle == 0)
		return false;
	unsigned id = idle & bit(p->id) ? p->id : (unsigned)__builtin_ctz(idle);
	struct m *m = m_get(id);
	set_remove(&sched.idle_ms, id);
	m->spinning = spinning;
	/* Release: m sees all that led to this; pairs with the acquire in m_park_until_p(). */
	atomic_store_explicit(&m->next_p, p, memory_order_release);
	hart_kick(id);
	return true;
}

void wake_p_slow(void)
{
	uint32_t none = 0;
	if (atomic_load_explicit(&sched.spinning, relaxed) != 0 ||
	    !atomic_compare_exchange_strong_explicit(&sched.spinning, &none, 1, relaxed, relaxed))
		return;

	spin_lock(&sched.lock);
	struct p *p = sched.stopping ? NULL : idle_p_take(m_self()->hart.id);
	if (p != NULL && !m_start(p, true)) {
		set_add(&sched.idle_ps, p->id);
		p = NULL;
	}
	if (p == NULL)
		atomic_fetch_sub_explicit(&sched.spinning, 1, relaxed);
	spin_unlock(&sched.lock);
}

/* ---- Looking for work ---- */

uint32_t random_next(uint64_t *state)
{
	/* xorshift64*, Marsaglia 2003, Vigna 2016: three shifts and a multiplication. */
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (uint32_t)(*state * UINT64_C(0x2545f4914f6cdd1d) >> 32);
}

static bool coprime(uint32_t a, uint32_t b)
{
	while (b != 0) {
		uint32_t rest = a % b;
		a = b;
		b = rest;
	}
	return a == 1;
}

bool timers_due(struct p *p, int64_t now)
{
	return atomic_load_explicit(&p->timer_when, relaxed) <= now;
}

/* One look at every P, from a random start by a step that visits each once. */
static struct g *steal_round(struct m *m, bool last, bool *inherit)
{
	uint32_t n = sched.procs, at = random_next(&m->p->random) % n;
	uint32_t step = 1 + random_next(&m->p->random) % n;
	while (!coprime(step, n))
		step = step % n + 1;

	for (uint32_t i = 0; i < n; i++, at = (at + step) % n) {
		struct p *victim = p_get(at);
		if (atomic_load_explicit(&sched.stopping, relaxed))
			return NULL;
		if (last && timers_due(victim, m->now) && timers_run(victim)) {
			/* What the timers made ready is in our own queue. */
			struct g *g = runq_get(m->p, inherit);
			if (g != NULL)
				return g;
		}
		if (victim == m->p || atomic_load_explicit(&sched.idle_ps, relaxed) & bit(at))
			continue;
		struct g *g = runq_steal(m->p, victim, last);
		if (g != NULL) {
			atomic_fetch_add_explicit(&m->p->steals, 1, relaxed);
			trace(TRACE_STEAL, g, victim->id, runq_length(m->p) + 1);
			*inherit = false;
			return g;
		}
	}
	return NULL;
}

static uint32_t busy_ps(void)
{
	return sched.procs - (uint32_t)__builtin_popcount(atomic_load_explicit(&sched.idle_ps, relaxed));
}

/* At most half of the busy Ps spin; true if this M does now. */
static bool may_spin(struct m *m)
{
	if (m->spinning)
		return true;
	if (2 * atomic_load_explicit(&sched.spinning, relaxed) >= busy_ps())
		return false;
	m->spinning = true;
	atomic_fetch_add_explicit(&sched.spinning, 1, relaxed);
	return true;
}

static struct g *steal(struct m *m, bool *inherit)
{
	for (int round = 0; round < STEAL_ROUNDS; round++) {
		struct g *g = steal_round(m, round == STEAL_ROUNDS - 1, inherit);
		if (g != NULL)
			return g;
	}
	return NULL;
}

static struct g *from_global(struct p *p, uint32_t max)
{
	if (atomic_load_explicit(&sched.runq_size, relaxed) == 0)
		return NULL;
	spin_lock(&sched.lock);
	struct g *g = globrunq_get(p, max);
	spin_unlock(&sched.lock);
	return g;
}

static struct g *from_netpoll(void)
{
	struct glist list = { 0 };
	if (!netpoll(&list) || list.head == NULL)
		return NULL;
	struct g *g = glist_pop(&list);
	trace(TRACE_UNBLOCK, g, 0, 0);
	atomic_store_explicit(&g->status, G_RUNNABLE, relaxed);
	ready_list(&list);
	return g;
}

/* Any work for an M without a P to take one for. After the fence of m_idle(). */
static bool work_somewhere(void)
{
	if (atomic_load_explicit(&sched.runq_size, relaxed) != 0 ||
	    atomic_load_explicit(&sched.netpoll_ready, relaxed))
		return true;
	int64_t now = now_ticks();
	for (uint32_t i = 0; i < sched.procs; i++)
		if (!runq_empty(p_get(i)) || timers_due(p_get(i), now))
			return true;
	return false;
}

/* A parked M wakes itself up if there is an idle P. False: nothing to be had, or a waker was faster. */
static bool m_unpark(struct m *m)
{
	bool got = false;
	spin_acquire(&sched.lock);
	if (atomic_load_explicit(&sched.idle_ms, relaxed) & bit(m->hart.id) && !sched.stopping) {
		struct p *p = idle_p_take(m->hart.id);
		if (p != NULL) {
			set_remove(&sched.idle_ms, m->hart.id);
			p_acquire(m, p);
			m->spinning = true;
			atomic_fetch_add_explicit(&sched.spinning, 1, relaxed);
			got = true;
		}
	}
	spin_release(&sched.lock);
	return got;
}

void m_park_until_p(struct m *m)
{
	while (m->p == NULL) {
		/* Acquire: pairs with the release in m_start(). */
		struct p *p = atomic_load_explicit(&m->next_p, memory_order_acquire);
		if (p != NULL) {
			atomic_store_explicit(&m->next_p, NULL, relaxed);
			p_acquire(m, p);
			break;
		}
		if ((work_somewhere() && m_unpark(m)) || p_retake_blocked(m))
			break;
		/* A waker that gave us a P since then has kicked: hart_idle() returns at once. */
		sysmon_arm_idle(m);
		hart_idle();
	}
	m->now = now_ticks();
	trace(TRACE_WAKE, NULL, m->p->id, 0);
}

/* Announces that this M has nothing to do, looks once more, and sleeps. Has a P when it returns. */
static void m_idle(struct m *m)
{
	spin_acquire(&sched.lock);
	if (sched.stopping || sched.runq.size != 0 || m->locked_ready) {
		spin_release(&sched.lock);
		return;
	}
	trace(TRACE_IDLE, NULL, m->p->id, 0);
	p_release(m);
	set_add(&sched.idle_ms, m->hart.id);
	if (m->spinning) {
		m->spinning = false;
		atomic_fetch_sub_explicit(&sched.spinning, 1, relaxed);
	}
	check_dead();
	spin_release(&sched.lock);
	/* Pairs with the fence in wake_p(): see the head of this file. */
	atomic_thread_fence(memory_order_seq_cst);
	m_park_until_p(m);
}

/*
 * An M with a locked G runs nothing else, as long as there is an M that can run the others. If each has a locked
 * G (on a machine of one hart the first is enough), they run others while theirs wait: better than to stand still.
 */
static bool exclusive(struct m *m)
{
	return m->locked_g != NULL &&
	       atomic_load_explicit(&sched.locked_ms, relaxed) < hart_count();
}

/* Was this M's locked G found by another? Acquire: pairs with start_locked(). */
static bool take_locked(struct m *m)
{
	if (!atomic_load_explicit(&m->locked_ready, memory_order_acquire))
		return false;
	atomic_store_explicit(&m->locked_ready, false, relaxed);
	return true;
}

static struct g *find_runnable(struct m *m, bool *inherit)
{
	int64_t spin_until = 0;

	for (;;) {
		if (atomic_load_explicit(&sched.stopping, relaxed))
			stop_here(m);
		struct p *p = m->p;
		struct g *g;
		*inherit = false;
		if (m->locked_g != NULL && take_locked(m))
			return m->locked_g;
		if (timers_due(p, m->now))
			timers_run(p);
		if (p->global_in == 0) {
			p->global_in = GLOBAL_TICK;
			/* Gs that yield to one another for ever use up no slice, at whose end others poll. */
			struct glist list = { 0 };
			if (netpoll(&list))
				ready_list(&list);
			if ((g = from_global(p, 1)) != NULL)
				return g;
		}
		if ((g = runq_get(p, inherit)) != NULL || (g = from_global(p, 0)) != NULL ||
		    (g = from_netpoll()) != NULL)
			return g;
		if (may_spin(m)) {
			if ((g = steal(m, inherit)) != NULL)
				return g;
			m->now = now_ticks();
			if (spin_until == 0)
				spin_until = m->now + sched.spin;
			/* Only another running M could bring work before an interrupt does. */
			if (busy_ps() > 1 && m->now < spin_until) {
				hart_relax();
				continue;
			}
		}
		m_idle(m);
		if (exclusive(m))
			return NULL;
		spin_until = 0;
	}
}

/* ---- Running what was found ---- */

static noreturn void run(struct m *m, struct g *g, bool inherit)
{
	struct p *p = m->p;

	assert(atomic_load_explicit(&g->status, relaxed) == G_RUNNABLE && "run: G not runnable");
	m->hart.g = g;
	m->run_since = m->now;
	g->m = m;
	atomic_store_explicit(&g->status, G_RUNNING, relaxed);
	trace(TRACE_START, g, p->id, (uint64_t)runq_length(p) << 1 | inherit);
	/* A slice that ended by preemption leaves nothing to inherit. */
	if (!inherit || p->slice_end == 0) {
		p->sched_tick++;
		p->global_in -= p->global_in != 0;
		p->slice_end = m->now + sched.quantum;
	}
	/* What asked for a preemption before this line is looked at again, what asks after it finds
	   the flag cleared already. An inherited slice may be over. */
	m->hart.preempt = 0;
	atomic_signal_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&sched.stopping, relaxed) || p->slice_end <= m->now)
		m->hart.preempt = 1;
	else
		sysmon_arm_slice(m, p);
	hart_gogo(g->sp);
}

/* This M is done looking: if it was the last that looked, another one starts to. */
static void spinning_end(struct m *m)
{
	m->spinning = false;
	if (atomic_fetch_sub_explicit(&sched.spinning, 1, relaxed) == 1)
		wake_p();
}

/* Under sched.lock. A parked M counts as asleep: see deadlock.c. */
static void parked_locked_set(struct m *m, bool parked)
{
	m->parked_locked = parked;
	sched.parked_locked += parked ? 1 : (uint32_t)-1;
}

/*
 * Found a G that only another M may run. If that M sleeps it gets an idle P, or else this one; if not, it
 * looks at locked_ready before it sleeps or runs another G.
 */
static void start_locked(struct m *m, struct g *g)
{
	struct m *other = g->locked_m;

	spin_acquire(&sched.lock);
	/* Release: pairs with the acquire in take_locked(). */
	atomic_store_explicit(&other->locked_ready, true, memory_order_release);
	bool idle = atomic_load_explicit(&sched.idle_ms, relaxed) & bit(other->hart.id);
	if (atomic_load_explicit(&other->next_p, relaxed) == NULL && (idle || other->parked_locked)) {
		struct p *p = idle_p_take(other->hart.id);
		if (p == NULL) {
			p = m->p;
			m->p = NULL;
			p->m = NULL;
			idle_m_add(m);
		}
		idle_m_remove(other);
		if (other->parked_locked)
			parked_locked_set(other, false);
		trace(TRACE_HANDOFF, g, p->id, other->hart.id);
		atomic_store_explicit(&other->next_p, p, memory_order_release);
		hart_kick(other->hart.id);
	}
	spin_release(&sched.lock);
	if (m->p == NULL) {
		atomic_thread_fence(memory_order_seq_cst);
		m_park_until_p(m);
	}
}

/* The P of an M that stops for other reasons than want of work goes to an M that can use it. */
void p_hand_off(struct m *m)
{
	struct p *p = m->p;
	bool work = !runq_empty(p) || sched.runq.size != 0;

	m->p = NULL;
	p->m = NULL;
	if (sched.stopping) {
		p_stop(p);
		return;
	}
	if (work && m_start(p, false)) {
		trace(TRACE_HANDOFF, NULL, p->id, 0);
		return;
	}
	trace(TRACE_IDLE, NULL, p->id, 0);
	struct glist list = { 0 };
	bool inherit;
	for (struct g *g; (g = runq_get(p, &inherit)) != NULL;)
		glist_push(&list, g);
	globrunq_put(&list);
	atomic_store_explicit(&p->status, P_IDLE, relaxed);
	set_add(&sched.idle_ps, p->id);
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
	if (!locked)
		idle_m_add(m);
	spin_release(&sched.lock);
	if (locked)
		return; /* schedule() parks it until somebody finds its G */
	atomic_thread_fence(memory_order_seq_cst);
	m_park_until_p(m);
}

/*
 * The hart of a parked M with a locked G was woken for timers or the network. Another M sees to them;
 * but if all run Gs and never come to look at an idle P's timers, this one makes the Gs ready itself.
 * True if its own G became ready meanwhile: it keeps the P.
 */
static bool serve_others(struct m *m)
{
	struct p *p = NULL;

	spin_acquire(&sched.lock);
	if (atomic_load_explicit(&sched.idle_ms, relaxed) == 0 && !sched.stopping && m->parked_locked)
		p = idle_p_take(m->hart.id);
	if (p != NULL) {
		p_acquire(m, p);
		parked_locked_set(m, false);
	}
	spin_release(&sched.lock);
	if (p == NULL) {
		wake_p();
		return false;
	}

	m->now = now_ticks();
	for (uint32_t i = 0; i < sched.procs; i++)
		if (timers_due(p_get(i), m->now))
			timers_run(p_get(i));
	struct glist list = { 0 };
	if (netpoll(&list))
		ready_list(&list);

	spin_acquire(&sched.lock);
	bool own = atomic_load_explicit(&m->locked_ready, relaxed);
	if (!own) {
		p_hand_off(m);
		parked_locked_set(m, true);
		check_dead();
	}
	spin_release(&sched.lock);
	return own;
}

/* Waits until whoever finds this M's locked G has given it a P. */
static void park_locked(struct m *m)
{
	spin_acquire(&sched.lock);
	if (atomic_load_explicit(&m->locked_ready, relaxed)) {
		/* Found before we parked, so nobody gave us a P. */
		struct p *idle = m->p == NULL && !sched.stopping ? idle_p_take(m->hart.id) : NULL;
		if (idle != NULL)
			p_acquire(m, idle);
		if (m->p != NULL) {
			spin_release(&sched.lock);
			return;
		}
		struct glist list = { 0 };
		atomic_store_explicit(&m->locked_ready, false, relaxed);
		glist_push(&list, m->locked_g);
		globrunq_put(&list); /* to be found again */
	}
	if (m->p != NULL)
		p_hand_off(m);
	parked_locked_set(m, true);
	check_dead();
	spin_release(&sched.lock);

	struct p *p;
	while ((p = atomic_load_explicit(&m->next_p, memory_order_acquire)) == NULL) {
		if (work_somewhere() && serve_others(m))
			return;
		sysmon_arm_idle(m);
		hart_idle();
	}
	atomic_store_explicit(&m->next_p, NULL, relaxed);
	p_acquire(m, p);
	m->now = now_ticks();
	trace(TRACE_WAKE, NULL, p->id, 0);
}

void schedule(void)
{
	struct m *m = m_self();

	for (;;) {
		bool inherit = false;
		if (m->p == NULL || exclusive(m))
			park_locked(m);
		struct g *g = find_runnable(m, &inherit);
		if (m->spinning)
			spinning_end(m);
		if (g == NULL) /* it may not look for others' work any more */
			continue;
		if (g->locked_m == NULL || g->locked_m == m)
			run(m, g, inherit);
		start_locked(m, g);
	}
}

void sched_hart_start(void)
{
	struct m *m = m_self();

	hart_irq_restore(true);
	spin_acquire(&sched.lock);
	set_add(&sched.idle_ms, m->hart.id);
	check_dead();
	spin_release(&sched.lock);
	atomic_thread_fence(memory_order_seq_cst);
	m_park_until_p(m);
	schedule();
}
