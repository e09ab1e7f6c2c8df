/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * go_lock_hart(): a G that runs on one M only, and that M runs nothing else: the two are locked, or tied.
 *
 * When the G parks, its M gives the P away and sleeps (park_locked()); whoever finds the G runnable
 * gives a P to that M (start_locked()). Go makes a new M when no other is left to look around. Here
 * there may be none: the rest are busy, or sleep for locked Gs of their own. So whoever makes such a G
 * ready gives its M an idle P right then (ready_locked()), and whoever leaves a P idle looks for one in
 * the global queue (start_tied_ms()). In a P's own queue it would wait until the G that runs there stops,
 * beside an idle P and an M that sleeps for it: so it comes into none but its own M's, and goes from there
 * before that gives the P away.
 *
 * Ms are harts, so there can be more locked Gs than Ms: an M that runs others because every M has a locked G
 * may find itself tied to one of those, too. So an M counts its locked Gs, and those of them that others
 * found runnable wait for it in a queue of its own.
 */
#include "sched/sched.h"
#include "sched/trace.h"

static void locked_add(struct m *m, struct g *g)
{
	g->locked_m = m;
	g->long_way |= G_LOCKED;
	m->long_way++;
	if (m->locked_gs++ != 0 || atomic_fetch_add(&sched.locked_ms, 1) + 1 < hart_count())
		return;
	/* Now each M has one, so those that sleep for theirs may run others. Pairs with the fence in
	   park_locked(): they see that, or they are seen here. */
	fence_store_load();
	uint32_t parked = load_relaxed(&sched.parked_locked);
	for (; parked != 0; parked &= parked - 1)
		hart_kick((unsigned)__builtin_ctz(parked));
}

void locked_remove(struct m *m, struct g *g)
{
	g->locked_m = NULL;
	g->long_way &= ~(uint64_t)G_LOCKED;
	m->long_way--;
	if (--m->locked_gs == 0)
		atomic_fetch_sub_explicit(&sched.locked_ms, 1, memory_order_relaxed);
}

void go_lock_hart(void)
{
	hart_lock();
	struct g *g = g_self();
	if (g->lock_count++ == 0) {
		/* First: if it is the last M to be tied, others run what they may not before. */
		trace(TRACE_LOCK_HART, g, 1, 0);
		locked_add(m_self(), g);
	}
	hart_unlock();
}

void go_unlock_hart(void)
{
	hart_lock();
	struct g *g = g_self();
	bool locked = g->lock_count != 0;
	if (locked && --g->lock_count == 0) {
		locked_remove(m_self(), g);
		trace(TRACE_LOCK_HART, g, 0, 0);
	}
	hart_unlock();
	if (!locked)
		go_panic("go_unlock_hart: the goroutine is not locked to a hart");
}

/* ---- The scheduler's side, on g0 ---- */

/*
 * An M with locked Gs runs nothing else, as long as there is an M that can run the others. If each has a
 * locked G (on a machine of one hart the first is enough), they run others while theirs wait: better
 * than to stand still.
 */
bool exclusive(struct m *m)
{
	return m->locked_gs != 0 && load_relaxed(&sched.locked_ms) < hart_count();
}

struct g *take_locked(struct m *m)
{
	if (!load_relaxed(&m->locked_ready))
		return NULL;
	spin_acquire(&sched.lock);
	struct g *g = glist_pop(&m->locked_runq);
	store_relaxed(&m->locked_ready, m->locked_runq.head != NULL);
	spin_release(&sched.lock);
	return g;
}

/* m's locked G g was found runnable; under sched.lock. */
static void locked_runq_put(struct m *m, struct g *g)
{
	glist_push(&m->locked_runq, g);
	store_relaxed(&m->locked_ready, true);
}

void requeue_locked(struct m *m)
{
	globrunq_put(&m->locked_runq);
	store_relaxed(&m->locked_ready, false);
}

/* Under sched.lock. A parked M counts as asleep: see deadlock.c. */
static void parked_locked_set(struct m *m, bool parked)
{
	uint32_t set = load_relaxed(&sched.parked_locked);
	store_relaxed(&sched.parked_locked, parked ? set | bit(m->hart.id) : set & ~bit(m->hart.id));
	if (parked)
		check_m(m, M_TIED);
	else
		check_m_taken(m);
}

static bool is_parked_locked(struct m *m)
{
	return load_relaxed(&sched.parked_locked) & bit(m->hart.id);
}

/* Under sched.lock. False: it looks at locked_ready before it sleeps or looks for another G. */
static bool sleeps(struct m *m)
{
	bool idle = load_relaxed(&sched.idle_ms) & bit(m->hart.id);
	return load_relaxed(&m->next_p) == NULL && (idle || is_parked_locked(m));
}

/* m, which sleeps, gets p for its locked G g; under sched.lock. */
static void start_tied(struct m *m, struct p *p, struct g *g)
{
	if (is_parked_locked(m))
		parked_locked_set(m, false);
	else
		idle_m_remove(m);
	if (m == m_self())
		check_m(m, M_STARTED);
	trace(TRACE_HANDOFF, g, p->id, m->hart.id);
	/* Release: pairs with the acquire in m_park_until_p() and park_locked(). */
	store_release(&m->next_p, p);
	if (m != m_self()) /* which looks at next_p before it sleeps */
		hart_kick(m->hart.id);
}

/* Found a G that only another M may run. If that M sleeps it gets an idle P, or else this one. */
void start_locked(struct m *m, struct g *g)
{
	struct m *other = g->locked_m;

	spin_acquire(&sched.lock);
	locked_runq_put(other, g);
	if (sleeps(other)) {
		struct p *p = idle_p_take(other->hart.id);
		if (p == NULL) {
			p = m->p;
			m->p = NULL;
			p->m = NULL;
			trace(TRACE_IDLE, NULL, TRACE_NO_P, 0);
			idle_m_add(m);
		}
		start_tied(other, p, g);
	}
	spin_release(&sched.lock);
	if (m->p == NULL) {
		/* Pairs with the fence in wake_p(), as in m_idle(). */
		fence_store_load();
		m_park_until_p(m);
	}
}

/* This P looks at the global queue before its own the next time. */
static void global_is_next(struct p *p)
{
	p->global_tick = p->sched_tick - GLOBAL_TICK;
	p->look_in = 0;
}

bool ready_locked(struct g *g)
{
	struct m *m = g->locked_m;
	struct p *p;

	if (m == m_self() && !exclusive(m))
		return false;
	spin_acquire(&sched.lock);
	if (!sleeps(m)) {
		locked_runq_put(m, g);
	} else if (!sched.stopping && (p = idle_p_take(m->hart.id)) != NULL) {
		locked_runq_put(m, g);
		start_tied(m, p, g);
	} else {
		globrunq_put_one(g);
		global_is_next(m_self()->p);
	}
	spin_release(&sched.lock);
	return true;
}

/*
 * The first in the global queue that only an M which sleeps may run; one that is far behind
 * has its turn later.
 */
static struct g *tied_in_global(void)
{
	struct g **at = &sched.runq.head, *before = NULL;

	for (uint32_t i = 0; i < RUNQ_SIZE && *at != NULL; i++) {
		struct g *g = *at;
		if (g->locked_m != NULL && sleeps(g->locked_m)) {
			*at = g->schedlink;
			if (*at == NULL)
				sched.runq.tail = before;
			store_relaxed(&sched.runq_size, --sched.runq.size);
			return g;
		}
		before = g;
		at = &g->schedlink;
	}
	return NULL;
}

/*
 * No M is idle that could look around with an idle P: those that sleep for a G in the global queue get one.
 */
void start_tied_ms(void)
{
	struct g *g;

	while (load_relaxed(&sched.idle_ms) == 0 && !sched.stopping &&
	       load_relaxed(&sched.parked_locked) != 0 &&
	       load_relaxed(&sched.idle_ps) != 0 && (g = tied_in_global()) != NULL) {
		struct m *m = g->locked_m;
		locked_runq_put(m, g);
		start_tied(m, idle_p_take(m->hart.id), g);
	}
}

/* Takes p's queue apart: the Gs that only m may run, and others. */
static void sort_queue(struct p *p, struct m *m, struct glist *own, struct glist *others)
{
	bool inherit;

	for (struct g *g; (g = runq_get(p, &inherit)) != NULL;)
		glist_push(g->locked_m == m ? own : others, g);
}

enum served { NOT_SERVED, SERVED, SERVED_OWN /* a G of its own became ready, and it keeps the P */ };

/*
 * The hart of a parked M with a locked G was woken for timers or the network. Another M sees to them;
 * but if all run Gs and never come to look at an idle P's timers, this one makes the Gs ready itself.
 */
static enum served serve_others(struct m *m, bool work)
{
	int64_t too_early = INT64_MAX;
	struct p *p = NULL;

	spin_acquire(&sched.lock);
	if (load_relaxed(&sched.idle_ms) == 0 && !sched.stopping && is_parked_locked(m) &&
	    (p = idle_p_take(m->hart.id)) == NULL)
		p = p_from_section(m, work, &too_early);
	if (p != NULL) {
		trace(TRACE_WAKE, NULL, p->id, 0);
		parked_locked_set(m, false);
		p_acquire(m, p);
	}
	spin_release(&sched.lock);
	if (p == NULL) {
		wake_p();
		sysmon_arm(m, too_early);
		return NOT_SERVED;
	}

	m->now = now_ticks();
	for (uint32_t i = 0; i < sched.procs; i++)
		if (timers_due(p_get(i), m->now))
			timers_run(p_get(i));
	struct glist list = { 0 };
	if (netpoll(&list))
		ready_list(&list);
	reclaim_at_times(m);

	struct glist found = { 0 }, others = { 0 };
	sort_queue(p, m, &found, &others);
	spin_acquire(&sched.lock);
	globrunq_put(&others);
	for (struct g *g; (g = glist_pop(&found)) != NULL;) /* as if somebody else had found it */
		locked_runq_put(m, g);
	bool own = load_relaxed(&m->locked_ready);
	if (!own) {
		p_hand_off(m);
		parked_locked_set(m, true);
		start_tied_ms();
		check_dead();
	}
	spin_release(&sched.lock);
	if (own)
		wake_p(); /* for the others, should an M have gone idle meanwhile */
	return own ? SERVED_OWN : SERVED;
}

/* Each M has a locked G by now: m goes to those that are idle, to run others. False: it got a P. */
static bool park_as_others(struct m *m)
{
	spin_acquire(&sched.lock);
	bool parked = is_parked_locked(m);
	if (parked) {
		parked_locked_set(m, false);
		idle_m_add(m);
	}
	spin_release(&sched.lock);
	return parked;
}

/* Under sched.lock: was a locked G found before m parked, so that nobody gave m a P? True: m has one now. */
static bool found_before(struct m *m)
{
	if (!load_relaxed(&m->locked_ready))
		return false;
	struct p *idle = m->p == NULL && !sched.stopping ? idle_p_take(m->hart.id) : NULL;
	if (idle != NULL) {
		trace(TRACE_WAKE, NULL, idle->id, 0);
		p_acquire(m, idle);
	}
	if (m->p == NULL)
		requeue_locked(m);
	return m->p != NULL;
}

/*
 * m's own Gs go from its P's queue to where it takes them from first. The others, which nobody saw meanwhile,
 * are submitted after that: with the P, or as m goes on with its own.
 */
static void take_own_out(struct m *m)
{
	struct glist own = { 0 }, others = { 0 };

	sort_queue(m->p, m, &own, &others);
	runq_put_list(m->p, &others);
	if (own.head == NULL)
		return;
	spin_acquire(&sched.lock);
	for (struct g *g; (g = glist_pop(&own)) != NULL;)
		locked_runq_put(m, g);
	spin_release(&sched.lock);
}

bool park_locked(struct m *m)
{
	if (m->p != NULL && !runq_none(m->p))
		take_own_out(m);
	spin_acquire(&sched.lock);
	if (found_before(m)) {
		spin_release(&sched.lock);
		return true;
	}
	if (m->p != NULL)
		p_hand_off(m);
	parked_locked_set(m, true);
	start_tied_ms();
	check_dead();
	spin_release(&sched.lock);

	struct p *p;
	/* Acquire: pairs with the release in start_tied(). */
	while ((p = load_acquire(&m->next_p)) == NULL) {
		/* It has announced that it sleeps, now or in serve_others(). Pairs with the fences
		   in wake_p() and locked_add(). */
		fence_store_load();
		if (!exclusive(m) && park_as_others(m)) {
			fence_store_load(); /* as in m_idle() */
			return false;
		}
		reclaim_heap_trim_if_asked(m);
		int64_t now = now_ticks();
		bool work = work_somewhere(now);
		enum served served = work || reclaim_is_due(now) ? serve_others(m, work) : NOT_SERVED;
		if (served == SERVED_OWN)
			return true;
		if (load_relaxed(&m->next_p) != NULL)
			continue; /* it gave itself one, without a kick */
		/* While it served, the network's interrupt found no idle P and kicked nobody. */
		if (served == SERVED && load_relaxed(&sched.netpoll_ready))
			continue;
		sysmon_arm_idle(m, now);
		/*
		 * Whoever was woken for it may find other work first, and then never look for this; there was
		 * no P just then; or m's own G is far behind in the global queue.
		 */
		if (work && (served == NOT_SERVED || load_relaxed(&sched.runq_size) != 0))
			sysmon_arm(m, now + sched.quantum);
		fuzz_wait(FUZZ_SLEEP);
		check_asleep(m);
		hart_idle();
		check_awake(m);
		fuzz_wait(FUZZ_WOKEN);
	}
	store_relaxed(&m->next_p, NULL);
	p_acquire(m, p);
	m->now = now_ticks();
	trace(TRACE_WAKE, NULL, p->id, 0);
	return true;
}
