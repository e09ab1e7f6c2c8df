/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses of the interfaces: from the environment, ip=ADDR/LEN,GATEWAY,DNS for net0, ip1= for net1 and so
 * on, or by DHCP; IPv6 by itself. main() does not wait for any of them; who dials does, and for a name
 * server as well.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/hart.h"
#include "lwip/dhcp.h"
#include "lwip/ip4.h"
#include "lwip/prot/dhcp.h"
#include "lwip_hooks.h"
#include "net/interface.h"
#include "net/nameservers.h"

#define LOOK ((int64_t)500 * 1000000) /* whether there is hope of an address */

struct waiter { /* a goroutine that waits for an address; on its stack */
	struct netpoll_desc desc;
	struct waiter *next;
};

static struct waiter *waiters;

static struct interface *interface_of(const struct netif *netif)
{
	return (struct interface *)netif->state; /* the device, its first member */
}

/* What no interface's own net has goes through the first that has a gateway, or else that has an address. */
static void choose_default(void)
{
	struct interface *best = NULL;
	for (unsigned i = interface_count; i-- > 0;) {
		const struct netif *netif = &interfaces[i]->netif;
		if (!netif_is_link_up(netif) || ip4_addr_isany(netif_ip4_addr(netif)))
			continue;
		if (!best || !ip4_addr_isany(netif_ip4_gw(netif)) ||
		    ip4_addr_isany(netif_ip4_gw(&best->netif)))
			best = interfaces[i];
	}
	if (best)
		netif_set_default(&best->netif);
}

void interface_wake_waiting(void)
{
	for (struct waiter *waiter = waiters; waiter; waiter = waiter->next)
		net_wake(&waiter->desc, NETPOLL_READ);
}

void addresses_changed(void)
{
	choose_default();
	interface_wake_waiting();
}

static void announce(struct interface *interface)
{
	const struct netif *netif = &interface->netif;
	char text[IP4ADDR_STRLEN_MAX];
	const ip4_addr_t *address = netif_ip4_addr(netif);
	if (ip4_addr_eq(address, &interface->announced))
		return;
	if (ip4_addr_isany(address)) {
		hart_print("net%u: %s is lost\n", interface->number,
			   ip4addr_ntoa_r(&interface->announced, text, sizeof text));
		net_forget_leased_name_servers(&interface->netif);
	} else {
		hart_print("net%u: %s/%d %s\n", interface->number, ip4addr_ntoa_r(address, text, sizeof text),
			   __builtin_popcount(ip4_addr_get_u32(netif_ip4_netmask(netif))),
			   interface->address_source);
	}
	ip4_addr_copy(interface->announced, *address);
}

void addresses_status(struct netif *netif)
{
	announce(interface_of(netif));
	addresses_changed();
}

/* Where no router leads, or need lead. */
static bool is_of_link(const ip6_addr_t *address)
{
	return ip6_addr_islinklocal(address) || ip6_addr_ismulticast_linklocal(address);
}

/* Has this interface an address to reach that one from? */
static bool reaches_v6(const struct netif *netif, const ip6_addr_t *to)
{
	for (int i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++)
		if (ip6_addr_isvalid(netif_ip6_addr_state(netif, i)) &&
		    (is_of_link(to) ? ip6_addr_test_zone(to, netif)
				    : !ip6_addr_islinklocal(netif_ip6_addr(netif, i))))
			return netif_is_link_up(netif);
	return false;
}

bool interface_reaches(const ip_addr_t *to)
{
	if (ip_addr_isloopback(to))
		return true;
	if (IP_IS_V4(to))
		return ip4_route(ip_2_ip4(to)) != NULL;
	for (unsigned i = 0; i < interface_count; i++)
		if (reaches_v6(&interfaces[i]->netif, ip_2_ip6(to)))
			return true;
	return false;
}

/*
 * A router may still give an address out, or nobody has said yet that he has it. To what is of a link only
 * the one leads that the interface makes itself.
 */
static bool may_get_v6(const struct netif *netif, const ip6_addr_t *to)
{
	u8_t own = netif_ip6_addr_state(netif, 0);
	if (is_of_link(to))
		return ip6_addr_test_zone(to, netif) && (ip6_addr_istentative(own) || ip6_addr_isvalid(own));
	if (netif->rs_count > 0)
		return true;
	for (int i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++)
		if (!ip6_addr_isinvalid(netif_ip6_addr_state(netif, i)) &&
		    !ip6_addr_islinklocal(netif_ip6_addr(netif, i)))
			return true;
	return false;
}

/* Somebody may still tell of a name server, or give the address from which one is reached. */
static bool may_get_server(struct netif *netif)
{
	const struct dhcp *dhcp = netif_dhcp_data(netif);
	if (netif->rs_count > 0 || (dhcp && dhcp->state != DHCP_STATE_OFF && dhcp->state != DHCP_STATE_BOUND))
		return true;
	for (int i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++)
		if (ip6_addr_istentative(netif_ip6_addr_state(netif, i)))
			return true;
	return false;
}

/* NULL: a name server. */
static bool is_there(const ip_addr_t *to)
{
	return to ? interface_reaches(to) : nameservers_choose();
}

static bool is_hopeless(const ip_addr_t *to)
{
	bool up = false, hope = to && IP_IS_V4(to);
	for (unsigned i = 0; i < interface_count; i++) {
		struct netif *netif = &interfaces[i]->netif;
		if (!netif_is_link_up(netif))
			continue;
		up = true;
		if (!hope)
			hope = to ? may_get_v6(netif, ip_2_ip6(to)) : may_get_server(netif);
	}
	return !up || !hope;
}

static int wait_for(const ip_addr_t *to, int64_t deadline)
{
	struct waiter waiter = { .next = waiters }, **at;
	int error = 0;
	if (is_there(to))
		return 0;
	waiters = &waiter;
	for (unsigned looks = 0; !error && !is_there(to);) {
		int64_t look = hart_now() + LOOK;
		if (is_hopeless(to) && ++looks > 2) /* the last question may have been just now */
			error = EHOSTUNREACH;
		else if (net_wait(&waiter.desc, NETPOLL_READ, deadline < look ? deadline : look) &&
			 deadline < look)
			error = ETIMEDOUT;
	}
	for (at = &waiters; *at != &waiter; at = &(*at)->next)
		;
	*at = waiter.next;
	return error;
}

int interface_wait_address(const ip_addr_t *to, int64_t deadline)
{
	return wait_for(to, deadline);
}

int interface_wait_name_server(int64_t deadline)
{
	return wait_for(NULL, deadline);
}

/* "10.0.0.2/24", "10.0.0.2/24,GATEWAY", "10.0.0.2/24,GATEWAY,DNS". */
static bool static_address(struct netif *netif, const char *text)
{
	char copy[100], *save, *end; /* the longest there can be, with IPv6, has 80 */
	ip4_addr_t address, netmask, gateway = { 0 };
	ip_addr_t server;
	if (strlen(text) >= sizeof copy)
		return false;
	strcpy(copy, text);
	char *first = strtok_r(copy, ",", &save);
	char *second = strtok_r(NULL, ",", &save), *third = strtok_r(NULL, ",", &save);
	char *slash = first ? strchr(first, '/') : NULL;
	if (!slash || slash[1] < '0' || slash[1] > '9')
		return false;
	*slash = '\0';
	unsigned long length = strtoul(slash + 1, &end, 10);
	if (*end || length < 1 || length > 32 || !ip4addr_aton(first, &address) ||
	    (second && !ip4addr_aton(second, &gateway)) || (third && !ipaddr_aton(third, &server)))
		return false;
	if (!third) /* many a gateway answers names too */
		ip_addr_copy_from_ip4(server, gateway);
	nameservers_of_ip(&server);
	ip4_addr_set_u32(&netmask, lwip_htonl(UINT32_MAX << (32 - length)));
	netif_set_addr(netif, &address, &netmask, &gateway);
	return true;
}

void addresses_configure(struct interface *interface)
{
	char name[16] = "ip";
	if (interface->number > 0)
		snprintf(name, sizeof name, "ip%u", interface->number);
	const char *ip = getenv(name);
	interface->address_source = "static";
	if (ip && static_address(&interface->netif, ip))
		return;
	if (ip)
		hart_print("net%u: %s=%s is not ADDRESS/LENGTH,GATEWAY,DNS; asking DHCP\n",
			   interface->number, name, ip);
	interface->address_source = "by DHCP";
	dhcp_start(&interface->netif);
}

u8_t interface_zone(unsigned long number)
{
	return number < interface_count ? netif_get_index(&interfaces[number]->netif) : 0;
}

unsigned interface_number(u8_t zone)
{
	unsigned i = 0;
	while (i < interface_count && netif_get_index(&interfaces[i]->netif) != zone)
		i++;
	return i;
}
