/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of what nobody comes by for: the other hart of two is busy without end, and one sleeps with this P. */
#ifndef TESTS_BUSY_H
#define TESTS_BUSY_H

#include "sched/sched.h"
#include "test.h"

static _Atomic(bool) busy, busy_over, napping, awake;

static void be_busy(void *unused)
{
	busy = true;
	while (!busy_over)
		hart_relax();
}

static void nap(void *unused)
{
	napping = true;
	go_sleep(20 * MS);
	awake = true;
}

static void busy_begin(void)
{
	busy = busy_over = napping = awake = false;
	go(be_busy, NULL);
	WAIT_FOR(busy);
	go(nap, NULL);
	while (!napping || ms_parked() != 0)
		go_yield();
}

static void busy_end(void)
{
	busy_over = true;
	WAIT_FOR(go_count() == 1);
}

#endif
