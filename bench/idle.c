/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The time that harts do not idle. No function of gump.h tells it; bench/run links with
 * -Wl,--wrap=hart_idle, which brings the scheduler's calls here. Without it (qemu/run bench)
 * the time is not known.
 */
#include "bench.h"

enum { HARTS = 16 };

void __real_hart_idle(void) __attribute__((weak));
void __wrap_hart_idle(void);

static _Atomic(int64_t) idle;            /* periods that have ended */
static _Atomic(int64_t) since[HARTS];    /* when the one under way began; 0: none */

/* On a g0 stack: calls nothing of the scheduler but the clock. */
void __wrap_hart_idle(void)
{
	int hart = go_hart();
	int64_t start = go_now();
	atomic_store(&since[hart], start);
	__real_hart_idle();
	atomic_fetch_add(&idle, go_now() - start);
	atomic_store(&since[hart], 0);
}

int64_t cpu_time(void)
{
	if (__real_hart_idle == NULL)
		return -1;
	int64_t now = go_now();
	int64_t time = now * go_harts() - atomic_load(&idle);
	for (int hart = 0; hart < go_harts(); hart++) {
		int64_t start = atomic_load(&since[hart]);
		time -= start != 0 ? now - start : 0;
	}
	return time;
}
