/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lists of Gs, and a P's ring and runnext: what its holder does at each switch, inline. runq.c tells how it
 * works and has the rest.
 */
#ifndef SCHED_RUNQ_H
#define SCHED_RUNQ_H

static inline void glist_push(struct glist *list, struct g *g)
{
	g->schedlink = NULL;
	if (list->tail != NULL)
		list->tail->schedlink = g;
	else
		list->head = g;
	list->tail = g;
	list->size++;
}

/* The oldest, or NULL. */
static inline struct g *glist_pop(struct glist *list)
{
	struct g *g = list->head;
	if (g == NULL)
		return NULL;
	list->head = g->schedlink;
	if (list->head == NULL)
		list->tail = NULL;
	list->size--;
	return g;
}

/* Moves half of p's full ring, and g, to the global queue. False: a thief made room meanwhile. */
bool runq_overflow(struct p *p, struct g *g, uint32_t head);

/* By the P's holder: is there nothing? Nobody else adds. */
static inline bool runq_none(struct p *p)
{
	return load_relaxed(&p->runq_head) == load_relaxed(&p->runq_tail) &&
	       load_relaxed(&p->runnext) == NULL;
}

/* By the P's holder: to the tail of the ring, which has room. */
static inline void runq_put_last(struct p *p, struct g *g, uint32_t tail)
{
	fuzz_publish();
	store_relaxed(&p->runq[tail % RUNQ_SIZE], g);
	/* Release: pairs with the acquire of the tail in runq_steal() and runq_empty(). */
	store_release(&p->runq_tail, tail + 1);
}

/* By the P's holder: to the tail of the ring, or with half of it to the global queue. */
static inline void runq_put(struct p *p, struct g *g)
{
	for (;;) {
		/* Acquire: pairs with the release of the head in runq_get_at(), runq_get_first() and
		   runq_steal(), so that their reads of a slot come before our write. */
		uint32_t head = load_acquire(&p->runq_head);
		uint32_t tail = load_relaxed(&p->runq_tail);
		if (tail - head < RUNQ_SIZE) {
			runq_put_last(p, g, tail);
			return;
		}
		if (runq_overflow(p, g, head))
			return;
	}
}

/* By the P's holder: into runnext. What was there is to go to the tail. */
static inline struct g *runq_swap_next(struct p *p, struct g *g)
{
	if (fuzz_refuse_runnext())
		return g;
	fuzz_publish();
	/* Release: whoever takes g sees its context. */
	return atomic_exchange_explicit(&p->runnext, g, memory_order_acq_rel);
}

static inline void runq_put_next(struct p *p, struct g *g)
{
	g = runq_swap_next(p, g);
	if (g != NULL)
		runq_put(p, g);
}

/* By the P's holder: out of runnext. */
static inline struct g *runq_get_next(struct p *p)
{
	if (load_relaxed(&p->runnext) == NULL)
		return NULL;
	/*
	 * NULL again if a thief was faster: nobody but this M could put another there. Release: who
	 * has just put a G into the ring, to yield, is not seen with runnext empty and the ring as
	 * it was before (runq_empty()).
	 */
	return atomic_exchange_explicit(&p->runnext, NULL, memory_order_acq_rel);
}

/* By the P's holder: the one at `head`, which was the oldest of the ring. False: it is not any more. */
static ALWAYS_INLINE bool runq_get_at(struct p *p, uint32_t head, struct g **g)
{
	*g = load_relaxed(&p->runq[head % RUNQ_SIZE]);
	return atomic_compare_exchange_strong_explicit(&p->runq_head, &head, head + 1, memory_order_release,
						       memory_order_relaxed);
}

/* By the P's holder: the oldest of the ring. False: it is empty. */
static ALWAYS_INLINE bool runq_get_first(struct p *p, struct g **g)
{
	for (;;) {
		uint32_t head = load_acquire(&p->runq_head);
		uint32_t tail = load_relaxed(&p->runq_tail);
		if (head == tail)
			return false;
		*g = load_relaxed(&p->runq[head % RUNQ_SIZE]);
		if (atomic_compare_exchange_weak_explicit(&p->runq_head, &head, head + 1,
							  memory_order_release, memory_order_relaxed))
			return true;
	}
}

static inline struct g *runq_get_ring(struct p *p)
{
	struct g *g;
	return runq_get_first(p, &g) ? g : NULL;
}

/* By the P's holder. *inherit: it came from runnext and goes on with the current slice. */
static inline struct g *runq_get(struct p *p, bool *inherit)
{
	struct g *next = runq_get_next(p);
	*inherit = next != NULL;
	return next != NULL ? next : fuzz_pick(p, runq_get_ring(p));
}

#endif
