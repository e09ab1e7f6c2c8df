/* SPDX-License-Identifier: BSD-2-Clause */
/* Hosts and ports as programs write them. */
#include "net/hostport.h"

#include <stddef.h>
#include <string.h>

static bool parse_port(const char *text, uint16_t *port)
{
	unsigned value = 0;

	if (*text == '\0' || strlen(text) > 5)
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (unsigned)(*text - '0');
	}
	*port = (uint16_t)value;
	return value <= 65535;
}

/* Four numbers. Parsers of addresses also take "1" for 0.0.0.1, which is more likely a name. */
static bool looks_like_v4(const char *host)
{
	unsigned dots = 0;

	for (; *host != '\0'; host++) {
		if (*host == '.')
			dots++;
		else if (*host < '0' || *host > '9')
			return false;
	}
	return dots == 3;
}

/* As DNS has them: labels of 1 to 63 bytes, 253 in all. A dot at the end is fine. */
static bool is_name(const char *host)
{
	size_t total = strlen(host), length;

	if (total - (total > 0 && host[total - 1] == '.') > 253)
		return false;
	do {
		length = strcspn(host, ".");
		if (length < 1 || length > 63)
			return false;
		host += length;
	} while (*host != '\0' && *++host != '\0');
	return true;
}

bool hostport_parse(const char *text, struct hostport *hostport)
{
	const char *colon = text != NULL ? strrchr(text, ':') : NULL;

	if (colon == NULL || !parse_port(colon + 1, &hostport->port))
		return false;
	size_t length = (size_t)(colon - text);
	bool brackets = length >= 2 && text[0] == '[' && text[length - 1] == ']';
	if (brackets) {
		text++;
		length -= 2;
	}
	if (length >= sizeof(hostport->host))
		return false;
	memcpy(hostport->host, text, length);
	hostport->host[length] = '\0';
	hostport->kind = brackets ? HOST_V6
		       : length == 0 ? HOST_ANY
		       : looks_like_v4(hostport->host) ? HOST_V4 : HOST_NAME;
	if (hostport->kind == HOST_NAME && !is_name(hostport->host))
		return false;
	/* IPv6 without brackets: where does the port begin? */
	return brackets || strchr(hostport->host, ':') == NULL;
}
