/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses as programs write them. */
#include "net/address.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "net/net.h"

static bool parse_port(const char *text, u16_t *port)
{
	unsigned value = 0;
	if (!*text || strlen(text) > 5)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (unsigned)(*text - '0');
	}
	*port = (u16_t)value;
	return value <= 65535;
}

/* Four numbers: lwIP's parser also takes "1" for 0.0.0.1, which is more likely a name. */
static bool looks_like_v4(const char *host)
{
	unsigned dots = 0;
	for (; *host; host++) {
		if (*host == '.')
			dots++;
		else if (*host < '0' || *host > '9')
			return false;
	}
	return dots == 3;
}

/* lwIP's parser stops at the first letter that it does not know, and takes what came before. */
static bool looks_like_v6(const char *host)
{
	size_t digits = strspn(host, "0123456789abcdefABCDEF:.");
	return host[digits] == '\0' || host[digits] == '%';
}

bool address_parse(const char *text, struct address *address)
{
	const char *colon = text ? strrchr(text, ':') : NULL;
	if (!colon || !parse_port(colon + 1, &address->port))
		return false;
	size_t length = (size_t)(colon - text);
	bool brackets = length >= 2 && text[0] == '[' && text[length - 1] == ']';
	if (brackets) {
		text++;
		length -= 2;
	}
	if (length >= sizeof address->host)
		return false;
	memcpy(address->host, text, length);
	address->host[length] = '\0';

	address->literal = true;
	if (length == 0 && !brackets) {
		address->ip = *IP_ANY_TYPE;
		return true;
	}
	if (brackets) {
		IP_SET_TYPE(&address->ip, IPADDR_TYPE_V6);
		return looks_like_v6(address->host) &&
		       ip6addr_aton(address->host, ip_2_ip6(&address->ip));
	}
	if (strchr(address->host, ':')) /* IPv6 without brackets: where does the port begin? */
		return false;
	if (looks_like_v4(address->host)) {
		IP_SET_TYPE(&address->ip, IPADDR_TYPE_V4);
		return ip4addr_aton(address->host, ip_2_ip4(&address->ip));
	}
	address->literal = false;
	return true;
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
