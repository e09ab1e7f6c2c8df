/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * No hart sleeps while a goroutine waits: each way in which one becomes ready wakes a hart that sleeps.
 *
 * The goroutine that makes the other ready then holds its hart without coming to a scheduling point,
 * until the other has run: so only a hart that sleeps can run it, and nothing but the wake-up under test
 * makes it do so.
 *
 * @test harts=2,4 sanitize=
 * @test most machines=hosted-thread,hosted-address,hosted-undefined harts=4 env=PART=4 args=-by_yield|-by_preemption
 * @stress harts=2,4,8 env=PART=4 args=-by_yield|-by_preemption
 */
#include "sched/sched.h"
#include "sched/trace.h"
#include "test.h"

static _Atomic(int) ran;

/* Not preempted meanwhile. */
static void hold_until_ran(int n)
{
	hart_lock();
	bool in_time = HELD_UNTIL(ran == n, 5 * SECOND);
	hart_unlock(); /* a preemption that is due comes with it, and others run */
	CHECK(in_time);
}

/* Lets the other harts fall asleep, those too that wait for a goroutine which is locked to them. */
static void alone(void)
{
	int64_t end = go_now() + 5 * SECOND;
	while (__builtin_popcount(sched.idle_ms | sched.parked_locked) < go_harts() - 1 && go_now() < end)
		hart_relax();
	test_spin(12 * MS); /* they look once more, then sleep; and no timer of a slice is left to wake them */
	ran = 0;
}

static void run(void *unused)
{
	ran++;
}

/* A new goroutine goes into runnext: a thief takes it from there. */
static void by_go(void)
{
	for (int i = 0; i < test_part(20); i++) {
		alone();
		hart_lock();
		go(run, NULL);
		hold_until_ran(1);
		hart_unlock();
	}
}

static go_chan *ch;

static void receive(void *unused)
{
	while (go_recv(ch, NULL))
		ran++;
	ran++;
}

/* To the receiver, once it waits and `prepare` is done; under hart_lock() when it returns. */
static void send_after(void (*prepare)(void))
{
	prepare();
	hart_lock();
	while (go_try_send(ch, NULL) == 0) { /* it does not wait yet */
		hart_unlock();
		go_sleep(MS);
		prepare();
		hart_lock();
	}
}

static void by_ready(void)
{
	ch = go_chan_make(0, 0);
	go(receive, NULL);
	for (int i = 0; i < test_part(20); i++) {
		send_after(alone);
		hold_until_ran(1);
		hart_unlock();
	}
	alone();
	hart_lock();
	go_close(ch);
	hold_until_ran(1);
	hart_unlock();
	go_chan_free(ch);
}

static _Atomic(struct g *) parked;
static _Atomic(bool) started;

static bool note_parked(struct g *g, void *unused)
{
	parked = g;
	return true;
}

static void hold(void *unused)
{
	hart_lock();
	park(note_parked, NULL, WAIT_NONE);
	started = true;
	hold_until_ran(1);
}

/*
 * hold() becomes runnable, in this P's ring or in the global queue, and nobody is told. No timer is set on
 * the way: an interrupt that comes for one which another hart has fired wakes a hart, too.
 */
static void put_hold_quietly(bool global)
{
	while (go_count() != 1)
		go_yield();
	parked = NULL;
	started = false;
	go(hold, NULL);
	while (parked == NULL)
		go_yield();
	alone();
	spin_lock(&sched.lock);
	g_change(parked, G_WAITING, G_RUNNABLE);
	if (global)
		globrunq_put_one(parked);
	else
		runq_put(m_self()->p, parked);
	spin_unlock(&sched.lock);
}

/* One that yields goes behind what is in the global queue, and that runs here. */
static void by_yield(void)
{
	for (int i = 0; i < test_part(20); i++) {
		put_hold_quietly(true);
		go_yield();
		ran = 1;
	}
}

static void by_preemption(void)
{
	for (int i = 0; i < test_part(20); i++) {
		put_hold_quietly(false);
		while (!started)
			;
		ran = 1;
	}
}

static _Atomic(int) locked_to;

static void receive_locked(void *unused)
{
	go_lock_hart();
	locked_to = go_hart();
	receive(NULL);
}

/*
 * A locked goroutine, while each other hart is busy or, as with two, there is none: its own hart sleeps, and
 * is woken. It sleeps for that goroutine only, so nothing that looks for any idle M finds it.
 */
static void by_ready_of_a_locked_one(void)
{
	ch = go_chan_make(0, 0);
	locked_to = -1;
	go(receive_locked, NULL);
	for (int i = 0; i < test_part(20); i++) {
		WAIT_FOR(locked_to >= 0 && locked_to != go_hart());
		send_after(alone);
		hold_until_ran(1);
		hart_unlock();
	}
	go_close(ch);
	WAIT_FOR(go_count() == 1);
	go_chan_free(ch);
}

static void yield_locked(void *unused)
{
	go_lock_hart();
	locked_to = go_hart();
	while (ran == 0)
		;
	go(run, NULL); /* so that there is somebody to yield to */
	go_yield();
	ran = 10;
}

/* One that yields waits in a queue, and its hart sleeps with nobody awake to find it. */
static void by_yield_of_a_locked_one(void)
{
	for (int i = 0; i < test_part(20); i++) {
		ran = 0;
		locked_to = -1;
		go(yield_locked, NULL);
		WAIT_FOR(locked_to >= 0 && locked_to != go_hart());
		hart_lock();
		ran = 1;
		(void)HELD_UNTIL(ran >= 10, 5 * SECOND);
		CHECK_IN(ran, 10, 11);
		hart_unlock();
		WAIT_FOR(go_count() == 1);
	}
}

/* On g0: behind hold() into the global queue, and there until that has been taken out. */
static bool queue_behind_hold(struct g *g, void *unused)
{
	trace_unblock(parked, 0);
	trace_unblock(g, 0);
	spin_lock(&sched.lock);
	g_change(parked, G_WAITING, G_RUNNABLE);
	globrunq_put_one(parked);
	g_change(g, G_WAITING, G_RUNNABLE);
	globrunq_put_one(g);
	spin_unlock(&sched.lock);
	wake_p();
	(void)HELD_UNTIL(started, 5 * SECOND);
	return true;
}

static void locked_behind_hold(void *unused)
{
	go_lock_hart();
	hart_lock();
	park(queue_behind_hold, NULL, WAIT_NONE);
	ran++;
}

/*
 * A locked one lies in the global queue while another hart takes a batch, and its own hart sleeps only then: in
 * the other's ring it would wait until that stops, as on two harts a batch is both.
 */
static void by_batch_with_a_locked_one(void)
{
	for (int i = 0; i < test_part(20); i++) {
		parked = NULL;
		started = false;
		ran = 0;
		go(hold, NULL);
		WAIT_FOR(parked != NULL);
		go(locked_behind_hold, NULL);
		WAIT_FOR(go_count() == 1);
		CHECK_EQ(ran, 1);
	}
}

static void yield_behind_hold(void *unused)
{
	go_lock_hart();
	alone();
	hart_lock();
	atomic_fetch_add(&sched.spinning, 1);
	g_change(parked, G_WAITING, G_RUNNABLE);
	runq_put(m_self()->p, parked);
	hart_unlock();
	go_yield();
	ran++;
	atomic_fetch_sub(&sched.spinning, 1);
	go_send(ch, NULL);
}

/*
 * A locked one yields behind another in its P's queue, and its hart gives the P to one that sleeps; which runs the
 * other, and nobody looks at what is left there. So it may not be left there. (Who was woken for the other looks
 * around still, and finds something else.)
 */
static void by_yield_behind_another(void)
{
	for (int i = 0; i < test_part(20) && go_harts() == 2; i++) {
		parked = NULL;
		started = false;
		ran = 0;
		ch = go_chan_make(0, 1);
		go(hold, NULL);
		WAIT_FOR(parked != NULL);
		trace_unblock(parked, 0);
		go(yield_behind_hold, NULL);
		CHECK(go_recv(ch, NULL));
		CHECK_EQ(ran, 1);
		WAIT_FOR(go_count() == 1);
		go_chan_free(ch);
	}
}

static void none_ran(void)
{
	ran = 0;
}

static _Atomic(int) locked_harts;
static _Atomic(bool) leave;

static void wait_locked(void *unused)
{
	go_lock_hart();
	locked_harts++;
	receive(NULL);
}

static void run_locked(void *unused)
{
	go_lock_hart();
	locked_harts++;
	while (!leave)
		hart_relax();
	go_recv(ch, NULL);
}

/*
 * A locked one becomes ready while no P is idle. Then another locked one stops, and leaves its P: each M is busy
 * or waits for its own.
 */
static void by_a_p_that_is_left(void)
{
	int n = go_harts() - 1, procs = go_maxprocs(n);

	for (int i = 0; i < test_part(20) && n >= 2; i++) {
		locked_harts = 0;
		leave = false;
		ch = go_chan_make(0, 0);
		go(wait_locked, NULL);
		WAIT_FOR(locked_harts == 1);
		for (int busy = 1; busy < n; busy++) {
			go(run_locked, NULL);
			WAIT_FOR(locked_harts == busy + 1);
		}
		send_after(none_ran);
		leave = true;
		hold_until_ran(1);
		hart_unlock();
		go_close(ch);
		WAIT_FOR(go_count() == 1);
		go_chan_free(ch);
	}
	go_maxprocs(procs);
}

/* A timer that becomes due on a hart which does not look. */
static void by_timer(void)
{
	go_timer timer = { 0 };
	for (int i = 0; i < test_part(20); i++) {
		alone();
		hart_lock();
		go_timer_call(&timer, go_now() + 100 * US, 0, run, NULL);
		hold_until_ran(1);
		hart_unlock();
	}
}

/* The hart's own slice is over before that, and it goes on under a lock. */
static void by_timer_after_the_slice(void)
{
	go_timer timer = { 0 };
	for (int i = 0; i < test_part(5); i++) {
		alone();
		hart_lock();
		go_timer_call(&timer, go_now() + 20 * MS, 0, run, NULL);
		hold_until_ran(1);
		hart_unlock();
	}
}

/* Two become ready together, and each waits for the other: who is woken wakes the next. */
static void run_together(void *unused)
{
	go_recv(ch, NULL);
	ran++;
	hold_until_ran(2);
}

static void by_the_woken(void)
{
	for (int i = 0; i < test_part(20) && go_harts() >= 3; i++) {
		ch = go_chan_make(0, 0);
		go(run_together, NULL);
		go(run_together, NULL);
		go_sleep(MS);
		alone();
		hart_lock();
		go_close(ch);
		hold_until_ran(2);
		hart_unlock();
		WAIT_FOR(go_count() == 1);
		go_chan_free(ch);
	}
}

/* The hart whose interrupt tells of the timers of the P that it holds. */
static void lock_beside_own_p(void)
{
	for (;;) {
		alone();
		hart_lock();
		if (m_self()->p->id == m_self()->hart.id)
			return;
		hart_unlock();
		go_sleep(MS); /* it wakes the hart with this P's number */
	}
}

/*
 * A timer becomes due while a hart looks for work: no other is woken for it. That one finds other work, and
 * never comes to the timers. Here it is this hart that says so.
 */
static void by_the_end_of_spinning(void)
{
	go_timer timer = { 0 };
	for (int i = 0; i < test_part(20); i++) {
		lock_beside_own_p();
		struct m *m = m_self();
		int64_t slice_end = m->p->slice_end;
		m->p->slice_end = INT64_MAX; /* the interrupt at its end would wake one, too */
		atomic_fetch_add(&sched.spinning, 1);
		go_timer_call(&timer, go_now() + 100 * US, 0, run, NULL);
		test_spin(200 * US);
		spinning_end(m); /* most times `ran` is 0: one that was awake still may have come before */
		hold_until_ran(1);
		m->p->slice_end = slice_end;
		hart_unlock();
	}
}

int main(int argc, char **argv)
{
	TESTS(TEST(by_go), TEST(by_ready), TEST(by_yield), TEST(by_preemption), TEST(by_ready_of_a_locked_one),
	      TEST(by_yield_of_a_locked_one), TEST(by_batch_with_a_locked_one),
	      TEST(by_yield_behind_another), TEST(by_a_p_that_is_left), TEST(by_timer), TEST(by_timer_after_the_slice), TEST(by_the_woken), TEST(by_the_end_of_spinning));
	return test_main(argc, argv, tests);
}
