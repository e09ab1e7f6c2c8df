/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A spin lock for short critical sections of a few dozen instructions.
 *
 * Its holder is not preempted (hart_lock), so a waiter waits for a running hart. It is never
 * taken in a trap handler: a handler that interrupted the holder would wait for ever. The one
 * exception, the page allocator, asks spin_held_here() first.
 */
#ifndef KERNEL_SPINLOCK_H
#define KERNEL_SPINLOCK_H

#include "kernel/atomic.h"

struct spinlock {
	_Atomic(uint32_t) owner; /* hart id + 1, or 0 when free */
};

static inline bool spin_held_here(struct spinlock *lock)
{
	return atomic_load_explicit(&lock->owner, memory_order_relaxed) == hart_self()->id + 1;
}

static inline bool spin_try_lock(struct spinlock *lock)
{
	hart_lock();
	uint32_t free = 0;
	/* Acquire: pairs with the release in spin_unlock. */
	if (atomic_compare_exchange_strong_explicit(&lock->owner, &free, hart_self()->id + 1,
						    memory_order_acquire, memory_order_relaxed))
		return true;
	hart_unlock();
	return false;
}

/* Takes the lock without raising locks, which the caller has done. */
static inline void spin_acquire(struct spinlock *lock)
{
	uint32_t me = hart_self()->id + 1;
	for (;;) {
		uint32_t free = 0;
		if (atomic_compare_exchange_weak_explicit(&lock->owner, &free, me,
							  memory_order_acquire,
							  memory_order_relaxed))
			return;
		/* Wait on a plain load: a failed CAS takes the line from its holder. */
		while (atomic_load_explicit(&lock->owner, memory_order_relaxed) != 0)
			hart_relax();
	}
}

static inline void spin_lock(struct spinlock *lock)
{
	hart_lock();
	spin_acquire(lock);
}

/* Releases without lowering locks: for a holder that goes on in another critical section. */
static inline void spin_release(struct spinlock *lock)
{
	store_release(&lock->owner, 0);
}

static inline void spin_unlock(struct spinlock *lock)
{
	spin_release(lock);
	hart_unlock();
}

#endif
