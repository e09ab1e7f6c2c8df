/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers: a 4-ary heap for each P, ordered by `when`.
 *
 * A timer goes into the heap of the P that sets it. The P's holder runs what has expired at each
 * scheduling point; a thief may, too. The heap's lock is not held while a timer's function runs, so such a
 * function may take any lock; while it runs, m->firing names the timer, and go_timer_stop() waits for that.
 *
 * t->heap_ names the P whose heap t is in, NULL for none. It changes only under that P's timer lock: so
 * whoever has locked the heap that heap_ named looks again.
 *
 * p->timer_when is the earliest deadline. The hart with the P's number watches it, whoever holds the P
 * (sysmon.c).
 */
#include <assert.h>
#include <stdlib.h>

#include "sched/sched.h"
#include "sched/trace.h"

#define relaxed memory_order_relaxed
#define ARITY 4u

/* ---- The heap; timer_lock held ---- */

static void place(struct p *p, uint32_t i, struct timer_entry entry)
{
	p->timers[i] = entry;
	entry.timer->index_ = i;
}

static uint32_t sift_up(struct p *p, uint32_t i, struct timer_entry entry)
{
	while (i > 0) {
		uint32_t parent = (i - 1) / ARITY;
		if (p->timers[parent].when <= entry.when)
			break;
		place(p, i, p->timers[parent]);
		i = parent;
	}
	place(p, i, entry);
	return i;
}

static void sift_down(struct p *p, uint32_t i, struct timer_entry entry)
{
	for (;;) {
		uint32_t first = i * ARITY + 1, least = first;
		if (first >= p->timer_count)
			break;
		for (uint32_t c = first + 1; c < first + ARITY && c < p->timer_count; c++)
			if (p->timers[c].when < p->timers[least].when)
				least = c;
		if (entry.when <= p->timers[least].when)
			break;
		place(p, i, p->timers[least]);
		i = least;
	}
	place(p, i, entry);
}

static void note_earliest(struct p *p)
{
	int64_t when = p->timer_count > 0 ? (int64_t)hart_ns_to_ticks(p->timers[0].when) : INT64_MAX;
	store_relaxed(&p->timer_when, when);
}

static bool heap_grow(struct p *p, uint32_t wanted)
{
	if (wanted <= p->timer_capacity)
		return true;
	uint32_t capacity = p->timer_capacity != 0 ? 2 * p->timer_capacity : 64;
	struct timer_entry *timers = realloc(p->timers, capacity * sizeof(*timers));
	if (timers == NULL)
		return false;
	p->timers = timers;
	p->timer_capacity = capacity;
	return true;
}

static void heap_add(struct p *p, go_timer *t)
{
	sift_up(p, p->timer_count++, (struct timer_entry){ t->when_, t });
	/* Release: pairs with the acquire in lock_heap(). */
	store_release(&t->heap_, p);
	note_earliest(p);
}

static void heap_remove(struct p *p, go_timer *t)
{
	uint32_t i = t->index_;
	assert(p->timers[i].timer == t && "timer not where it says");
	struct timer_entry last = p->timers[--p->timer_count];
	if (last.timer != t) {
		i = sift_up(p, i, last);
		sift_down(p, i, last);
	}
	/* Release: m->firing was written before, if t fires. */
	store_release(&t->heap_, NULL);
	note_earliest(p);
}

/* Locks the heap that t is in; NULL when it is in none. locks > 0. */
static struct p *lock_heap(go_timer *t)
{
	for (;;) {
		struct p *p = atomic_load_explicit(&t->heap_, memory_order_acquire);
		if (p == NULL)
			return NULL;
		spin_acquire(&p->timer_lock);
		if (atomic_load_explicit(&t->heap_, relaxed) == p)
			return p;
		spin_release(&p->timer_lock);
	}
}

/*
 * Locks a heap with room for one more: p's, or, out of memory, any. A goroutine's own timer always finds a place,
 * since timers_reserve() made one when the goroutine was created; so sleeping allocates nothing that it cannot do
 * without. NULL: a program's own timers have used them up.
 */
static struct p *lock_room(struct p *p)
{
	spin_acquire(&p->timer_lock);
	if (heap_grow(p, p->timer_count + 1))
		return p;
	spin_release(&p->timer_lock);
	for (unsigned id = 0; id < hart_count(); id++) {
		p = p_get(id);
		spin_acquire(&p->timer_lock);
		if (p->timer_count < p->timer_capacity)
			return p;
		spin_release(&p->timer_lock);
	}
	return NULL;
}

bool timers_reserve(struct p *p)
{
	spin_acquire(&p->timer_lock);
	bool room = heap_grow(p, p->timer_reserved + 1);
	p->timer_reserved += room;
	spin_release(&p->timer_lock);
	return room;
}

/* ---- Setting, stopping, firing ---- */

static bool take_out(go_timer *t)
{
	struct p *p = lock_heap(t);
	if (p == NULL)
		return false;
	heap_remove(p, t);
	spin_release(&p->timer_lock);
	return true;
}

void timer_start(go_timer *t, int64_t when, int64_t period, void (*fire)(go_timer *, int64_t now))
{
	hart_lock();
	take_out(t);
	struct m *m = m_self();
	struct p *p = lock_room(m->p != NULL ? m->p : p_get(0)); /* none in a blocking section */
	if (p == NULL)
		hart_fatal("out of memory for a timer");
	t->when_ = when > 0 ? when : 0;
	t->period_ = period > 0 ? period : 0;
	t->fire_ = fire;
	int64_t before = atomic_load_explicit(&p->timer_when, relaxed);
	heap_add(p, t);
	spin_release(&p->timer_lock);
	if (atomic_load_explicit(&p->timer_when, relaxed) < before)
		sysmon_timers_changed(p);
	hart_unlock();
}

bool timer_stop(go_timer *t)
{
	hart_lock();
	bool was_set = take_out(t);
	for (unsigned id = 0; id < hart_count(); id++)
		/* Acquire: what the timer's function did comes before our return. */
		while (atomic_load_explicit(&m_get(id)->firing, memory_order_acquire) == t)
			hart_relax();
	hart_unlock();
	return was_set;
}

/* Takes the first timer out, or, if it is periodic, moves it to its next time that is to come. */
static void advance(struct p *p, go_timer *t, int64_t now)
{
	if (t->period_ == 0) {
		heap_remove(p, t);
		return;
	}
	int64_t missed = (now - t->when_) / t->period_;
	if (__builtin_mul_overflow(missed + 1, t->period_, &missed) ||
	    __builtin_add_overflow(t->when_, missed, &t->when_))
		t->when_ = INT64_MAX;
	sift_down(p, 0, (struct timer_entry){ t->when_, t });
	note_earliest(p);
}

bool timers_run(struct p *p)
{
	struct m *m = m_self();
	bool ran = false;

	fuzz_wait(FUZZ_TIMER_LOOK);
	spin_acquire(&p->timer_lock);
	int64_t now = hart_now();
	while (p->timer_count > 0 && p->timers[0].when <= now) {
		go_timer *t = p->timers[0].timer;
		void (*fire)(go_timer *, int64_t) = t->fire_;
		store_relaxed(&m->firing, t);
		trace(TRACE_TIMER, NULL, (uint64_t)(now - p->timers[0].when), 0);
		advance(p, t, now);
		spin_release(&p->timer_lock);
		fuzz_wait(FUZZ_TIMER_FIRE);
		fire(t, now);
		fuzz_wait(FUZZ_TIMER_FIRED);
		/* Release: pairs with timer_stop(). */
		store_release(&m->firing, NULL);
		ran = true;
		spin_acquire(&p->timer_lock);
	}
	bool left = ran && p->timer_count > 0;
	spin_release(&p->timer_lock);
	/* The hart that watches p has had its interrupt for what ran, and may sleep without one for the rest. */
	if (left && p != p_beside(m))
		sysmon_timers_changed(p);
	return ran;
}

bool timers_pending(struct p *p)
{
	bool pending = false;

	spin_acquire(&p->timer_lock);
	for (uint32_t i = 0; i < p->timer_count && !pending; i++)
		pending = !(p->timers[i].timer->flags_ & TIMER_SYSTEM);
	spin_release(&p->timer_lock);
	return pending;
}

void timers_move(struct p *from, struct p *to)
{
	while (from->timer_count > 0) {
		go_timer *t = from->timers[from->timer_count - 1].timer;
		spin_acquire(&from->timer_lock);
		heap_remove(from, t);
		spin_release(&from->timer_lock);
		struct p *p = lock_room(to);
		if (p == NULL || p == from)
			hart_fatal("out of memory for a timer");
		heap_add(p, t);
		spin_release(&p->timer_lock);
	}
	sysmon_timers_changed(to);
}

/* ---- What programs see ---- */

static void fire_sleeper(go_timer *t, int64_t now)
{
	(void)now;
	ready(t->arg_);
}

static bool sleep_commit(struct g *g, void *deadline)
{
	g->timer.arg_ = g;
	timer_start(&g->timer, *(int64_t *)deadline, 0, fire_sleeper);
	return true;
}

void go_sleep_until(int64_t deadline)
{
	if (deadline <= hart_now()) {
		go_yield();
		return;
	}
	hart_lock();
	park(sleep_commit, &deadline, WAIT_SLEEP);
}

void go_sleep(int64_t ns)
{
	int64_t deadline;

	if (ns <= 0)
		deadline = 0;
	else if (__builtin_add_overflow(hart_now(), ns, &deadline))
		deadline = INT64_MAX;
	go_sleep_until(deadline);
}

static void fire_call(go_timer *t, int64_t now)
{
	(void)now;
	go_from_timer(t->fn_, t->arg_);
}

static void fire_send(go_timer *t, int64_t now)
{
	(void)now;
	chan_send_from_timer(t->arg_);
}

void go_timer_call(go_timer *t, int64_t when, int64_t period, void (*fn)(void *), void *arg)
{
	timer_stop(t);
	t->fn_ = fn;
	t->arg_ = arg;
	timer_start(t, when, period, fire_call);
}

void go_timer_send(go_timer *t, int64_t when, int64_t period, go_chan *ch)
{
	timer_stop(t);
	t->arg_ = ch;
	timer_start(t, when, period, fire_send);
}

bool go_timer_stop(go_timer *t)
{
	return timer_stop(t);
}
