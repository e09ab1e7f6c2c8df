/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A model of how harts are put to sleep and woken: sched/idle.c, and what calls it in schedule.c, park.c,
 * proc.c, timer.c, netpoll.c and sysmon.c. tests/model/run checks with spin that whatever comes between what, each G
 * runs to its end. A lost wake-up is a deadlock here: a G, timer or packet that nobody comes for, all harts
 * asleep. The assertions: sets and counters are never below zero, a P is held, idle or given away once.
 *
 * G0 runs and makes those of G1 and G2 ready that are fresh. Then it ends, or keeps its hart until both have
 * ended: there are no slices here, so no later look makes up for a lost wake-up. The others are asleep or
 * wait for the network, from the start or once they run. Left out: locked Gs, blocking sections, stops of the
 * world, slices, batches. A look at several queues is one step and takes anything, so their order is any order.
 *
 * Memory. A hart's stores wait in its store buffer and become visible in any order, but a release comes after
 * all that was before it. The hart itself sees them at once. A fence empties the buffer. A read-modify-write
 * acts on memory, whatever waits in the buffer, unless it is a release, which empties the buffer
 * first. So this is weaker than x86, whose locked instructions are fences, and like RISC-V in what the protocol
 * relies on; but loads are in order. What is stored in one critical section becomes visible at once.
 *
 * -DPS=1: fewer Ps than harts. -DFEW: few starts. The mutants are below; each must be found out.
 */
#ifndef PS
#define PS 2
#endif
#define HARTS 2
#define GS 3
#define NONE 7
#define NEVER 3    /* later than all deadlines: that of G1 is 1, that of G2 is 2 */
#define bit(x) (1 << (x))
#define first(set) ((set) & 1 -> 0 : ((set) & 2 -> 1 : 2))
#define add(set, x) set = set | bit(x)
#define remove(set, x) set = set & ~bit(x)
#define all_done (done == bit(GS) - 1)

byte idle_ps, idle_ms, runq;                 /* struct sched: sets of Ps, Ms and Gs */
byte spinning, lock;                         /* lock: the holder + 1 */
bool netpoll_ready, netpoll_busy;
byte ring[HARTS], runnext[HARTS] = NONE;     /* struct p; the ring is a set of Gs */
byte timers[HARTS];                          /* the Gs with a timer in this P's heap */
byte m_p[HARTS] = NONE, next_p[HARTS] = NONE; /* struct m: p, next_p */
bool m_spinning[HARTS];
byte armed[HARTS] = NEVER, now;              /* m->timer_deadline; the clock */
bool kicked[HARTS], ipi[HARTS];              /* struct hart: the latch; a kick's interrupt is pending */
bool asleep[HARTS], in_irq[HARTS + 1];       /* in wfi or hlt; its handler runs (by process) */
bool device, masked, data;                   /* the device has a packet, is masked; the protocol has data */
byte fresh, will_sleep, sleeping, waiting, done; /* sets of Gs; waiting: in netpoll_wait()'s slot */
bool ring_full;                                  /* runq_put() may find the ring full */

/* ---- The mutants ---- */

#ifdef NO_WAKE_FENCE   /* in wake_p() */
#define wake_fence(h) skip
#else
#define wake_fence(h) fence(h)
#endif
#ifdef NO_IDLE_FENCE   /* in m_idle() */
#define idle_fence(h) skip
#else
#define idle_fence(h) fence(h)
#endif
#ifdef NO_NET_FENCE    /* in sched_netpoll_ready() */
#define net_fence(h) skip
#else
#define net_fence(h) fence(h)
#endif
#ifdef NO_LATCH        /* a kick ends a sleep, but hart_idle() does not know of one that came before it */
#define latch(h) kicked[h] = asleep[h]
#define note_asleep(h) asleep[h] = 1
#else
#define latch(h) kicked[h] = 1
#define note_asleep(h) skip
#endif
#ifdef NO_DEVICE_LATCH /* the same for a device's interrupt */
#define device_latch(h) kicked[h] = asleep[h]
#undef note_asleep
#define note_asleep(h) asleep[h] = 1
#else
#define device_latch(h) latch(h)
#endif
#ifdef LATE_CLOCK      /* m_park_until_p() looks at timers, then at the clock again, to arm for those to come */
#define seen_now now
#else
#define seen_now seen
#endif
#ifdef NO_REARM        /* who runs timers of another hart's P does not tell that hart of those that are left */
#define rearm(h, q) skip
#else
#define rearm(h, q) if :: q != h && timers[q] != 0 -> hart_kick(h, q) :: else fi
#endif

/* ---- Memory ---- */

typedef buffer {
	bool sets, net, ring, unlock;        /* which stores wait, and what they write: */
	byte ps, ms, q;                      /* idle_ps, idle_ms, runq, as a critical section leaves them */
	byte gs                              /* Gs that are put into the ring of m->p */
}
buffer sb[HARTS];

#define see_ps(h) (sb[h].sets -> sb[h].ps : idle_ps)
#define see_ms(h) (sb[h].sets -> sb[h].ms : idle_ms)
#define see_runq(h) (sb[h].sets -> sb[h].q : runq)
#define see_net(h) (netpoll_ready || sb[h].net)
#define see_ring(h, p) (ring[p] | (m_p[h] == p -> sb[h].gs : 0))

#define drain_sets(h) idle_ps = sb[h].ps; idle_ms = sb[h].ms; runq = sb[h].q; \
	sb[h].sets = 0; sb[h].ps = 0; sb[h].ms = 0; sb[h].q = 0
#define drain_net(h) netpoll_ready = 1; sb[h].net = 0
#define drain_ring(h) ring[m_p[h]] = ring[m_p[h]] | sb[h].gs; sb[h].gs = 0; sb[h].ring = 0
#define waits(h) (sb[h].sets || sb[h].net || sb[h].ring)
/* Nobody can tell a release of the lock that waits for nothing from one that comes later. */
#define drain_unlock(h) if :: sb[h].unlock && !waits(h) -> lock = 0; sb[h].unlock = 0 :: else fi

inline fence(h)
{
	d_step {
		if :: sb[h].sets -> drain_sets(h) :: else fi;
		if :: sb[h].net -> drain_net(h) :: else fi;
		if :: sb[h].ring -> drain_ring(h) :: else fi;
		drain_unlock(h)
	}
}

/* Of sched.lock. spin_acquire() is the beginning of an atomic. */
#define spin_acquire(h) (lock == 0 || sb[h].unlock) -> \
	if :: sb[h].unlock -> fence(h) :: else fi; lock = h + 1
#define spin_release(h) d_step { sb[h].unlock = 1; drain_unlock(h) }

#define store_sets(h) if \
	:: !sb[h].sets -> sb[h].ps = idle_ps; sb[h].ms = idle_ms; sb[h].q = runq; sb[h].sets = 1 \
	:: else \
	fi
#define idle_p_add(h, p) assert(!(see_ps(h) & bit(p))); store_sets(h); add(sb[h].ps, p)
#define idle_m_add(h, m) assert(!(see_ms(h) & bit(m))); store_sets(h); add(sb[h].ms, m)
#define idle_p_remove(h, p) assert(see_ps(h) & bit(p)); store_sets(h); remove(sb[h].ps, p)
#define idle_m_remove(h, m) assert(see_ms(h) & bit(m)); store_sets(h); remove(sb[h].ms, m)
#define spinning_add() spinning++; assert(spinning <= HARTS)
#define spinning_sub() assert(spinning > 0); spinning--

/* Sets p to what idle_p_take() answers, NONE for NULL. */
inline idle_p_take(h, p)
{
	if
	:: see_ps(h) == 0 -> p = NONE
	:: see_ps(h) & bit(h) -> p = h; idle_p_remove(h, p)
	:: else -> p = first((see_ps(h) & see_ms(h)) != 0 -> (see_ps(h) & see_ms(h)) : see_ps(h));
		idle_p_remove(h, p)
	fi
}

inline p_acquire(h, p)
{
	assert(m_p[h] == NONE && m_p[1 - h] != p && next_p[1 - h] != p);
	m_p[h] = p
}

/* ---- Kicks and timers ---- */

#define timer_when(p) (timers[p] & bit(1) -> 1 : (timers[p] & bit(2) -> 2 : NEVER))
#define due(p) (timer_when(p) <= now)
#define timer_stop(g) remove(timers[0], g); remove(timers[1], g)

/* hart_kick() ends in a release. Without a timer that hart m watches its handler has nothing to do. */
inline hart_kick(h, m)
{
	d_step { fence(h); latch(m); ipi[m] = timer_when(m) != NEVER }
}

/* sysmon_arm() for the earliest timer of the P with the hart's number, which hart h watches. */
inline arm(h)
{
	d_step { if :: timer_when(h) < armed[h] -> armed[h] = timer_when(h) :: else fi }
}

/* timer_start() and sysmon_timers_changed(), for a G that parks. */
inline timer_start(h, g, set)
{
	atomic {
		add(set, g);
		t = timer_when(m_p[h]);
		add(timers[m_p[h]], g);
		t = (timer_when(m_p[h]) < t -> m_p[h] : NONE)
	};
	if
	:: t == h -> arm(h)
	:: t != h && t != NONE -> hart_kick(h, t)
	:: else
	fi;
	t = NONE
}

/* ---- Submitting ---- */

inline runq_put(h, g)
{
	if
	:: d_step { add(sb[h].gs, g); sb[h].ring = 1 }
	:: ring_full -> fence(h); /* runq_overflow(): its swap of the head is a release */
		atomic { spin_acquire(h); store_sets(h); add(sb[h].q, g) };
		spin_release(h)
	fi
}

inline wake_p(h)
{
	wake_fence(h);
	if
	:: see_ps(h) != 0 -> /* wake_p_slow() */
		if
		:: atomic { spinning == 0 -> spinning_add() };
			atomic {
				spin_acquire(h);
				idle_p_take(h, p);
				if
				:: p != NONE && see_ms(h) != 0 -> /* m_start() */
					m = (see_ms(h) & bit(p) -> p : first(see_ms(h)));
					idle_m_remove(h, m);
					m_spinning[m] = 1;
					assert(next_p[m] == NONE && m_p[m] == NONE);
					fence(h); /* a release */
					next_p[m] = p
				:: p != NONE && see_ms(h) == 0 -> idle_p_add(h, p)
				:: else
				fi
			};
			atomic {
				if :: m != NONE -> hart_kick(h, m) :: else -> spinning_sub() fi;
				spin_release(h);
				p = NONE; m = NONE
			}
		:: spinning != 0
		fi
	:: else
	fi
}

/* ready(): into runnext, by an exchange that is a release; what was there goes to the ring. */
inline ready(h, g)
{
	atomic { fence(h); was = runnext[m_p[h]]; runnext[m_p[h]] = g };
	if :: was != NONE -> runq_put(h, was); was = NONE :: else fi;
	wake_p(h)
}

/* ---- A hart ---- */

#define take_next(q) g = runnext[q]; runnext[q] = NONE
#define take_ring(q) fence(h); g = first(ring[q]); remove(ring[q], g) /* a release */
#define busy_ps(h) (PS - (see_ps(h) & 1) - (see_ps(h) >> 1 & 1))
#define work_at(h, p) (see_ring(h, p) != 0 || runnext[p] != NONE || due(p))
#define victim (1 - m_p[h])

proctype hart(byte h) provided (!in_irq[_pid])
{
	byte g = NONE, was = NONE, p = NONE, m = NONE, t = NONE, q = 0, seen = 0, list = 0;

	if :: m_p[h] != NONE -> g = 0; goto execute :: else -> goto park fi;

find:	/* find_runnable() */
	if
	:: atomic { due(m_p[h]) -> q = m_p[h]; goto timer }
	:: atomic { runnext[m_p[h]] != NONE -> take_next(m_p[h]); goto found }
	:: atomic { see_ring(h, m_p[h]) != 0 -> take_ring(m_p[h]); goto found }
	:: see_runq(h) != 0 -> /* from_global() */
		atomic {
			spin_acquire(h);
			if
			:: see_runq(h) != 0 -> g = first(see_runq(h)); store_sets(h); remove(sb[h].q, g)
			:: else
			fi
		};
		spin_release(h);
		if :: g != NONE -> goto found :: else -> goto find fi
	:: atomic { see_net(h) && !netpoll_busy -> netpoll_busy = 1 }; /* from_netpoll() */
		d_step { fence(h); netpoll_ready = 0 };
		d_step { /* the poll function */
			data = data || device; device = 0; masked = 0;
			if :: data -> list = waiting; waiting = 0 :: else fi
		};
		netpoll_busy = 0;
		if :: list == 0 -> goto find :: else -> d_step { g = first(list); remove(list, g) } fi;
		if :: list != 0 -> runq_put(h, first(list)); list = 0; wake_p(h) :: else fi; /* ready_list() */
		goto found
	:: atomic {
			else ->
			if /* may_spin() */
			:: m_spinning[h] -> goto steal
			:: !m_spinning[h] && 2 * spinning >= busy_ps(h) -> goto idle
			:: else
			fi
		}
	fi;
	atomic { m_spinning[h] = 1; spinning_add() };

steal:	/* steal_round(), the last */
	if
	:: atomic { due(0) -> q = 0; goto timer }
	:: atomic { due(1) -> q = 1; goto timer }
	:: atomic { !(see_ps(h) & bit(victim)) && ring[victim] != 0 -> take_ring(victim); goto found }
	:: atomic { !(see_ps(h) & bit(victim)) && ring[victim] == 0 && runnext[victim] != NONE ->
			take_next(victim); goto found }
	:: else -> goto idle
	fi;

timer:	/* timers_run(), with fire_sleeper(), and fire_deadline(), which may find that the network was faster */
	do
	:: atomic {
			due(q) -> t = timer_when(q);
			remove(timers[q], t);
			if :: (sleeping | waiting) & bit(t) -> remove(sleeping, t); remove(waiting, t) :: else -> t = NONE fi
		};
		if :: t != NONE -> ready(h, t); t = NONE :: else fi
	:: else -> break
	od;
	rearm(h, q);
	q = 0;
	goto find;

idle:	/* m_idle() */
	atomic {
		spin_acquire(h);
		if :: see_runq(h) != 0 -> spin_release(h); goto find :: else fi;
		assert(see_ring(h, m_p[h]) == 0 && runnext[m_p[h]] == NONE);
		idle_p_add(h, m_p[h]); /* p_release() */
		m_p[h] = NONE;
		idle_m_add(h, h)
	};
	atomic {
		if :: m_spinning[h] -> m_spinning[h] = 0; spinning_sub() :: else fi;
		spin_release(h)
	};
	idle_fence(h);

park:	/* m_park_until_p() */
	if
	:: atomic { next_p[h] != NONE -> p = next_p[h]; next_p[h] = NONE; p_acquire(h, p); p = NONE; goto find }
	:: else
	fi;
	seen = now; /* work_somewhere() */
	if :: see_runq(h) != 0 -> goto unpark :: else fi;
	if :: see_net(h) -> goto unpark :: else fi;
	if :: work_at(h, 0) -> goto unpark :: else fi;
	if :: work_at(h, 1) -> goto unpark :: else -> goto sleep fi;

unpark:	/* m_unpark() */
	atomic {
		spin_acquire(h);
		if :: see_ms(h) & bit(h) -> idle_p_take(h, p) :: else fi;
		if :: p != NONE -> idle_m_remove(h, h); p_acquire(h, p); m_spinning[h] = 1 :: else fi
	};
	if
	:: atomic { p != NONE -> spinning_add(); spin_release(h); p = NONE; seen = 0; goto find }
	:: else -> spin_release(h)
	fi;

sleep:	/* sysmon_arm_idle(), hart_idle() */
	atomic { if :: timer_when(h) > seen_now -> arm(h) :: else fi; seen = 0 };
	note_asleep(h);
	atomic { kicked[h] || all_done -> kicked[h] = 0; asleep[h] = 0 };
	if :: all_done -> goto end :: else -> goto park fi;

found:	/* spinning_end() */
	if
	:: atomic { m_spinning[h] -> m_spinning[h] = 0; spinning_sub() };
		if :: spinning == 0 -> fence(h) :: else -> goto execute fi;
		if :: see_ps(h) == 0 -> goto execute :: else fi;
		seen = now; /* work_somewhere() */
		if :: see_runq(h) != 0 -> goto another :: else fi;
		if :: see_net(h) -> goto another :: else fi;
		if :: work_at(h, 0) -> goto another :: else fi;
		if :: work_at(h, 1) -> goto another :: else -> seen = 0; goto execute fi
	:: else -> goto execute
	fi;

another:
	seen = 0;
	wake_p(h);

execute: /* run(), and the G until it parks or ends */
	arm(h);
	if
	:: g == 0 ->
		do
		:: atomic { fresh != 0 -> t = first(fresh); remove(fresh, t) }; ready(h, t)
		:: else -> t = NONE; break
		od;
		if
		:: PS > 1 -> (done | bit(0)) == bit(GS) - 1 /* runs on, and needs them to end */
		:: true
		fi
	:: g != 0 && will_sleep & bit(g) -> remove(will_sleep, g); timer_start(h, g, sleeping); g = NONE; goto find
	:: else
	fi;
	d_step { timer_stop(g); add(done, g); g = NONE };
	goto find;

end:	skip
}

/* ---- Interrupts ---- */

/* The looks of kick_parked() and its callers at the idle sets; another step looks at spinning. */
#define parked(h) (see_ps(h) != 0 -> see_ms(h) : 0)

/* The handlers of hart h, whose other code stands still meanwhile. */
proctype handler(byte h)
{
	byte set = 0;

end:	do
	:: atomic { armed[h] <= now -> armed[h] = NEVER; latch(h); goto either }
	:: atomic { ipi[h] -> ipi[h] = 0;
either:			if /* sched_interrupt() */
			:: due(h) && parked(h) != 0 -> set = parked(h); in_irq[h + 1] = 1
			:: due(h) && parked(h) == 0 -> goto end
			:: else -> arm(h); goto end
			fi
		};
		goto kick
	:: atomic { device && !masked -> masked = 1; device_latch(h); in_irq[h + 1] = 1; sb[h].net = 1 };
		net_fence(h); /* sched_netpoll_ready() */
		set = parked(h);
kick:		atomic { /* kick_parked() */
			if :: set != 0 && spinning == 0 && !(set & bit(h)) -> hart_kick(h, first(set)) :: else fi;
			set = 0;
			in_irq[h + 1] = 0
		}
	od
}

/* ---- The machine: store buffers drain, time passes, a packet comes ---- */

#define drains(h) \
	:: atomic { sb[h].sets -> drain_sets(h); drain_unlock(h) } \
	:: atomic { sb[h].net -> drain_net(h); drain_unlock(h) } \
	:: atomic { sb[h].ring -> drain_ring(h); drain_unlock(h) }

proctype machine()
{
	bool packet = 0;

end:	do
	drains(0)
	drains(1)
	:: atomic { now < 1 && (timers[0] | timers[1]) & bit(1) -> now = 1 }
	:: atomic { now < 2 && (timers[0] | timers[1]) == bit(2) -> now = 2 }
	:: atomic { !packet && waiting != 0 -> packet = 1; device = 1 }
	od
}

/* ---- The start ---- */

#define asleep_in(g, p) add(sleeping, g); add(timers[p], g)

init
{
	atomic {
		if /* which M has P0 */
		:: m_p[0] = 0; idle_ms = bit(1)
		:: m_p[1] = 0; idle_ms = bit(0)
		fi;
		idle_ps = bit(PS) - 1 - bit(0);
		if /* what G1 and G2 do */
		:: fresh = bit(1) | bit(2); if :: ring_full = 1 :: true fi
		:: fresh = bit(1); waiting = bit(2)
#ifndef FEW
		:: waiting = bit(1) | bit(2)
		:: fresh = bit(1) | bit(2); will_sleep = bit(1)
		:: asleep_in(1, 0); asleep_in(2, 0)
		:: asleep_in(1, 0); waiting = bit(2)
		:: PS > 1 -> asleep_in(1, 1); asleep_in(2, 1)
		:: PS > 1 -> asleep_in(1, 0); asleep_in(2, 1)
		:: PS > 1 -> waiting = bit(1) | bit(2); add(timers[1], 2) /* G2 with a deadline */
#endif
		fi;
		armed[0] = timer_when(0);
		armed[1] = timer_when(1);
		run hart(0); run hart(1); run handler(0); run handler(1); run machine()
	}
}
