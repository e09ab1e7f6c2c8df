/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The C library's stdout, over the goroutines' lines (kernel/lines.h), as on the machines.
 *
 * It is a stream without a buffer, which calls put() with what one printf() makes, and with the stream's lock
 * held: so nothing here is preempted or parks, nor in lines_put(). stderr is the library's own.
 *
 * Who prints in a loop is in the library, or in the kernel for it, for all but a thousandth of the time, and
 * would be preempted outside, by chance (signals.c). So what prints has a front here, which waits for the
 * stream, and is preempted when the library has returned.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "hosted.h"
#include "kernel/console.h"
#include "kernel/lines.h"

static _Atomic(bool) lost; /* some of stdout was, since fflush() last told of it */

/* False: the rest is lost. Whoever shares the descriptor may have made it one that does not block. */
CALLED_BY_LIBC static bool write_all(int fd, const char *text, size_t size)
{
	struct pollfd room = { .fd = fd, .events = POLLOUT };

	while (size > 0) {
		long n = SYS(SYS_write, fd, text, size, 0, 0, 0);
		if (n == -EAGAIN)
			SYS(SYS_poll, &room, 1, -1, 0, 0, 0);
		else if (n <= 0 && n != -EINTR)
			return false;
		if (n <= 0)
			continue;
		text += n;
		size -= (size_t)n;
	}
	return true;
}

CALLED_BY_LIBC void lines_write(const char *text, size_t size)
{
	if (!write_all(1, text, size))
		lost = true;
}

CALLED_BY_LIBC static ssize_t put(void *cookie, const char *text, size_t size)
{
	(void)cookie;
	if (thread_is_hart)
		lines_put(text, size);
	else
		lines_write(text, size);
	return (ssize_t)size;
}

extern int _IO_fflush(FILE *file); /* the library's, by its other name */

/* The library cannot ask a stream of this kind to give on what put() has got. */
int fflush(FILE *file)
{
	int status = _IO_fflush(file);
	if (file != NULL && file != stdout)
		return status;
	if (thread_is_hart)
		lines_flush();
	if (!atomic_exchange(&lost, false))
		return status;
	errno = EIO;
	return EOF;
}

/* The library's, by their other names. */
extern int _IO_vfprintf(FILE *file, const char *format, va_list args);
extern int _IO_puts(const char *text);
extern int _IO_fputs(const char *text, FILE *file);
extern int _IO_putc(int c, FILE *file);
extern size_t _IO_fwrite(const void *data, size_t size, size_t count, FILE *file);

/*
 * Who waits for the stream may be preempted, which the library's own wait is not: the hart has other
 * goroutines, and timers. Who has it is not, since the stream is the thread's. A thread that is no hart has a
 * hart's %gs from its creator, and must not touch that.
 */
static void enter(FILE *file)
{
	if (!thread_is_hart)
		flockfile(file);
	while (thread_is_hart) {
		hart_lock();
		if (ftrylockfile(file) == 0)
			return;
		hart_unlock();
		SYS(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
	}
}

/* A signal that came meanwhile has asked for a preemption: it is here. */
static void leave(FILE *file)
{
	funlockfile(file);
	if (thread_is_hart)
		hart_unlock();
}

int vfprintf(FILE *file, const char *format, va_list args)
{
	enter(file);
	int n = _IO_vfprintf(file, format, args);
	leave(file);
	return n;
}

int vprintf(const char *format, va_list args)
{
	return vfprintf(stdout, format, args);
}

int fprintf(FILE *file, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int n = vfprintf(file, format, args);
	va_end(args);
	return n;
}

int printf(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int n = vfprintf(stdout, format, args);
	va_end(args);
	return n;
}

int puts(const char *text)
{
	FILE *file = stdout;

	enter(file);
	int status = _IO_puts(text);
	leave(file);
	return status;
}

int fputs(const char *text, FILE *file)
{
	enter(file);
	int status = _IO_fputs(text, file);
	leave(file);
	return status;
}

int fputc(int c, FILE *file)
{
	enter(file);
	int status = _IO_putc(c, file);
	leave(file);
	return status;
}

int putc(int c, FILE *file)
{
	return fputc(c, file);
}

int putchar(int c)
{
	return fputc(c, stdout);
}

size_t fwrite(const void *data, size_t size, size_t count, FILE *file)
{
	enter(file);
	size_t n = _IO_fwrite(data, size, count, file);
	leave(file);
	return n;
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
