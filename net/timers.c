/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lwIP's cyclic timers, instead of its own timeouts.c, so that an idle machine sleeps: a timer runs
 * only while there is something for it to do, and those with the same period fire together. What
 * is left with no connection and an address is one wake-up a second.
 */
#include "net/timers.h"

#include "kernel/hart.h"
#include "lwip/dhcp.h"
#include "lwip/mld6.h"
#include "lwip/netif.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/dhcp.h"
#include "lwip/sys.h"
#include "lwip/timeouts.h"
#include "net/demux.h"
#include "sched/netpoll.h"

#define TIMERS_MAX 16
#define TCP_TIMER 0 /* tcp_tmr is the first in lwIP's table */
#define MS ((int64_t)1000000)

static int64_t due[TIMERS_MAX]; /* by lwip_cyclic_timers' index; INT64_MAX: does not run */
static int64_t announced = INT64_MAX;

u32_t sys_now(void)
{
	return (u32_t)(hart_now() / MS);
}

/* lwip_init() calls it. */
void sys_timeouts_init(void)
{
	LWIP_ASSERT("TIMERS_MAX", lwip_num_cyclic_timers <= TIMERS_MAX);
	for (int i = 0; i < TIMERS_MAX; i++)
		due[i] = INT64_MAX;
}

static bool dhcp_is_on(void)
{
	struct netif *netif;
	NETIF_FOREACH(netif)
	{
		struct dhcp *dhcp = netif_dhcp_data(netif);
		if (dhcp && dhcp->state != DHCP_STATE_OFF)
			return true;
	}
	return false;
}

static bool dhcp_waits(void)
{
	struct netif *netif;
	NETIF_FOREACH(netif)
	{
		struct dhcp *dhcp = netif_dhcp_data(netif);
		if (dhcp && dhcp->state != DHCP_STATE_OFF && dhcp->state != DHCP_STATE_BOUND)
			return true;
	}
	return false;
}

static bool mld_waits(void)
{
	struct netif *netif;
	NETIF_FOREACH(netif)
	{
		struct mld_group *group = netif_mld6_data(netif);
		for (; group; group = group->next)
			if (group->timer)
				return true;
	}
	return false;
}

static bool wanted(lwip_cyclic_timer_handler handler)
{
	if (handler == tcp_tmr)
		return demux_count() > 0;
	if (handler == dhcp_coarse_tmr)
		return dhcp_is_on();
	if (handler == dhcp_fine_tmr)
		return dhcp_waits();
	if (handler == mld6_tmr)
		return mld_waits();
	return true;
}

/* Multiples of the period, so that equal periods meet. */
static int64_t next(const struct lwip_cyclic_timer *timer, int64_t now)
{
	int64_t period = timer->interval_ms * MS;
	return (now / period + 1) * period;
}

static void schedule(void)
{
	int64_t now = hart_now(), first = INT64_MAX;
	for (int i = 0; i < lwip_num_cyclic_timers; i++) {
		if (due[i] == INT64_MAX && wanted(lwip_cyclic_timers[i].handler))
			due[i] = next(&lwip_cyclic_timers[i], now);
		if (due[i] < first)
			first = due[i];
	}
	if (first == announced)
		return;
	announced = first;
	netpoll_set_deadline(first);
}

void net_timers_run(void)
{
	int64_t now = hart_now();
	for (int i = 0; i < lwip_num_cyclic_timers; i++) {
		if (due[i] > now)
			continue;
		due[i] = INT64_MAX;
		if (i == TCP_TIMER)
			demux_rouse_silent();
		lwip_cyclic_timers[i].handler();
	}
	schedule();
}

/* Outside of the poll function only a connection can make a timer necessary. */
void net_timers_update(void)
{
	if (due[TCP_TIMER] == INT64_MAX && wanted(tcp_tmr))
		schedule();
}
