/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Function names for backtraces: a table that gump-cc makes from the linked image and links in
 * again. An image linked without it has addresses only.
 */
#include "kernel/hart.h"
#include "kernel/layout.h"

struct symbol {
	uint32_t address; /* from __text_start; ascending */
	uint32_t name;    /* from gump_symbols_names */
};

extern const uint32_t gump_symbols_count __attribute__((weak));
extern const struct symbol gump_symbols_table[] __attribute__((weak));
extern const char gump_symbols_names[] __attribute__((weak));

const char *hart_symbol(uintptr_t pc, size_t *offset)
{
	*offset = 0;
	if (&gump_symbols_count == NULL || pc < (uintptr_t)__text_start ||
	    pc >= (uintptr_t)__text_end)
		return "?";

	uint32_t at = (uint32_t)(pc - (uintptr_t)__text_start);
	uint32_t low = 0, high = gump_symbols_count; /* the answer is in [low - 1, high - 1] */
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (gump_symbols_table[middle].address <= at)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return "?";
	*offset = at - gump_symbols_table[low - 1].address;
	return gump_symbols_names + gump_symbols_table[low - 1].name;
}
