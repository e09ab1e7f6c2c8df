/* SPDX-License-Identifier: BSD-2-Clause */
/* The option keepalive=, for the machines and hosted. */
#include "net/keepalive.h"

#include <stdbool.h>
#include <stdlib.h>

#include "kernel/hart.h"

#define MOST 32767 /* Linux takes no more */

struct keepalive keepalive = { .idle = 60, .interval = 15, .count = 8 };

/* A number that ends with `end`; moves *text behind that. */
static bool read_number(const char **text, char end, unsigned *number)
{
	char *after;
	unsigned long value = strtoul(*text, &after, 10);

	if (**text < '0' || **text > '9' || *after != end || value == 0 || value > MOST)
		return false;
	*number = (unsigned)value;
	*text = after + 1;
	return true;
}

void keepalive_init(void)
{
	const char *option = getenv("keepalive"), *at = option;
	struct keepalive asked;

	if (option == NULL)
		return;
	if (read_number(&at, ',', &asked.idle) && read_number(&at, ',', &asked.interval) &&
	    read_number(&at, '\0', &asked.count))
		keepalive = asked;
	else
		hart_print("net: keepalive=%s is not IDLE,INTERVAL,COUNT in seconds; ignored\n", option);
}
