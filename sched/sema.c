/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Semaphores on any 32-bit word: what mutexes, read-write mutexes and wait groups sleep on. (go_sem has a
 * queue of its own: cond.c.)
 *
 * The word counts permits. Who finds none waits in a table of 251 roots, by the word's address. A root is
 * a list of the addresses waited for, each the first of a queue of waiters, oldest first, which lie on the
 * waiters' own stacks. 251 is a prime, so that addresses a power of two apart spread.
 *
 * No wake-up is lost: a waiter raises root->waiters, then looks at the word again; a releaser raises the
 * word, then looks at root->waiters. Both orders are sequentially consistent.
 */
#include "sched/sched.h"
#include "sched/trace.h"

#define ROOTS 251

struct sema_waiter {
	struct g *g;
	_Atomic(uint32_t) *sema;
	struct sema_waiter *next;      /* same word, younger */
	struct sema_waiter *last;      /* in the first of a queue: its youngest */
	struct sema_waiter *next_word; /* in the first of a queue: another word's first */
	bool granted;                  /* the releaser took the permit for it */
};

struct root {
	struct spinlock lock;
	_Atomic(uint32_t) waiters;     /* written under lock */
	struct sema_waiter *words;
} __attribute__((aligned(CACHE_LINE)));

static struct root roots[ROOTS] = { [0 ... ROOTS - 1] = { .lock = SPINLOCK(LOCK_SEMA_ROOT) } };

static struct root *root_of(const void *sema)
{
	return &roots[((uintptr_t)sema >> 3) % ROOTS];
}

static bool try_take(_Atomic(uint32_t) *sema)
{
	uint32_t n = atomic_load(sema);
	while (n != 0)
		if (atomic_compare_exchange_weak(sema, &n, n - 1))
			return true;
	return false;
}

static void enqueue(struct root *root, struct sema_waiter *w, bool first)
{
	struct sema_waiter **at = &root->words;
	while (*at != NULL && (*at)->sema != w->sema)
		at = &(*at)->next_word;
	struct sema_waiter *head = *at;
	if (head == NULL) {
		w->last = w;
		*at = w;
	} else if (first) {
		w->next = head;
		w->last = head->last;
		w->next_word = head->next_word;
		*at = w;
	} else {
		head->last->next = w;
		head->last = w;
	}
}

static struct sema_waiter *dequeue(struct root *root, _Atomic(uint32_t) *sema)
{
	struct sema_waiter **at = &root->words;
	while (*at != NULL && (*at)->sema != sema)
		at = &(*at)->next_word;
	struct sema_waiter *w = *at;
	if (w == NULL)
		return NULL;
	if (w->next != NULL) {
		w->next->last = w->last;
		w->next->next_word = w->next_word;
		*at = w->next;
	} else {
		*at = w->next_word;
	}
	return w;
}

/* first: before those that wait already, for one that was woken and came too late. */
void sema_acquire(_Atomic(uint32_t) *sema, enum wait_reason reason, bool first)
{
	struct root *root = root_of(sema);

	if (try_take(sema))
		return;
	for (;;) {
		struct sema_waiter w = { .g = g_self(), .sema = sema };
		spin_lock(&root->lock);
		atomic_fetch_add(&root->waiters, 1);
		if (try_take(sema)) {
			atomic_fetch_sub(&root->waiters, 1);
			spin_unlock(&root->lock);
			return;
		}
		trace(TRACE_WAIT, w.g, trace_queue(sema, reason), first);
		enqueue(root, &w, first);
		park_unlock(&root->lock, reason);
		if (w.granted || try_take(sema))
			return;
		first = true;
	}
}

/* handoff: the waiter gets the permit and runs at once, in what is left of this slice. */
void sema_release(_Atomic(uint32_t) *sema, bool handoff)
{
	struct root *root = root_of(sema);

	atomic_fetch_add(sema, 1);
	if (atomic_load(&root->waiters) == 0)
		return;
	spin_lock(&root->lock);
	struct sema_waiter *w = dequeue(root, sema);
	if (w == NULL) {
		spin_unlock(&root->lock);
		return;
	}
	atomic_fetch_sub(&root->waiters, 1);
	bool granted = handoff && try_take(sema);
	w->granted = granted;
	struct g *g = w->g; /* w is gone once g runs */
	trace_unblock(g, trace_queue(sema, g->wait_reason));
	spin_release(&root->lock);
	ready_taken(g);
	hart_unlock();
	if (granted)
		yield_local();
}
