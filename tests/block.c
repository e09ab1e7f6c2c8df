/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blocking sections: a short one keeps its P, a long one loses it to others.
 *
 * @test alone
 * @test machines=virt,q35,hosted harts=2 env=GOMAXPROCS=1|QUANTUM_US=1000000 args=parks_as_a_section_begins
 * @test checks machines=virt,q35,hosted harts=2 env=QUANTUM_US=1000000 args=stops_as_it_leaves
 * @test machines=virt,q35,hosted harts=3 args=taken_for_others
 * @test machines=virt,q35,hosted harts=2 env=GOMAXPROCS=1 args=locked_one_takes_the_p
 * @test harts=2 args=what_waits_with_it_goes_on
 * @test harts=1 args=slice_ends_in_sections
 * @stress env=PART=5 args=-short_section_keeps_its_p
 */
#include "busy.h"

static _Atomic(int) count;
static _Atomic(bool) stop;
static _Atomic(uint64_t) beats;

static void beat(void *unused)
{
	while (!stop)
		beats++;
	count++;
}

static void hold_hart(void *unused)
{
	go_block_enter();
	uint64_t before = beats;
	/* The host keeps a hart waiting as it likes; a P that is not taken within some slices never is. */
	int64_t end = go_now() + (go_harts() > 1 ? 10 * SECOND : 200 * MS);
	while (go_now() < end && beats == before)
		;
	if (go_harts() > 1)
		CHECK(beats != before);
	go_block_leave();
	count++;
}

/* With one P: while its holder is in a blocking section, others get on, where there is a hart. */
static void blocking_section(void)
{
	int all = go_maxprocs(1);
	stop = false;
	count = 0;
	go(beat, NULL);
	for (int i = 1; i <= test_part(5); i++) {
		go(hold_hart, NULL);
		WAIT_FOR(count == i);
	}
	stop = true;
	WAIT_FOR(count == 1 + test_part(5));
	go_maxprocs(all);
}

static void block_often(void *unused)
{
	for (int i = 0; i < test_part(100); i++) {
		go_block_enter();
		test_spin(i % 10 * 10 * US);
		go_block_leave();
		if (i % 5 == 0)
			go_yield();
	}
	count++;
}

static void spin_here(void)
{
	go_block_enter();
	test_spin(3 * MS); /* long enough to lose the P */
	go_block_leave();
}

static void nest(void *unused)
{
	for (int i = 0; i < test_part(10); i++) {
		go_block_enter();
		spin_here();
		uint64_t before = beats;
		int64_t end = go_now() + SECOND;
		while (go_now() < end && beats == before && go_harts() > 1)
			; /* the outer section lasts */
		if (go_harts() > 1)
			CHECK(beats != before);
		go_block_leave();
		go_yield();
	}
	count++;
}

static void sections_nest(void)
{
	int all = go_maxprocs(1);
	stop = false;
	count = 0;
	go(beat, NULL);
	go(nest, NULL);
	WAIT_FOR(count == 1);
	stop = true;
	WAIT_FOR(count == 2);
	go_maxprocs(all);
}

static void many_short_sections(void)
{
	count = 0;
	for (int i = 0; i < 10; i++)
		go(block_often, NULL);
	WAIT_FOR(count == 10);
}

/* A section that is short keeps its P, without a lock: nobody could tell that the P was left. */
static void short_section_keeps_its_p(void)
{
	int kept = 0;
	for (int i = 0; i < 100; i++) {
		hart_lock();
		struct p *before = m_self()->p;
		uint32_t tick = before->sched_tick;
		go_block_enter();
		CHECK(m_self()->p == NULL);
		CHECK_EQ(before->status & 0xff, P_BLOCKED);
		go_block_leave();
		kept += m_self()->p == before && before->sched_tick == tick;
		hart_unlock();
	}
	CHECK_IN(kept, 90, 100); /* the host may be away during some */
}

static _Atomic(bool) in_section, leave, back;

static void come_back(void *unused)
{
	go_block_enter();
	in_section = true;
	while (!leave)
		hart_relax();
	go_block_leave();
	back = true;
}

/*
 * An M comes back from a blocking section, and parks just when the only P is left in another one: it looks
 * again when that has lasted long enough (a tenth of a second here, so that it parks before), not at the end
 * of a slice (a second).
 */
static void parks_as_a_section_begins(void)
{
	for (int i = 0; i < 3; i++) {
		in_section = leave = back = false;
		go(come_back, NULL);
		while (!in_section)
			go_yield();
		int64_t end = go_now() + SECOND / 2;
		hart_lock();
		struct p *p = m_self()->p;
		go_block_enter();
		p->slice_end = now_ticks() + (int64_t)hart_ns_to_ticks(SECOND / 10);
		hart_unlock();
		leave = true;
		bool in_time = HELD_UNTIL(back, end - go_now());
		go_block_leave();
		CHECK(in_time);
		WAIT_FOR(go_count() == 1);
	}
}

static struct p *_Atomic leaves_with;
static _Atomic(bool) about_to_stop, kicked;

static bool has_left(void)
{
	kicked = true;
	return (atomic_load(&leaves_with->status) & 0xff) != P_BLOCKED;
}

static bool is_in(void)
{
	about_to_stop = true;
	if ((atomic_load(&leaves_with->status) & 0xff) != P_BLOCKED)
		return false;
	fuzz_hold(FUZZ_STOPPING, has_left);
	return true;
}

static void leave_as_it_stops(void *unused)
{
	hart_lock();
	leaves_with = m_self()->p;
	while (!about_to_stop)
		hart_relax();
	go_block_enter();
	hart_unlock();
	while (!kicked)
		hart_relax();
	test_spin(MS); /* the kick is here */
	go_block_leave();
	while (atomic_load(&sched.stopping)) /* does not stop by itself */
		hart_relax();
	count++;
}

/*
 * The world is stopped: the stopper finds a goroutine running, which enters a section and is kicked there, and
 * leaves it before the stopper looks again.
 */
static void stops_as_it_leaves(void)
{
	int64_t least = INT64_MAX;
	for (int round = 1; round <= 10; round++) {
		count = 0;
		leaves_with = NULL;
		about_to_stop = kicked = false;
		go(leave_as_it_stops, NULL);
		hart_lock();
		while (leaves_with == NULL)
			hart_relax();
		fuzz_hold(FUZZ_STOPPING, is_in);
		hart_unlock();
		int64_t begin = go_now();
		go_maxprocs(1);
		int64_t took = go_now() - begin;
		go_maxprocs(2);
		least = took < least ? took : least;
		WAIT_FOR(count == 1);
	}
	CHECK_IN(least, 0, 500 * MS);
}

static void block_long(void *unused)
{
	go_block_enter();
	in_section = true;
	while (!stop)
		hart_relax();
	go_block_leave();
	count++;
}

static void come_by(void *unused)
{
	count++;
}

/* All Ps are taken, one by a section that has nothing to do itself: it goes to who finds work with another. */
static void taken_for_others(void)
{
	go_maxprocs(2);
	for (int round = 0; round < 10; round++) {
		count = 0;
		stop = in_section = false;
		go(block_long, NULL);
		WAIT_FOR(in_section);
		hart_lock(); /* not preempted */
		while (__builtin_popcount(sched.idle_ms) != 1)
			hart_relax();
		go(come_by, NULL);
		CHECK(HELD_UNTIL(count == 1, 5 * SECOND));
		hart_unlock();
		stop = true;
		WAIT_FOR(count == 2);
	}
	go_maxprocs(3);
}

static void sleep_locked(void *unused)
{
	go_lock_hart();
	do
		go_sleep(20 * MS);
	while (!in_section);
	back = true;
}

/*
 * The only P is left in a section, and the only other hart waits for a goroutine that is locked to it: when that is
 * to run it takes the P.
 */
static void locked_one_takes_the_p(void)
{
	for (int i = 0; i < 3; i++) {
		in_section = back = false;
		go(sleep_locked, NULL);
		while (sched.parked_locked == 0)
			go_yield();
		go_block_enter();
		in_section = true;
		bool in_time = HELD_UNTIL(back, 5 * SECOND);
		go_block_leave();
		CHECK(in_time);
		WAIT_FOR(go_count() == 1);
	}
}

/* The other hart has work without end: what is in the ring of a section's P goes on there, and who sleeps with it. */
static void what_waits_with_it_goes_on(void)
{
	for (int round = 0; round < 10; round++) { /* the sleeper's timer is now on this P, now on the other */
		count = 0;
		busy_begin();
		go(come_by, NULL);
		go_block_enter();
		bool in_time = HELD_UNTIL(count == 1 && awake, 5 * SECOND);
		go_block_leave();
		CHECK(in_time);
		busy_end();
	}
}

/* Sections that each last longer than a slice, with next to nothing in between: others come all the same. */
static void slice_ends_in_sections(void)
{
	go(come_by, NULL);
	for (int i = 0; i < 100 && count == 0; i++) {
		go_block_enter();
		test_spin(15 * MS);
		go_block_leave();
	}
	CHECK_EQ(count, 1);
}

/* Neither waits nor wakes: it is fine in a section, where there is no P to draw from. */
static void select_in_a_section(void)
{
	go_chan *a = go_chan_make(sizeof(int), 1), *b = go_chan_make(sizeof(int), 1);
	int one = 1;
	struct go_case cases[] = { { GO_SEND, a, &one, false }, { GO_SEND, b, &one, false } };

	go_block_enter();
	int first = go_select(cases, 2, GO_NOW), second = go_select(cases, 2, GO_NOW);
	int none = go_select(cases, 2, GO_NOW);
	go_block_leave();
	CHECK_EQ(first + second, 1);
	CHECK_EQ(none, -1);
	go_chan_free(a);
	go_chan_free(b);
}

int main(int argc, char **argv)
{
	TESTS(TEST(blocking_section), TEST(sections_nest), TEST(many_short_sections), TEST(short_section_keeps_its_p), TEST(select_in_a_section),
	      TEST_WHEN_NAMED(parks_as_a_section_begins), TEST_WHEN_NAMED(stops_as_it_leaves),
	      TEST_WHEN_NAMED(taken_for_others), TEST_WHEN_NAMED(locked_one_takes_the_p),
	      TEST_WHEN_NAMED(what_waits_with_it_goes_on), TEST_WHEN_NAMED(slice_ends_in_sections));
	return test_main(argc, argv, tests);
}
