/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A P's timers: a 4-ary heap, ordered by time. All of this under p->timer_lock.
 *
 * Most timers are never waited for to the end: a deadline that is met is stopped, or put off by the next one.
 * So both are lazy. A timer that is stopped leaves a *dead* entry behind, one that is put off leaves an
 * *early* one, and neither moves anything. When such an entry comes to the top it is dropped, or goes down to
 * its true place. Dead entries that are more than a quarter of the heap are swept out together, so stopping
 * costs a few moves each whatever the order.
 *
 * A program may free a timer as soon as it is stopped, so its dead entry has no pointer any more. A
 * goroutine's own timer, and the scheduler's static ones, stay where they are for ever (TIMER_KEPT): their
 * dead entries keep the pointer, and setting such a timer again for later, which is what each read with a
 * deadline does, only brings its entry back to life.
 *
 * Always: an entry's `when` is not later than its timer's; t->index_ is the place of t's entry
 * if t->heap_ is p.
 */
#ifndef SCHED_TIMER_HEAP_H
#define SCHED_TIMER_HEAP_H

#include "sched/sched.h"

/* Is there room for one more, now or after getting memory or sweeping? */
bool heap_room(struct p *p);
bool heap_reserve(struct p *p, uint32_t capacity); /* false: out of memory */
/* If a quarter of the room would do, there is half of it afterwards, or less. */
void heap_shrink(struct p *p);

/* A timer that is in no heap; there is room. True: it came to the top. */
bool heap_add(struct p *p, go_timer *t);
/* t, which is in p's heap, dead or alive, is set to another t->when_. True: it moved to the top. */
bool heap_change(struct p *p, go_timer *t);
/* t, alive, does not fire. */
void heap_stop(struct p *p, go_timer *t);
/* The same, t dead or alive, and nothing in the heap points to t any more. */
void heap_bury(struct p *p, go_timer *t);

/* The timer that fires first: it is at the top then, alive and in its place. NULL: none. */
go_timer *heap_first_slow(struct p *p);
static inline go_timer *heap_first(struct p *p)
{
	if (p->timer_count == 0)
		return NULL;
	struct timer_entry top = p->timers[0];
	if (top.timer != NULL && top.when == top.timer->when_ && !(top.timer->flags_ & TIMER_DEAD))
		return top.timer;
	return heap_first_slow(p);
}
/* Takes it out. */
void heap_remove_first(struct p *p);
/* It is put off. */
void heap_first_later(struct p *p);

/* All that live go to another heap, which has room. Both locked. */
void heap_move(struct p *from, struct p *to);

#endif
