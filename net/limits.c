/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/limits.h"

#include <stdlib.h>

#include "kernel/hart.h"
#include "net/option.h"

#define NUMBERS 3

unsigned limit_handshake = 20;
unsigned limit_stalled = 900;
unsigned limit_stalled_closed = 60;
unsigned limit_fin_wait = 20;
unsigned limit_time_wait = 60;
unsigned limit_time_waits = 32768;
unsigned limit_sent = 128;
unsigned limit_window = 128;
unsigned limit_ahead = 64;
unsigned limit_ahead_segments = 64;
unsigned limit_fragments = 64;
unsigned limit_fragment_seconds = 15;
unsigned limit_fragment6_seconds = 60;
unsigned limit_datagrams = 512;
unsigned limit_datagrams_size = 256;
unsigned limit_memory = 50;

static const struct {
	const char *name, *form;
	struct {
		unsigned *limit, least, most;
	} numbers[NUMBERS];
} options[] = {
	{ "handshake", "SECONDS", { { &limit_handshake, 1, 3600 } } },
	{ "stalled", "SECONDS,CLOSED",
	  { { &limit_stalled, 1, 86400 }, { &limit_stalled_closed, 1, 86400 } } },
	{ "finwait", "SECONDS", { { &limit_fin_wait, 1, 3600 } } },
	{ "timewait", "SECONDS,NUMBER",
	  { { &limit_time_wait, 1, 240 }, { &limit_time_waits, 1, 131072 } } },
	{ "windows", "SENT,RECEIVED", { { &limit_sent, 16, 128 }, { &limit_window, 16, 128 } } },
	{ "ahead", "KIB,SEGMENTS", { { &limit_ahead, 1, 128 }, { &limit_ahead_segments, 1, 1024 } } },
	{ "fragments", "NUMBER,SECONDS,SECONDS6",
	  { { &limit_fragments, 2, 4096 },
	    { &limit_fragment_seconds, 1, 255 },
	    { &limit_fragment6_seconds, 1, 255 } } },
	{ "datagrams", "NUMBER,KIB",
	  { { &limit_datagrams, 1, 65535 }, { &limit_datagrams_size, 1, 65536 } } },
	{ "netmemory", "PERCENT", { { &limit_memory, 5, 75 } } },
};

/* All numbers of an option, or false and none. */
static bool read_numbers(unsigned option, const char *text)
{
	unsigned values[NUMBERS];
	for (unsigned i = 0; i < NUMBERS && options[option].numbers[i].limit; i++) {
		bool last = i + 1 == NUMBERS || !options[option].numbers[i + 1].limit;
		if (!option_number(&text, last ? '\0' : ',', options[option].numbers[i].most, &values[i]) ||
		    values[i] < options[option].numbers[i].least)
			return false;
	}
	for (unsigned i = 0; i < NUMBERS && options[option].numbers[i].limit; i++)
		*options[option].numbers[i].limit = values[i];
	return true;
}

void limits_init(void)
{
	for (unsigned option = 0; option < sizeof options / sizeof options[0]; option++) {
		const char *text = getenv(options[option].name), *comma = "";
		if (!text || read_numbers(option, text))
			continue;
		hart_print("net: %s=%s is not %s, ", options[option].name, text, options[option].form);
		for (unsigned i = 0; i < NUMBERS && options[option].numbers[i].limit; i++, comma = ", ")
			hart_print("%sfrom %u to %u", comma, options[option].numbers[i].least,
				   options[option].numbers[i].most);
		hart_print("; ignored\n");
	}
}
