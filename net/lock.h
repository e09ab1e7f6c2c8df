/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The net lock protects lwIP, the devices and every connection: lwIP is one state machine with global
 * state, so several locks would only be taken one after the other. It is taken by goroutines (in the
 * calls of <gump/net.h>) and by the poll function, never in a trap. Who holds it may collect goroutines to
 * wake (net_wake); they become runnable when it is released.
 */
#ifndef NET_LOCK_H
#define NET_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "sched/netpoll.h"

/* Without locks: a goroutine that finds the network being polled parks meanwhile. */
void net_lock(void);
/* Sends what was queued, starts timers, releases the lock and makes the woken runnable. */
void net_unlock(void);

/* The same for the poll function and its list, to which those are added who parked meanwhile. */
void net_lock_to_poll(struct glist *ready);
void net_unlock_polled(struct glist *ready);
bool net_lock_held(void); /* by this hart */
/* net/net.c: what precedes every release of the lock by a goroutine. True: interface_notify() after it. */
bool net_finish(void);

/* Under the net lock. */
void net_wake(struct netpoll_desc *desc, enum netpoll_mode mode);
/* Parks, releasing the net lock meanwhile; holds it again on return. 0 or ETIMEDOUT. */
int net_wait(struct netpoll_desc *desc, enum netpoll_mode mode, int64_t deadline);

#endif
