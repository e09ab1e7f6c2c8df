/* SPDX-License-Identifier: BSD-2-Clause */
/* GUMPDEBUG: words with commas between them. Those with a value are read by whom they concern. */
#include <stdlib.h>
#include <string.h>

#include "kernel/hart.h"

bool hart_debug_word(const char *word)
{
	size_t length = strlen(word);
	for (const char *at = getenv("GUMPDEBUG"); at != NULL; at = strchr(at, ',')) {
		at += *at == ',';
		if (strncmp(at, word, length) == 0 && (at[length] == ',' || at[length] == '\0'))
			return true;
	}
	return false;
}
