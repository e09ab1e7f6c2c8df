/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses as programs write them, and as the host's kernel wants them. */
#include "address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "net/hostport.h"

/* With a zone behind it, if the address needs one. */
static bool parse_v6(const char *host, struct sockaddr_in6 *v6)
{
	char text[INET6_ADDRSTRLEN];
	size_t length = strcspn(host, "%");

	if (length >= sizeof(text))
		return false;
	memcpy(text, host, length);
	text[length] = '\0';
	v6->sin6_family = AF_INET6;
	if (host[length] == '%' && (v6->sin6_scope_id = if_nametoindex(host + length + 1)) == 0)
		return false;
	return inet_pton(AF_INET6, text, &v6->sin6_addr) == 1;
}

bool address_parse(const char *text, struct address *address)
{
	struct hostport hostport;

	if (!hostport_parse(text, &hostport))
		return false;
	memset(address, 0, sizeof(*address));
	strcpy(address->host, hostport.host);
	endpoint_set_port(&address->to, hostport.port);
	address->literal = hostport.kind != HOST_NAME;
	switch (hostport.kind) {
	case HOST_ANY:
		address->to.v6.sin6_family = AF_INET6;
		return true;
	case HOST_V6:
		if (!parse_v6(address->host, &address->to.v6))
			return false;
		endpoint_unmap(&address->to);
		return true;
	case HOST_V4:
		address->to.v4.sin_family = AF_INET;
		return inet_pton(AF_INET, address->host, &address->to.v4.sin_addr) == 1;
	case HOST_NAME:
		if (strcasecmp(address->host, "localhost") == 0) {
			address->to.v4.sin_family = AF_INET;
			address->to.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		}
		return true;
	}
	return false;
}

uint16_t endpoint_port(const union endpoint *end)
{
	return ntohs(end->v4.sin_port);
}

void endpoint_set_port(union endpoint *end, uint16_t port)
{
	end->v4.sin_port = htons(port); /* where that of IPv6 lies, too */
}

socklen_t endpoint_size(const union endpoint *end)
{
	return end->any.sa_family == AF_INET6 ? sizeof(end->v6) : sizeof(end->v4);
}

bool endpoint_is_any(const union endpoint *end)
{
	return end->any.sa_family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&end->v6.sin6_addr)
					      : end->v4.sin_addr.s_addr == htonl(INADDR_ANY);
}

bool endpoint_is_loopback(const union endpoint *end)
{
	return end->any.sa_family == AF_INET6 ? IN6_IS_ADDR_LOOPBACK(&end->v6.sin6_addr)
					      : ntohl(end->v4.sin_addr.s_addr) >> 24 == 127;
}

bool endpoint_equal(const union endpoint *a, const union endpoint *b)
{
	if (a->any.sa_family != b->any.sa_family || a->v4.sin_port != b->v4.sin_port)
		return false;
	return a->any.sa_family == AF_INET6 ? memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, 16) == 0
					    : a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
}

void endpoint_unmap(union endpoint *end)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = end->v4.sin_port };

	if (end->any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&end->v6.sin6_addr))
		return;
	memcpy(&v4.sin_addr, &end->v6.sin6_addr.s6_addr[12], 4);
	end->v4 = v4;
}

bool endpoint_fit(union endpoint *end, sa_family_t family)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = end->v4.sin_port };

	if (end->any.sa_family == family)
		return true;
	if (family != AF_INET6)
		return false;
	memset(&v6.sin6_addr.s6_addr[10], 0xff, 2);
	memcpy(&v6.sin6_addr.s6_addr[12], &end->v4.sin_addr, 4);
	end->v6 = v6;
	return true;
}

bool endpoint_format(const union endpoint *end, char *buf, size_t size)
{
	char text[INET6_ADDRSTRLEN], zone[IF_NAMESIZE + 1] = "%";
	bool v6 = end->any.sa_family == AF_INET6;
	const void *ip = v6 ? (const void *)&end->v6.sin6_addr : (const void *)&end->v4.sin_addr;

	inet_ntop(end->any.sa_family, ip, text, sizeof(text));
	if (!v6 || end->v6.sin6_scope_id == 0 || if_indextoname(end->v6.sin6_scope_id, zone + 1) == NULL)
		zone[0] = '\0';
	int length = snprintf(buf, size, v6 ? "[%s%s]:%u" : "%s%s:%u", text, zone, endpoint_port(end));
	return length > 0 && (size_t)length < size;
}
