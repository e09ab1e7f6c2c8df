/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ps and harts: GOMAXPROCS at the start and changed at run time, timers of Ps that are left, spare harts.
 *
 * @test alone
 * @test alone harts=4 env=GOMAXPROCS=2 args=starts_with_two
 * @test harts=2 env=GOMAXPROCS=1 args=timer_in_a_borrowed_p
 * @test harts=4 env=GOMAXPROCS=1000 args=never_more_than_harts
 * @test harts=4 env=GOMAXPROCS=2 args=spare_harts_park
 * @test alone harts=4 machines=virt,q35 timeout=60 env=GOMAXPROCS=3|QUANTUM_US=1000000 args=same_m_after_a_stop
 * @stress env=PART=5 args=-maxprocs_limits
 */
#include "sched/sched.h"
#include "test.h"

static _Atomic(int) count;
static _Atomic(uint64_t) beats;
static _Atomic(bool) stop;

static void beat(void *unused)
{
	while (!stop)
		beats++;
	count++;
}

static _Atomic(int) baton;
static _Atomic(int) other_hart;
static bool met_apart;

static void throw_back(void *unused)
{
	while (!stop) {
		other_hart = go_hart();
		if (baton == 1)
			baton = 0;
	}
	count++;
}

/* How often in 300 ms can the baton be thrown between two goroutines that never yield? */
static int throws(void)
{
	int n = 0;
	int64_t end = go_now() + 300 * MS;
	stop = false;
	count = baton = 0;
	other_hart = -1;
	met_apart = false;
	go(throw_back, NULL);
	while (go_now() < end) {
		met_apart |= other_hart >= 0 && other_hart != go_hart();
		if (baton == 0) {
			baton = 1;
			n++;
		}
	}
	stop = true;
	WAIT_FOR(count == 1);
	return n;
}

/*
 * With one P each throw takes a preemption of 10 ms, with more the two run at the same time: not in each
 * window, since a busy host may run two harts on one of its cores for a while, but in one of thirty.
 */
static void maxprocs_limits(void)
{
	int all = go_maxprocs(0);
	CHECK_EQ(all, go_harts());
	for (int n = 1; n <= all; n++) {
		CHECK_EQ(go_maxprocs(n), n == 1 ? all : n - 1);
		CHECK_EQ(go_maxprocs(-1), n);
		int thrown = throws();
		for (int again = 1; again < 30 && n == 2 && thrown <= 30; again++)
			thrown = throws();
		printf("\t%d Ps: %d throws\n", n, thrown);
		if (n == 1)
			CHECK_IN(thrown, 1, 60);
		else /* how often depends on the host: has it a processor for each of the two? */
			CHECK(met_apart);
	}
	CHECK_EQ(go_maxprocs(1000), all);
	CHECK_EQ(go_maxprocs(0), all);
}

static void starts_with_two(void)
{
	CHECK_EQ(go_harts(), 4);
	CHECK_EQ(go_maxprocs(0), 2);
	CHECK_EQ(go_maxprocs(4), 2);
	CHECK_EQ(go_maxprocs(0), 4);
}

static void wander(void *unused)
{
	for (int i = 0; !stop; i++) {
		if (i % 3 == 0)
			go_sleep(50 * US);
		else
			go_yield();
	}
	count++;
}

/* Over and over, while everything runs, sleeps and waits in queues. */
static void maxprocs_under_load(void)
{
	int all = go_maxprocs(0);
	stop = false;
	count = 0;
	for (int i = 0; i < 50; i++)
		go(wander, NULL);
	go(beat, NULL);
	for (int i = 0; i < test_part(100); i++) {
		go_maxprocs(i % all + 1);
		if (i % 3 == 0)
			go_yield();
		else if (i % 10 == 1)
			go_sleep(200 * US);
	}
	go_maxprocs(all);
	stop = true;
	WAIT_FOR(count == 51);
}

static void spin_6_ms(void *unused)
{
	test_spin(6 * MS);
}

static void sleep_ms(void *ms)
{
	go_sleep((intptr_t)ms * MS);
	count++;
}

/*
 * P0, the only one, is held by hart 1 when the first of two timers fires: hart 0, which watches
 * P0's timers, has had its interrupt for that, and must be told of the other, or all sleep for good
 * once nothing else runs.
 */
static void timer_in_a_borrowed_p(void)
{
	/* Hart 1 takes the P from a blocking section, while there is work for it. */
	for (int i = 0; i < 1000 && go_hart() == 0; i++) {
		go(spin_6_ms, NULL);
		go_block_enter();
		test_spin(3 * MS);
		go_block_leave();
	}
	CHECK_EQ(go_hart(), 1);
	count = 0;
	go(sleep_ms, (void *)20);
	go(sleep_ms, (void *)100);
	go_yield();
	test_spin(50 * MS);
	go_sleep(60 * MS);
	WAIT_FOR(count == 2);
}

static _Atomic(int) here, filled;

static void sleep_on_another_p(void *unused)
{
	here++;
	while (here < go_harts())
		;
	for (int i = 1; i <= 20; i++)
		go(sleep_ms, (void *)(intptr_t)(i % 5 * 10 + 20));
	go_timer stopped = { 0 }; /* its place is not given up at once: sched/timer_heap.h */
	go_timer_call(&stopped, go_now() + 10 * SECOND, 0, spin_6_ms, NULL);
	go_timer_stop(&stopped);
	go_sleep(50 * MS);
	count++;
}

/* The timers of a P that goes move to another one. */
static void timers_of_removed_ps(void)
{
	int all = go_maxprocs(0);
	count = here = 0;
	for (int i = 0; i < all; i++)
		go(sleep_on_another_p, NULL);
	WAIT_FOR(here == all);
	go_sleep(5 * MS);
	go_maxprocs(1);
	WAIT_FOR(count == all * 21);
	go_maxprocs(all);
}

enum { QUEUED = 20 };

static void add_one(void *unused)
{
	count++;
}

/* Fills its P's ring, which nobody comes to, and keeps its hart until the world stops. */
static void fill_a_ring(void *block)
{
	hart_lock();
	here++;
	while (here < go_harts()) /* each hart is busy: nobody steals */
		hart_relax();
	for (int i = 0; i < QUEUED; i++)
		go(add_one, NULL);
	if (block)
		go_block_enter(); /* no stop waits for it */
	filled++;
	while (block ? !stop : !sched.stopping)
		hart_relax();
	hart_unlock();
	if (block)
		go_block_leave();
}

/* The goroutines that wait in the ring of a P that goes run on the Ps that stay, while it is gone. */
static void queues_of_removed_ps(void)
{
	int all = go_maxprocs(0);
	count = filled = 0;
	here = 1;
	for (int i = 1; i < all; i++)
		go(fill_a_ring, NULL);
	while (filled < all - 1)
		;
	go_maxprocs(1);
	for (int i = 1; i < all; i++)
		CHECK_EQ(runq_length(p_get((unsigned)i)), 0);
	WAIT_FOR(count == (all - 1) * QUEUED);
	go_maxprocs(all);
}

/* A P that was taken from a blocking section, with work in its ring, and stays: another M gets it. */
static void queue_of_a_blocked_p(void)
{
	int all = go_maxprocs(0);
	if (all < 3)
		return;
	stop = false;
	count = filled = 0;
	here = 1;
	for (int i = 1; i < all; i++)
		go(fill_a_ring, &count);
	while (filled < all - 1)
		;
	go_maxprocs(all - 1);
	stop = true;
	WAIT_FOR(count == (all - 1) * QUEUED);
	go_maxprocs(all);
}

static void never_more_than_harts(void)
{
	CHECK_EQ(go_maxprocs(0), go_harts());
	CHECK_EQ(go_maxprocs(1000), go_harts());
	CHECK_EQ(go_maxprocs(0), go_harts());
}

static _Atomic(int) at_once, most_at_once;

/* Not by a look and a store: a hart that stands still in between would undo what the others have seen. */
static void note_at_once(int now)
{
	int most = most_at_once;
	while (now > most && !atomic_compare_exchange_weak(&most_at_once, &most, now))
		;
}

static void be_counted(void *unused)
{
	while (!stop) {
		hart_lock(); /* not preempted inside, where another would run in its place */
		note_at_once(++at_once);
		test_spin(100 * US);
		at_once--;
		hart_unlock();
		go_yield();
	}
	count++;
}

/* Two Ps, four harts: two goroutines run at once, whatever waits, and the other Ms sleep. */
static void spare_harts_park(void)
{
	stop = false;
	count = at_once = most_at_once = 0;
	hart_lock(); /* nothing is submitted until each other M has had its first turn, and waits */
	int64_t end = go_now() + 10 * SECOND;
	while (__builtin_popcount(sched.idle_ms) < go_harts() - 1 && go_now() < end)
		hart_relax();
	CHECK_EQ(__builtin_popcount(sched.idle_ms), go_harts() - 1);
	for (int i = 0; i < 8; i++)
		go(be_counted, NULL);
	hart_unlock();
	for (int i = 0; i < 20; i++) {
		go_sleep(5 * MS);
		spin_lock(&sched.lock); /* an M may be giving its P to another one */
		int idle = __builtin_popcount(sched.idle_ms);
		spin_unlock(&sched.lock);
		CHECK_EQ(idle, 2);
	}
	WAIT_FOR(most_at_once == 2); /* the host may have the harts take turns at first */
	stop = true;
	WAIT_FOR(count == 8);
	CHECK_EQ(most_at_once, 2);
}

enum { STAYERS = 3 };
static _Atomic(bool) mixing;
static _Atomic(int) where[STAYERS];
static _Atomic(uint64_t) turns[STAYERS];

/* While mixing, in and out of sections long enough that another M takes the P: then P i is not with M i. */
static void stay_with(void *number)
{
	int i = (int)(intptr_t)number;
	while (!stop) {
		if (mixing) {
			go_block_enter();
			test_spin(100 * US);
			go_block_leave();
			go_yield(); /* a new slice, for the whole round */
		}
		where[i] = go_hart();
		turns[i]++;
	}
	count++;
}

/* The hart where a stayer runs, and the P that its M holds there; -1 if it waits for that long. */
static int find_stayer(int i, int64_t patience, uint32_t *p_id)
{
	uint64_t before = turns[i];
	int64_t end = go_now() + patience;
	while (turns[i] == before)
		if (go_now() > end)
			return -1;
	int hart = where[i];
	struct p *p = m_get((unsigned)hart)->p;
	*p_id = p != NULL ? p->id : UINT32_MAX;
	return hart; /* the stopper may have been preempted meanwhile: goes_on_there() */
}

/* Does that hart's M hold that P still, and is neither the slice's end near nor the global queue's turn? */
static bool goes_on_there(int hart, uint32_t p_id)
{
	struct p *p = p_get(p_id);
	return m_get((unsigned)hart)->p == p && p->look_in > 2 &&
	       p->slice_end > now_ticks() + (int64_t)hart_ns_to_ticks(SECOND / 2);
}

/*
 * The Ps that are left after a stop of the world go on where they were, with what ran there. Only what ran
 * with P i on another M than M i tells anything. The stopper stays on its hart, and looks on without a
 * scheduling point; slices are a second long, so hardly anything else moves a goroutine.
 */
static void same_m_after_a_stop(void)
{
	int seen = 0, kept = 0, before[STAYERS];
	uint32_t ps[STAYERS], p_after;

	stop = false;
	count = 0;
	for (intptr_t i = 0; i < STAYERS; i++)
		go(stay_with, (void *)i);
	go_lock_hart();
	for (int round = 0; round < 300 && seen < 10; round++) {
		mixing = true;
		test_spin(3 * MS);
		mixing = false;
		test_spin(2 * MS);
		for (int i = 0; i < STAYERS; i++)
			before[i] = find_stayer(i, 20 * MS, &ps[i]);
		/* Who waited, whose P goes, or is P 0, which the stopper takes if its own
		   goes, is not judged. */
		struct p *own = m_get((unsigned)go_hart())->p;
		bool steady = goes_on_there(go_hart(), own->id);
		for (int i = 0; i < STAYERS; i++)
			if (before[i] >= 0 && (!steady || (int)ps[i] == before[i] || ps[i] >= 2 || own->id == ps[i] ||
					       (ps[i] == 0 && own->id >= 2) || !goes_on_there(before[i], ps[i])))
				before[i] = -1;
		go_maxprocs(2);
		for (int i = 0; i < STAYERS; i++) {
			if (before[i] < 0)
				continue;
			seen++;
			kept += find_stayer(i, 100 * MS, &p_after) == before[i] && p_after == ps[i];
		}
		go_maxprocs(3);
	}
	stop = true;
	go_unlock_hart();
	WAIT_FOR(count == STAYERS);
	CHECK(seen >= 10);
	CHECK_IN(kept, seen - 2, seen);
}

int main(int argc, char **argv)
{
	TESTS(TEST(maxprocs_limits), TEST(maxprocs_under_load), TEST(timers_of_removed_ps),
	      TEST(queues_of_removed_ps),
	      TEST(queue_of_a_blocked_p), TEST_WHEN_NAMED(starts_with_two), TEST_WHEN_NAMED(timer_in_a_borrowed_p),
	      TEST_WHEN_NAMED(never_more_than_harts), TEST_WHEN_NAMED(spare_harts_park),
	      TEST_WHEN_NAMED(same_m_after_a_stop));
	return test_main(argc, argv, tests);
}
