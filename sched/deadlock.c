/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The deadlock report, and how goroutines are named in reports.
 *
 * When the last M parks, and no queue holds a G, no timer is set and nobody waits for the network, nothing
 * can ever happen again. sched.lock is held for the look: an M announces under it that it parks.
 */
#include <stdio.h>

#include "sched/sched.h"

static const char *const reasons[] = {
	[WAIT_NONE] = "waiting",
	[WAIT_CHAN_SEND] = "chan send",
	[WAIT_CHAN_RECEIVE] = "chan receive",
	[WAIT_CHAN_NULL] = "chan (nil channel)",
	[WAIT_SELECT] = "select",
	[WAIT_SELECT_NO_CASES] = "select (no cases)",
	[WAIT_SLEEP] = "sleep",
	[WAIT_IO] = "IO wait",
	[WAIT_MUTEX] = "mutex lock",
	[WAIT_RWMUTEX_READ] = "rwmutex rlock",
	[WAIT_RWMUTEX_WRITE] = "rwmutex lock",
	[WAIT_COND] = "cond wait",
	[WAIT_WAITGROUP] = "waitgroup wait",
	[WAIT_SEMAPHORE] = "semaphore acquire",
};

const char *wait_reason_name(uint32_t reason)
{
	return reason < sizeof(reasons) / sizeof(reasons[0]) ? reasons[reason] : "?";
}

static long long since_ms(int64_t ticks)
{
	return (long long)(hart_ticks_to_ns((uint64_t)(now_ticks() - ticks)) / 1000000);
}

/* The processor's time that g has had, in us. */
static long long ran_us(const struct g *g, uint32_t status)
{
	int64_t ticks = g->run_ticks + (status == G_RUNNING ? now_ticks() : 0);
	/* it may just have stopped */
	return ticks > 0 ? (long long)(hart_ticks_to_ns((uint64_t)ticks) / 1000) : 0;
}

/* One line in one call: other harts may be printing, too. */
void g_describe(const char *before, const struct g *g)
{
	static const char *const names[] = {
		[G_IDLE] = "dead", [G_RUNNABLE] = "runnable", [G_RUNNING] = "running",
		[G_WAITING] = "waiting", [G_DEAD] = "dead", [G_PREEMPTED] = "preempted",
		[G_BLOCKING] = "blocking section",
	};
	size_t offset;
	uint32_t status = load_relaxed(&g->status);
	char doing[80];

	if (status == G_WAITING)
		snprintf(doing, sizeof(doing), "%s, %lld ms", wait_reason_name(g->wait_reason),
			 since_ms(g->wait_since));
	else
		snprintf(doing, sizeof(doing), "%s", names[status]);
	hart_print("%sgoroutine %u [%s] %s%screated by %s, ran %lld us, stack %zu KiB\n", before,
		   (unsigned)g->number, doing,
		   g->name != NULL ? g->name : "", g->name != NULL ? ", " : "",
		   hart_symbol(g->created_by, &offset),
		   ran_us(g, status), hart_stack_depth(&g->stack) >> 10);
}

struct hart_stack sched_stack_of_current(void)
{
	const struct g *g = g_self();

	return g != NULL ? g->stack : (struct hart_stack){ 0 };
}

void overflow_report(const struct g *g, uintptr_t sp)
{
	hart_stop_others();
	hart_print("fatal: stack overflow\n");
	g_describe("", g);
	hart_print("stack: %zu KiB deep, limit %zu KiB; others' stacks may have been written to\n",
		   (g->stack.top - sp) >> 10, g->stack.size >> 10);
	hart_backtrace_here();
	hart_poweroff(2);
}

void sched_describe_current(void)
{
	struct g *g = g_self();

	if (g != NULL) {
		g_describe("", g);
		if (load_relaxed(&g->status) == G_BLOCKING)
			hart_print("(Between go_block_enter and go_block_leave it may not call what needs "
				   "the scheduler.)\n");
	} else {
		hart_print("on the scheduler's stack, no goroutine\n");
	}
}

static bool anything_can_happen(void)
{
	uint32_t parked = (uint32_t)__builtin_popcount(ms_parked());

	if (parked < hart_count() || sched.stopping || sched.runq.size != 0 ||
	    sched.netpoll_waiters != 0)
		return true;
	for (uint32_t i = 0; i < sched.procs; i++)
		if (!runq_empty(p_get(i)) || timers_pending(p_get(i)))
			return true;
	return false;
}

void check_dead(void)
{
	if (anything_can_happen())
		return;
	hart_stop_others();
	if (sched.unbound.head != NULL)
		unbound_report();
	if (go_count() == 0)
		hart_print("fatal: no goroutines (main called go_exit) - deadlock!\n");
	else
		hart_print("fatal: all goroutines are asleep - deadlock!\n");
	for (struct g *g = sched.all_gs; g != NULL; g = g->all_next) {
		if (g->status != G_WAITING)
			continue;
		g_describe("", g);
		hart_backtrace_saved(g->sp);
	}
	hart_poweroff(2);
}
