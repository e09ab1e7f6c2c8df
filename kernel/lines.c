/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lines of stdout: see lines.h.
 *
 * A line is its goroutine's, but for the end of the machine: then lines_end() takes the lines of those who
 * run on, too. So its pointer is given up by an exchange, and so are its bytes: whoever gets them writes
 * them. What a goroutine puts at that very moment comes out or does not.
 */
#include "kernel/lines.h"

#include <stdlib.h>

#include "kernel/hart.h"

#define LINE_SIZE 240

struct line {
	_Atomic(size_t) length;
	char text[LINE_SIZE];
};

CALLED_BY_LIBC static void line_flush(struct line *line)
{
	/* Acquire: pairs with the release in lines_put(). */
	size_t length = atomic_exchange_explicit(&line->length, 0, memory_order_acquire);
	if (length > LINE_SIZE) /* a report trusts nothing */
		length = LINE_SIZE;
	if (length != 0)
		lines_write(line->text, length);
}

CALLED_BY_LIBC static struct line *own_line(void)
{
	struct hart_goroutine *g = hart_g();
	if (g == NULL)
		return NULL;
	struct line *line = load_relaxed(&g->line);
	if (line == NULL && (line = malloc(sizeof(*line))) != NULL) {
		atomic_init(&line->length, 0);
		/* Release: lines_end() on another hart finds the line as it is now. */
		atomic_store_explicit(&g->line, line, memory_order_release);
	}
	return line;
}

CALLED_BY_LIBC void lines_put(const char *text, size_t size)
{
	struct line *line = own_line();
	if (line == NULL) {
		lines_write(text, size);
		return;
	}
	for (size_t i = 0; i < size; i++) {
		size_t length = load_relaxed(&line->length);
		line->text[length] = text[i];
		atomic_store_explicit(&line->length, length + 1, memory_order_release);
		if (text[i] == '\n' || length + 1 == LINE_SIZE)
			line_flush(line);
	}
}

void lines_flush(void)
{
	struct hart_goroutine *g = hart_g();
	struct line *line = g != NULL ? load_relaxed(&g->line) : NULL;
	if (line != NULL)
		line_flush(line);
}

/* The line is the caller's now. Acquire: pairs with the release in own_line(). */
static struct line *take_line(struct hart_goroutine *g)
{
	return atomic_exchange_explicit(&g->line, NULL, memory_order_acquire);
}

void hart_goroutine_end(void)
{
	struct line *line = take_line(hart_g());
	if (line == NULL)
		return;
	line_flush(line);
	free(line);
}

/* It is not freed: its goroutine may be using it. */
static void take_and_flush(struct hart_goroutine *g)
{
	struct line *line = take_line(g);
	if (line != NULL)
		line_flush(line);
}

void lines_end(void)
{
	lines_flush();
	sched_each_goroutine(take_and_flush);
}

/* Once: what it finds may be why it faults. */
void lines_report(void)
{
	static _Atomic(bool) begun;
	if (!atomic_exchange_explicit(&begun, true, memory_order_relaxed))
		sched_each_goroutine(take_and_flush);
}
