/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * POSIX's sleeps, which picolibc declares: only the goroutine sleeps, and nothing interrupts it.
 *
 * Hidden, since on a host there are shared libraries whose threads are no harts, a sanitizer's among them:
 * what they call is the host's. Weak, since to C the names are a program's to use.
 */
#include <errno.h>
#include <gump.h>
#include <time.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)

#define OURS __attribute__((visibility("hidden"), weak))

OURS int nanosleep(const struct timespec *time, struct timespec *rest)
{
	int64_t ns;

	if (time->tv_sec < 0 || time->tv_nsec < 0 || time->tv_nsec >= SECOND) {
		errno = EINVAL;
		return -1;
	}
	if (__builtin_mul_overflow(time->tv_sec, SECOND, &ns) ||
	    __builtin_add_overflow(ns, time->tv_nsec, &ns))
		ns = GO_FOREVER;
	go_sleep(ns);
	if (rest != NULL)
		*rest = (struct timespec){ 0 };
	return 0;
}

OURS int usleep(useconds_t us)
{
	go_sleep((int64_t)us * 1000);
	return 0;
}

OURS unsigned sleep(unsigned seconds)
{
	go_sleep(seconds * SECOND);
	return 0;
}
