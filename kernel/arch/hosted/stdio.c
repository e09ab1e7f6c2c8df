/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The C library's stdout, over the goroutines' lines (kernel/lines.h), as on the machines.
 *
 * It is a stream without a buffer, which calls put() with what one printf() makes, and with the stream's lock
 * held: so nothing here is preempted or parks, nor in lines_put(). stderr is the library's own.
 */
#include <stdio.h>
#include <sys/syscall.h>

#include "hosted.h"
#include "kernel/console.h"
#include "kernel/lines.h"

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

CALLED_BY_LIBC void lines_write(const char *text, size_t size)
{
	write_all(1, text, size);
}

CALLED_BY_LIBC static ssize_t put(void *cookie, const char *text, size_t size)
{
	(void)cookie;
	lines_put(text, size);
	return (ssize_t)size;
}

extern int _IO_fflush(FILE *file); /* the library's, by its other name */

/* The library cannot ask a stream of this kind to give on what put() has got. */
int fflush(FILE *file)
{
	int status = _IO_fflush(file);
	if (file == NULL || file == stdout)
		lines_flush();
	return status;
}

/* The very last of exit(): whatever atexit() and destructors have printed. */
static __attribute__((destructor(101))) void flush_at_exit(void)
{
	lines_end();
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
