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

/*
 * What ends in a number is an address and no name (WHATWG's URL standard, "ends in a number"), whatever
 * parsers of addresses make of it: they take "1" for 0.0.0.1, and 010 and 0x8 for 8.
 */
static bool ends_in_number(const char *host)
{
	size_t length = strlen(host);

	if (length > 0 && host[length - 1] == '.')
		length--;
	size_t start = length;
	while (start > 0 && host[start - 1] != '.')
		start--;
	const char *digits = "0123456789";
	if (length - start >= 2 && host[start] == '0' && (host[start + 1] | 0x20) == 'x') {
		digits = "0123456789abcdefABCDEF";
		start += 2;
	} else if (start == length) {
		return false;
	}
	return strspn(host + start, digits) >= length - start;
}

/* Four numbers up to 255, without zeros before them. */
static bool is_v4(const char *host)
{
	for (unsigned i = 0; i < 4; i++) {
		size_t digits = strspn(host, "0123456789");
		unsigned value = 0;
		if (digits < 1 || digits > 3 || (digits > 1 && *host == '0'))
			return false;
		for (; digits > 0; digits--)
			value = value * 10 + (unsigned)(*host++ - '0');
		if (value > 255 || *host != (i < 3 ? '.' : '\0'))
			return false;
		host += i < 3;
	}
	return true;
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
		       : ends_in_number(hostport->host) ? HOST_V4 : HOST_NAME;
	if (hostport->kind == HOST_NAME && !is_name(hostport->host))
		return false;
	if (hostport->kind == HOST_V4 && !is_v4(hostport->host))
		return false;
	/* IPv6 without brackets: where does the port begin? */
	return brackets || strchr(hostport->host, ':') == NULL;
}
