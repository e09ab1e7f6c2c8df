/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * go_select.
 *
 * All channels concerned are locked, in the order of their addresses, so that two selects cannot wait for each
 * other's. The cases are then tried in a random order, so that no case starves. If none is ready the goroutine
 * waits in the queues of all of them; who takes it out of one wins by a compare-and-swap on
 * g->select_done, the deadline's timer included, and the others pass over it. Awake again, it takes itself out of the
 * queues where it lost.
 *
 * Everything lies on the stack of the caller: about 80 bytes a case.
 */
#include "sched/chan.h"

#define CASES_MAX 65536
#define relaxed memory_order_relaxed

struct select {
	struct go_case *cases;
	uint16_t *poll, *lock;    /* the cases that can become ready, in the order to try, to lock */
	struct waiter *waiters;   /* one each, in the order of `lock` */
	int count;
	int64_t deadline;
};

static go_chan *locked_chan(const struct select *s, int i)
{
	return s->cases[s->lock[i]].ch;
}

/* Shell's sort with Knuth's steps: few instructions for few cases, good enough for thousands. */
static void sort_by_address(struct select *s)
{
	int step = 1;
	while (step < s->count / 3)
		step = 3 * step + 1;
	for (; step > 0; step /= 3)
		for (int i = step; i < s->count; i++) {
			uint16_t moving = s->lock[i];
			uintptr_t key = (uintptr_t)s->cases[moving].ch;
			int at = i;
			for (; at >= step && (uintptr_t)locked_chan(s, at - step) > key; at -= step)
				s->lock[at] = s->lock[at - step];
			s->lock[at] = moving;
		}
}

/* The cases with a channel, shuffled in `poll` (Fisher and Yates, inside out), sorted in `lock`. */
static void order_cases(struct select *s, int n)
{
	hart_lock();
	uint64_t random = random_next(&m_self()->p->random) | 1;
	hart_unlock();

	s->count = 0;
	for (int i = 0; i < n; i++) {
		if (s->cases[i].ch == NULL || s->cases[i].op == 0)
			continue;
		int at = (int)((uint64_t)random_next(&random) * (uint64_t)(s->count + 1) >> 32);
		s->poll[s->count] = s->poll[at];
		s->poll[at] = (uint16_t)i;
		s->lock[s->count++] = (uint16_t)i;
	}
	sort_by_address(s);
}

/* One channel may be in several cases: equal ones are neighbours in `lock`. locks is raised once for all. */
static void lock_all(const struct select *s)
{
	hart_lock();
	for (int i = 0; i < s->count; i++)
		if (i == 0 || locked_chan(s, i) != locked_chan(s, i - 1))
			spin_acquire(&locked_chan(s, i)->lock);
}

/*
 * After the last release the goroutine may run on elsewhere, and *s be gone: each round reads what it needs
 * before it releases, and what comes after the last is not read.
 */
static void release_all(const struct select *s)
{
	go_chan *c = s->count > 0 ? locked_chan(s, 0) : NULL;
	for (int i = 1, count = s->count; i <= count; i++) {
		go_chan *next = i < count ? locked_chan(s, i) : NULL;
		if (next != c)
			spin_release(&c->lock);
		c = next;
	}
}

/* Tries the cases once. The index of the one carried out or of a closed channel's, or -1; locks released if not -1. */
static int try_all(struct select *s)
{
	for (int i = 0; i < s->count; i++) {
		struct go_case *c = &s->cases[s->poll[i]];
		struct g *wake;
		enum chan_result result = c->op == GO_SEND ? chan_send_step(c->ch, c->elem, &wake)
							   : chan_recv_step(c->ch, c->elem, &wake);
		if (result == CHAN_WAIT)
			continue;
		release_all(s);
		if (wake != NULL)
			ready_taken(wake);
		hart_unlock();
		if (result == CHAN_CLOSED && c->op == GO_SEND)
			go_panic("send on closed channel");
		c->ok = result == CHAN_DONE;
		return s->poll[i];
	}
	return -1;
}

static struct waitq *queue_of(const struct go_case *c)
{
	return c->op == GO_SEND ? &c->ch->senders : &c->ch->receivers;
}

static void fire_deadline(void *arg, int64_t now, void (*unused)(void *))
{
	(void)now;
	(void)unused;
	struct g *g = arg;
	uint32_t no = 0;
	if (atomic_compare_exchange_strong_explicit(&g->select_done, &no, 1, memory_order_acq_rel,
						    relaxed))
		ready(g); /* wake_param stays NULL */
}

static void trace_waits(const struct select *s, const struct g *g)
{
	for (int i = 0; i < s->count; i++) {
		const struct go_case *c = &s->cases[s->lock[i]];
		trace_write(TRACE_WAIT, g,
			    trace_queue(c->ch, c->op == GO_SEND ? WAIT_CHAN_SEND : WAIT_CHAN_RECEIVE), 0);
	}
}

static bool select_commit(struct g *g, void *arg)
{
	struct select *s = arg;

	if (trace_on())
		trace_waits(s, g);
	if (s->deadline != GO_FOREVER)
		timer_start(&g->timer, s->deadline, 0, fire_deadline, g);
	/* Should the timer fire at once: the goroutine first takes the locks that are held here. */
	release_all(s);
	return true;
}

/* Waits in all queues; the locks are held. The waiter that won, or NULL for the deadline. */
static struct waiter *wait_in_all(struct select *s)
{
	struct g *g = g_self();

	g->wake_param = NULL;
	store_relaxed(&g->select_done, 0);
	for (int i = 0; i < s->count; i++) {
		struct go_case *c = &s->cases[s->lock[i]];
		s->waiters[i] = (struct waiter){ .g = g, .elem = c->elem, .in_select = true };
		waitq_push(queue_of(c), &s->waiters[i]);
	}
	park(select_commit, s, s->count > 0 ? WAIT_SELECT : WAIT_SELECT_NO_CASES);
	if (s->deadline != GO_FOREVER)
		timer_stop(&g->timer);

	lock_all(s);
	for (int i = 0; i < s->count; i++)
		if (&s->waiters[i] != g->wake_param)
			waitq_remove(queue_of(&s->cases[s->lock[i]]), &s->waiters[i]);
	release_all(s);
	hart_unlock();
	return g->wake_param;
}

int go_select(struct go_case *cases, int n, int64_t deadline)
{
	if (n < 0 || n > CASES_MAX)
		go_panic("go_select: %d cases, at most %d", n, CASES_MAX);
	struct select s = { .cases = cases, .deadline = deadline };
	s.poll = __builtin_alloca((size_t)n * sizeof(*s.poll) * 2 + 2);
	s.lock = s.poll + n;
	order_cases(&s, n);

	lock_all(&s);
	int done = try_all(&s);
	if (done >= 0)
		return done;
	if (deadline == GO_NOW) {
		release_all(&s);
		hart_unlock();
		return -1;
	}
	s.waiters = __builtin_alloca((size_t)s.count * sizeof(*s.waiters));
	struct waiter *won = wait_in_all(&s);
	if (won == NULL)
		return -1;
	int index = s.lock[won - s.waiters];
	if (cases[index].op == GO_SEND && !won->ok)
		go_panic("send on closed channel");
	cases[index].ok = won->ok;
	return index;
}
