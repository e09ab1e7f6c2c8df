/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel command line is the program's: words of the form NAME=VALUE before the first other
 * word are its environment, the rest its arguments; a word -- between the two is left out, so that the first
 * argument may have that form. Words are split at blanks; "..." keeps blanks together, and \ takes the next
 * character as it is inside quotes.
 */
#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/cmdline.h"
#include "kernel/machine.h"

/* Cuts the next word off *at, unquoted in place; NULL at the end. */
static char *next_word(char **at)
{
	char *in = *at;
	while (isspace((unsigned char)*in))
		in++;
	if (*in == '\0')
		return NULL;

	char *word = in, *out = in;
	bool quoted = false;
	for (; *in != '\0' && (quoted || !isspace((unsigned char)*in)); in++) {
		if (*in == '"') {
			quoted = !quoted;
			continue;
		}
		if (quoted && *in == '\\' && in[1] != '\0')
			in++;
		*out++ = *in;
	}
	*at = *in == '\0' ? in : in + 1;
	*out = '\0';
	return word;
}

/* As a shell sees it: a name, then '='. */
static bool is_assignment(const char *word)
{
	size_t i = 0;
	while (isalnum((unsigned char)word[i]) || word[i] == '_')
		i++;
	return i > 0 && word[i] == '=';
}

void cmdline_parse(int *argc, char ***argv)
{
	/* Every word but the last ends in a blank: no more than this many pointers, twice a NULL, argv[0]. */
	size_t most = strlen(machine.cmdline) / 2 + 1;
	char **words = calloc(most + 3, sizeof(char *));
	if (words == NULL)
		hart_fatal("no memory for the command line");

	char **env = words, *at = machine.cmdline, *word = next_word(&at);
	size_t n = 0;
	for (; word != NULL && is_assignment(word); word = next_word(&at))
		env[n++] = word;
	env[n++] = NULL;
	environ = env;
	if (word != NULL && strcmp(word, "--") == 0)
		word = next_word(&at);

	*argv = &words[n];
	words[n++] = (char *)"gump";
	*argc = 1;
	for (; word != NULL; word = next_word(&at), ++*argc)
		words[n++] = word;
}
