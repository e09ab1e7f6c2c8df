/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Name servers come from four sides: dns=, ip=, DHCP of each interface and the routers of each (RFC 8106).
 * lwIP would let each of them overwrite what the others said. Here they are kept apart, and before a
 * question lwIP gets those that can be reached, in that order: who sets them by hand means it, and a network
 * without IPv4 has only what its routers tell.
 */
#include "net/nameservers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gump.h"
#include "kernel/hart.h"
#include "lwip/dns.h"
#include "lwip_hooks.h"
#include "net/address.h"
#include "net/net.h"

#define SERVERS_MAX 24
#define OF_ONE_MAX 3 /* that a network tells: whoever makes up routers must not fill the table */
#define SECOND ((int64_t)1000 * 1000 * 1000)

enum source { BY_HAND, WITH_ADDRESS, LEASED, OF_ROUTER, SOURCES };

static struct server {
	ip_addr_t ip;
	int64_t until;
	enum source source;
	u8_t netif; /* lwIP's index; 0: of none */
} servers[SERVERS_MAX];
static unsigned count;

static void drop(unsigned i)
{
	memmove(&servers[i], &servers[i + 1], (--count - i) * sizeof servers[0]);
}

static void drop_expired(void)
{
	int64_t now = hart_now();
	for (unsigned i = count; i-- > 0;)
		if (servers[i].until <= now)
			drop(i);
}

/* How many a network told; and the place of that one, or `count`. */
static unsigned count_of(enum source source, u8_t netif, const ip_addr_t *ip, unsigned *at)
{
	unsigned found = 0;
	*at = count;
	for (unsigned i = 0; i < count; i++) {
		if (servers[i].source != source || servers[i].netif != netif)
			continue;
		found++;
		if (ip_addr_eq(&servers[i].ip, ip))
			*at = i;
	}
	return found;
}

static void add(enum source source, u8_t netif, const ip_addr_t *ip, int64_t until)
{
	unsigned at;
	drop_expired();
	unsigned told = count_of(source, netif, ip, &at);
	if (at == count) {
		if (ip_addr_isany(ip) || count == SERVERS_MAX || (source >= LEASED && told >= OF_ONE_MAX))
			return;
		count++;
	}
	servers[at] = (struct server){ *ip, until, source, netif };
}

void nameservers_of_ip(const ip_addr_t *server)
{
	add(WITH_ADDRESS, 0, server, GO_FOREVER);
}

void nameservers_start(void)
{
	const char *dns = getenv("dns");
	char *copy = dns ? strdup(dns) : NULL, *save, text[64];
	struct address address;

	if (dns && !copy)
		hart_print("dns=%s: out of memory\n", dns);
	for (char *word = copy ? strtok_r(copy, ",", &save) : NULL; word; word = strtok_r(NULL, ",", &save)) {
		const char *format = strchr(word, ':') ? "[%s]:53" : "%s:53";
		if ((size_t)snprintf(text, sizeof text, format, word) < sizeof text &&
		    address_parse(text, &address) && address.literal)
			add(BY_HAND, 0, &address.ip, GO_FOREVER);
		else
			hart_print("dns=%s: %s is not an address\n", dns, word);
	}
	free(copy);
}

/* Its lease is over, or was renewed, which may bring others, or none. */
void net_forget_leased_name_servers(struct netif *netif)
{
	for (unsigned i = count; i-- > 0;)
		if (servers[i].source == LEASED && servers[i].netif == netif_get_index(netif))
			drop(i);
}

/* lwIP's, of a lease. */
void net_leased_name_server(struct netif *netif, const ip_addr_t *server)
{
	add(LEASED, netif_get_index(netif), server, GO_FOREVER);
	interface_wake_waiting();
}

/* lwIP's, of a router's advertisement. */
void net_router_name_server(struct netif *netif, const ip_addr_t *server, u32_t seconds)
{
	int64_t until = seconds == UINT32_MAX ? GO_FOREVER : hart_now() + seconds * SECOND;
	add(OF_ROUTER, netif_get_index(netif), server, until);
	drop_expired(); /* that one too if it is for no time: so a router takes it back */
	interface_wake_waiting();
}

static bool is_among(const ip_addr_t *server, u8_t chosen)
{
	for (u8_t i = 0; i < chosen; i++)
		if (ip_addr_eq(dns_getserver(i), server))
			return true;
	return false;
}

bool nameservers_choose(void)
{
	u8_t chosen = 0;
	drop_expired();
	for (enum source source = 0; source < SOURCES; source++)
		for (unsigned i = 0; i < count && chosen < DNS_MAX_SERVERS; i++)
			if (servers[i].source == source && interface_reaches(&servers[i].ip) &&
			    !is_among(&servers[i].ip, chosen))
				dns_setserver(chosen++, &servers[i].ip);
	for (u8_t i = chosen; i < DNS_MAX_SERVERS; i++)
		dns_setserver(i, NULL);
	return chosen > 0;
}
