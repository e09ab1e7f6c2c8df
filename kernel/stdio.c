/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stdout and stderr.
 *
 * Each goroutine collects a line of its own, which goes to the console whole: at its newline, when
 * it is full, at fflush(), and when the goroutine ends. So lines never mix, whatever prints on whichever hart,
 * and putting a byte takes no lock. When the machine ends, what all goroutines have begun is written.
 *
 * stdin is empty: the machine's console is for output.
 */
#include <stdio.h>
#include <stdlib.h>

#include "kernel/console.h"
#include "kernel/hart.h"

#define LINE_SIZE 240

struct line {
	struct line *next, **link; /* in `lines`; link: what points to this one. Under lines_lock */
	_Atomic(size_t) length;    /* written by its goroutine, and set to 0 by whoever writes it out */
	char text[LINE_SIZE];
};

static struct line *lines;
static struct spinlock lines_lock = SPINLOCK(LOCK_LIBC);

static struct line *line_new(void)
{
	struct line *line = malloc(sizeof(*line));
	if (line == NULL)
		return NULL;
	atomic_init(&line->length, 0);
	spin_lock(&lines_lock);
	line->next = lines;
	line->link = &lines;
	if (lines != NULL)
		lines->link = &line->next;
	lines = line;
	spin_unlock(&lines_lock);
	return line;
}

static void line_free(struct line *line)
{
	spin_lock(&lines_lock);
	*line->link = line->next;
	if (line->next != NULL)
		line->next->link = line->link;
	spin_unlock(&lines_lock);
	free(line);
}

/* Exchange: at the end of the machine its goroutine and stdio_end() may both come here, and one of them writes. */
static void line_flush(struct line *line)
{
	size_t length = atomic_exchange_explicit(&line->length, 0, memory_order_acquire);
	if (length != 0)
		console_write(line->text, length);
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
		line = line_new();
		if (line == NULL) {
			console_write(&c, 1);
			return (unsigned char)c;
		}
		g->line = line;
	}
	size_t length = atomic_load_explicit(&line->length, memory_order_relaxed);
	line->text[length] = c;
	/* Release: stdio_end() on another hart sees the byte. */
	atomic_store_explicit(&line->length, length + 1, memory_order_release);
	if (c == '\n' || length + 1 == LINE_SIZE)
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
	line_free(g->line);
	g->line = NULL;
}

void stdio_end(void)
{
	fflush(stdout); /* the own line first */
	spin_lock(&lines_lock);
	for (struct line *line = lines; line != NULL; line = line->next)
		line_flush(line);
	spin_unlock(&lines_lock);
}

static FILE output = FDEV_SETUP_STREAM(put, NULL, flush, _FDEV_SETUP_WRITE);
static FILE input = FDEV_SETUP_STREAM(NULL, get, NULL, _FDEV_SETUP_READ);

FILE *const stdin = &input;
FILE *const stdout = &output;
FILE *const stderr = &output;
