/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Run queues.
 *
 * A P has a ring of 256 Gs and one more slot, runnext. Only the M that holds the P adds to the ring, so
 * adding takes no lock and no atomic read-modify-write: a slot is written, then the tail is released.
 * Taking moves the head by compare-and-swap, for the holder and for thieves alike; the slots are read
 * before the swap, and a swap that fails means that they may have been somebody else's.
 *
 * runnext is for the G that the running one has just made ready: it runs next and within the same time
 * slice, so that a pair which hands work to and fro shares one slice and cannot starve the ring.
 *
 * A full ring moves half of itself to the global queue in one batch, so that the cost of the global
 * lock is shared by 129 Gs. The global queue is a list under sched.lock.
 */
#include <assert.h>

#include "sched/sched.h"

void globrunq_put(struct glist *list)
{
	if (list->head == NULL)
		return;
	fuzz_publish();
	if (sched.runq.tail != NULL)
		sched.runq.tail->schedlink = list->head;
	else
		sched.runq.head = list->head;
	sched.runq.tail = list->tail;
	sched.runq.size += list->size;
	store_relaxed(&sched.runq_size, sched.runq.size);
	*list = (struct glist){ 0 };
}

void globrunq_put_one(struct g *g)
{
	fuzz_publish();
	glist_push(&sched.runq, g);
	store_relaxed(&sched.runq_size, sched.runq.size);
}

/*
 * Where many Gs wait, each has its stack on a page of its own that no cache knows any more: by the time that
 * this one runs, some switches from now, its context is there, and the frames by which it returns.
 */
static void prefetch_context(const struct g *g)
{
	for (uintptr_t line = 0; line < 3; line++)
		__builtin_prefetch((const void *)(g->sp + line * CACHE_LINE));
}

struct g *globrunq_get(struct p *p, uint32_t max)
{
	uint32_t n = sched.runq.size;
	if (n == 0)
		return NULL;
	if (n > 1)
		n = n / sched.procs + 1; /* a fair share, and at least one */
	if (n > sched.runq.size)
		n = sched.runq.size;
	if (n > RUNQ_SIZE / 2)
		n = RUNQ_SIZE / 2;
	if (max != 0 && n > max)
		n = max;

	struct g *g = glist_pop(&sched.runq);
	/* Acquire: as in runq_put(). */
	uint32_t head = load_acquire(&p->runq_head);
	uint32_t tail = load_relaxed(&p->runq_tail);
	assert(RUNQ_SIZE - (tail - head) >= n - 1 && "globrunq_get: no room for a batch");
	while (--n > 0 && !runs_elsewhere(sched.runq.head, p->m)) {
		struct g *more = glist_pop(&sched.runq);
		prefetch_context(more);
		store_relaxed(&p->runq[tail++ % RUNQ_SIZE], more);
	}
	/* Release: as in runq_put(), for all of them. */
	store_release(&p->runq_tail, tail);
	store_relaxed(&sched.runq_size, sched.runq.size);
	return g;
}

/* Moves half of the full ring and g to the global queue. False: a thief made room meanwhile. */
bool runq_overflow(struct p *p, struct g *g, uint32_t head)
{
	struct g *batch[RUNQ_SIZE / 2];

	fuzz_publish();
	for (uint32_t i = 0; i < RUNQ_SIZE / 2; i++)
		batch[i] = load_relaxed(&p->runq[(head + i) % RUNQ_SIZE]);
	fuzz_wait(FUZZ_STEAL);
	/* Release: as every taker's, so that the slots are read before they count as free. */
	if (!atomic_compare_exchange_strong_explicit(&p->runq_head, &head, head + RUNQ_SIZE / 2,
						     memory_order_release, memory_order_relaxed))
		return false;
	struct glist list = { 0 };
	for (uint32_t i = 0; i < RUNQ_SIZE / 2; i++)
		glist_push(&list, batch[i]);
	glist_push(&list, g);
	spin_lock(&sched.lock);
	globrunq_put(&list);
	spin_unlock(&sched.lock);
	return true;
}

void runq_put_list(struct p *p, struct glist *list)
{
	/* Acquire, release: as in runq_put(), for all of them. */
	uint32_t head = load_acquire(&p->runq_head);
	uint32_t tail = load_relaxed(&p->runq_tail);
	struct g *g;

	fuzz_publish();
	while (tail - head < RUNQ_SIZE && (g = glist_pop(list)) != NULL)
		store_relaxed(&p->runq[tail++ % RUNQ_SIZE], g);
	store_release(&p->runq_tail, tail);
	if (list->head == NULL)
		return;
	spin_acquire(&sched.lock);
	globrunq_put(list);
	spin_release(&sched.lock);
}

/*
 * A thief's hand in runnext: the victim has just made that G ready and is about to run it, so it gets a
 * little time first; otherwise a pair that plays ping-pong would be torn apart at every move.
 */
static void back_off(const struct p *victim)
{
	fuzz_wait(FUZZ_STEAL);
	if (load_relaxed(&victim->status) != P_RUNNING)
		return;
	int64_t until = hart_now() + RUNNEXT_BACKOFF_NS;
	while (hart_now() < until)
		hart_relax();
}

static struct g *steal_runnext(struct p *victim, struct g *next)
{
	if (atomic_compare_exchange_strong_explicit(&victim->runnext, &next, NULL, memory_order_acquire,
						    memory_order_relaxed))
		return next;
	return NULL;
}

/*
 * A G that yields is in the ring before its M has left its stack (switch.h). That M takes no more than a few
 * instructions, and waits for nobody; with random scheduling, for sched.lock (fuzz_pick()), which no thief
 * holds.
 */
static void wait_until_left(struct g *g)
{
	/* Acquire: pairs with the release in hart_switch() and yield_on_g0(): the context is there. */
	while (load_acquire(&g->status) == G_RUNNING)
		hart_relax();
}

struct g *runq_steal(struct p *p, struct p *victim, bool take_runnext)
{
	for (;;) {
		/* Acquire both: the head as every taker, the tail so that the slots' contents are there. */
		uint32_t head = load_acquire(&victim->runq_head);
		uint32_t tail = load_acquire(&victim->runq_tail);
		uint32_t n = tail - head;
		n -= n / 2;
		if (n == 0) {
			struct g *next = load_relaxed(&victim->runnext);
			if (!take_runnext || next == NULL)
				return NULL;
			back_off(victim);
			if (load_relaxed(&victim->runq_tail) == tail)
				return steal_runnext(victim, next);
			/* The tail moved: next may be in the ring, behind an older one that comes first. */
			take_runnext = false;
			continue;
		}
		if (n > RUNQ_SIZE / 2)
			continue; /* head and tail are from different times */
		fuzz_wait(FUZZ_STEAL);
		/* Our ring is empty: the holder steals only when it has nothing. */
		uint32_t to = load_relaxed(&p->runq_tail);
		for (uint32_t i = 0; i < n; i++) {
			struct g *g = load_relaxed(&victim->runq[(head + i) % RUNQ_SIZE]);
			store_relaxed(&p->runq[(to + i) % RUNQ_SIZE], g);
		}
		fuzz_wait(FUZZ_STEAL);
		/* Release: the victim may reuse the slots once it sees the new head. */
		if (!atomic_compare_exchange_strong_explicit(&victim->runq_head, &head, head + n,
							     memory_order_acq_rel, memory_order_relaxed))
			continue;
		for (uint32_t i = 0; i < n; i++)
			wait_until_left(load_relaxed(&p->runq[(to + i) % RUNQ_SIZE]));
		struct g *last = load_relaxed(&p->runq[(to + n - 1) % RUNQ_SIZE]);
		/* Release: as in runq_put_last(). */
		if (n > 1)
			store_release(&p->runq_tail, to + n - 1);
		return last;
	}
}

/*
 * The holder may move a G from runnext to the ring between our looks at the two; then the tail has
 * moved, and we look again.
 */
bool runq_empty(struct p *p)
{
	for (;;) {
		uint32_t head = load_acquire(&p->runq_head);
		uint32_t tail = load_acquire(&p->runq_tail);
		struct g *next = load_acquire(&p->runnext);
		if (tail == load_acquire(&p->runq_tail))
			return head == tail && next == NULL;
	}
}

bool local_runq_empty(void)
{
	hart_lock();
	bool empty = runq_empty(m_self()->p);
	hart_unlock();
	return empty;
}

uint32_t runq_length(const struct p *p)
{
	return load_relaxed(&p->runq_tail) - load_relaxed(&p->runq_head) +
	       (load_relaxed(&p->runnext) != NULL);
}

void runq_drain(struct p *p)
{
	struct glist list = { 0 };
	bool inherit;

	for (struct g *g; (g = runq_get(p, &inherit)) != NULL;)
		glist_push(&list, g);
	globrunq_put(&list);
}
