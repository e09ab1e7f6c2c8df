/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stdout and stderr.
 *
 * Each goroutine collects a line of its own, which goes to the console whole: at its newline, when
 * it is full, at fflush(), and when the goroutine or the machine ends. So lines never mix, whatever
 * prints on whichever hart, and putting a byte takes no lock.
 *
 * stdin is empty: the machine's console is for output.
 */
#include <stdio.h>
#include <stdlib.h>

#include "kernel/console.h"
#include "kernel/hart.h"

#define LINE_SIZE 240

struct line {
	size_t length;
	char text[LINE_SIZE];
};

static void line_flush(struct line *line)
{
	if (line->length != 0)
		console_write(line->text, line->length);
	line->length = 0;
}

static int put(char c, FILE *file)
{
	(void)file;
	struct hart_goroutine *g = hart_g();
	if (g == NULL) { /* before the first goroutine */
		console_write(&c, 1);
		return (unsigned char)c;
	}
	struct line *line = g->line;
	if (line == NULL) {
		line = malloc(sizeof(*line));
		if (line == NULL) {
			console_write(&c, 1);
			return (unsigned char)c;
		}
		line->length = 0;
		g->line = line;
	}
	line->text[line->length++] = c;
	if (c == '\n' || line->length == LINE_SIZE)
		line_flush(line);
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
	struct hart_goroutine *g = hart_g();
	if (g != NULL && g->line != NULL)
		line_flush(g->line);
	return 0;
}

void hart_goroutine_end(void)
{
	struct hart_goroutine *g = hart_g();
	if (g->line == NULL)
		return;
	line_flush(g->line);
	free(g->line);
	g->line = NULL;
}

static FILE output = FDEV_SETUP_STREAM(put, NULL, flush, _FDEV_SETUP_WRITE);
static FILE input = FDEV_SETUP_STREAM(NULL, get, NULL, _FDEV_SETUP_READ);

FILE *const stdin = &input;
FILE *const stdout = &output;
FILE *const stderr = &output;
