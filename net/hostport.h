/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "host:port", "[IPv6]:port", ":port": what programs write, taken apart. Shared by lwIP's side
 * and the hosted one.
 */
#ifndef NET_HOSTPORT_H
#define NET_HOSTPORT_H

#include <stdbool.h>
#include <stdint.h>

#define HOST_MAX 256

enum host_kind { HOST_ANY, HOST_V4, HOST_V6, HOST_NAME };

struct hostport {
	char host[HOST_MAX]; /* "" for ":80"; without brackets */
	uint16_t port;
	enum host_kind kind; /* by how it looks: an address still has to be read */
};

/* False: not of any of those forms. text may be NULL. */
bool hostport_parse(const char *text, struct hostport *hostport);

#endif
