/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * picolibc's stdout and stderr, over the goroutines' lines (lines.h).
 *
 * stdin is empty: the machine's console is for output.
 */
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#include "kernel/console.h"
#include "kernel/lines.h"

void lines_write(const char *text, size_t size)
{
	console_write(text, size);
}

static int put(char c, FILE *file)
{
	(void)file;
	lines_put(&c, 1);
	return (unsigned char)c;
}

static int get(FILE *file)
{
	(void)file;
	return _FDEV_EOF;
}

static int flush(FILE *file)
{
	(void)file;
	lines_flush();
	return 0;
}

static FILE output = FDEV_SETUP_STREAM(put, NULL, flush, _FDEV_SETUP_WRITE);
static FILE input = FDEV_SETUP_STREAM(NULL, get, NULL, _FDEV_SETUP_READ);

/* The library's own reads where NULL points. It stands for all streams, of which one keeps anything back. */
int fflush(FILE *file)
{
	if (file == NULL)
		file = &output;
	return file->flush != NULL ? file->flush(file) : 0;
}

FILE *const stdin = &input;
FILE *const stdout = &output;
FILE *const stderr = &output;

/* A stream in memory takes a wide character's bytes as they are; the console's characters are multibyte. */
static bool put_wide(wchar_t c, FILE *file)
{
	char bytes[MB_LEN_MAX];
	mbstate_t state = { 0 };
	size_t length = sizeof(c);
	if (file->put != put)
		memcpy(bytes, &c, sizeof(c));
	else if ((length = wcrtomb(bytes, c, &state)) == (size_t)-1)
		return false; /* errno is EILSEQ */
	for (size_t i = 0; i < length; i++)
		if (file->put(bytes[i], file) < 0)
			return false;
	return true;
}

/* The library's own knows only the first. */
wint_t fputwc(wchar_t c, FILE *file)
{
	file->flags |= __SWIDE;
	return (file->flags & __SWR) != 0 && put_wide(c, file) ? (wint_t)c : WEOF;
}

/* fputws(), wprintf() and the like call it by these. */
wint_t putwc(wchar_t c, FILE *file) __attribute__((alias("fputwc")));
wint_t putwc_unlocked(wchar_t c, FILE *file) __attribute__((alias("fputwc")));
