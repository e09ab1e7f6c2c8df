/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monotonic clock: the CPU's time-stamp counter, scaled, because the scheduler looks at the clock at each
 * switch, and clock_gettime() would double what a switch costs.
 *
 * Its rate is measured at the start, against CLOCK_MONOTONIC over 2 ms: it is right within some tens of
 * millionths, so a deadline an hour away may be 0.1 s off. The counter is used where the Linux kernel itself
 * trusts it; elsewhere ticks are CLOCK_MONOTONIC's nanoseconds. (A guest whose kernel stays with kvm-clock
 * does not: there the counter's rate may change when the guest moves.)
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "hosted.h"

#define MEASURED_NS 2000000
#define TRIES 20

bool hart_clock_is_tsc;
static uint64_t ns_per_tick = UINT64_C(1) << 32; /* << 32 */

UNSANITIZED uint64_t hart_ticks_slow(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static bool kernel_trusts_tsc(void)
{
	char name[32] = "";
	FILE *file = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "r");
	if (file == NULL)
		return false;
	bool trusted = fgets(name, sizeof(name), file) != NULL && strcmp(name, "tsc\n") == 0;
	fclose(file);
	return trusted;
}

/* Both clocks at one instant: the closest of some tries. */
static void read_both(uint64_t *ticks, uint64_t *ns)
{
	uint64_t closest = UINT64_MAX;

	for (int i = 0; i < TRIES; i++) {
		uint64_t before = hart_ticks(), between = hart_ticks_slow(), apart = hart_ticks() - before;
		if (apart < closest) {
			closest = apart;
			*ticks = before + apart / 2;
			*ns = between;
		}
	}
}

void clock_init(void)
{
	uint64_t ticks, ns, ticks_then, ns_then;

	hart_clock_is_tsc = kernel_trusts_tsc();
	if (!hart_clock_is_tsc)
		return;
	read_both(&ticks_then, &ns_then);
	while (hart_ticks_slow() < ns_then + MEASURED_NS)
		;
	read_both(&ticks, &ns);
	ns_per_tick = ((ns - ns_then) << 32) / (ticks - ticks_then);
}

UNSANITIZED int64_t hart_ticks_to_ns(uint64_t ticks)
{
	return (int64_t)((unsigned __int128)ticks * ns_per_tick >> 32);
}

uint64_t hart_ns_to_ticks(int64_t ns)
{
	if (ns <= 0)
		return 0;
	/* Up, so that a tick that is reached is a deadline that has passed. */
	unsigned __int128 ticks = ((unsigned __int128)(uint64_t)ns << 32) / ns_per_tick + 1;
	return ns >= HART_NEVER || ticks > INT64_MAX ? INT64_MAX : (uint64_t)ticks;
}

UNSANITIZED int64_t hart_now(void)
{
	/* The counter may be read ahead of loads before it: of what another hart wrote after it
	   had read its own. */
	__asm__ volatile("lfence" ::: "memory");
	return hart_ticks_to_ns(hart_ticks());
}
