/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Channels.
 *
 * One spin lock a channel. Invariants under it: at most one of the two queues of waiters is not empty (but
 * for a goroutine that selects on both sides of one channel); senders wait only while the buffer is full,
 * receivers only while it is empty.
 *
 * A value goes straight from the sender to a waiting receiver's variable, which may lie on the receiver's
 * stack. A receiver that finds the buffer full and a sender waiting takes the oldest value and moves the
 * sender's into its place. Waiters lie in the Gs, or on the stacks of those that select: blocking allocates
 * nothing.
 */
#include "sched/chan.h"
#include "sched/switch.h"

#include <errno.h>
#include <stdlib.h>

/* ---- Making and freeing ---- */

go_chan *go_chan_make(size_t elem_size, size_t cap)
{
	size_t bytes;
	if (__builtin_mul_overflow(elem_size, cap, &bytes) ||
	    __builtin_add_overflow(bytes, sizeof(go_chan), &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	go_chan *c = malloc(bytes);
	if (c == NULL)
		return NULL;
	memset(c, 0, sizeof(*c));
	lockrank_set(&c->lock, LOCK_CHANNEL);
	c->elem_size = elem_size;
	c->cap = cap;
	c->limit = elem_size == sizeof(chan_word) ? cap : 0;
	c->word_mask = elem_size == sizeof(chan_word) ? sizeof(chan_word) - 1 : UINTPTR_MAX;
	c->send_at = c->recv_at = (char *)c->buffer;
	c->end = (char *)c->buffer + elem_size * cap;
	return c;
}

void go_chan_free(go_chan *c)
{
	if (c == NULL)
		return;
	spin_lock(&c->lock);
	bool waited_for = c->senders.head != NULL || c->receivers.head != NULL;
	spin_unlock(&c->lock);
	if (waited_for)
		go_panic("free of a channel that a goroutine waits on");
	free(c);
}

size_t go_chan_len(const go_chan *c)
{
	return c == NULL ? 0 : chan_count(c);
}

size_t go_chan_cap(const go_chan *c)
{
	return c == NULL ? 0 : c->cap;
}

static bool never(struct g *g, void *arg)
{
	(void)g;
	(void)arg;
	return true;
}

static noreturn void wait_for_ever(void)
{
	hart_lock();
	park(never, NULL, WAIT_CHAN_NULL);
	hart_fatal("a goroutine came back from a nil channel");
}

/*
 * ---- What programs call ----
 *
 * Each is cut into what is usual, for words: room in the buffer, or a value there; a receiver or sender that
 * waits; a wait; and the rest. All go on under the lock that the first has taken, and none has anything to do
 * after the next, so that the usual way saves no registers for the others.
 */

/* May a word be copied between the two? */
static inline bool words(const go_chan *c, const void *a, const void *b)
{
	return a != NULL && b != NULL && (((uintptr_t)a | (uintptr_t)b) & c->word_mask) == 0;
}

/* Until it is taken out of q, where a value is copied to or from elem. c->lock held. */
static ALWAYS_INLINE void wait_in(go_chan *c, struct waitq *q, void *elem, enum wait_reason reason)
{
	struct waiter *w = &g_self()->waiter;

	w->elem = elem;
	waitq_push(q, w);
	park_unlock(&c->lock, reason);
}

static NOINLINE SWITCHES void send_wait(go_chan *c, const void *elem)
{
	wait_in(c, &c->senders, (void *)(uintptr_t)elem, WAIT_CHAN_SEND);
	if (!g_self()->waiter.ok)
		go_panic("send on closed channel");
}

static NOINLINE void send_any(go_chan *c, const void *elem)
{
	struct g *wake;
	enum chan_result result = chan_send_step(c, elem, &wake);

	if (result == CHAN_WAIT) {
		send_wait(c, elem);
		return;
	}
	chan_finish(c, wake);
	if (result == CHAN_CLOSED)
		go_panic("send on closed channel");
}

static NOINLINE void send_rest(go_chan *c, const void *elem)
{
	struct waiter *w = c->receivers.head;

	bool closed = load_relaxed(&c->closed); /* then go_close() has not come to w yet */

	if (w != NULL && !closed && !w->in_select && words(c, w->elem, elem) && !trace_on()) {
		waitq_take(&c->receivers, w);
		*(chan_word *)w->elem = *(const chan_word *)elem;
		struct g *g = chan_give(w);
		spin_release(&c->lock);
		ready_unlock_inline(g);
	} else if (w == NULL && chan_count(c) == c->cap && !closed) {
		send_wait(c, elem);
	} else {
		send_any(c, elem);
	}
}

void go_send(go_chan *c, const void *elem)
{
	if (c == NULL)
		wait_for_ever();
	spin_lock(&c->lock);
	size_t count = chan_count(c);
	if (c->receivers.head != NULL || count >= c->limit || (uintptr_t)elem % sizeof(chan_word) != 0) {
		send_rest(c, elem);
		return;
	}
	*(chan_word *)c->send_at = *(const chan_word *)elem;
	c->send_at = chan_after(c, c->send_at);
	store_relaxed(&c->count, count + 1);
	spin_unlock(&c->lock);
}

static NOINLINE SWITCHES bool recv_wait(go_chan *c, void *elem)
{
	wait_in(c, &c->receivers, elem, WAIT_CHAN_RECEIVE);
	return g_self()->waiter.ok;
}

static NOINLINE bool recv_any(go_chan *c, void *elem)
{
	struct g *wake;
	enum chan_result result = chan_recv_step(c, elem, &wake);

	if (result == CHAN_WAIT)
		return recv_wait(c, elem);
	chan_finish(c, wake);
	return result == CHAN_DONE;
}

static NOINLINE bool recv_rest(go_chan *c, void *elem)
{
	struct waiter *w = c->senders.head;

	if (chan_count(c) != 0)
		return recv_any(c, elem);
	if (w == NULL && !load_relaxed(&c->closed))
		return recv_wait(c, elem);
	if (w == NULL || load_relaxed(&c->closed) || w->in_select || !words(c, elem, w->elem) || trace_on())
		return recv_any(c, elem);
	waitq_take(&c->senders, w);
	*(chan_word *)elem = *(const chan_word *)w->elem;
	struct g *g = chan_give(w);
	spin_release(&c->lock);
	return ready_unlock_inline(g);
}

static NOINLINE bool preempted(void)
{
	sched_preempt();
	return true;
}

bool go_recv(go_chan *c, void *elem)
{
	if (c == NULL)
		wait_for_ever();
	spin_lock(&c->lock);
	size_t count = chan_count(c);
	if (count == 0 || c->senders.head != NULL || elem == NULL || ((uintptr_t)elem & c->word_mask) != 0)
		return recv_rest(c, elem);
	*(chan_word *)elem = *(const chan_word *)c->recv_at;
	c->recv_at = chan_after(c, c->recv_at);
	store_relaxed(&c->count, count - 1);
	spin_release(&c->lock);
	return hart_unlock_due() ? preempted() : true; /* no frame for it: as above */
}

/*
 * Without the lock: would a try have to wait? `closed` is read first: no value enters a closed channel, so
 * one that was open, and is full afterwards, was both at one instant in between.
 */
static bool send_would_wait(go_chan *c)
{
	return !load_acquire(&c->closed) && c->cap > 0 && chan_count(c) == c->cap;
}

int go_try_send(go_chan *c, const void *elem)
{
	if (c == NULL || send_would_wait(c))
		return 0;
	struct g *wake;
	spin_lock(&c->lock);
	enum chan_result result = chan_send_step(c, elem, &wake);
	chan_finish(c, wake);
	if (result == CHAN_CLOSED)
		go_panic("send on closed channel");
	return result == CHAN_DONE;
}

int go_try_recv(go_chan *c, void *elem)
{
	if (c == NULL)
		return 0;
	struct g *wake;
	spin_lock(&c->lock);
	enum chan_result result = chan_recv_step(c, elem, &wake);
	chan_finish(c, wake);
	return result == CHAN_DONE ? 1 : result == CHAN_WAIT ? 0 : -1;
}

/*
 * Reads the clock under the lock: two harts may be firing one periodic timer, and the times
 * come in their order.
 */
void chan_send_from_timer(go_chan *c)
{
	struct g *wake;

	if (c == NULL)
		return;
	spin_lock(&c->lock);
	int64_t now = hart_now();
	chan_send_step(c, &now, &wake); /* full or closed: dropped */
	chan_finish(c, wake);
}

/*
 * Takes waiters out of q; they find that no value was handed over. Not more at once than a ring holds, so
 * that other harts run the first while the rest is woken; and only until the stacks that it touches are too
 * many.
 */
static void take_some(go_chan *c, struct waitq *q, struct glist *wake, bool zero)
{
	enum wait_reason reason = q == &c->senders ? WAIT_CHAN_SEND : WAIT_CHAN_RECEIVE;

	for (struct waiter *w; wake->size < RUNQ_SIZE && (w = waitq_pop(q)) != NULL;) {
		trace(TRACE_TAKE, w->g, trace_queue(c, reason), 0);
		w->ok = false;
		w->g->wake_param = w;
		glist_push(wake, w->g);
		if (zero && w->elem != NULL) {
			memset(w->elem, 0, c->elem_size);
			if (reclaim_wanted())
				return;
		}
	}
}

/*
 * True: others wait still, or were left in the queues by selects that have won elsewhere. Leaves the
 * critical section; if it answers false, c may be gone. Until then one of those that were taken is kept
 * asleep: the last to wake up may free c.
 */
static bool wake_some(go_chan *c, struct g **kept)
{
	struct glist wake = { 0 };

	take_some(c, &c->receivers, &wake, true);
	if (c->receivers.head == NULL)
		take_some(c, &c->senders, &wake, false);
	bool more = c->receivers.head != NULL || c->senders.head != NULL;
	spin_release(&c->lock);
	if (*kept != NULL)
		glist_push(&wake, *kept);
	*kept = more ? glist_pop(&wake) : NULL;
	ready_list(&wake);
	hart_unlock();
	return more;
}

void go_close(go_chan *c)
{
	if (c == NULL)
		go_panic("close of nil channel");
	spin_lock(&c->lock);
	if (load_relaxed(&c->closed)) {
		spin_unlock(&c->lock);
		go_panic("close of closed channel");
	}
	/* Release: pairs with the acquire in send_would_wait(). */
	store_release(&c->closed, true);
	c->limit = 0;
	struct g *kept = NULL;
	while (wake_some(c, &kept)) {
		/* Their stacks were packed, and fill the memory now: they are runnable, and can
		   wait a little longer. */
		if (reclaim_wanted())
			sched_reclaim();
		spin_lock(&c->lock);
	}
}
