/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * go_select.
 *
 * First a look at all cases without a lock. If some seem ready, one of them is drawn, its channel alone is
 * locked, and the case carried out; if somebody was faster, another is drawn.
 *
 * That none is ready can only be said with all channels locked, which is done in the order of their
 * addresses, so that two selects cannot wait for each other's. If it is so the goroutine enters the queues of
 * all of them and waits. Who takes it out of one wins by a compare-and-swap on g->select_state, the
 * deadline's timer included, and the others pass over it. Awake again, it takes itself out of the queues
 * where it lost, one after the other; until then those channels must not be freed.
 *
 * Its context is not saved yet when it releases the locks. So select_state is CHOOSING until then,
 * and who finds it so waits for the store that opens it (select_win()): that comes from a hart
 * that waits for nobody.
 *
 * Everything lies on the stack of the caller: 8 bytes a case for the first look, 56 more for the second.
 */
#include "sched/chan.h"

#define CASES_MAX 65536

/* A case that is waited for. An array of them ends with one without a channel. */
struct place {
	go_chan *chan;
	struct go_case *what;
	struct waiter waiter;
};

/* ---- A case that is ready ---- */

/* Of a case that is neither a send nor a receive. */
static NOINLINE void must_be_none(int op)
{
	if (op != 0)
		go_panic("go_select: op is %d, neither GO_SEND nor GO_RECV", op);
}

/*
 * Could c be carried out? Without the lock only a hint, in whatever order the words are seen: who
 * acts on it locks.
 */
static inline bool seems_ready(const struct go_case *c)
{
	const go_chan *ch = c->ch;

	if (c->op == GO_SEND) {
		if (peek(&ch->receivers.head) != NULL || chan_count(ch) < ch->cap)
			return true;
	} else if (c->op == GO_RECV) {
		if (peek(&ch->senders.head) != NULL || chan_count(ch) != 0)
			return true;
	} else {
		must_be_none(c->op);
		return false;
	}
	return load_relaxed(&ch->closed);
}

/* One of them at random, evenly; it goes out of the array. locks > 0. */
static struct go_case *draw(struct go_case **ready, int *count)
{
	uint32_t at = 0;

	if (*count > 1) {
		struct p *p = m_self()->p; /* NULL: in a blocking section */
		uint32_t drawn = p != NULL ? random_next(&p->random) : (uint32_t)hart_ticks() * 0x9e3779b1u;
		at = (uint32_t)((uint64_t)drawn * (uint32_t)*count >> 32);
	}
	struct go_case *c = ready[at];
	ready[at] = ready[--*count];
	return c;
}

static enum chan_result step(const struct go_case *c, struct g **wake)
{
	return c->op == GO_SEND ? chan_send_step(c->ch, c->elem, wake) : chan_recv_step(c->ch, c->elem, wake);
}

/* What became of a case that was carried out, or of its channel. */
static void settle(struct go_case *c, bool ok)
{
	if (!ok && c->op == GO_SEND)
		go_panic("send on closed channel");
	c->ok = ok;
}

/* Carries out one of those in `ready`, the lock of one channel at a time. NULL: they were not, after all. */
static struct go_case *take_ready(struct go_case **ready, int count)
{
	hart_lock();
	while (count > 0) {
		struct go_case *c = draw(ready, &count);
		struct g *wake;
		spin_acquire(&c->ch->lock);
		enum chan_result result = step(c, &wake);
		if (result != CHAN_WAIT) {
			chan_finish(c->ch, wake);
			settle(c, result == CHAN_DONE);
			return c;
		}
		spin_release(&c->ch->lock);
	}
	hart_unlock();
	return NULL;
}

/* ---- All channels at once ---- */

/* Sorts every step-th place by insertion. */
static ALWAYS_INLINE void sort_by_step(struct place *places, int count, int step)
{
	for (int i = step; i < count; i++) {
		go_chan *chan = places[i].chan;
		struct go_case *what = places[i].what;
		int at = i;
		for (; at >= step && (uintptr_t)places[at - step].chan > (uintptr_t)chan; at -= step) {
			places[at].chan = places[at - step].chan;
			places[at].what = places[at - step].what;
		}
		places[at].chan = chan;
		places[at].what = what;
	}
}

/* Shell's sort with Knuth's steps, but for the last one: good enough for thousands. */
static NOINLINE void sort_coarsely(struct place *places, int count)
{
	int step = 1;
	while (step < count / 3)
		step = 3 * step + 1;
	for (; step > 1; step /= 3)
		sort_by_step(places, count, step);
}

/* The cases that can become ready, in the order of their channels' addresses. */
static int place_all(struct place *places, struct go_case *cases, int n)
{
	struct place *place = places;
	int count = 0;

	for (struct go_case *c = cases; c < cases + n; c++)
		if (c->ch != NULL && c->op != 0) {
			place->chan = c->ch;
			place->what = c;
			place++;
			count++;
		}
	place->chan = NULL;
	if (count > 8)
		sort_coarsely(places, count);
	sort_by_step(places, count, 1);
	return count;
}

/* One channel may be in several cases: those are neighbours. locks is raised once for all. */
static void lock_all(struct place *places)
{
	go_chan *last = NULL;

	hart_lock();
	for (struct place *p = places; p->chan != NULL; p++)
		if (p->chan != last) {
			last = p->chan;
			spin_acquire(&last->lock);
		}
}

/* The lock of p's channel, if p is the last place with it. */
static inline void release_last(struct place *p)
{
	if (p[1].chan != p->chan)
		spin_release(&p->chan->lock);
}

static void release_all(struct place *places)
{
	for (struct place *p = places; p->chan != NULL; p++)
		release_last(p);
}

/*
 * Carries out one that became ready since the look without locks; all are locked. NULL:
 * none is; still locked.
 */
static struct go_case *take_any(struct place *places, struct go_case **ready)
{
	int count = 0;

	for (struct place *p = places; p->chan != NULL; p++) {
		ready[count] = p->what;
		count += seems_ready(p->what);
	}
	while (count > 0) {
		struct go_case *c = draw(ready, &count);
		struct g *wake;
		enum chan_result result = step(c, &wake);
		if (result != CHAN_WAIT) {
			release_all(places);
			if (wake != NULL)
				ready_taken(wake);
			hart_unlock();
			settle(c, result == CHAN_DONE);
			return c;
		}
	}
	return NULL;
}

/* ---- Waiting ---- */

static struct waitq *queue_of(const struct place *p)
{
	return p->what->op == GO_SEND ? &p->chan->senders : &p->chan->receivers;
}

static void trace_waits(const struct g *g, const struct place *places)
{
	trace_write(TRACE_BLOCK, g, g->wait_reason, 0);
	for (const struct place *p = places; p->chan != NULL; p++)
		trace_write(TRACE_WAIT, g,
			    trace_queue(p->chan, p->what->op == GO_SEND ? WAIT_CHAN_SEND : WAIT_CHAN_RECEIVE),
			    0);
}

/* Enters the queues of all channels, and releases their locks. */
static void enqueue_all(struct g *g, struct place *places)
{
	store_relaxed(&g->select_state, SELECT_CHOOSING);
	if (trace_on())
		trace_waits(g, places);
	for (struct place *p = places; p->chan != NULL; p++) {
		p->waiter = (struct waiter){ .g = g, .elem = p->what->elem, .in_select = true };
		waitq_push(queue_of(p), &p->waiter);
		release_last(p);
	}
}

/*
 * Leaves the queues of those that did not win; the case that did, or NULL. Each lock is taken even if the
 * waiter is in the queue no more: whoever passed over it had the lock, and is done with it then.
 */
static struct go_case *dequeue_losers(struct place *places, const struct waiter *won)
{
	struct go_case *what = NULL;

	for (struct place *p = places; p->chan != NULL; p++) {
		if (&p->waiter == won) {
			what = p->what;
			continue;
		}
		spin_acquire(&p->chan->lock);
		waitq_remove(queue_of(p), &p->waiter);
		spin_release(&p->chan->lock);
	}
	return what;
}

static void fire_deadline(void *arg, int64_t now, void (*unused)(void *))
{
	(void)now;
	(void)unused;
	struct g *g = arg;
	if (select_win(g))
		ready(g); /* wake_param stays NULL */
}

/* None seemed ready. The index, or -1. */
static NOINLINE int select_locked(struct go_case *cases, int n, int64_t deadline, struct go_case **ready)
{
	struct place *places = __builtin_alloca(((size_t)n + 1) * sizeof(*places));
	struct g *g = g_self();

	int count = place_all(places, cases, n);
	lock_all(places);
	struct go_case *what = take_any(places, ready);
	if (what != NULL)
		return (int)(what - cases);
	if (deadline == GO_NOW) {
		release_all(places);
		hart_unlock();
		return -1;
	}
	g->wake_param = NULL;
	g->wait_reason = count > 0 ? WAIT_SELECT : WAIT_SELECT_NO_CASES;
	enqueue_all(g, places);
	if (deadline != GO_FOREVER)
		timer_start(&g->timer, deadline, 0, fire_deadline, g);
	park_select();
	struct waiter *won = g->wake_param;
	what = dequeue_losers(places, won);
	hart_unlock();
	if (deadline != GO_FOREVER)
		timer_stop(&g->timer);
	if (what == NULL)
		return -1;
	settle(what, won->ok);
	return (int)(what - cases);
}

int go_select(struct go_case *cases, int n, int64_t deadline)
{
	if (n < 0 || n > CASES_MAX)
		go_panic("go_select: %d cases, at most %d", n, CASES_MAX);
	struct go_case **ready = __builtin_alloca(((size_t)n + 1) * sizeof(*ready));
	int count = 0;
	for (int i = 0; i < n; i++)
		if (cases[i].ch != NULL && seems_ready(&cases[i]))
			ready[count++] = &cases[i];
	if (count > 0) {
		struct go_case *what = take_ready(ready, count);
		if (what != NULL)
			return (int)(what - cases);
	}
	return select_locked(cases, n, deadline, ready);
}
