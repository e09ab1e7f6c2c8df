/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The net lock, the poll function, and the start of the network: linked only into programs
 * that use it, started before main() (kernel/layout.h).
 *
 * The poll function runs at a scheduling point of one hart at a time. It takes a batch of
 * frames through lwIP, does timers that are due, answers the whole batch with one
 * notification of the device, and asks to be called again if there is more: the goroutines it woke
 * run meanwhile on other harts.
 */
#include "net/net.h"

#include "kernel/hart.h"
#include "kernel/layout.h"
#include "lwip/init.h"
#include "lwip/netif.h"
#include "net/keepalive.h"
#include "net/memory.h"
#include "net/random.h"
#include "net/timers.h"

#define BATCH 256 /* frames that a poll handles before others get the lock; a ring holds as many */

static struct spinlock lock = SPINLOCK(LOCK_NET);
static struct glist woken;     /* by the goroutine that holds the lock */
static struct glist *collect;  /* where net_wake puts goroutines: `woken`, or the poll's list */
static bool started, up;

void net_lock(void)
{
	spin_lock(&lock);
	collect = &woken;
}

/* Packets to one's own addresses wait in a list of lwIP's for somebody to take them in. */
static void loop_back(void)
{
	struct netif *netif;
	NETIF_FOREACH(netif)
	{
		if (netif->loop_first)
			netif_poll(netif);
	}
}

struct aftermath { /* what is left to do once the lock is released */
	struct glist ready;
	bool notify;
};

static struct aftermath finish(void)
{
	struct aftermath rest;
	loop_back();
	rest.notify = interface_flush();
	net_timers_update();
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

bool net_up(void)
{
	return up;
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

static void poll(struct glist *ready)
{
	spin_lock(&lock);
	collect = ready;
	bool more = interface_poll(BATCH) == BATCH;
	net_timers_run();
	loop_back();
	interface_flush();
	if (!more)
		more = interface_rearm();
	spin_unlock(&lock);
	interface_notify();
	if (more || interface_pending())
		sched_netpoll_ready();
}

int net_fail(int error)
{
	errno = error;
	return -1;
}

int net_errno(err_t error)
{
	switch (error) {
	case ERR_OK: return 0;
	case ERR_MEM:
	case ERR_BUF: return ENOMEM;
	case ERR_TIMEOUT: return ETIMEDOUT;
	case ERR_RTE: return EHOSTUNREACH;
	case ERR_USE: return EADDRINUSE;
	case ERR_ISCONN: return EISCONN;
	case ERR_CONN:
	case ERR_CLSD: return ENOTCONN;
	case ERR_ABRT: return ECONNABORTED;
	case ERR_RST: return ECONNRESET;
	case ERR_IF: return ENETDOWN;
	default: return EINVAL;
	}
}

/* lwIP found itself in a state that cannot be. */
noreturn void net_assert_failed(const char *message, const char *file, int line)
{
	hart_fatal("lwip: %s (%s:%d)", message, file, line);
}

void net_assert_locked(void)
{
#if GUMP_CHECKS
	if (started && !spin_held_here(&lock))
		hart_fatal("lwip entered without the net lock");
#endif
}

static void start(void)
{
	net_memory_init();
	net_random_init();
	keepalive_init();
	lwip_init();
	up = interface_start();
	started = true;
	netpoll_register(poll);
	sched_netpoll_ready(); /* the first poll starts the timers, and looks whether frames came already */
}
KERNEL_INIT(start);
