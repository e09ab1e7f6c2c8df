/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time slices: who shares one, who comes next when it is over, how long it is, and what is counted. On one
 * hart, where all of it can be seen. With ThreadSanitizer an interrupt takes as long as a slice, or longer: its runtime
 * is stepped through first.
 *
 * @test alone harts=1 env=GUMPDEBUG=seed=0 args=-global_queue_each_61st
 * @test harts=1 env=QUANTUM_US=1000000|GUMPDEBUG=seed=0 args=global_queue_each_61st
 * @test harts=1 env=GUMPDEBUG=seed=0 quantum_is_10_ms sanitize=address,undefined
 * @test harts=1 env=QUANTUM_US=100|GUMPDEBUG=seed=0 quantum_is_100_us sanitize=address,undefined
 * @test harts=1 env=QUANTUM_US=99|GUMPDEBUG=seed=0 args=quantum_is_10_ms sanitize=address,undefined "QUANTUM_US=99 is not a number from 100"
 * @test harts=1 env=QUANTUM_US=1000001|GUMPDEBUG=seed=0 args=quantum_is_10_ms sanitize=address,undefined "QUANTUM_US=1000001 is not"
 * @test harts=1 env=QUANTUM_US=1000000|GUMPDEBUG=seed=0 args=quantum_is_1_s
 */
#include "sched/sched.h"
#include "test.h"

static _Atomic(bool) stop;
static _Atomic(int) count;
static _Atomic(long) turns, others;
static go_chan *ch;

static void bounce(void *unused)
{
	while (go_recv(ch, NULL) && !stop)
		go_send(ch, NULL);
	count++;
}

static void take_ten_turns(void *done)
{
	for (turns = 0; turns < 10; turns++)
		yield_local();
	go_send(done, NULL);
	count++;
}

/*
 * A pair that wakes each other through runnext shares one slice: at its end the one that waits in the ring
 * comes. If each wake-up brought a new slice, the ring would be looked at only when the host was away for a
 * slice, and there would be thousands by then. No timer is set, which would stir the queues.
 */
static void pair_shares_a_slice(void)
{
	stop = false;
	count = 0;
	turns = 0;
	ch = go_chan_make(0, 0);
	uint32_t tick = p_get(0)->sched_tick;
	go_chan *done = go_chan_make(0, 0);
	go(bounce, NULL);
	go(bounce, NULL);
	go(take_ten_turns, done);
	go_send(ch, NULL);
	go_recv(done, NULL);
	/* However long the host is away, between two of those turns the pair begins two slices at most. */
	CHECK_IN(p_get(0)->sched_tick - tick, 10, 40);
	stop = true;
	WAIT_FOR(count == 2);
	go_close(ch); /* wakes the one of the pair that waits */
	WAIT_FOR(count == 3);
	go_chan_free(ch);
	go_chan_free(done);
}

static void count_locally(void *unused)
{
	while (!stop) {
		others++;
		yield_local();
	}
	count++;
}

static bool queue_globally(struct g *g, void *unused)
{
	g_change(g, G_WAITING, G_RUNNABLE);
	spin_acquire(&sched.lock);
	globrunq_put_one(g);
	spin_release(&sched.lock);
	return true;
}

static long most_between;

static void come_back_by_global_queue(void *unused)
{
	long last = others;
	for (int i = 0; i < 200; i++) {
		hart_lock();
		park(queue_globally, NULL, WAIT_NONE);
		long between = others - last;
		last = others;
		most_between = between > most_between ? between : most_between;
	}
	stop = true;
	count++;
}

/* Two that always leave something in the ring: every 61st slice is the global queue's. */
static void global_queue_each_61st(void)
{
	stop = false;
	count = 0;
	others = most_between = 0;
	go(count_locally, NULL);
	go(count_locally, NULL);
	go(come_back_by_global_queue, NULL);
	WAIT_FOR(count == 3);
	CHECK_IN(most_between, GLOBAL_TICK - 2, GLOBAL_TICK + 2);
}

enum { LOOPS = 3, SLICES = 24 };
static _Atomic(int) runs_now, slices[SLICES];
static _Atomic(int) slice_count;

static void note_slices(void *number)
{
	while (!stop) {
		if (runs_now == (intptr_t)number)
			continue;
		runs_now = (int)(intptr_t)number;
		if (slice_count < SLICES)
			slices[slice_count++] = runs_now;
	}
	count++;
}

static struct g *looked_at;
static _Atomic(uint32_t) looked_like;

static void look_at_it(void *unused)
{
	looked_like = looked_at->status;
	count++;
}

/* Who comes next sees that this one has been stopped, and did not stop by itself. */
static void preempted_is_a_state(void)
{
	count = 0;
	looked_at = g_self();
	go(look_at_it, NULL);
	while (count == 0)
		;
	CHECK_EQ(looked_like, G_PREEMPTED);
	CHECK_EQ(looked_at->status, G_RUNNING);
}

/*
 * Preempted, one goes to the tail: they take turns. A turn in which the host is away until it is over before it
 * has begun is not seen, and moves the next ones up by one. The next look at the global queue first, which
 * changes the order, is made to come after all of that.
 */
static void preempted_to_the_tail(void)
{
	hart_lock();
	struct p *p = m_self()->p;
	p->global_tick = p->sched_tick;
	p->look_in = GLOBAL_TICK;
	hart_unlock();
	stop = false;
	count = slice_count = 0;
	runs_now = -1;
	for (intptr_t i = 0; i < LOOPS; i++)
		go(note_slices, (void *)i);
	WAIT_FOR(slice_count == SLICES);
	stop = true;
	WAIT_FOR(count == LOOPS);
	int off = 0;
	for (int i = LOOPS; i < SLICES; i++)
		off += slices[i] != slices[i - LOOPS];
	CHECK_IN(off, 0, LOOPS);
}

static int64_t cpu_time(void)
{
	struct g *g = g_self();
	return hart_ticks_to_ns((uint64_t)(g->run_ticks + now_ticks()));
}

static void use_10_ms(void *unused)
{
	test_spin(10 * MS);
	count++;
}

/* A look at it, and the clock before and after: the host may be away in between. */
struct look {
	int64_t from, cpu, to;
};

static struct look look(void)
{
	struct look at;
	at.from = go_now();
	at.cpu = cpu_time();
	at.to = go_now();
	return at;
}

/* What it ran, not what it waited, slept, or others ran. */
static void cpu_time_is_counted(void)
{
	count = 0;
	struct look before = look();
	int64_t wakes = go_now() + 50 * MS;
	go_sleep(50 * MS);
	int64_t parked = hart_ticks_to_ns((uint64_t)g_self()->wait_since);
	struct look after = look();
	CHECK_IN(after.cpu - before.cpu, 0, after.to - before.from - (wakes - parked) + MS);

	before = look();
	go(use_10_ms, NULL);
	go(use_10_ms, NULL);
	while (count < 2)
		go_yield();
	after = look();
	CHECK_IN(after.cpu - before.cpu, 0, after.to - before.from - 15 * MS);

	before = look();
	test_spin(25 * MS); /* over slices, preempted */
	after = look();
	CHECK_IN(after.cpu - before.cpu, after.from - before.to - MS, after.to - before.from + MS);
}

/* The shortest of some slices beside another loop; the host may be away for some. */
static void check_quantum(int64_t ns, int times)
{
	int64_t least = INT64_MAX;

	CHECK_EQ(hart_ticks_to_ns((uint64_t)sched.quantum), ns);
	stop = false;
	count = 0;
	runs_now = -1;
	slice_count = 0;
	go(note_slices, (void *)0);
	for (int i = 0; i < times; i++) {
		while (runs_now != 0)
			;
		int64_t start = go_now();
		runs_now = 1;
		while (runs_now == 1)
			;
		/* ours; then the other's until it sees runs_now, and all of its own */
		int64_t took = go_now() - start;
		least = took < least ? took : least;
	}
	stop = true;
	WAIT_FOR(count == 1);
	CHECK_IN(least, ns - ns / 10, 3 * ns);
}

static void quantum_is_10_ms(void)
{
	check_quantum(10 * MS, 51);
}

static void quantum_is_100_us(void)
{
	check_quantum(100 * US, 1001);
}

static void quantum_is_1_s(void)
{
	check_quantum(SECOND, 1);
}

/* Who wakes up after that has a slice of its own, not what was left to whoever ran last. */
static void sleep_begins_a_slice(void)
{
	int whole = 0;
	for (int i = 0; i < 10; i++) {
		uint64_t before = p_get(0)->preemptions;
		go_sleep(15 * MS);
		whole += p_get(0)->preemptions == before;
	}
	CHECK(whole > 0); /* in some the host may be away */
}

int main(int argc, char **argv)
{
	TESTS(TEST(sleep_begins_a_slice), TEST(pair_shares_a_slice), TEST(global_queue_each_61st), TEST(preempted_to_the_tail),
	      TEST(preempted_is_a_state), TEST(cpu_time_is_counted), TEST_WHEN_NAMED(quantum_is_10_ms),
	      TEST_WHEN_NAMED(quantum_is_100_us), TEST_WHEN_NAMED(quantum_is_1_s));
	return test_main(argc, argv, tests);
}
