/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Condition variable and semaphore: a spin lock and a queue of waiters, oldest first.
 * What is given is given to the oldest waiter, not to whoever comes next.
 */
#include "sched/sched.h"
#include "sched/trace.h"

static struct spinlock *lock_of(_Atomic(uint32_t) *word)
{
	struct spinlock *lock = (struct spinlock *)word;
	lockrank_set(lock, LOCK_COND);
	return lock;
}

/* ---- Condition ---- */

struct cond_waiter {
	struct cond_waiter *next;
	struct g *g;
	bool parked, signalled; /* under the lock */
};

void go_cond_wait(go_cond *c, go_mutex *m)
{
	struct cond_waiter w = { .g = g_self() };
	struct spinlock *lock = lock_of(&c->lock_);

	if (!mutex_is_locked(m))
		go_mutex_unlock(m); /* panics; a go_call that catches it leaves nothing in the queue */
	spin_lock(lock);
	trace(TRACE_WAIT, w.g, trace_queue(lock, WAIT_COND), 0);
	if (c->tail_ != NULL)
		((struct cond_waiter *)c->tail_)->next = &w;
	else
		c->head_ = &w;
	c->tail_ = &w;
	spin_unlock(lock);

	/* A signal from here on finds w; it need not find this goroutine asleep. */
	go_mutex_unlock(m);
	spin_lock(lock);
	if (w.signalled) {
		spin_unlock(lock);
	} else {
		w.parked = true;
		park_unlock(lock, WAIT_COND);
	}
	go_mutex_lock(m);
}

/* The lock is held. w may be gone when it is released. */
static void signal_one(struct spinlock *lock, struct cond_waiter *w, struct glist *wake)
{
	trace(TRACE_TAKE, w->g, trace_queue(lock, WAIT_COND), 0);
	w->signalled = true;
	if (w->parked)
		glist_push(wake, w->g);
}

void go_cond_signal(go_cond *c)
{
	struct spinlock *lock = lock_of(&c->lock_);
	struct glist wake = { 0 };
	struct cond_waiter *w;

	spin_lock(lock);
	if ((w = c->head_) != NULL) {
		c->head_ = w->next;
		if (c->head_ == NULL)
			c->tail_ = NULL;
		signal_one(lock, w, &wake);
	}
	spin_release(lock);
	ready_list(&wake);
	hart_unlock();
}

/*
 * Those that wait now, and no others: who comes while the lock is released finds a queue of its own. It is
 * released after as many as a ring holds, so that no hart is away for long; and when the stacks that are
 * touched fill the memory, since they were packed: they are runnable then, and can be again.
 */
void go_cond_broadcast(go_cond *c)
{
	struct spinlock *lock = lock_of(&c->lock_);

	spin_lock(lock);
	struct cond_waiter *w = c->head_, *next;
	c->head_ = c->tail_ = NULL;
	for (;; w = next) {
		struct glist wake = { 0 };
		for (next = w; next != NULL && (next == w || (wake.size < RUNQ_SIZE && !reclaim_wanted()));) {
			struct cond_waiter *one = next;
			next = one->next;
			signal_one(lock, one, &wake);
		}
		spin_release(lock);
		ready_list(&wake);
		hart_unlock();
		if (next == NULL)
			return;
		if (reclaim_wanted())
			sched_reclaim();
		spin_lock(lock);
	}
}

/* ---- Semaphore ---- */

void go_sem_init(go_sem *s, unsigned count)
{
	*s = (go_sem){ .count_ = count };
}

bool go_sem_try_acquire(go_sem *s)
{
	spin_lock(lock_of(&s->lock_));
	bool got = s->count_ > 0;
	if (got)
		s->count_--;
	spin_unlock(lock_of(&s->lock_));
	return got;
}

void go_sem_acquire(go_sem *s)
{
	struct waiter *w = &g_self()->waiter;
	struct spinlock *lock = lock_of(&s->lock_);

	spin_lock(lock);
	if (s->count_ > 0) {
		s->count_--;
		spin_unlock(lock);
		return;
	}
	w->next = NULL;
	if (s->tail_ != NULL)
		((struct waiter *)s->tail_)->next = w;
	else
		s->head_ = w;
	s->tail_ = w;
	park_unlock(lock, WAIT_SEMAPHORE); /* woken with the permit */
}

void go_sem_release(go_sem *s)
{
	struct spinlock *lock = lock_of(&s->lock_);

	spin_lock(lock);
	struct waiter *w = s->head_;
	if (w == NULL) {
		bool full = s->count_ == UINT32_MAX;
		s->count_ += !full;
		spin_unlock(lock);
		if (full)
			go_panic("more permits than a semaphore can have");
		return;
	}
	s->head_ = w->next;
	if (s->head_ == NULL)
		s->tail_ = NULL;
	struct g *g = w->g;
	trace_unblock(g, trace_queue(lock, WAIT_SEMAPHORE));
	spin_release(lock);
	ready_taken(g);
	hart_unlock();
}
