/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers: setting, stopping, firing. Each P has a heap of them (timer_heap.h).
 *
 * A timer goes into the heap of the P that sets it. The P's holder runs what has expired at each scheduling
 * point; a thief may, too. The heap's lock is not held while a timer's function runs, so such a function may
 * take any lock; it gets what it needs as arguments, and nothing touches the timer any more, so that a
 * program may free one as soon as it has seen it fire. While the function runs m->firing names the timer, and
 * go_timer_stop() waits for that.
 *
 * t->heap_ names the P whose heap t is in, NULL for none. It changes from a P, and to one, only under that
 * P's timer lock: so whoever has locked the heap that heap_ named looks again.
 *
 * p->timer_when is never later than the earliest deadline. It may be too early, for one that was stopped or
 * put off since, until timers_run() or timers_first() finds that out. The hart with the P's number watches
 * it, whoever holds the P (sysmon.c).
 */
#include <stdlib.h>

#include "sched/chan.h"
#include "sched/timer_heap.h"
#include "sched/trace.h"

/* Locks the heap that t is in; NULL when it is in none. locks > 0. */
static struct p *lock_heap(go_timer *t)
{
	for (;;) {
		/* Acquire: pairs with the releases of it in this file and in timer_heap.c. */
		struct p *p = load_acquire(&t->heap_);
		if (p == NULL)
			return NULL;
		spin_acquire(&p->timer_lock);
		if (load_relaxed(&t->heap_) == p)
			return p;
		spin_release(&p->timer_lock);
	}
}

/*
 * Locks a heap with room for one more: p's, or, out of memory, any. A goroutine's own timer always finds a
 * place: there is one for each structure of a goroutine that there is (timers_reserve()), it needs one at
 * most, and dead entries give way. So sleeping allocates nothing that it cannot do without. Fatal when a
 * program's own timers have used them up.
 */
static struct p *lock_room(struct p *p)
{
	spin_acquire(&p->timer_lock);
	if (heap_room(p))
		return p;
	spin_release(&p->timer_lock);
	for (unsigned id = 0; id < procs_now(); id++) {
		p = p_get(id);
		spin_acquire(&p->timer_lock);
		/* a caller in a blocking section runs while others change the number of Ps */
		if (load_relaxed(&p->status) != P_DEAD && heap_room(p))
			return p;
		spin_release(&p->timer_lock);
	}
	hart_fatal("out of memory for a timer");
}

bool timers_reserve(struct p *p)
{
	spin_acquire(&p->timer_lock);
	bool room = heap_reserve(p, p->timer_reserved + 1);
	p->timer_reserved += room;
	spin_release(&p->timer_lock);
	return room;
}

/* Which P had made the room does not matter: all together have enough. */
void timers_unreserve(void)
{
	for (uint32_t i = 0, gone = 0; i < procs_now() && gone == 0; i++) {
		struct p *p = p_get(i);
		spin_acquire(&p->timer_lock);
		gone = p->timer_reserved != 0;
		p->timer_reserved -= gone;
		spin_release(&p->timer_lock);
	}
}

void timers_shrink(void)
{
	for (uint32_t i = 0; i < procs_now(); i++) {
		struct p *p = p_get(i);
		spin_acquire(&p->timer_lock);
		heap_shrink(p);
		spin_release(&p->timer_lock);
	}
}

/* Does an M run t's function? Acquire: what that did comes before our return; pairs with timers_run(). */
static bool is_firing(const go_timer *t)
{
	for (unsigned id = 0; id < hart_count(); id++)
		if (load_acquire(&m_get(id)->firing) == t)
			return true;
	return false;
}

static void await_firing(const go_timer *t)
{
	while (is_firing(t))
		hart_relax();
}

/* ---- Setting and stopping ---- */

/*
 * For a timer that was found in no heap, without a lock. Another goroutine may be setting it right now: then
 * it does not matter what is read here, since the timer is in a heap before it fires, and out of it, with a
 * release, while it does.
 */
static bool was_ever_set(const go_timer *t)
{
	return __atomic_load_n(&t->fire_, __ATOMIC_RELAXED) != NULL;
}

/*
 * Locks the heap that t is to be in from now on, and answers in *in_it whether it is already. In that
 * case it cannot be firing, since a timer leaves its heap before it does: a periodic one does not, and
 * so is taken out here. A goroutine's timer need not be waited for: its functions are done with it when
 * the goroutine goes on.
 */
static struct p *lock_home(go_timer *t, struct p *home, bool *in_it)
{
	for (;;) {
		struct p *p = lock_heap(t);
		*in_it = p == home && t->period_ == 0;
		if (*in_it)
			return p;
		if (p != NULL) {
			heap_bury(p, t);
			spin_release(&p->timer_lock);
		}
		fuzz_wait(FUZZ_TIMER_SET);
		p = lock_room(home);
		/* Two goroutines may set a timer at the same time: the one that finds
		   it taken starts again. */
		void *none = NULL;
		if (atomic_compare_exchange_strong_explicit(&t->heap_, &none, p, memory_order_acq_rel,
							    memory_order_relaxed)) {
			/* Only now: another's setting may have come and be firing meanwhile. */
			if (t->flags_ & TIMER_KEPT || !was_ever_set(t) || !is_firing(t))
				return p;
			store_release(&t->heap_, NULL);
		}
		spin_release(&p->timer_lock);
		await_firing(t);
	}
}

static void set(go_timer *t, int64_t when, int64_t period, timer_fn *fire, void *arg, void (*fn)(void *))
{
	hart_lock();
	struct m *m = m_self();
	bool in_it, sooner = false;
	struct p *p = lock_home(t, m->p != NULL ? m->p : p_get(0), &in_it); /* none in a blocking section */

	t->when_ = when > 0 ? when : 0;
	t->period_ = period > 0 ? period : 0;
	__atomic_store_n(&t->fire_, fire, __ATOMIC_RELAXED);
	t->arg_ = arg;
	t->fn_ = fn;
	if (in_it ? heap_change(p, t) : heap_add(p, t)) {
		int64_t ticks = (int64_t)hart_ns_to_ticks(t->when_);
		sooner = ticks < load_relaxed(&p->timer_when);
		if (sooner)
			store_relaxed(&p->timer_when, ticks);
	}
	spin_release(&p->timer_lock);
	if (sooner)
		sysmon_timers_changed(p);
	hart_unlock();
}

void timer_start(go_timer *t, int64_t when, int64_t period, timer_fn *fire, void *arg)
{
	set(t, when, period, fire, arg, NULL);
}

bool timer_stop(go_timer *t)
{
	hart_lock();
	struct p *p = lock_heap(t);
	/* One that is in a heap and fires once does not do so now; fire_ is NULL in one that never was set,
	   or was stopped in time. */
	bool was_set = false, may_fire = p == NULL ? was_ever_set(t) : t->period_ != 0;
	if (p != NULL) {
		was_set = !(t->flags_ & TIMER_DEAD);
		if (!may_fire)
			__atomic_store_n(&t->fire_, NULL, __ATOMIC_RELAXED);
		if (was_set)
			heap_stop(p, t);
		spin_release(&p->timer_lock);
	}
	if (may_fire)
		await_firing(t);
	hart_unlock();
	return was_set;
}

/* ---- Firing ---- */

static void note_earliest(struct p *p)
{
	go_timer *first = heap_first(p);
	store_relaxed(&p->timer_when, first != NULL ? (int64_t)hart_ns_to_ticks(first->when_) : INT64_MAX);
}

/*
 * A timer that is about to fire leaves the heap, or, if it is periodic, moves to its next time
 * that is to come.
 */
static void advance(struct p *p, go_timer *t, int64_t now)
{
	if (t->period_ == 0) {
		heap_remove_first(p);
		/* Release: whoever finds t in no heap finds it in m->firing. */
		store_release(&t->heap_, NULL);
		return;
	}
	int64_t missed = (now - t->when_) / t->period_;
	if (__builtin_mul_overflow(missed + 1, t->period_, &missed) ||
	    __builtin_add_overflow(t->when_, missed, &t->when_))
		t->when_ = INT64_MAX;
	heap_first_later(p);
}

bool timers_run(struct p *p)
{
	struct m *m = m_self();
	bool ran = false;

	fuzz_wait(FUZZ_TIMER_LOOK);
	spin_acquire(&p->timer_lock);
	bool was_due = timers_due(p, now_ticks());
	int64_t now = hart_now();
	for (go_timer *t; (t = heap_first(p)) != NULL && t->when_ <= now;) {
		timer_fn *fire = t->fire_;
		void *arg = t->arg_;
		void (*fn)(void *) = t->fn_;
		store_relaxed(&m->firing, t);
		trace(TRACE_TIMER, NULL, (uint64_t)(now - t->when_), 0);
		advance(p, t, now);
		if (p->timer_count == 0 || p->timers[0].when > now)
			note_earliest(p); /* before it fires: others need not come for this one */
		spin_release(&p->timer_lock);
		fuzz_wait(FUZZ_TIMER_FIRE);
		fire(arg, now, fn);
		fuzz_wait(FUZZ_TIMER_FIRED);
		/* Release: pairs with the acquire in is_firing(). */
		store_release(&m->firing, NULL);
		ran = true;
		spin_acquire(&p->timer_lock);
	}
	if (!ran)
		note_earliest(p);
	bool left = was_due && p->timer_count > 0;
	spin_release(&p->timer_lock);
	/* The hart that watches p has had its interrupt for what was due, and may sleep without
	   one for the rest. */
	if (left && p != p_beside(m))
		sysmon_timers_changed(p);
	return ran;
}

int64_t timers_first(struct p *p)
{
	spin_acquire(&p->timer_lock);
	note_earliest(p);
	int64_t when = load_relaxed(&p->timer_when);
	spin_release(&p->timer_lock);
	return when;
}

bool timers_pending(struct p *p)
{
	spin_acquire(&p->timer_lock);
	uint32_t living = p->timer_count - p->timer_dead;
	bool pending = living > TIMER_SYSTEM_MAX;
	for (uint32_t i = 0; i < p->timer_count && living > 0 && !pending; i++) {
		go_timer *t = p->timers[i].timer;
		pending = t != NULL && !(t->flags_ & (TIMER_SYSTEM | TIMER_DEAD));
	}
	spin_release(&p->timer_lock);
	return pending;
}

/*
 * Both heaps are locked, so that a timer is always in one of them: what runs in a blocking section meanwhile
 * may stop it. The place of each goroutine that `from` has made room for moves on, too.
 */
void timers_move(struct p *from, struct p *to)
{
	spin_acquire(from < to ? &from->timer_lock : &to->timer_lock); /* by rising address */
	spin_acquire(from < to ? &to->timer_lock : &from->timer_lock);
	uint32_t reserved = to->timer_reserved + from->timer_reserved;
	uint32_t count = to->timer_count + from->timer_count;
	if (!heap_reserve(to, reserved > count ? reserved : count))
		hart_fatal("go_maxprocs: out of memory for timers");
	heap_move(from, to);
	to->timer_reserved = reserved;
	from->timer_reserved = 0;
	free(from->timers);
	from->timers = NULL;
	from->timer_capacity = 0;
	store_relaxed(&from->timer_when, INT64_MAX);
	note_earliest(to);
	spin_release(&from->timer_lock);
	spin_release(&to->timer_lock);
	sysmon_timers_changed(to);
}

/* ---- What programs see ---- */

static void fire_sleeper(void *g, int64_t now, void (*unused)(void *))
{
	(void)now;
	(void)unused;
	ready(g);
}

static bool sleep_commit(struct g *g, void *deadline)
{
	timer_start(&g->timer, *(int64_t *)deadline, 0, fire_sleeper, g);
	return true;
}

static void sleep_until(int64_t deadline)
{
	hart_lock();
	park(sleep_commit, &deadline, WAIT_SLEEP);
}

void go_sleep_until(int64_t deadline)
{
	if (deadline > hart_now())
		sleep_until(deadline);
	else
		go_yield();
}

void go_sleep(int64_t ns)
{
	int64_t deadline;

	if (ns <= 0) {
		go_yield();
		return;
	}
	if (__builtin_add_overflow(hart_now(), ns, &deadline))
		deadline = INT64_MAX;
	sleep_until(deadline);
}

static void fire_call(void *arg, int64_t now, void (*fn)(void *))
{
	(void)now;
	go_from_timer(fn, arg);
}

static void fire_send(void *ch, int64_t now, void (*unused)(void *))
{
	(void)now;
	(void)unused;
	chan_send_from_timer(ch);
}

void go_timer_call(go_timer *t, int64_t when, int64_t period, void (*fn)(void *), void *arg)
{
	if (fn == NULL)
		go_panic("go_timer_call: the function is NULL");
	set(t, when, period, fire_call, arg, fn);
}

void go_timer_send(go_timer *t, int64_t when, int64_t period, go_chan *ch)
{
	if (ch != NULL && ch->elem_size != sizeof(int64_t) && ch->elem_size != 0)
		go_panic("go_timer_send: elements of %zu bytes, a time has %zu", ch->elem_size,
			 sizeof(int64_t));
	set(t, when, period, fire_send, ch, NULL);
}

bool go_timer_stop(go_timer *t)
{
	return timer_stop(t);
}
