/* SPDX-License-Identifier: BSD-2-Clause */
/* What chan.c and select.c share. */
#ifndef SCHED_CHAN_H
#define SCHED_CHAN_H

#include <string.h>

#include "sched/sched.h"
#include "sched/trace.h"

struct go_chan {
	struct spinlock lock;
	_Atomic(bool) closed;     /* written under lock */
	size_t elem_size, cap;    /* never change */
	/* 7 if elements are words: aligned pointers to one have none of its bits; else all bits */
	uintptr_t word_mask;
	char *end;                /* of the buffer */
	_Atomic(size_t) count;    /* elements in the buffer; written under lock */
	/* Under lock: up to which count go_send() is quick: cap; 0 if closed or not of words */
	size_t limit;
	char *send_at, *recv_at;  /* places in the buffer */
	struct waitq senders, receivers;
	max_align_t buffer[];
};

typedef uint64_t __attribute__((may_alias)) chan_word;

/* Elements are mostly words; the library's memcpy is a call, and built for size. */
static inline void chan_copy(const go_chan *c, void *to, const void *from)
{
	typedef uint32_t __attribute__((may_alias)) half;
	uintptr_t bits = (uintptr_t)to | (uintptr_t)from;

	if ((bits & c->word_mask) == 0)
		*(chan_word *)to = *(const chan_word *)from;
	else if (c->elem_size == 4 && bits % 4 == 0)
		*(half *)to = *(const half *)from;
	else if (c->elem_size != 0)
		memcpy(to, from, c->elem_size);
}

static inline size_t chan_count(const go_chan *c)
{
	return load_relaxed(&c->count);
}

/* ---- Queues of waiters ---- */

static inline void waitq_push(struct waitq *q, struct waiter *w)
{
	w->next = NULL;
	w->prev = q->tail;
	if (q->tail != NULL)
		q->tail->next = w;
	else
		q->head = w;
	q->tail = w;
}

static inline void waitq_remove(struct waitq *q, struct waiter *w)
{
	if (w->prev == NULL && q->head != w)
		return; /* popped before */
	if (w->prev != NULL)
		w->prev->next = w->next;
	else
		q->head = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	else
		q->tail = w->prev;
	w->next = w->prev = NULL;
}

/* Off the head; its prev is NULL already. */
static inline void waitq_take(struct waitq *q, struct waiter *w)
{
	q->head = w->next;
	if (w->next != NULL)
		w->next->prev = NULL;
	else
		q->tail = NULL;
}

/* A select waits in several queues: the first that takes it wins, the others pass on. */
static inline bool select_win(struct g *g)
{
	for (;;) {
		uint32_t state = SELECT_OPEN;
		/* Acquire: pairs with the release in hart_switch(), or in park_select_on_g0(). */
		if (atomic_compare_exchange_strong_explicit(&g->select_state, &state, SELECT_WON,
							    memory_order_acq_rel, memory_order_relaxed))
			return true;
		if (state == SELECT_WON)
			return false;
		hart_relax(); /* a few instructions more, and g has left its stack */
	}
}

static inline struct waiter *waitq_pop(struct waitq *q)
{
	for (struct waiter *w; (w = q->head) != NULL;) {
		waitq_take(q, w);
		if (!w->in_select || select_win(w->g))
			return w;
	}
	return NULL;
}

/*
 * ---- Steps ----
 *
 * One step of a send or receive that can go on without waiting; c->lock held. CHAN_DONE: carried out, and
 * *wake, if not NULL, is to be made ready after the lock is released.
 */
enum chan_result { CHAN_WAIT, CHAN_DONE, CHAN_CLOSED };

static inline char *chan_after(go_chan *c, char *at)
{
	at += c->elem_size;
	return at == c->end ? (char *)c->buffer : at;
}

static inline struct g *chan_give(struct waiter *w)
{
	w->ok = true;
	w->g->wake_param = w;
	return w->g;
}

/* w was taken out of the queue of those who wait for that reason. */
static inline struct g *chan_hand_over(go_chan *c, struct waiter *w, enum wait_reason reason)
{
	trace_unblock(w->g, trace_queue(c, reason));
	return chan_give(w);
}

static ALWAYS_INLINE enum chan_result
chan_send_step(go_chan *c, const void *elem, struct g **wake)
{
	*wake = NULL;
	if (load_relaxed(&c->closed))
		return CHAN_CLOSED;
	struct waiter *receiver = waitq_pop(&c->receivers);
	if (receiver != NULL) {
		if (receiver->elem != NULL)
			chan_copy(c, receiver->elem, elem);
		*wake = chan_hand_over(c, receiver, WAIT_CHAN_RECEIVE);
		return CHAN_DONE;
	}
	size_t count = chan_count(c);
	if (count == c->cap)
		return CHAN_WAIT;
	chan_copy(c, c->send_at, elem);
	c->send_at = chan_after(c, c->send_at);
	store_relaxed(&c->count, count + 1);
	return CHAN_DONE;
}

static ALWAYS_INLINE enum chan_result
chan_recv_step(go_chan *c, void *elem, struct g **wake)
{
	*wake = NULL;
	size_t count = chan_count(c);
	/* One that is closed has senders until go_close() has come to them: they have failed. */
	struct waiter *sender = count == c->cap && !load_relaxed(&c->closed) ? waitq_pop(&c->senders) : NULL;

	if (count > 0) {
		if (elem != NULL)
			chan_copy(c, elem, c->recv_at);
		if (sender != NULL) { /* full: its value takes the place, as the youngest */
			chan_copy(c, c->recv_at, sender->elem);
			*wake = chan_hand_over(c, sender, WAIT_CHAN_SEND);
		}
		c->recv_at = chan_after(c, c->recv_at);
		if (sender != NULL)
			c->send_at = c->recv_at;
		else
			store_relaxed(&c->count, count - 1);
		return CHAN_DONE;
	}
	if (sender != NULL) {
		if (elem != NULL)
			chan_copy(c, elem, sender->elem);
		*wake = chan_hand_over(c, sender, WAIT_CHAN_SEND);
		return CHAN_DONE;
	}
	if (!load_relaxed(&c->closed))
		return CHAN_WAIT;
	if (elem != NULL)
		memset(elem, 0, c->elem_size);
	return CHAN_CLOSED;
}

/* Releases c's lock and wakes whom the step wants woken. */
static inline void chan_finish(go_chan *c, struct g *wake)
{
	spin_release(&c->lock);
	if (wake != NULL)
		ready_unlock(wake);
	else
		hart_unlock();
}

#endif
