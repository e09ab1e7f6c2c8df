/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * picolibc's stdout and stderr, over the goroutines' lines (lines.h).
 *
 * stdin is empty: the machine's console is for output.
 */
#include <stdio.h>

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

FILE *const stdin = &input;
FILE *const stdout = &output;
FILE *const stderr = &output;
