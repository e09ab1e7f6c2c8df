/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stdout, as on the machines (kernel/stdio.c): each goroutine collects a line of its own, which is written whole at its
 * newline, when it is full, and when the goroutine ends; when the program ends, what all have begun.
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
	struct line *next, **link; /* in `lines`; link: what points to this one. Under lines_lock */
	_Atomic(size_t) length;    /* written by its goroutine, and set to 0 by whoever writes it out */
	char text[LINE_SIZE];
};

static struct line *lines;
static struct spinlock lines_lock = SPINLOCK(LOCK_LIBC);

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

CALLED_BY_LIBC static struct line *line_new(void)
{
	struct line *line = calloc(1, sizeof(struct line));
	if (line == NULL)
		return NULL;
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

CALLED_BY_LIBC static struct line *own_line(void)
{
	struct hart_goroutine *g = hart_g();
	if (g == NULL) /* before the first goroutine */
		return NULL;
	if (g->line == NULL)
		g->line = line_new();
	return g->line;
}

/* Exchange: at the end its goroutine and stdio_end() may both come here, and one of them writes. */
CALLED_BY_LIBC static void line_flush(struct line *line)
{
	write_all(1, line->text, atomic_exchange_explicit(&line->length, 0, memory_order_acquire));
}

CALLED_BY_LIBC static void add(struct line *line, const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		size_t length = atomic_load_explicit(&line->length, memory_order_relaxed);
		line->text[length] = text[i];
		/* Release: stdio_end() on another hart sees the byte. */
		atomic_store_explicit(&line->length, length + 1, memory_order_release);
		if (text[i] == '\n' || length + 1 == LINE_SIZE)
			line_flush(line);
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

void stdio_end(void)
{
	struct hart_goroutine *g = hart_g();
	if (g != NULL && g->line != NULL) /* the own line first */
		line_flush(g->line);
	spin_lock(&lines_lock);
	for (struct line *line = lines; line != NULL; line = line->next)
		line_flush(line);
	spin_unlock(&lines_lock);
}

/* The very last of exit(): whatever atexit() and destructors have printed. */
static __attribute__((destructor(101))) void flush_at_exit(void)
{
	stdio_end();
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
