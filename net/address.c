/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses as programs write them. */
#include "net/address.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/net.h"

/*
 * lwIP's parser stops at the first letter that it does not know, and takes what came before; and
 * any number of digits.
 */
static bool looks_like_v6(const char *host)
{
	while (*host) {
		size_t digits = strspn(host, "0123456789abcdefABCDEF");
		host += digits;
		if (digits > 4 || (*host && *host != ':' && *host != '.'))
			return false;
		host += *host != '\0';
	}
	return true;
}

/* "net0" */
static bool parse_zone(const char *text, ip6_addr_t *address)
{
	char *end;
	if (strncmp(text, "net", 3) != 0 || text[3] < '0' || text[3] > '9')
		return false;
	unsigned long number = strtoul(text + 3, &end, 10);
	u8_t zone = *end == '\0' ? interface_zone(number) : 0;
	ip6_addr_set_zone(address, zone);
	return zone != 0;
}

/* An address that is good on one link only is meant on net0 unless it says where. */
static bool parse_v6(char *host, ip6_addr_t *address)
{
	char *zone = strchr(host, '%');
	if (zone)
		*zone++ = '\0';
	if (!looks_like_v6(host) || !ip6addr_aton(host, address))
		return false;
	if (zone)
		return ip6_addr_has_scope(address, IP6_UNKNOWN) && parse_zone(zone, address);
	if (ip6_addr_has_scope(address, IP6_UNKNOWN))
		ip6_addr_set_zone(address, interface_zone(0));
	return true;
}

bool address_parse(const char *text, struct address *address)
{
	struct hostport hostport;

	if (!hostport_parse(text, &hostport))
		return false;
	strcpy(address->host, hostport.host);
	address->port = hostport.port;
	address->literal = hostport.kind != HOST_NAME;
	switch (hostport.kind) {
	case HOST_ANY:
		address->ip = *IP_ANY_TYPE;
		return true;
	case HOST_V6:
		IP_SET_TYPE(&address->ip, IPADDR_TYPE_V6);
		if (!parse_v6(address->host, ip_2_ip6(&address->ip)))
			return false;
		if (ip6_addr_isipv4mappedipv6(ip_2_ip6(&address->ip))) {
			ip_addr_t v4 = IPADDR4_INIT(ip_2_ip6(&address->ip)->addr[3]);
			address->ip = v4;
		}
		return true;
	case HOST_V4:
		IP_SET_TYPE(&address->ip, IPADDR_TYPE_V4);
		return ip4addr_aton(address->host, ip_2_ip4(&address->ip));
	case HOST_NAME:
		return true;
	}
	return false;
}

bool address_parse_own(const char *text, struct address *address)
{
	if (!address_parse(text, address) || !address->literal) {
		errno = EINVAL;
		return false;
	}
	/* "[::]:80" is both, as in Go. */
	if (IP_IS_V6_VAL(address->ip) && ip6_addr_isany(ip_2_ip6(&address->ip)))
		address->ip = *IP_ANY_TYPE;
	if (!net_up() && !ip_addr_isloopback(&address->ip)) {
		errno = ENETDOWN;
		return false;
	}
	return true;
}

bool address_is_local(const struct address *address)
{
	return address->literal ? ip_addr_isloopback(&address->ip) || ip_addr_isany_val(address->ip)
				: strcasecmp(address->host, "localhost") == 0;
}

bool address_format(const ip_addr_t *ip, u16_t port, char *buf, size_t size)
{
	char text[IPADDR_STRLEN_MAX];
	char zone[16] = "";
	ipaddr_ntoa_r(ip, text, sizeof text);
	for (char *c = text; *c; c++) /* RFC 5952 */
		*c = (char)tolower((unsigned char)*c);
	if (IP_IS_V6(ip) && ip6_addr_has_zone(ip_2_ip6(ip)))
		snprintf(zone, sizeof zone, "%%net%u", interface_number(ip6_addr_zone(ip_2_ip6(ip))));
	int length = snprintf(buf, size, IP_IS_V6(ip) ? "[%s%s]:%u" : "%s%s:%u", text, zone, port);
	return length > 0 && (size_t)length < size;
}
