/* SPDX-License-Identifier: BSD-2-Clause */
/* What picolibc asks of the system underneath: errno, locks, the clock, the end. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/lock.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>
#include <unistd.h>

#include "kernel/hart.h"
#include "kernel/lines.h"

int *go_errno(void);

/* picolibc is built to reach errno through this. Before the first goroutine there is one for all. */
int *go_errno(void)
{
	static int boot_error;
	struct hart_goroutine *g = hart_g();
	return g != NULL ? &g->error : &boot_error;
}

void _exit(int status)
{
	lines_end();
	hart_poweroff(status);
}

/* The library's own ends with a signal that nobody could tell from another; a report is better. */
void abort(void)
{
	fflush(stdout);
	hart_fatal("abort() was called");
}

/*
 * The library's locks guard a few instructions each (atexit's list, the environment), so they are
 * spin locks that nest. The holder is not preempted.
 */
struct __lock {
	struct spinlock spin;
	uint32_t depth; /* by the holder */
};

struct __lock __lock___libc_recursive_mutex;

static void lock_nested(struct __lock *lock)
{
	hart_lock();
	lockrank_set(&lock->spin, LOCK_LIBC);
	if (!spin_held_here(&lock->spin))
		spin_lock(&lock->spin);
	lock->depth++;
}

static void unlock_nested(struct __lock *lock)
{
	if (--lock->depth == 0)
		spin_unlock(&lock->spin);
	hart_unlock();
}

void __retarget_lock_init(_LOCK_T *lock)
{
	*lock = calloc(1, sizeof(struct __lock));
}

void __retarget_lock_init_recursive(_LOCK_T *lock)
{
	__retarget_lock_init(lock);
}

void __retarget_lock_close(_LOCK_T lock)
{
	free(lock);
}

void __retarget_lock_close_recursive(_LOCK_T lock)
{
	free(lock);
}

void __retarget_lock_acquire(_LOCK_T lock)
{
	lock_nested(lock);
}

void __retarget_lock_acquire_recursive(_LOCK_T lock)
{
	lock_nested(lock);
}

void __retarget_lock_release(_LOCK_T lock)
{
	unlock_nested(lock);
}

void __retarget_lock_release_recursive(_LOCK_T lock)
{
	unlock_nested(lock);
}

/* The clocks count from boot: no machine here has told the date yet. */
int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	(void)zone;
	int64_t ns = hart_now();
	now->tv_sec = ns / 1000000000;
	now->tv_usec = (suseconds_t)(ns % 1000000000 / 1000);
	return 0;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	(void)clock;
	int64_t ns = hart_now();
	now->tv_sec = ns / 1000000000;
	now->tv_nsec = (long)(ns % 1000000000);
	return 0;
}

int clock_getres(clockid_t clock, struct timespec *resolution)
{
	(void)clock;
	long tick = (long)hart_ticks_to_ns(1);
	if (resolution != NULL)
		*resolution = (struct timespec){ .tv_nsec = tick != 0 ? tick : 1 };
	return 0;
}

int timespec_get(struct timespec *now, int base)
{
	if (base != TIME_UTC)
		return 0;
	clock_gettime(CLOCK_REALTIME, now);
	return base;
}

/* Time since boot; picolibc's asks times(), whose name is a program's to use. */
clock_t clock(void)
{
	return (clock_t)(hart_now() / (1000000000 / CLOCKS_PER_SEC));
}

__attribute__((weak)) clock_t times(struct tms *buffer)
{
	if (buffer != NULL)
		*buffer = (struct tms){ .tms_utime = clock() };
	return clock();
}
