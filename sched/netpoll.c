/* SPDX-License-Identifier: BSD-2-Clause */
/* The netpoller's scheduler side: see netpoll.h for the contract. */
#include <errno.h>

#include "sched/sched.h"
#include "sched/trace.h"

/* Registered while Ms that sleep and wake may look already. */
static void (*_Atomic poll_function)(struct glist *ready);

void netpoll_register(void (*poll)(struct glist *ready))
{
	/* Release: pairs with the acquire in netpoll(). */
	store_release(&poll_function, poll);
}

bool netpoll(struct glist *ready)
{
	if (!load_relaxed(&sched.netpoll_ready))
		return false;
	/* Acquire: pairs with the release in netpoll_register(); of netpoll_busy, with that at the end of the
	   poll before. */
	void (*poll)(struct glist *) = load_acquire(&poll_function);
	if (poll == NULL || atomic_exchange_explicit(&sched.netpoll_busy, 1, memory_order_acquire))
		return false;
	/* Cleared before the work is done: an interrupt that comes meanwhile sets it again. Acquire:
	   pairs with the release in sched_netpoll_ready(). */
	atomic_exchange_explicit(&sched.netpoll_ready, 0, memory_order_acq_rel);
	fuzz_wait(FUZZ_POLL);
	int64_t begin = now_ticks();
	poll(ready);
	int64_t end = now_ticks(), pause = (int64_t)hart_ns_to_ticks(NETPOLL_PAUSE_NS);
	if (pause > end - begin)
		pause = end - begin;
	atomic_store_explicit(&sched.netpoll_after, end + pause, memory_order_relaxed);
	trace(TRACE_NETPOLL, NULL, ready->size, 0);
	store_release(&sched.netpoll_busy, 0);
	return true;
}

bool netpoll_in_turn(int64_t now, struct glist *ready)
{
	return now >= load_relaxed(&sched.netpoll_after) && netpoll(ready);
}

static void fire_poll(void *unused, int64_t now, void (*fn)(void *))
{
	(void)unused;
	(void)now;
	(void)fn;
	store_relaxed(&sched.netpoll_ready, 1);
	m_self()->p->look_in = 0;
	/* This M may go on with a G that does not come to a scheduling point for long. */
	wake_p();
}

void netpoll_set_deadline(int64_t deadline)
{
	static go_timer timer = { .flags_ = TIMER_SYSTEM | TIMER_KEPT };
	static int64_t set = INT64_MAX; /* under the net lock, like all of this */

	/* One that is set too early does no harm: the poll function then says when it wants the next. */
	if (deadline >= set && set > hart_now())
		return;
	set = deadline;
	if (deadline == INT64_MAX)
		timer_stop(&timer);
	else
		timer_start(&timer, deadline, 0, fire_poll, NULL);
}

/* ---- Waiting for a connection ---- */

struct wait {
	_Atomic(struct g *) *slot;
	int64_t deadline;
	void (*unlock)(void *lock);
	void *lock;
};

/* The deadline: whoever exchanges the waiter out of its slot owns the wake-up. */
static void fire_deadline(void *arg, int64_t now, void (*unused)(void *))
{
	(void)now;
	(void)unused;
	_Atomic(struct g *) *slot = arg;
	struct g *g = atomic_exchange_explicit(slot, NULL, memory_order_acq_rel);
	if (g == NULL)
		return;
	g->wake_param = slot; /* anything but NULL */
	ready(g);
}

static bool wait_commit(struct g *g, void *arg)
{
	struct wait w = *(struct wait *)arg; /* on the G's stack, which may go on once it is in the slot */

	g->wake_param = NULL;
	/* Release: pairs with the exchange in fire_deadline() and in netpoll_wake(). */
	store_release(w.slot, g);
	if (w.deadline != GO_FOREVER)
		timer_start(&g->timer, w.deadline, 0, fire_deadline, w.slot);
	w.unlock(w.lock);
	return true;
}

int netpoll_wait(struct netpoll_desc *desc, enum netpoll_mode mode, int64_t deadline,
		 void (*unlock)(void *lock), void *lock)
{
	struct g *g = g_self();
	struct wait w = { &desc->waiter[mode], deadline, unlock, lock };

	if (load_relaxed(w.slot) != NULL)
		hart_fatal("netpoll_wait: the slot is taken");
	atomic_fetch_add_explicit(&sched.netpoll_waiters, 1, memory_order_relaxed);
	park(wait_commit, &w, WAIT_IO);
	if (deadline != GO_FOREVER)
		timer_stop(&g->timer);
	atomic_fetch_sub_explicit(&sched.netpoll_waiters, 1, memory_order_relaxed);
	return g->wake_param != NULL ? ETIMEDOUT : 0;
}

void netpoll_wake(struct netpoll_desc *desc, enum netpoll_mode mode, struct glist *ready)
{
	struct g *g = atomic_exchange_explicit(&desc->waiter[mode], NULL, memory_order_acq_rel);
	if (g != NULL)
		glist_push(ready, g);
}

void netpoll_inject(struct glist *ready)
{
	if (ready->head == NULL)
		return;
	hart_lock();
	ready_list(ready);
	hart_unlock();
}
