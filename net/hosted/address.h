/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The text form of addresses: "host:port", "[IPv6]:port", ":port"; as net/address.h, for the host's sockets.
 */
#ifndef NET_HOSTED_ADDRESS_H
#define NET_HOSTED_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/hostport.h"

union endpoint {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

struct address {
	char host[HOST_MAX];         /* "" for ":80"; without brackets */
	bool literal;                /* host is an address */
	/* with the port; IPv6's any for "", no family for a name but localhost */
	union endpoint to;
};

/* False: not an address. */
bool address_parse(const char *text, struct address *address);

uint16_t endpoint_port(const union endpoint *end);
void endpoint_set_port(union endpoint *end, uint16_t port);
socklen_t endpoint_size(const union endpoint *end);
bool endpoint_is_any(const union endpoint *end);
bool endpoint_is_loopback(const union endpoint *end);
bool endpoint_equal(const union endpoint *a, const union endpoint *b);
/* An IPv4 address that the kernel gave as one of IPv6 becomes one of its own. */
void endpoint_unmap(union endpoint *end);
/* The reverse, for a socket of IPv6. False: an address that it cannot reach. */
bool endpoint_fit(union endpoint *end, sa_family_t family);
/* "10.0.2.2:51034", "[fe80::1%eth0]:80". False: buf is too small. */
bool endpoint_format(const union endpoint *end, char *buf, size_t size);

#endif
