/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * go_lock_hart(): a G that runs on one M only, and that M runs nothing else.
 *
 * When the G parks, its M gives the P away and sleeps (park_locked() in schedule.c); whoever finds the G
 * runnable gives a P to that M (start_locked()).
 */
#include "sched/sched.h"

void hart_lock_count(int change)
{
	atomic_fetch_add_explicit(&sched.locked_ms, (uint32_t)change, memory_order_relaxed);
}

void go_lock_hart(void)
{
	hart_lock();
	struct m *m = m_self();
	struct g *g = g_self();
	if (g->lock_count++ == 0) {
		g->locked_m = m;
		m->locked_g = g;
		hart_lock_count(1);
	}
	hart_unlock();
}

void go_unlock_hart(void)
{
	hart_lock();
	struct g *g = g_self();
	bool locked = g->lock_count != 0;
	if (locked && --g->lock_count == 0) {
		g->locked_m = NULL;
		m_self()->locked_g = NULL;
		hart_lock_count(-1);
	}
	hart_unlock();
	if (!locked)
		go_panic("go_unlock_hart: the goroutine is not locked to a hart");
}
