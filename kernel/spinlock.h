/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A spin lock for short critical sections of a few dozen instructions.
 *
 * Its holder is not preempted (hart_lock), so a waiter waits for a running hart. It is never
 * taken in a trap handler: a handler that interrupted the holder would wait for ever. The
 * exceptions are the page allocator's and the page tables': see pages.c.
 *
 * Each has a rank, which says in which order locks are taken: lockrank.h.
 */
#ifndef KERNEL_SPINLOCK_H
#define KERNEL_SPINLOCK_H

#include "kernel/atomic.h"
#include "kernel/lockrank.h"

struct spinlock {
	_Atomic(uint32_t) owner; /* the holder's mark, or 0 when free; with GUMP_CHECKS the rank above */
};

static inline bool spin_held_here(struct spinlock *lock)
{
	return load_relaxed(&lock->owner) == (lockrank_bits(lock) | hart_mark());
}

/* Takes the lock without raising locks, which the caller has done. */
static inline void spin_acquire(struct spinlock *lock)
{
	uint32_t unlocked = lockrank_bits(lock);
	int64_t since = 0;

	lockrank_wanted(lock);
	for (;;) {
		/* Acquire: pairs with the release in spin_release(). */
		if (hart_word_take(&lock->owner, unlocked))
			break;
		/* Wait on a plain load: a failed CAS takes the line from its holder. */
		while (load_relaxed(&lock->owner) != unlocked) {
			lockrank_waited(lock, &since);
			hart_relax();
		}
	}
	lockrank_taken(lock);
}

static inline void spin_lock(struct spinlock *lock)
{
	hart_lock();
	spin_acquire(lock);
}

/* Releases without lowering locks: for a holder that goes on in another critical section. */
static inline void spin_release(struct spinlock *lock)
{
	lockrank_released(lock);
	store_release(&lock->owner, lockrank_bits(lock));
}

static inline void spin_unlock(struct spinlock *lock)
{
	spin_release(lock);
	hart_unlock();
}

#endif
