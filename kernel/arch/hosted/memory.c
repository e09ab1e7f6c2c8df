/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine's RAM can be a file on the host, and is there after the machine has ended: qemu/run --trace reads
 * the scheduler's trace from it. A process writes its memory into the file that GUMP_MEMORY names, when it
 * ends, in whichever way: its data and its constants, but not the goroutines' stacks.
 *
 * The file: eight bytes that say what it is, then for each stretch of memory its address, its size, and
 * its bytes; qemu/gumptrace.py knows. It may be a fault that ends the program, so nothing here takes a
 * lock or needs the heap.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "hosted.h"

#define LINE_MAX_ 256 /* of /proc/self/maps; a longer one has a file's name at its end */

struct reader {
	long fd;
	size_t at, end;
	char bytes[4096];
};

/* The next line, cut to what there is room for. False: there is none. */
static bool next_line(struct reader *reader, char line[LINE_MAX_])
{
	for (size_t length = 0;;) {
		if (reader->at == reader->end) {
			long n = SYS(SYS_read, reader->fd, reader->bytes, sizeof(reader->bytes), 0, 0, 0);
			if (n <= 0)
				return false;
			reader->at = 0;
			reader->end = (size_t)n;
		}
		char c = reader->bytes[reader->at++];
		if (c == '\n') {
			line[length] = '\0';
			return true;
		}
		if (length < LINE_MAX_ - 1)
			line[length++] = c;
	}
}

/* At the place `to` of the file, whose end is there then: what cannot be read is left out. */
static size_t save(long fd, size_t to, const void *bytes, size_t size)
{
	for (size_t done = 0; done < size;) {
		long n = SYS(SYS_pwrite64, fd, (const char *)bytes + done, size - done, to + done, 0, 0);
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return to + size;
}

void memory_save(void)
{
	const char *path = getenv("GUMP_MEMORY");
	struct reader maps = { .at = 0 };
	char line[LINE_MAX_], *at;

	if (path == NULL || FIBERS) /* a sanitizer has terabytes of its own */
		return;
	if (is_child()) /* it is its parent's file */
		return;
	long fd = SYS(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0600, 0, 0);
	maps.fd = SYS(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY, 0, 0, 0);
	if (fd < 0 || maps.fd < 0)
		return;
	hart_lock_raise();
	hart_stop_others(); /* what they would write meanwhile would not fit what is written already */
	size_t end = save(fd, 0, "gumpmem", 8);
	while (next_line(&maps, line)) { /* 00400000-0041c000 rw-p ... */
		uintptr_t start = strtoull(line, &at, 16);
		size_t size = strtoull(at + 1, &at, 16) - start;
		if (at[1] != 'r' || at[3] == 'x' || at[4] != 'p' || stack_row(start))
			continue;
		uint64_t head[] = { start, size };
		end = save(fd, end, head, sizeof(head));
		end = save(fd, end, (const void *)start, size);
	}
}

/* exit() of the C library's ends the process by itself, and not by arch_poweroff(). */
static __attribute__((destructor(101))) void save_at_exit(void)
{
	memory_save();
}
