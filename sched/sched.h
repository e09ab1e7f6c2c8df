/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the scheduler's files offer each other, file by file. The data is in gmp.h.
 *
 * (L) at a function: sched.lock is held.
 *
 * For readers of Go's proc.go:
 *
 *     schedule, execute, findRunnable   schedule(), run(), find_runnable()
 *     runqput, runqget, runqgrab        runq_put(), runq_get(), runq_steal()
 *     wakep, startm, stopm              wake_p(), m_start(), m_park_until_p()
 *     resetspinning                     spinning_end()
 *     handoffp, acquirep, releasep      p_hand_off(), p_acquire(), p_release()
 *     startlockedm, stoplockedm         start_locked(), park_locked()
 *     gopark, goready, injectglist      park(), ready(), ready_list()
 *     newproc, gfget, gfput, goexit0    go(), gfree_get(), gfree_put(), exit_on_g0()
 *     Gosched, goyield, gopreempt_m     go_yield(), yield_local(), preempt_on_g0()
 *     entersyscall, exitsyscall         go_block_enter(), go_block_leave()
 *     retake                            sched_interrupt() for slices, p_from_section() for sections
 *     stopTheWorld, procresize          stop_the_world(), go_maxprocs()
 *     mcall, gogo                       hart_mcall(), hart_gogo(); Go has no hart_switch()
 */
#ifndef SCHED_SCHED_H
#define SCHED_SCHED_H

#include "sched/gmp.h"

#include "sched/checks.h"
#include "sched/fuzz.h"
#include "sched/states.h" /* changes of state */

/* ---- runq.c: queues ---- */

#include "sched/runq.h" /* put and get, by the P's holder */
/* By the P's holder: empties the list into the ring, and what has no room there into the global queue. */
void runq_put_list(struct p *p, struct glist *list);
/* By p's holder, whose ring is empty: half of victim's into it, but for the last, the answer. NULL: none. */
struct g *runq_steal(struct p *p, struct p *victim, bool take_runnext);
bool local_runq_empty(void);           /* of the calling hart's P */
bool runq_empty(struct p *p);          /* from anywhere; true only if it was at one instant */
uint32_t runq_length(const struct p *p); /* from anywhere; a hint */
void globrunq_put(struct glist *list); /* (L) appends and empties the list */
void globrunq_put_one(struct g *g);    /* (L) */
void runq_drain(struct p *p);          /* (L) the queue of p, which nobody runs, goes there */
/*
 * (L) By p's holder: a fair share, of at most `max` unless that is 0; all but one into p's ring, which has
 * room. It ends before one that only another M may run.
 */
struct g *globrunq_get(struct p *p, uint32_t max);

/* ---- schedule.c: finding work and running it. On g0 ---- */

noreturn void schedule(void);
/* m spins and is done looking: if it was the last that looked and there is more, another one starts to. */
void spinning_end(struct m *m);
uint32_t random_next(uint64_t *state);

/* ---- idle.c: parking and waking Ms ---- */

/* Between a store and a load that must not be carried out before it. */
static inline void fence_store_load(void)
{
	atomic_thread_fence(memory_order_seq_cst);
	fuzz_fence();
}

/* There is new work: wakes an idle M unless one spins. locks > 0. */
void wake_p_slow(void);
static inline bool wake_p_due(void) /* true: the caller has to call wake_p_slow() */
{
	fuzz_wait(FUZZ_PUBLISHED);
	/* Pairs with the fence in m_idle(), and wherever else an M parks: see the head of idle.c. */
	fence_store_load();
	if (fuzz_saw_no_idle_p())
		return false;
	return __builtin_expect(load_relaxed(&sched.idle_ps) != 0, 0);
}
static inline void wake_p(void)
{
	if (wake_p_due())
		wake_p_slow();
}
/*
 * m found nothing: it announces that, gives its P up, looks once more and sleeps. Has a P when it returns.
 * *tried_alone: it has looked for a stack as the last busy one, and is to do so once.
 */
void m_idle(struct m *m, bool *tried_alone);
void m_park_until_p(struct m *m);      /* in idle_ms: sleeps until it has a P */
bool work_somewhere(int64_t now);      /* for an M without a P to take one for */
void p_acquire(struct m *m, struct p *p); /* by m, which has none: p is in no set, and m's from here on */
/* (L) Gives p to an M in idle_ms and wakes it; false: there is none. `spinning`: it is counted already. */
bool m_start(struct p *p, bool spinning);
bool m_start_this(struct m *m, struct p *p, bool spinning); /* (L) the same; false: m is not there */
void p_hand_off(struct m *m);          /* (L) m->p goes to a parked M, or its queue to the global one */
void m_without_p(struct m *m, struct g *g); /* an M comes back without a P, with a G that wants one */
struct p *idle_p_take(unsigned prefer); /* (L) NULL: none is idle */
void idle_p_add(struct p *p);          /* (L), as the next two */
void idle_m_add(struct m *m);
void idle_m_remove(struct m *m);
bool no_other_runs(const struct p *p); /* each of them is idle, or left in a blocking section */

static inline uint32_t bit(uint32_t id) /* in the sets of idle Ps and Ms */
{
	return (uint32_t)1 << id;
}

static inline uint32_t all_ps(void)
{
	return UINT32_MAX >> (32 - procs_now());
}

/* Ms that wait for any P, or for their locked G. */
static inline uint32_t ms_parked(void)
{
	return load_relaxed(&sched.idle_ms) | load_relaxed(&sched.parked_locked);
}

/* Read from another hart, while that hart writes it. */
static inline bool in_critical_section(struct m *m)
{
	return *(volatile uint32_t *)&m->hart.locks != 0;
}

/* ---- hartlock.c: go_lock_hart()'s side of schedule() ---- */

/* Only another M than m may run g: hartlock.c. */
static inline bool runs_elsewhere(const struct g *g, const struct m *m)
{
	return g->locked_m != NULL && g->locked_m != m;
}
bool exclusive(struct m *m);           /* m may run nothing but its locked Gs */
struct g *take_locked(struct m *m);    /* a locked G of m's that another M found, or NULL */
void requeue_locked(struct m *m);      /* (L) m parks without a P: those go to be found again */
void locked_remove(struct m *m, struct g *g); /* g may run anywhere again */
void start_locked(struct m *m, struct g *g); /* m found a G that only another M may run */
/* g, which is locked, was made ready; false: to the calling M, in whose own queue it may wait. */
bool ready_locked(struct g *g);
void start_tied_ms(void);              /* (L) a P was left idle */
/*
 * Waits until whoever finds a locked G of m's has given m a P; false: m is in idle_ms, as it may run others
 * now.
 */
bool park_locked(struct m *m);

/* ---- gfree.c: dead Gs ---- */

static ALWAYS_INLINE void pool_push(struct g_pool *pool, struct g *g)
{
	g->schedlink = pool->first;
	pool->first = g;
	pool->count++;
}

/* These by p's holder; the flush also for an idle P (L), or in a stopped world. */
struct g *gfree_get(struct p *p);      /* one with a stack; NULL: none here and none in the global pool */
struct g *gfree_get_bare(struct p *p); /* one without; the same */
void gfree_put(struct p *p, struct g *g);
void gfree_flush(struct p *p);         /* all its dead Gs to the global pool */
/* The steps of a reclaim cycle. `most`: so many Gs at a time; true: there are more. */
void gfree_begin(void);                /* as it begins */
bool gfree_release(size_t most);       /* dead Gs of the global pool give their stacks back */
bool gfree_spare(size_t most);         /* those that no pool needs leave all_gs */
bool gfree_awaits_flush(void);         /* there are such: the cycle has to flush */
/* After the flush they go to the heap; without one, back to the pool. */
bool gfree_spare_end(bool flushed, size_t most);

/* ---- bind.c: a G's stack, when it first runs ---- */

/* It has no stack, or none any more. */
static inline void g_bare(struct g *g)
{
	g->stack = (struct hart_stack){ 0 };
	g->long_way = G_UNBOUND;
}

noreturn void g_entry(void);           /* proc.c: the first code of every G, on its stack, locks == 1 */
/*
 * g, which runs next, gets a stack; false: there is no memory for one, and g waits in sched.unbound. On g0.
 */
bool g_bind(struct p *p, struct g *g);
/* One that waited and has a stack now, or NULL. last_resort: there is nothing else to run. */
struct g *unbound_get(struct p *p, bool last_resort);
noreturn void unbound_report(void);    /* others stopped: no G can run, and there are such */

/* ---- reclaim.c, cycle.c: pages of waiting Gs' stacks. On g0 ---- */

void reclaim_init(void);               /* before the other harts start */
extern bool reclaim_packs_all;         /* GUMPDEBUG=pack */
extern size_t reclaim_asked;           /* stacks, by the last cycle, */
extern unsigned reclaim_parts;         /* and in how many parts. For tests */
void reclaim_if_due(struct m *m);
void reclaim_if_short(struct m *m);    /* a stack is about to be made */
void reclaim_in_section(void);         /* on the stack of a G without a P, which has grown. locks == 1 */
/* true if pages came free; not too often, but as a last resort */
bool reclaim_now(struct m *m, bool last_resort);
static inline bool reclaim_wanted(void)
{
	return load_relaxed(&sched.reclaim_wanted);
}
static inline void reclaim_at_times(struct m *m)
{
	if (__builtin_expect(reclaim_wanted() || m->now >= load_relaxed(&sched.reclaim_due), 0))
		reclaim_if_due(m);
}
/* Would the periodic cycle find anything? A machine that is all idle wakes up for it, if so. */
bool reclaim_pays(void);
static inline bool reclaim_is_due(int64_t now)
{
	return load_relaxed(&sched.reclaim_due) <= now && reclaim_pays();
}
void reclaim_heap_trim(struct m *m);
/* A cycle has ended: what this hart keeps of the heap goes back. At times, and before it sleeps. */
static inline void reclaim_heap_trim_if_asked(struct m *m)
{
	if (m->heap_trims != load_relaxed(&sched.heap_trims))
		reclaim_heap_trim(m);
}
void reclaim_pack(struct g *g);        /* GUMPDEBUG=pack */
static inline void reclaim_parked(struct g *g)
{
	if (__builtin_expect(reclaim_packs_all, 0))
		reclaim_pack(g);
}

/* ---- proc.c, park.c, yield.c: life of a G ---- */

/* The running G stops: on g0, first thing. */
static inline struct m *g_stop(struct g *g)
{
	struct m *m = m_self();

	m->now = now_ticks();
	g->run_ticks += m->now;
	/* Release: its context is saved; pairs with the fence in is_cold() in cycle.c. */
	atomic_thread_fence(memory_order_release);
	m->hart.g = NULL;
	return m;
}

static ALWAYS_INLINE void g_count_add(struct p *p, int32_t n) /* by the P's holder */
{
	store_relaxed(&p->g_count, load_relaxed(&p->g_count) + n);
}

/* Release: pairs with the acquire in go_count(): whoever sees that a G is gone sees what it has done. */
static ALWAYS_INLINE void g_count_end(struct p *p)
{
	store_release(&p->g_count, load_relaxed(&p->g_count) - 1);
}

/*
 * Parks the calling G. The caller holds locks == 1 (its spin lock, usually). Once the context is
 * saved, on g0, commit(g, arg) publishes the G and releases the lock with spin_release(); if it
 * answers false the G goes on at once. Returns with locks == 0.
 */
void park(bool (*commit)(struct g *g, void *arg), void *arg, enum wait_reason reason);
/* The same for the usual case, to release a spin lock. */
void park_unlock(struct spinlock *lock, enum wait_reason reason);
/*
 * Parks the calling G in a select: the store that publishes it sets select_state to OPEN. The caller has set
 * wait_reason, recorded it in the trace, and released the channels' locks. Returns with locks == 1.
 */
void park_select(void);
void ready(struct g *g);                /* a parked G becomes runnable, in runnext. locks > 0, with a P */
/* the same; trace_unblock() was called as it was taken out of a queue */
void ready_taken(struct g *g);
/* that, and then hart_unlock(): switch.h has the same, inline */
void ready_unlock(struct g *g);
void ready_list(struct glist *list);    /* those taken out of queues, oldest first; empties it. The same */
void go_from_timer(void (*fn)(void *), void *arg); /* go(), on g0 */
/* a runnable G: to the end of the global queue, and an M is woken. locks > 0, with a P */
void to_global_queue(struct g *g);
/* to the tail of the own queue: lets a handed-over G run now. On a G's stack, locks == 0 */
void yield_local(void);
void g_link(struct g *g);               /* into all_gs */
/* The first goroutine: go() for a caller that is none. False: out of memory. */
bool go_first(void (*fn)(void *), const char *name, uintptr_t created_by);

/* ---- sysmon.c: the timer interrupt ---- */

void sysmon_arm(struct m *m, int64_t deadline);  /* the hart's timer, if that moves it forward */
/* a G runs: the timer comes at the slice's end at the latest */
void sysmon_arm_slice(struct m *m, struct p *p);
static inline bool sysmon_slice_unarmed(struct m *m, struct p *p)
{
	int64_t timers = load_relaxed(&p_beside(m)->timer_when);
	return __builtin_expect(timers < m->timer_deadline || p->slice_end < m->timer_deadline, 0);
}
void sysmon_arm_idle(struct m *m, int64_t looked); /* m is about to sleep; when it looked for work */
void sysmon_arm_blocked(struct m *m);            /* looks at the P left by go_block_enter() soon */
void sysmon_timers_changed(struct p *p);         /* p->timer_when is earlier than it was. locks > 0 */

/* ---- timer.c ---- */

static inline bool timers_due(struct p *p, int64_t now)
{
	return load_relaxed(&p->timer_when) <= now;
}

/* On a g0 stack, with a P; may not block, nor touch the timer. */
typedef void timer_fn(void *arg, int64_t now, void (*fn)(void *));
/* from a G or g0, with or without a P */
void timer_start(go_timer *t, int64_t when, int64_t period, timer_fn *fire, void *arg);
bool timer_stop(go_timer *t);           /* and waits for a firing under way */
bool timers_run(struct p *p);           /* runs what has expired; true if something did. On g0, with a P */
bool timers_reserve(struct p *p);       /* room for one more goroutine's timer; false: out of memory */
void timers_unreserve(void);            /* for one goroutine less */
void timers_shrink(void);               /* heaps that are mostly empty become smaller */
bool timers_pending(struct p *p);       /* any that a program set */
int64_t timers_first(struct p *p);      /* p->timer_when, made exact. locks > 0 */
void timers_move(struct p *from, struct p *to); /* world stopped; from, which lies behind to, keeps nothing */
/* Bits of go_timer's flags_. */
#define TIMER_SYSTEM 1u                 /* does not keep the machine from a deadlock report */
/* never freed: its entry stays in the heap when it is stopped. Fires once */
#define TIMER_KEPT 2u
/* stopped, and its entry is in the heap still; under the heap's lock */
#define TIMER_DEAD 4u

#define TIMER_SYSTEM_MAX 2u             /* how many timers are TIMER_SYSTEM, at most */

/* ---- the rest ---- */

void chan_send_from_timer(go_chan *ch); /* chan.c: go_try_send() of the time, on g0; nothing if closed */
bool netpoll(struct glist *ready);      /* netpoll.c: polls if the device has work; true if it polled */
/* The same, once goroutines have run for as long as the last poll took. */
bool netpoll_in_turn(int64_t now, struct glist *ready);
/* deadlock.c: the running G's stack pointer is out of its stack, and it was not seen that it left that */
noreturn void overflow_report(const struct g *g, uintptr_t sp);
const char *wait_reason_name(uint32_t reason); /* deadlock.c, as the next two */
void g_describe(const char *before, const struct g *g); /* prints one line that begins so */
void check_dead(void);                  /* (L) an M is about to sleep */
void stop_here(struct m *m);            /* world.c: gives the P up to a stop of the world */
void p_stop(struct p *p);               /* world.c: (L) no M has p */
void debug_init(void);                  /* debug.c: GUMPDEBUG */
void block_leave_to(struct g *g, uint32_t depth); /* block.c: the running g leaves its inner sections */
noreturn void block_misused(struct g *g); /* block.c: g waits in one; its context is saved */
/* block.c; m, which is idle, takes a P from a section that lasts, for work. */
bool p_retake_blocked(struct m *m, bool work);
/* (L) The same for any M: the P, or NULL, and when the first section of those too short until now is long. */
struct p *p_from_section(struct m *m, bool work, int64_t *too_early);
/* While no M is parked nobody takes a section's P: what waits with it goes on elsewhere. On g0. */
void sections_relieve(void);

/* mutex.c, sema.c */
bool mutex_is_locked(go_mutex *m);
void sema_acquire(_Atomic(uint32_t) *sema, enum wait_reason reason, bool first);
void sema_release(_Atomic(uint32_t) *sema, bool handoff);

#endif
