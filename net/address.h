/* SPDX-License-Identifier: BSD-2-Clause */
/* The text form of addresses: "host:port", "[IPv6]:port", ":port". */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "lwip/ip_addr.h"
#include "net/hostport.h"

struct address {
	char host[HOST_MAX];         /* "" for ":80"; without brackets */
	u16_t port;
	bool literal;                /* host is an address: `ip` */
	ip_addr_t ip;                /* IP_ANY_TYPE for "" */
};

/* False: not an address. */
bool address_parse(const char *text, struct address *address);
/* One to wait on: a literal, and a network for it; may wait for DHCP. False with errno EINVAL or ENETDOWN. */
bool address_parse_own(const char *text, struct address *address);
/* This machine itself: reached without a device. */
bool address_is_local(const struct address *address);
/* "10.0.2.2:51034", "[fd00::1]:80", "[fe80::1%net0]:80". False: buf is too small. */
bool address_format(const ip_addr_t *ip, u16_t port, char *buf, size_t size);

#endif
