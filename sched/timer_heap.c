/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The heap of timer_heap.h. Children of entry i: 4i + 1 to 4i + 4. A node of four children lies in one cache
 * line or two, and a heap of 100,000 has ten levels.
 */
#include "sched/timer_heap.h"

#include <assert.h>
#include <stdlib.h>

#define ARITY 4u
#define CAPACITY_MIN 64u
#define DEAD_MIN 32u /* so few are left alone, whatever their share: one goroutine's that come and go */

static bool is_dead(struct timer_entry entry)
{
	return entry.timer == NULL || entry.timer->flags_ & TIMER_DEAD;
}

/* ---- Order ---- */

/* In one piece: who finds a timer in no heap looks at TIMER_KEPT without the lock. */
static inline void set_dead(go_timer *t, bool dead)
{
	__atomic_store_n(&t->flags_, (t->flags_ & ~TIMER_DEAD) | (dead ? TIMER_DEAD : 0), __ATOMIC_RELAXED);
}

static inline void place(struct p *p, uint32_t i, struct timer_entry entry)
{
	p->timers[i] = entry;
	if (entry.timer != NULL)
		entry.timer->index_ = i;
}

/* True if it came to the top. */
static bool sift_up(struct p *p, uint32_t i, struct timer_entry entry)
{
	while (i > 0) {
		uint32_t parent = (i - 1) / ARITY;
		if (p->timers[parent].when <= entry.when)
			break;
		place(p, i, p->timers[parent]);
		i = parent;
	}
	place(p, i, entry);
	return i == 0;
}

/* Of the children that begin at `first`. Four, the usual number, are compared without a branch. */
static inline uint32_t least_child(const struct timer_entry *timers, uint32_t first, uint32_t count)
{
	if (first + ARITY <= count) {
		uint32_t a = first + (timers[first + 1].when < timers[first].when);
		uint32_t b = first + 2 + (timers[first + 3].when < timers[first + 2].when);
		return timers[b].when < timers[a].when ? b : a;
	}
	uint32_t least = first;
	for (uint32_t c = first + 1; c < count; c++)
		if (timers[c].when < timers[least].when)
			least = c;
	return least;
}

static void sift_down(struct p *p, uint32_t i, struct timer_entry entry)
{
	for (;;) {
		uint32_t first = i * ARITY + 1;
		if (first >= p->timer_count)
			break;
		uint32_t least = least_child(p->timers, first, p->timer_count);
		if (entry.when <= p->timers[least].when)
			break;
		place(p, i, p->timers[least]);
		i = least;
	}
	place(p, i, entry);
}

/* ---- Room ---- */

bool heap_reserve(struct p *p, uint32_t capacity)
{
	if (capacity <= p->timer_capacity)
		return true;
	uint32_t more = p->timer_capacity != 0 ? 2 * p->timer_capacity : CAPACITY_MIN;
	if (more < capacity)
		more = capacity;
	struct timer_entry *timers = realloc(p->timers, more * sizeof(*timers));
	if (timers == NULL)
		return false;
	p->timers = timers;
	p->timer_capacity = more;
	return true;
}

/* There must be a place for each goroutine. In vain if there is no memory to move to. */
void heap_shrink(struct p *p)
{
	uint32_t need = p->timer_count > p->timer_reserved ? p->timer_count : p->timer_reserved;
	uint32_t less = need > CAPACITY_MIN / 2 ? 2 * need : CAPACITY_MIN;

	if (less > p->timer_capacity / 2)
		return;
	struct timer_entry *timers = realloc(p->timers, less * sizeof(*timers));
	if (timers == NULL)
		return;
	p->timers = timers;
	p->timer_capacity = less;
}

/* A dead entry leaves the heap: its timer may be set anywhere again. */
static void let_go(struct timer_entry entry)
{
	if (entry.timer == NULL)
		return;
	set_dead(entry.timer, false);
	store_release(&entry.timer->heap_, NULL);
}

/* Drops all dead entries, and puts the early ones in their places since it touches each timer anyway. */
static void sweep(struct p *p)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->timer_count; i++) {
		struct timer_entry entry = p->timers[i];
		if (is_dead(entry)) {
			let_go(entry);
			continue;
		}
		entry.when = entry.timer->when_;
		place(p, n++, entry);
	}
	p->timer_count = n;
	p->timer_dead = 0;
	for (uint32_t i = n > 1 ? (n - 2) / ARITY + 1 : 0; i-- > 0;)
		sift_down(p, i, p->timers[i]);
}

bool heap_room(struct p *p)
{
	if (heap_reserve(p, p->timer_count + 1))
		return true;
	if (p->timer_dead == 0)
		return false;
	sweep(p);
	return true;
}

/* ---- Setting and stopping ---- */

/*
 * The place of an entry that was buried a moment ago serves the next timer: a program that sets and stops one
 * again and again neither fills the heap nor has it swept.
 */
bool heap_add(struct p *p, go_timer *t)
{
	struct timer_entry entry = { t->when_, t };
	uint32_t hole = p->timer_hole;

	if (hole >= p->timer_count || p->timers[hole].timer != NULL)
		return sift_up(p, p->timer_count++, entry);
	p->timer_dead--;
	if (entry.when < p->timers[hole].when)
		return sift_up(p, hole, entry);
	sift_down(p, hole, entry);
	return hole == 0 && p->timers[0].timer == t;
}

bool heap_change(struct p *p, go_timer *t)
{
	uint32_t i = t->index_;

	assert(p->timers[i].timer == t && "timer not where it says");
	if (t->flags_ & TIMER_DEAD) {
		set_dead(t, false);
		p->timer_dead--;
	}
	return t->when_ < p->timers[i].when && sift_up(p, i, (struct timer_entry){ t->when_, t });
}

static void died(struct p *p)
{
	if (++p->timer_dead > DEAD_MIN && p->timer_dead > p->timer_count / 4)
		sweep(p);
}

void heap_stop(struct p *p, go_timer *t)
{
	if (t->flags_ & TIMER_KEPT) {
		set_dead(t, true);
		died(p);
	} else {
		heap_bury(p, t);
	}
}

void heap_bury(struct p *p, go_timer *t)
{
	uint32_t i = t->index_;
	bool was_dead = t->flags_ & TIMER_DEAD;

	assert(p->timers[i].timer == t && "timer not where it says");
	set_dead(t, false);
	p->timers[i].timer = NULL;
	/* Release: m->firing was written before, if t fires. t may be gone from here on. */
	store_release(&t->heap_, NULL);
	p->timer_hole = i;
	if (i + 1 == p->timer_count) {
		p->timer_count--; /* the last one leaves no hole */
		p->timer_dead -= was_dead;
	} else if (!was_dead) {
		died(p);
	}
}

/* ---- The top ---- */

void heap_remove_first(struct p *p)
{
	struct timer_entry last = p->timers[--p->timer_count];

	if (p->timer_count > 0)
		sift_down(p, 0, last);
}

void heap_first_later(struct p *p)
{
	go_timer *t = p->timers[0].timer;
	sift_down(p, 0, (struct timer_entry){ t->when_, t });
}

go_timer *heap_first_slow(struct p *p)
{
	while (p->timer_count > 0) {
		struct timer_entry top = p->timers[0];
		if (is_dead(top)) {
			let_go(top);
			p->timer_dead--;
			heap_remove_first(p);
		} else if (top.when != top.timer->when_) {
			heap_first_later(p);
		} else {
			return top.timer;
		}
	}
	return NULL;
}

void heap_move(struct p *from, struct p *to)
{
	for (uint32_t i = 0; i < from->timer_count; i++) {
		struct timer_entry entry = from->timers[i];
		if (is_dead(entry)) {
			let_go(entry);
			continue;
		}
		/* Release: pairs with the acquire in lock_heap(), as where it was first set. */
		store_release(&entry.timer->heap_, to);
		heap_add(to, entry.timer);
	}
	from->timer_count = from->timer_dead = 0;
}
