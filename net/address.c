/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses as programs write them. */
#include "net/address.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "net/net.h"

/* lwIP's parser stops at the first letter that it does not know, and takes what came before. */
static bool looks_like_v6(const char *host)
{
	size_t digits = strspn(host, "0123456789abcdefABCDEF:.");
	return host[digits] == '\0' || host[digits] == '%';
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
		return looks_like_v6(address->host) && ip6addr_aton(address->host, ip_2_ip6(&address->ip));
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
	return address->literal ? ip_addr_isloopback(&address->ip)
				: strcmp(address->host, "localhost") == 0;
}

bool address_format(const ip_addr_t *ip, u16_t port, char *buf, size_t size)
{
	char text[IPADDR_STRLEN_MAX];
	ipaddr_ntoa_r(ip, text, sizeof text);
	int length = snprintf(buf, size, IP_IS_V6(ip) ? "[%s]:%u" : "%s:%u", text, port);
	return length > 0 && (size_t)length < size;
}
