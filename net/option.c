/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/option.h"

#include <stdlib.h>

bool option_number(const char **text, char end, unsigned most, unsigned *number)
{
	char *after;
	unsigned long value = strtoul(*text, &after, 10);

	if (**text < '0' || **text > '9' || *after != end || value == 0 || value > most)
		return false;
	*number = (unsigned)value;
	*text = after + 1;
	return true;
}
