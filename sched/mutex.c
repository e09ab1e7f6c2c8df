/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mutex, with the two modes of Go's.
 *
 * Normally whoever comes while it is free gets it, a waiter that was just woken included; that is fast,
 * since a running goroutine need not wait for a sleeping one, but a waiter can lose again and again. One
 * that has waited for over 1 ms turns on starvation: an unlock then hands the mutex to the oldest waiter,
 * which runs at once, and newcomers queue. The last waiter, or one that waited less, turns it off.
 *
 * The word: LOCKED; WOKEN, a waiter is awake and an unlock need not wake another; STARVING; and the number of
 * waiters above.
 */
#include "sched/sched.h"

#define LOCKED 1u
#define WOKEN 2u
#define STARVING 4u
#define WAITER 8u

#define STARVE_NS 1000000
#define SPINS_MAX 4
#define SPIN_PAUSES 30

/* Both orders, for all its uses: acquire to take the mutex, release to let it go. */
static bool cas(go_mutex *m, uint32_t *old, uint32_t new)
{
	return atomic_compare_exchange_weak_explicit(&m->state_, old, new, memory_order_acq_rel,
						     memory_order_acquire);
}

bool go_mutex_try_lock(go_mutex *m)
{
	uint32_t old = load_relaxed(&m->state_);

	return !(old & (LOCKED | STARVING)) &&
	       atomic_compare_exchange_strong_explicit(&m->state_, &old, old | LOCKED,
						       memory_order_acquire, memory_order_relaxed);
}

/* Spinning pays only if the holder runs on another hart and nothing waits for this one. */
static bool worth_spinning(int spins)
{
	return spins < SPINS_MAX && sched.procs > 1 &&
	       load_relaxed(&sched.idle_ps) == 0 && local_runq_empty();
}

static void lock_slow(go_mutex *m)
{
	int64_t since = 0;
	bool starving = false, awake = false;
	int spins = 0;
	uint32_t old = load_relaxed(&m->state_);

	for (;;) {
		if ((old & (LOCKED | STARVING)) == LOCKED && worth_spinning(spins)) {
			/* Says that an unlock need not wake anybody: this one is here. */
			if (!awake && !(old & WOKEN) && old >= WAITER && cas(m, &old, old | WOKEN))
				awake = true;
			for (int i = 0; i < SPIN_PAUSES; i++)
				hart_relax();
			spins++;
			old = load_relaxed(&m->state_);
			continue;
		}
		uint32_t new = old;
		if (!(old & STARVING))
			new |= LOCKED;
		if (old & (LOCKED | STARVING))
			new += WAITER;
		if (starving && (old & LOCKED))
			new |= STARVING;
		if (awake)
			new &= ~WOKEN;
		if (!cas(m, &old, new))
			continue;
		if (!(old & (LOCKED | STARVING)))
			return;

		bool waited = since != 0;
		if (!waited)
			since = hart_now();
		sema_acquire(&m->sema_, WAIT_MUTEX, waited);
		bool late = hart_now() - since > STARVE_NS;
		starving = starving || late;
		old = load_relaxed(&m->state_);
		if (old & STARVING) {
			/* Handed over: LOCKED is not set, and we still count as a waiter. */
			uint32_t change = LOCKED - WAITER;
			if (!late || old / WAITER == 1)
				change -= STARVING;
			atomic_fetch_add_explicit(&m->state_, change, memory_order_acquire);
			return;
		}
		awake = true;
		spins = 0;
	}
}

void go_mutex_lock(go_mutex *m)
{
	uint32_t free = 0;

	if (!atomic_compare_exchange_strong_explicit(&m->state_, &free, LOCKED, memory_order_acquire,
						     memory_order_relaxed))
		lock_slow(m);
}

/*
 * One step lets go of the mutex and takes from the word whether one is woken. From then on the mutex may lie
 * in freed memory, unless a waiter gets a permit: that one needs it until it runs.
 */
static void unlock_slow(go_mutex *m, uint32_t old)
{
	uint32_t new;
	bool wakes;

	do {
		if (!(old & LOCKED))
			go_panic("unlock of unlocked mutex");
		new = old - LOCKED;
		/* One waiter, unless somebody is awake who is about to have it. */
		wakes = old & STARVING || (old >= WAITER && !(old & WOKEN));
		if (wakes && !(old & STARVING))
			new = (new - WAITER) | WOKEN;
	} while (!cas(m, &old, new));
	if (wakes)
		sema_release(&m->sema_, old & STARVING);
}

void go_mutex_unlock(go_mutex *m)
{
	uint32_t old = LOCKED;

	if (!atomic_compare_exchange_strong_explicit(&m->state_, &old, 0, memory_order_release,
						     memory_order_relaxed))
		unlock_slow(m, old);
}

bool mutex_is_locked(go_mutex *m)
{
	return load_relaxed(&m->state_) & LOCKED;
}
