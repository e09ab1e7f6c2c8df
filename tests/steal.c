/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who looks for work where, in what order, and how many look: sched/schedule.c from inside, which is part of
 * this program in place of the library's.
 *
 * @test harts=1 env=GUMPDEBUG=seed=0 args=coprime_order|at_most_half_spin
 * @test harts=3 env=GUMPDEBUG=seed=0 args=runnext_in_the_last_round|timers_in_the_last_round timeout=60
 * @test harts=2 env=GUMPDEBUG=seed=0 args=spins_for_4_us
 */
#include "sched/switch.h"
#include "test.h"

/*
 * While an M is measured, its clock goes on by half a microsecond at each look, and its pauses are counted.
 */
#define STEP_NS 500
static struct m *_Atomic measured;
static _Atomic(int) pauses;
static _Atomic(bool) went_idle;
static int64_t step, clock_of_measured;

static int64_t now_or_made(struct m *m)
{
	return m == measured ? clock_of_measured += step : now_ticks();
}

static void pause_counted(struct m *m)
{
	if (m == measured)
		pauses++;
	hart_relax();
}

static void idle_noted(struct m *m, bool *tried_alone)
{
	if (m == measured) {
		measured = NULL;
		went_idle = true;
	}
	m_idle(m, tried_alone);
}

#define now_ticks() now_or_made(m)
#define hart_relax() pause_counted(m)
#define m_idle idle_noted
#include "sched/schedule.c"
#undef m_idle
#undef hart_relax
#undef now_ticks

/* From any start, each P is visited once; and each order comes up. */
static void coprime_order(void)
{
	uint64_t random = 1;

	for (uint32_t n = 1; n <= HARTS_MAX; n++) {
		uint32_t steps = 0;
		for (int draw = 0; draw < 1000; draw++) {
			uint32_t step = random_step(&random, n), seen = 0;
			for (uint32_t i = 0, at = n / 2; i < n; i++, at = (at + step) % n)
				seen |= bit(at);
			CHECK_EQ(seen, bit(n) - 1);
			steps |= bit(step % n);
		}
		for (uint32_t step = 1; step < n; step++)
			CHECK_EQ(steps >> step & 1, coprime(step, n));
	}
}

static bool spins_beside(uint32_t spinning, uint32_t idle)
{
	static struct m m;
	uint32_t procs = sched.procs;

	hart_lock();
	uint32_t idle_before = sched.idle_ps, spinning_before = sched.spinning;
	sched.procs = 8;
	sched.idle_ps = bit(idle) - 1;
	sched.spinning = spinning;
	m = (struct m){ 0 };
	bool spins = may_spin(&m);
	CHECK_EQ(sched.spinning, spinning + spins);
	CHECK_EQ(m.spinning, spins);
	sched.procs = procs;
	sched.idle_ps = idle_before;
	sched.spinning = spinning_before;
	hart_unlock();
	return spins;
}

/* Of eight Ps, of which some are idle. */
static void at_most_half_spin(void)
{
	for (uint32_t idle = 0; idle < 8 && !GUMP_CHECKS; idle++) /* the checks know that this M is none */
		for (uint32_t spinning = 0; spinning < 8; spinning++)
			CHECK_EQ(spins_beside(spinning, idle), 2 * spinning < 8 - idle);
}

/*
 * Three goroutines keep three Ps busy: nobody looks for work while two of them make some, of which one has it
 * in the ring; then the third ends, and its M takes that first, whichever of the two it visits first: what is
 * taken in the last round only waits.
 */
static _Atomic(int) in_place, ready_to_be_robbed, taken, first, gone;
static _Atomic(bool) over;
enum { NOTHING, FROM_RING, FROM_NEXT, BY_TIMER };

static void take(void *what)
{
	int none = NOTHING;
	atomic_compare_exchange_strong(&first, &none, (int)(intptr_t)what);
	taken++;
}

/* On a P each, from here to their end. */
static void be_in_place(void)
{
	hart_lock();
	in_place++;
	while (in_place < 3)
		hart_relax();
}

static void wait_here(void)
{
	ready_to_be_robbed++;
	while (!over)
		hart_relax();
	hart_unlock();
	gone++;
}

static void has_ring(void *unused)
{
	be_in_place();
	go(take, (void *)FROM_RING);
	go(take, (void *)FROM_NEXT);
	wait_here();
}

static void has_next(void *unused)
{
	be_in_place();
	go(take, (void *)FROM_NEXT);
	wait_here();
}

static void take_by_timer(void *unused)
{
	take((void *)BY_TIMER);
}

static void has_timer(void *unused)
{
	static go_timer timer;

	be_in_place();
	go_timer_call(&timer, go_now() + 100 * US, 0, take_by_timer, NULL);
	test_spin(200 * US);
	wait_here();
}

static void occupy(void *unused)
{
	be_in_place();
	while (ready_to_be_robbed < 2)
		hart_relax();
	hart_unlock();
	gone++;
}

static void ring_comes_first(void (*other)(void *), int what)
{
	for (int i = 0; i < 60; i++) {
		in_place = ready_to_be_robbed = taken = first = gone = 0;
		over = false;
		go(has_ring, NULL);
		go(other, NULL);
		go(occupy, NULL);
		while (ready_to_be_robbed < 2)
			go_sleep(100 * US);
		WAIT_FOR(taken >= 1);
		CHECK_EQ(first, FROM_RING);
		over = true;
		WAIT_FOR(gone == 3 && taken == 3);
	}
}

static void runnext_in_the_last_round(void)
{
	ring_comes_first(has_next, FROM_NEXT);
}

static void timers_in_the_last_round(void)
{
	ring_comes_first(has_timer, BY_TIMER);
}

static _Atomic(bool) woken;

/* The M that this runs on has nothing to do next. Who wakes one counts as one that spins meanwhile. */
static void be_measured(void *unused)
{
	hart_lock();
	while (!woken)
		hart_relax();
	clock_of_measured = now_ticks();
	measured = m_self();
	hart_unlock();
}

/*
 * An M that finds nothing in its four rounds looks again for 4 us, if another runs which could make work;
 * and then goes idle.
 */
static void spins_for_4_us(void)
{
	step = (int64_t)hart_ns_to_ticks(STEP_NS);
	for (int i = 0; i < 20; i++) {
		go_sleep(MS);
		hart_lock(); /* not preempted: there is never work */
		measured = NULL; /* it may be this M, which has just slept */
		pauses = 0;
		went_idle = woken = false;
		go(be_measured, NULL);
		woken = true;
		for (int64_t end = go_now() + 5 * SECOND; !went_idle && pauses < 1000 && go_now() < end;)
			hart_relax();
		hart_unlock();
		CHECK_EQ(pauses, (sched.spin + step - 1) / step);
		CHECK(went_idle);
	}
}

int main(int argc, char **argv)
{
	TESTS(TEST(coprime_order), TEST(at_most_half_spin), TEST(runnext_in_the_last_round),
	      TEST(timers_in_the_last_round), TEST(spins_for_4_us));
	return test_main(argc, argv, tests);
}
