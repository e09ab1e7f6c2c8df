/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The netpoller's two sides: what the network code gives to the scheduler (a poll function) and
 * what it gets from it (parking a goroutine until a connection is ready).
 *
 * A device interrupt calls sched_netpoll_ready() (kernel/hart.h), which only marks the network
 * ready. The next scheduling point of any M, one M at a time, calls the poll function, which
 * drains the device through the protocol stack and collects the goroutines that became ready.
 *
 * Locking: the network code has one lock of its own, the net lock, a spinlock. A descriptor's
 * slots are written under it, but for the deadline's timer, which takes a waiter out by an atomic
 * exchange and takes no lock. So whoever exchanges a waiter out of its slot owns the wake-up.
 */
#ifndef SCHED_NETPOLL_H
#define SCHED_NETPOLL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct g;

struct glist { /* goroutines linked by g->schedlink, first in first out */
	struct g *head, *tail;
	uint32_t size;
};

enum netpoll_mode { NETPOLL_READ, NETPOLL_WRITE };

struct netpoll_desc { /* zeroed: nobody waits */
	_Atomic(struct g *) waiter[2]; /* by enum netpoll_mode */
};

/*
 * Registers the poll function: called with locks > 0, on g0 or on a goroutine's stack, by one M
 * at a time; it never waits for a lock that a preempted goroutine may hold. It takes the net lock,
 * does all the work that is there, and adds the goroutines that became ready.
 */
void netpoll_register(void (*poll)(struct glist *ready));

/* The poll function is to be called at `deadline` (ns) even without an interrupt; INT64_MAX: not.
   Replaces the deadline set before. Under the net lock. */
void netpoll_set_deadline(int64_t deadline);

/*
 * Parks the calling goroutine in a slot. Called under the net lock (locks == 1). On g0, once the goroutine's
 * context is saved, unlock(lock) releases it with spin_release(), not spin_unlock(). 0 when netpoll_wake()
 * woke it, ETIMEDOUT when `deadline` passed. Returns without the lock. The slot must be empty (serialise
 * readers with a go_mutex).
 */
int netpoll_wait(struct netpoll_desc *desc, enum netpoll_mode mode, int64_t deadline,
		 void (*unlock)(void *lock), void *lock);

/* Under the net lock: takes the waiter out of the slot, if there is one, and adds it to *ready. */
void netpoll_wake(struct netpoll_desc *desc, enum netpoll_mode mode, struct glist *ready);

/*
 * Makes the collected goroutines runnable and empties the list. locks may be 0 or more; not
 * under the net lock.
 */
void netpoll_inject(struct glist *ready);

#endif
