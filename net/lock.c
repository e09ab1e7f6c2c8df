/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The net lock. A goroutine holds it for some microseconds, and others spin meanwhile. The poll
 * holds it for a whole batch, which may be a millisecond: who comes then parks, and the poll makes it
 * runnable at its end.
 */
#include <gump.h>
#include <stdatomic.h>

#include "kernel/hart.h"
#include "net/net.h"

static struct spinlock lock = SPINLOCK(LOCK_NET);
static struct glist woken;    /* by the goroutine that holds the lock */
static struct glist *collect; /* where net_wake puts goroutines: `woken`, or the poll's list */

struct outside { /* a goroutine that parks because of a poll, on its stack */
	struct netpoll_desc desc;
	struct outside *next;
};
static _Atomic(bool) polling;
static _Atomic(struct outside *) outside; /* the last one first */

/* Adds those who wait for a poll's end, the first one first. */
static void let_in(struct glist *ready)
{
	/* Acquire: pairs with the release in stay_outside(). */
	struct outside *one = atomic_exchange_explicit(&outside, NULL, memory_order_acquire);
	struct outside *first = NULL, *next;

	for (; one; one = next) {
		next = one->next;
		one->next = first;
		first = one;
	}
	for (; first; first = next) {
		next = first->next; /* it is gone as soon as its goroutine runs */
		netpoll_wake(&first->desc, NETPOLL_READ, ready);
	}
}

/* On g0: the goroutine is in its slot. */
static void stay_outside(void *arg)
{
	struct outside *mine = arg, *head = load_relaxed(&outside);
	struct glist ready = { 0 };

	do
		mine->next = head;
	/* Release: pairs with the acquire in let_in(). */
	while (!atomic_compare_exchange_weak_explicit(&outside, &head, mine, memory_order_release,
						      memory_order_relaxed));
	/* Full: being outside before `polling`. Partner: net_unlock_polled(), the other way round. */
	atomic_thread_fence(memory_order_seq_cst);
	if (load_relaxed(&polling))
		return;
	let_in(&ready);
	netpoll_inject(&ready);
}

void net_lock(void)
{
	while (load_relaxed(&polling)) {
		struct outside mine = { .next = NULL };
		hart_lock();
		netpoll_wait(&mine.desc, NETPOLL_READ, GO_FOREVER, stay_outside, &mine);
	}
	spin_lock(&lock);
	collect = &woken;
}

void net_lock_to_poll(struct glist *ready)
{
	spin_lock(&lock);
	atomic_store_explicit(&polling, true, memory_order_relaxed);
	collect = ready;
}

void net_unlock_polled(struct glist *ready)
{
	atomic_store_explicit(&polling, false, memory_order_relaxed);
	spin_release(&lock);
	/* Full: `polling` before who is outside. Partner: stay_outside(). */
	atomic_thread_fence(memory_order_seq_cst);
	let_in(ready);
	hart_unlock();
}

struct aftermath { /* what is left to do once the lock is released */
	struct glist ready;
	bool notify;
};

static struct aftermath finish(void)
{
	struct aftermath rest;
	rest.notify = net_finish(); /* which may wake some: before they are taken */
	rest.ready = woken;
	woken = (struct glist){ 0 };
	return rest;
}

/* Not preempted on the way: others wait for what it does. */
static void carry_out(struct aftermath *rest)
{
	if (rest->notify)
		interface_notify();
	if (rest->ready.head)
		netpoll_inject(&rest->ready);
}

void net_unlock(void)
{
	struct aftermath rest = finish();
	spin_release(&lock);
	carry_out(&rest);
	hart_unlock();
}

/* The same on g0, for a goroutine that has parked. */
static void unlock_parked(void *unused)
{
	struct aftermath rest = finish();
	spin_release(&lock);
	carry_out(&rest);
}

void net_wake(struct netpoll_desc *desc, enum netpoll_mode mode)
{
	netpoll_wake(desc, mode, collect);
}

int net_wait(struct netpoll_desc *desc, enum netpoll_mode mode, int64_t deadline)
{
	int error = netpoll_wait(desc, mode, deadline, unlock_parked, NULL);
	net_lock();
	return error;
}

bool net_lock_held(void)
{
	return spin_held_here(&lock);
}
