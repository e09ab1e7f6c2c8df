/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stdout, as on the machines: each goroutine collects a line of its own, which is written whole at its newline, when
 * it is full, and when the goroutine or the program ends.
 *
 * It is a stream of the C library without a buffer, which calls put() with what one printf() makes, and with the
 * stream's lock held: so nothing here is preempted or parks. stderr is the library's own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "hosted.h"
#include "kernel/console.h"

#define LINE_SIZE 240

struct line {
	size_t length;
	char text[LINE_SIZE];
};

CALLED_BY_LIBC static void write_all(int fd, const char *text, size_t size)
{
	while (size > 0) {
		long n = SYS(SYS_write, fd, text, size, 0, 0, 0);
		if (n == -4 /* EINTR */)
			continue;
		if (n <= 0)
			return;
		text += n;
		size -= (size_t)n;
	}
}

CALLED_BY_LIBC static struct line *own_line(void)
{
	struct hart_goroutine *g = hart_g();
	if (g == NULL) /* before the first goroutine */
		return NULL;
	if (g->line == NULL)
		g->line = calloc(1, sizeof(struct line));
	return g->line;
}

CALLED_BY_LIBC static void add(struct line *line, const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		line->text[line->length++] = text[i];
		if (text[i] == '\n' || line->length == LINE_SIZE) {
			write_all(1, line->text, line->length);
			line->length = 0;
		}
	}
}

CALLED_BY_LIBC static ssize_t put(void *cookie, const char *text, size_t size)
{
	struct line *line = own_line();

	(void)cookie;
	if (line == NULL)
		write_all(1, text, size);
	else
		add(line, text, size);
	return (ssize_t)size;
}

void stdio_flush(void)
{
	struct hart_goroutine *g = hart_g();
	if (g == NULL || g->line == NULL)
		return;
	struct line *line = g->line;
	write_all(1, line->text, line->length);
	line->length = 0;
}

/* The very last of exit(): whatever atexit() and destructors have printed. */
static __attribute__((destructor(101))) void flush_at_exit(void)
{
	stdio_flush();
}

void hart_goroutine_end(void)
{
	struct hart_goroutine *g = hart_g();

	stdio_flush();
	free(g->line);
	g->line = NULL;
#if FIBERS
	fiber_ended();
#endif
}

/* Reports: to stderr, which is where a Go program's go. */
static void put_report(const char *text, size_t length)
{
	write_all(2, text, length);
}

void stdio_init(void)
{
	cookie_io_functions_t functions = { .write = put };
	FILE *file = fopencookie(NULL, "w", functions);

	console_set(put_report);
	if (file == NULL)
		return;
	setvbuf(file, NULL, _IONBF, 0);
	stdout = file;
}
