/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that goroutines can spare. Nothing is given back yet.
 */
#include "sched/sched.h"

bool sched_reclaim(void)
{
	return false;
}
