/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which changes of state a G, a P and an M may go through, by whom, and under which lock: for the build with
 * checks, and for whoever wants to see all of them on one page.
 */
#include "sched/sched.h"

enum { /* what must be so */
	LOCKED = 1,   /* the caller holds sched.lock */
	WITH_P = 2,   /* its M has a P */
	WITHOUT_P = 4,
	ON_G0 = 8,    /* no G runs on this hart */
	ITSELF = 16,  /* it is the G or the M that changes, or the P's holder */
	STOPPING = 32, /* the world is stopped or stops */
};

struct change {
	uint8_t from, to, when;
};

static const struct change g_changes[] = {
	{ G_IDLE, G_DEAD, WITH_P },                   /* g_alloc(): new memory */
	{ G_IDLE, G_DEAD, ON_G0 },                    /* a reclaim cycle that could not flush */
	{ G_DEAD, G_IDLE, ON_G0 },                    /* a reclaim cycle: out of all pools */
	{ G_DEAD, G_RUNNABLE, WITH_P },               /* go(): in no queue yet */
	{ G_RUNNABLE, G_RUNNING, WITH_P },            /* run(), or the G that ran before: out of all queues */
	{ G_PREEMPTED, G_RUNNING, WITH_P },           /* the same */
	{ G_RUNNING, G_RUNNABLE, WITH_P | ON_G0 },    /* yield: its context is saved */
	{ G_RUNNING, G_PREEMPTED, WITH_P | ON_G0 },   /* sched_preempt() has the reasons */
	{ G_RUNNING, G_RUNNABLE, WITH_P | ITSELF },   /* yield: hart_switch() does it when that is so */
	{ G_RUNNING, G_WAITING, WITH_P | ON_G0 },     /* park(): not published yet */
	{ G_RUNNING, G_WAITING, WITH_P | ITSELF },    /* park_unlock(): not published yet */
	{ G_WAITING, G_RUNNABLE, WITH_P },            /* ready(): by its one waker */
	{ G_RUNNING, G_DEAD, WITH_P | ON_G0 },        /* go_exit() */
	{ G_RUNNING, G_DEAD, WITH_P | ITSELF },       /* about to leave its stack */
	{ G_RUNNING, G_BLOCKING, WITH_P | ITSELF },   /* go_block_enter() */
	{ G_BLOCKING, G_RUNNING, WITH_P | ITSELF },   /* go_block_leave(): the P was still there */
	{ G_BLOCKING, G_RUNNABLE, WITHOUT_P | ON_G0 }, /* it was not */
};

static const struct change p_changes[] = {
	{ P_IDLE, P_RUNNING, ITSELF },                /* p_acquire(): out of idle_ps, under sched.lock */
	{ P_RUNNING, P_RUNNING, ITSELF },             /* handed from M to M with its queue */
	/* nothing to do; or no M for it, and its queue went global */
	{ P_RUNNING, P_IDLE, LOCKED },
	{ P_RUNNING, P_BLOCKED, ITSELF },             /* go_block_enter(): no lock */
	{ P_BLOCKED, P_RUNNING, 0 },                  /* go_block_leave(): by compare-and-swap */
	{ P_BLOCKED, P_IDLE, LOCKED },                /* taken from a blocking section, the same way */
	{ P_RUNNING, P_STOPPED, LOCKED | STOPPING },  /* stop_here() */
	{ P_IDLE, P_STOPPED, LOCKED | STOPPING },     /* nobody has it */
	{ P_STOPPED, P_IDLE, LOCKED },                /* start_the_world() */
	{ P_STOPPED, P_RUNNING, ITSELF | STOPPING },  /* the stopper changes from a P that goes to P 0 */
	{ P_STOPPED, P_DEAD, STOPPING },              /* go_maxprocs() down */
	{ P_RUNNING, P_DEAD, STOPPING },              /* it was the stopper's own */
	{ P_DEAD, P_IDLE, LOCKED },                   /* go_maxprocs() up */
};

static const struct change m_changes[] = {
	{ M_OFF, M_IDLE, LOCKED | ITSELF },
	{ M_WORKING, M_SPINNING, ITSELF },
	{ M_SPINNING, M_WORKING, ITSELF },            /* found something */
	{ M_WORKING, M_IDLE, LOCKED | ITSELF },
	{ M_SPINNING, M_IDLE, LOCKED | ITSELF },
	{ M_IDLE, M_STARTED, LOCKED },                /* by a waker */
	{ M_STARTED, M_WORKING, ITSELF },             /* m->next_p was there */
	{ M_STARTED, M_SPINNING, ITSELF },
	{ M_IDLE, M_SPINNING, LOCKED | ITSELF },      /* found work and an idle P for it */
	{ M_IDLE, M_WORKING, LOCKED | ITSELF },       /* took a P from a blocking section */
	{ M_WORKING, M_BLOCKING, ITSELF },
	{ M_BLOCKING, M_WORKING, ITSELF },            /* its old P, or an idle one */
	{ M_BLOCKING, M_IDLE, LOCKED | ITSELF },
	{ M_BLOCKING, M_TIED, LOCKED | ITSELF },
	{ M_WORKING, M_TIED, LOCKED | ITSELF },       /* its G is locked to it and waits */
	{ M_TIED, M_STARTED, LOCKED },                /* by whoever found its G */
	{ M_TIED, M_WORKING, LOCKED | ITSELF },       /* serves others' timers for a moment */
	{ M_TIED, M_IDLE, LOCKED | ITSELF },          /* each M has a locked G by now */
};

static const char *const g_names[] =
	{ "idle", "runnable", "running", "waiting", "dead", "preempted", "blocking" };
static const char *const p_names[] = { "idle", "running", "stopped", "dead", "blocked" };
static const char *const m_names[] = { "off", "working", "spinning", "idle", "started", "tied", "blocking" };

static bool started;
static _Atomic(uint32_t) m_states[HARTS_MAX]; /* enum m_state, as the last check saw it */

void checks_start(void)
{
	store_relaxed(&m_states[m_self()->hart.id], M_WORKING);
	started = true;
}

/* What is missing of what must be so, or NULL. */
static const char *missing(unsigned when, bool itself)
{
	struct m *m = m_self();

	if (when & LOCKED && !spin_held_here(&sched.lock))
		return "sched.lock is not held";
	if (when & WITH_P && m->p == NULL)
		return "the M has no P";
	if (when & WITHOUT_P && m->p != NULL)
		return "the M has a P";
	if (when & ON_G0 && m->hart.g != NULL)
		return "a goroutine runs here";
	if (when & ITSELF && !itself)
		return "only it may do that";
	if (when & STOPPING && !sched.stopping)
		return "the world is not stopped";
	return m->hart.locks == 0 ? "locks is 0" : NULL;
}

static const char *wrong(const struct change *table, size_t count, uint32_t from, uint32_t to, bool itself)
{
	const char *what = "there is no such change";

	for (size_t i = 0; i < count; i++)
		if (table[i].from == from && table[i].to == to) {
			what = missing(table[i].when, itself);
			if (what == NULL)
				return NULL;
		}
	return what;
}

#define WRONG(table, from, to, itself) wrong(table, sizeof(table) / sizeof(table[0]), from, to, itself)

void check_g(struct g *g, uint32_t from, uint32_t to)
{
	uint32_t is = load_relaxed(&g->status);
	struct m *m = m_self();

	if (is != from)
		hart_fatal("state: goroutine %u is %s, to go from %s to %s", (unsigned)g->number,
			   g_names[is], g_names[from], g_names[to]);
	const char *what = WRONG(g_changes, from, to, m->hart.g == g);
	if (what != NULL)
		hart_fatal("state: goroutine %u from %s to %s: %s", (unsigned)g->number, g_names[from],
			   g_names[to], what);
	for (unsigned id = 0; id < hart_count() && from == G_WAITING; id++)
		if (peek(&m_get(id)->hart.g) == g)
			hart_fatal("state: goroutine %u is made runnable while M %u runs it",
				   (unsigned)g->number, id);
}

void check_g_runs(struct g *g)
{
	bool preempted = load_relaxed(&g->status) == G_PREEMPTED;

	check_g(g, preempted ? G_PREEMPTED : G_RUNNABLE, G_RUNNING);
}

void check_p_won(struct p *p, uint32_t from, uint32_t to)
{
	if (!started)
		return;
	struct m *m = m_self();
	const char *what = WRONG(p_changes, from & 0xff, to, p->m == m);
	if (what == NULL && to != P_IDLE && load_relaxed(&sched.idle_ps) & bit(p->id))
		what = "it is in idle_ps";
	if (what != NULL)
		hart_fatal("state: P %u from %s to %s: %s", (unsigned)p->id, p_names[from & 0xff],
			   p_names[to],
			   what);
}

void check_p(struct p *p, uint32_t to)
{
	check_p_won(p, load_relaxed(&p->status), to);
}

/* What an M in that state must look like. */
static const char *m_unlike(struct m *m, enum m_state state)
{
	bool idle = load_relaxed(&sched.idle_ms) & bit(m->hart.id);
	bool tied = load_relaxed(&sched.parked_locked) & bit(m->hart.id);

	if (idle != (state == M_IDLE))
		return idle ? "it is in idle_ms" : "it is not in idle_ms";
	if (tied != (state == M_TIED))
		return tied ? "it is in parked_locked" : "it is not in parked_locked";
	if (state == M_STARTED) /* it is being given one, and is awake for other reasons maybe */
		return NULL;
	if ((m->p != NULL) != (state == M_WORKING || state == M_SPINNING))
		return m->p != NULL ? "it has a P" : "it has no P";
	if (m->spinning != (state == M_SPINNING))
		return m->spinning ? "it counts as spinning" : "it does not count as spinning";
	return NULL;
}

void check_m(struct m *m, enum m_state to)
{
	if (!started)
		return;
	uint32_t from = load_relaxed(&m_states[m->hart.id]);
	if (from == to && m == m_self())
		return;
	const char *what = WRONG(m_changes, from, to, m == m_self());
	if (what == NULL)
		what = m_unlike(m, to);
	if (what != NULL)
		hart_fatal("state: M %u from %s to %s: %s", (unsigned)m->hart.id, m_names[from], m_names[to],
			   what);
	store_relaxed(&m_states[m->hart.id], to);
}

void check_m_taken(struct m *m)
{
	if (m != m_self())
		check_m(m, M_STARTED);
}

void check_parks(void)
{
	if (hart_self()->locks != 1)
		hart_fatal("park: locks is %u", (unsigned)hart_self()->locks);
}

void check_about_to_run(struct m *m, struct g *g)
{
	check_m(m, M_WORKING);
	lockrank_none_held("the start of a goroutine", 1);
	if (runs_elsewhere(g, m))
		hart_fatal("state: goroutine %u is to run on M %u only", (unsigned)g->number,
			   (unsigned)g->locked_m->hart.id);
	for (unsigned id = 0; id < hart_count(); id++)
		if (m_get(id) != m && peek(&m_get(id)->hart.g) == g)
			hart_fatal("state: goroutine %u runs on M %u, too", (unsigned)g->number, id);
	check_no_wakeup_lost(m);
}
