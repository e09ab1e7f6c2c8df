/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a G: created, parked, made ready, preempted, ended.
 *
 * A G leaves its stack by hart_mcall(), which runs the rest of the transition on g0, where nothing
 * depends on the G any more; so it may be published there, and another M may resume it at once.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "sched/panic.h"
#include "sched/sched.h"
#include "sched/trace.h"

#define relaxed memory_order_relaxed

static noreturn void __attribute__((noinline, cold)) wrong_status(struct g *g, uint32_t status)
{
	if (status != G_BLOCKING)
		hart_fatal("goroutine %u is in another state than thought: %u", (unsigned)g->number,
			   (unsigned)status);
	/* Its context is saved already. */
	hart_stop_others();
	hart_print("fatal: a call that may wait, in a blocking section\n");
	g_describe(g);
	hart_backtrace_saved(g->sp);
	hart_poweroff(2);
}

static inline void set_status(struct g *g, enum g_status from, enum g_status to)
{
	uint32_t status = atomic_load_explicit(&g->status, relaxed);
	if (__builtin_expect(status != from, 0))
		wrong_status(g, status);
	g_change(g, from, to);
}

/* The running G stops: on g0, first thing. */
static inline struct m *g_stop(struct g *g)
{
	struct m *m = m_self();

	m->now = now_ticks();
	g->run_ticks += m->now - m->run_since;
	g->m = NULL;
	m->hart.g = NULL;
	return m;
}

/* ---- Creation and end ---- */

/* The first code of every G, on its stack, locks == 1. */
static void g_entry(void)
{
	struct g *g = g_self();

	hart_unlock();
	g->fn(g->arg);
	go_exit();
}

static struct g *g_alloc(void)
{
	if (!timers_reserve(m_self()->p))
		return NULL;
	struct g *g = calloc(1, sizeof(*g));
	if (g == NULL)
		return NULL;
	g->number = atomic_fetch_add_explicit(&sched.g_numbers, 1, relaxed) + 1;
	g_change(g, G_IDLE, G_DEAD);
	struct g *head = atomic_load_explicit(&sched.all_gs, relaxed);
	do
		g->all_next = head;
	/* Release: a reader of the list finds the G filled in. */
	while (!atomic_compare_exchange_weak_explicit(&sched.all_gs, &head, g, memory_order_release,
						      relaxed));
	return g;
}

struct g *g_new(void (*fn)(void *), void *arg, size_t stack_max, uintptr_t created_by)
{
	struct p *p = m_self()->p;
	struct g *g = gfree_get(p);
	if (g == NULL)
		g = g_alloc();
	if (g == NULL)
		return NULL;
	if (stack_max > HART_STACK_DEFAULT && g->stack.size != 0) {
		hart_stack_free(&g->stack);
		g->stack.size = 0;
	}
	if (g->stack.size == 0 && hart_stack_alloc(&g->stack, stack_max) != 0) {
		gfree_put(p, g);
		g = stack_max <= HART_STACK_DEFAULT ? gfree_get_with_stack(p) : NULL;
		if (g == NULL)
			return NULL;
	}
	g->fn = fn;
	g->arg = arg;
	g->name = NULL;
	g->created_by = created_by;
	g->run_ticks = 0;
	g->kernel.error = 0;
	g->sp = hart_context_new(g->stack.top, g_entry);
	set_status(g, G_DEAD, G_RUNNABLE);
	atomic_fetch_add_explicit(&sched.g_count, 1, relaxed);
	return g;
}

static int go_from(void (*fn)(void *), void *arg, const struct go_attr *attr, uintptr_t created_by)
{
	size_t stack_max = attr != NULL ? attr->stack_max : 0;
	if (stack_max > HART_STACK_MAX) {
		errno = EINVAL;
		return -1;
	}
	hart_lock();
	struct g *g = g_new(fn, arg, stack_max, created_by);
	if (g != NULL) {
		g->name = attr != NULL ? attr->name : NULL;
		trace(TRACE_CREATE, g, (uintptr_t)fn, (uintptr_t)g->name);
		runq_put_next(m_self()->p, g);
		wake_p();
	}
	hart_unlock();
	if (g == NULL) {
		errno = ENOMEM;
		return -1;
	}
	return 0;
}

int go_try(void (*fn)(void *), void *arg, const struct go_attr *attr)
{
	return go_from(fn, arg, attr, (uintptr_t)__builtin_return_address(0));
}

void go(void (*fn)(void *), void *arg)
{
	if (go_from(fn, arg, NULL, (uintptr_t)__builtin_return_address(0)) != 0)
		go_panic("go: out of memory");
}

void go_from_timer(void (*fn)(void *), void *arg)
{
	if (go_from(fn, arg, NULL, (uintptr_t)fn) != 0)
		hart_fatal("go_timer_call: out of memory for a goroutine");
}

static void exit_on_g0(void *arg)
{
	struct g *g = arg;
	struct m *m = g_stop(g);

	trace(TRACE_END, g, 0, 0);
	set_status(g, G_RUNNING, G_DEAD);
	if (g->lock_count != 0) {
		g->lock_count = 0;
		locked_remove(m, g);
	}
	if (g->stack.size != HART_STACK_DEFAULT) {
		hart_stack_free(&g->stack);
		g->stack.size = 0;
	}
	gfree_put(m->p, g);
	atomic_fetch_sub_explicit(&sched.g_count, 1, relaxed);
	schedule();
}

void go_exit(void)
{
	struct g *g = g_self();

	g->exiting = true;
	block_leave_to(g, 0);
	panic_run_deferred(g, NULL);
	hart_goroutine_end();
	panic_g_end(g);
	hart_lock();
	hart_mcall(&g->sp, exit_on_g0, g);
	__builtin_unreachable();
}

/* ---- Parking and waking ---- */

struct parking {
	struct g *g;
	bool (*commit)(struct g *g, void *arg);
	void *arg;
};

static void park_on_g0(void *arg)
{
	/* Lies on the G's stack: read before commit() publishes the G. */
	struct parking parking = *(struct parking *)arg;
	struct g *g = parking.g;
	struct m *m = g_stop(g);

	g->wait_since = m->now;
	trace(TRACE_BLOCK, g, g->wait_reason, 0);
	set_status(g, G_RUNNING, G_WAITING);
	fuzz_wait(FUZZ_PARK);
	if (!parking.commit(g, parking.arg)) {
		trace_unblock(g, 0);
		set_status(g, G_WAITING, G_RUNNABLE);
		runq_put_next(m->p, g);
	}
	fuzz_wait(FUZZ_PARKED);
	schedule();
}

void park(bool (*commit)(struct g *g, void *arg), void *arg, enum wait_reason reason)
{
	struct parking parking = { g_self(), commit, arg };

	assert(hart_self()->locks == 1 && "park: more than one lock is held");
	parking.g->wait_reason = reason;
	hart_mcall(&parking.g->sp, park_on_g0, &parking);
	hart_unlock();
}

static void park_unlock_on_g0(void *lock)
{
	struct g *g = hart_g();
	struct m *m = g_stop(g);

	g->wait_since = m->now;
	trace(TRACE_BLOCK, g, g->wait_reason, (uintptr_t)lock);
	set_status(g, G_RUNNING, G_WAITING);
	fuzz_wait(FUZZ_PARK);
	spin_release(lock);
	fuzz_wait(FUZZ_PARKED);
	schedule();
}

void park_unlock(struct spinlock *lock, enum wait_reason reason)
{
	struct g *g = g_self();

	assert(hart_self()->locks == 1 && "park: more than one lock is held");
	g->wait_reason = reason;
	hart_mcall(&g->sp, park_unlock_on_g0, lock);
	hart_unlock();
}

/*
 * An M that is about to sleep looks at the queues one after the other: it may miss this G, and the next
 * one, which this M takes from its own queue meanwhile. So this is a submission like any other.
 */
static void to_global_queue(struct g *g)
{
	spin_acquire(&sched.lock);
	globrunq_put_one(g);
	spin_release(&sched.lock);
	wake_p();
}

void ready_taken(struct g *g)
{
	fuzz_wait(FUZZ_READY);
	set_status(g, G_WAITING, G_RUNNABLE);
	if (fuzz_migrate()) {
		to_global_queue(g);
		return;
	}
	runq_put_next(m_self()->p, g);
	wake_p();
}

void ready(struct g *g)
{
	trace_unblock(g, 0);
	ready_taken(g);
}

/* A batch from the network or timers, oldest first: into the ring, and one M is woken, which wakes the next. */
void ready_list(struct glist *list)
{
	struct p *p = m_self()->p;

	if (list->head == NULL)
		return;
	for (struct g *g; (g = glist_pop(list)) != NULL;) {
		trace_unblock(g, 0);
		set_status(g, G_WAITING, G_RUNNABLE);
		if (fuzz_migrate())
			to_global_queue(g);
		else
			runq_put(p, g);
	}
	wake_p();
}

/* ---- Yielding ---- */

static void yield_on_g0(void *arg)
{
	struct m *m = g_stop(arg);
	struct g *next = NULL;

	trace(TRACE_YIELD, arg, 0, 0);
	set_status(arg, G_RUNNING, G_RUNNABLE);
	spin_acquire(&sched.lock);
	/* The one lock serves both ways: this P is going to look there next. */
	if (runq_none(m->p))
		next = globrunq_get(m->p, 0);
	globrunq_put_one(arg);
	spin_release(&sched.lock);
	wake_p();
	if (next != NULL)
		runq_put_next(m->p, next);
	m->p->slice_end = 0;
	schedule();
}

/* Is there anything for this P to do but the G that runs? */
static bool alone(struct p *p)
{
	return runq_none(p) && atomic_load_explicit(&sched.runq_size, relaxed) == 0 &&
	       !atomic_load_explicit(&sched.netpoll_ready, relaxed) &&
	       !atomic_load_explicit(&sched.stopping, relaxed) && !timers_due(p, now_ticks());
}

void go_yield(void)
{
	struct g *g = g_self();

	hart_lock();
	if (!alone(m_self()->p))
		hart_mcall(&g->sp, yield_on_g0, g);
	hart_unlock();
}

static void yield_local_on_g0(void *arg)
{
	struct m *m = g_stop(arg);

	trace(TRACE_YIELD, arg, 0, 0);
	set_status(arg, G_RUNNING, G_RUNNABLE);
	runq_put(m->p, arg);
	schedule();
}

void yield_local(void)
{
	struct g *g = g_self();

	hart_lock();
	hart_mcall(&g->sp, yield_local_on_g0, g);
	hart_unlock();
}

static void preempt_on_g0(void *arg)
{
	struct m *m = g_stop(arg);

	trace(TRACE_PREEMPT, arg, sched.stopping, 0);
	set_status(arg, G_RUNNING, G_RUNNABLE);
	/* A stop of the world is not the G's fault: it goes on first, on its own P. */
	if (sched.stopping) {
		runq_put_next(m->p, arg);
	} else {
		to_global_queue(arg);
		m->p->slice_end = 0;
	}
	atomic_fetch_add_explicit(&m->p->preemptions, 1, relaxed);
	/* Others have not polled, or the G's slice would not have come to its end. */
	struct glist list = { 0 };
	if (netpoll(&list))
		ready_list(&list);
	schedule();
}

/* On a G's stack, locks == 0: its slice is over, or a stop of the world asks. */
void sched_preempt(void)
{
	struct g *g = g_self();

	hart_lock();
	if (m_self()->p == NULL) { /* in a blocking section: there is no P to give away */
		hart_self()->preempt = 0;
		hart_unlock();
		return;
	}
	hart_mcall(&g->sp, preempt_on_g0, g);
	hart_unlock();
}
