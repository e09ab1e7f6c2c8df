/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * There are no files: what picolibc's fopen, remove and so on ask a system for says so at run time. Of the
 * three descriptors that a program finds open, 0 is at its end and 1 and 2 are the console.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/lines.h"

#define WHOLE_MAX 4096 /* PIPE_BUF; more would keep the console from others for long */

static int fail(int error)
{
	errno = error;
	return -1;
}

int open(const char *path, int flags, ...)
{
	(void)path;
	return fail(flags & O_CREAT ? EROFS : ENOENT);
}

ssize_t read(int fd, void *buffer, size_t size)
{
	(void)buffer, (void)size;
	return fd == 0 ? 0 : fail(EBADF);
}

/* Not mixed with what others print, no more than in a pipe, and after what this goroutine has printed. */
ssize_t write(int fd, const void *buffer, size_t size)
{
	if (fd != 1 && fd != 2)
		return fail(EBADF);
	lines_flush();
	for (size_t done = 0; done < size; done += WHOLE_MAX)
		lines_write((const char *)buffer + done, size - done < WHOLE_MAX ? size - done : WHOLE_MAX);
	return (ssize_t)size;
}

int close(int fd)
{
	return fd >= 0 && fd <= 2 ? 0 : fail(EBADF);
}

off_t lseek(int fd, off_t offset, int whence)
{
	(void)offset, (void)whence;
	return fail(fd >= 0 && fd <= 2 ? ESPIPE : EBADF);
}

int isatty(int fd)
{
	fail(fd >= 0 && fd <= 2 ? ENOTTY : EBADF);
	return 0;
}

int unlink(const char *path)
{
	(void)path;
	return fail(ENOENT);
}

int rename(const char *from, const char *to)
{
	(void)from, (void)to;
	return fail(ENOENT);
}

int access(const char *path, int mode)
{
	(void)path, (void)mode;
	return fail(ENOENT);
}

int stat(const char *restrict path, struct stat *restrict status)
{
	(void)path, (void)status;
	return fail(ENOENT);
}
