/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Read-write mutex, wait group and once, on semaphores.
 *
 * A writer of the read-write mutex makes the count of readers negative by 2^30: readers that come then wait,
 * and the writer waits for as many departures as there were readers.
 */
#include "sched/panic.h"

#define READERS_MAX (INT32_C(1) << 30)

void go_rwmutex_rlock(go_rwmutex *rw)
{
	if (atomic_fetch_add_explicit(&rw->readers_, 1, memory_order_acquire) + 1 < 0)
		sema_acquire(&rw->reader_sema_, WAIT_RWMUTEX_READ, false);
}

void go_rwmutex_runlock(go_rwmutex *rw)
{
	int32_t before = atomic_fetch_sub_explicit(&rw->readers_, 1, memory_order_acq_rel);

	if (before > 0)
		return;
	if (before == 0 || before == -READERS_MAX) {
		atomic_fetch_add_explicit(&rw->readers_, 1, memory_order_relaxed);
		go_panic("runlock of unlocked rwmutex");
	}
	/* A writer waits: the last reader that it waits for wakes it. */
	if (atomic_fetch_sub_explicit(&rw->departing_, 1, memory_order_acq_rel) == 1)
		sema_release(&rw->writer_sema_, false);
}

void go_rwmutex_lock(go_rwmutex *rw)
{
	go_mutex_lock(&rw->writer_);
	int32_t readers = atomic_fetch_sub_explicit(&rw->readers_, READERS_MAX, memory_order_acq_rel);
	if (readers != 0 &&
	    atomic_fetch_add_explicit(&rw->departing_, readers, memory_order_acq_rel) + readers != 0)
		sema_acquire(&rw->writer_sema_, WAIT_RWMUTEX_WRITE, false);
}

void go_rwmutex_unlock(go_rwmutex *rw)
{
	int32_t waiting = atomic_fetch_add_explicit(&rw->readers_, READERS_MAX, memory_order_acq_rel) +
			  READERS_MAX;

	if (waiting >= READERS_MAX) {
		atomic_fetch_sub_explicit(&rw->readers_, READERS_MAX, memory_order_relaxed);
		go_panic("unlock of unlocked rwmutex");
	}
	while (waiting-- > 0)
		sema_release(&rw->reader_sema_, false);
	go_mutex_unlock(&rw->writer_);
}

/* A wait group's word: the counter in the upper half, the number of waiters in the lower. */

void go_waitgroup_add(go_waitgroup *wg, int delta)
{
	uint64_t change = (uint64_t)(int64_t)delta << 32;
	uint64_t state = atomic_fetch_add_explicit(&wg->state_, change, memory_order_acq_rel) + change;
	int32_t count = (int32_t)(state >> 32);
	uint32_t waiters = (uint32_t)state;

	if (count < 0)
		go_panic("negative WaitGroup counter");
	if (count > 0 || waiters == 0)
		return;
	/* At zero with waiters nobody may add until they are gone: all of them are let go. */
	store_relaxed(&wg->state_, 0);
	while (waiters-- > 0)
		sema_release(&wg->sema_, false);
}

void go_waitgroup_done(go_waitgroup *wg)
{
	go_waitgroup_add(wg, -1);
}

void go_waitgroup_wait(go_waitgroup *wg)
{
	uint64_t state = load_acquire(&wg->state_);

	do
		if (state >> 32 == 0)
			return;
	while (!atomic_compare_exchange_weak_explicit(&wg->state_, &state, state + 1,
						      memory_order_acq_rel, memory_order_acquire));
	sema_acquire(&wg->sema_, WAIT_WAITGROUP, false);
}

/* ---- Once ---- */

static void once_finish(void *once)
{
	/* Release: pairs with the acquire in go_once_do(). */
	store_release(&((go_once *)once)->done_, 1);
	go_mutex_unlock(&((go_once *)once)->mutex_);
}

/* The end is deferred, so that a panic or go_exit() in fn counts as done, as in Go. Takes no memory. */
void go_once_do(go_once *once, void (*fn)(void *), void *arg)
{
	if (load_acquire(&once->done_))
		return;
	go_mutex_lock(&once->mutex_);
	if (load_relaxed(&once->done_)) {
		go_mutex_unlock(&once->mutex_);
		return;
	}
	struct g *g = g_self();
	struct deferred finish = { .fn = once_finish, .arg = once, .next = g->deferred, .in_frame = true };
	g->tidy_up = true;
	g->deferred = &finish;
	fn(arg);
	/* What fn has deferred stays: it is for the end of the enclosing go_call or of the goroutine. */
	struct deferred **at = &g->deferred;
	while (*at != &finish)
		at = &(*at)->next;
	*at = finish.next;
	once_finish(once);
}
