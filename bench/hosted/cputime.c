/* SPDX-License-Identifier: BSD-2-Clause */
/* In place of bench/idle.c, for a process: what the host's kernel has counted, as in the Go twin. */
#include <sys/resource.h>

#include "../bench.h"

static int64_t ns_of(struct timeval time)
{
	return (int64_t)time.tv_sec * 1000 * MS + (int64_t)time.tv_usec * US;
}

int64_t cpu_time(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return ns_of(usage.ru_utime) + ns_of(usage.ru_stime);
}
