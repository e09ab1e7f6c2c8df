/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The poll function and the start of the network: linked only into programs that use it, started before
 * main() (kernel/layout.h).
 *
 * The poll function runs at a scheduling point of one hart at a time. It takes a batch of
 * frames through lwIP, does timers that are due, notifies the device of what answers the batch (of a long one
 * also on the way), and asks to be called again if there is more: the goroutines it woke
 * run meanwhile on other harts.
 */
#include "net/net.h"

#include "kernel/hart.h"
#include "kernel/layout.h"
#include "lwip/init.h"
#include "lwip/netif.h"
#include "net/keepalive.h"
#include "net/limits.h"
#include "net/memory.h"
#include "net/random.h"
#include "net/timers.h"

#define BATCH 256 /* frames that a poll handles before others get the lock */

static bool started, up;

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

bool net_finish(void)
{
	loop_back();
	bool notify = interface_flush();
	net_timers_update();
	return notify;
}

bool net_up(void)
{
	return up;
}

static void poll(struct glist *ready)
{
	net_lock_to_poll(ready);
	bool more = interface_poll(BATCH);
	net_timers_run();
	loop_back();
	interface_flush();
	if (!more)
		more = interface_rearm();
	net_unlock_polled(ready);
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
	case ERR_WOULDBLOCK: return EAGAIN; /* no room in the device */
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
	if (started && !net_lock_held())
		hart_fatal("lwip entered without the net lock");
#endif
}

static void start(void)
{
	limits_init();
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
