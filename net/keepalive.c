/* SPDX-License-Identifier: BSD-2-Clause */
/* The option keepalive=, for the machines and hosted. */
#include "net/keepalive.h"

#include <stdlib.h>

#include "kernel/hart.h"
#include "net/option.h"

#define MOST_SECONDS 32767 /* Linux takes no more */
#define MOST_QUESTIONS 127

struct keepalive keepalive = { .idle = 60, .interval = 15, .count = 8 };

void keepalive_init(void)
{
	const char *option = getenv("keepalive"), *at = option;
	struct keepalive asked;

	if (option == NULL)
		return;
	if (option_number(&at, ',', MOST_SECONDS, &asked.idle) &&
	    option_number(&at, ',', MOST_SECONDS, &asked.interval) &&
	    option_number(&at, '\0', MOST_QUESTIONS, &asked.count))
		keepalive = asked;
	else
		hart_print("net: keepalive=%s is not IDLE,INTERVAL,COUNT in seconds; ignored\n", option);
}
