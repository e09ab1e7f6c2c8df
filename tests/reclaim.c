/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reclaim cycle: what it takes from stacks of goroutines that wait, and that nothing of it shows.
 *
 * @test machines=virt,q35,microvm harts=1,2,4,8 mem=256M timeout=60
 * @test machines=virt,q35 harts=1,4 mem=256M timeout=60 env=GUMPDEBUG=reclaim /gump: reclaim \d+ at \d+ ms: \d+ us in \d+ parts of \d+ us at most, of those flushes of \d+ us; \d+ stacks asked, \d+ KiB came free, [12]\d{3} packed, stacks have \d+ KiB, \d+ KiB are free/
 * @test machines=hosted harts=1,4,8 timeout=120 env=GUMPDEBUG=reclaim|PACKS=0
 * @test machines=hosted harts=4 timeout=120 env=GUMPDEBUG=pack|PACKS=0 args=storm
 * @stress harts=2,4,8 args=storm
 */
#include "parked.h"
#include "sched/cycle.h"

/* Writes to so much of the stack, and answers a sum that says whether it is right. */
static __attribute__((noinline)) int fill(int kib, unsigned seed)
{
	volatile unsigned char bytes[1024];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(seed + i);
	int below = kib > 1 ? fill(kib - 1, seed + 1) : 0;
	for (size_t i = 0; i < sizeof(bytes); i++)
		if (bytes[i] != (unsigned char)(seed + i))
			return below + 1;
	return below;
}

static void deep_then_wait(void *arg)
{
	unsigned char mine[64];
	memset(mine, (int)(intptr_t)arg, sizeof(mine));
	wrong += fill(40, (unsigned)(intptr_t)arg);
	arrived++;
	go_recv(gate, NULL);
	for (size_t i = 0; i < sizeof(mine); i++)
		wrong += mine[i] != (unsigned char)(intptr_t)arg;
	wrong += fill(20, (unsigned)(intptr_t)arg);
	ended++;
}

/* Each had eleven pages, and needs less than one to wait. */
static void stacks_shrink(void)
{
	start(MANY, deep_then_wait);
	size_t before = in_stacks();
	/* a sanitizer's are more */
	CHECK_IN(before, (size_t)MANY * 10 * PAGE, (size_t)MANY * (packs ? 13 : 20) * PAGE);
	size_t freed = go_reclaim();
	CHECK(freed >= (size_t)MANY / 10 * 9 * 10 * PAGE);
	/* some ten to a page */
	CHECK_IN(in_stacks(), 0, (size_t)(packs ? MANY / 5 : MANY + MANY / 5) * PAGE);
	finish(MANY);
}

static size_t in_tables(void)
{
	struct go_memory memory;
	go_memory(&memory);
	return memory.tables;
}

static void use_all_of_it(void *kib)
{
	wrong += fill((int)(intptr_t)kib, 1);
	ended++;
}

/* Each page table of a deep stack maps 2 MiB of it. A table is free after the next cycle's flush. */
static void tables_of_deep_stacks_go_back(void)
{
	static const struct go_attr deep = { .stack_max = (size_t)64 << 20 };
	for (int i = 0; i < 3; i++)
		go_reclaim();
	size_t before = in_tables();
	if (!packs)
		return;
	ended = wrong = 0;
	CHECK_EQ(go_try(use_all_of_it, (void *)(intptr_t)(40 << 10), &deep), 0);
	WAIT_FOR(go_count() == 1);
	CHECK_EQ(wrong, 0);
	CHECK(in_tables() >= before + 18 * PAGE);
	for (int i = 0; i < 3; i++)
		go_reclaim();
	CHECK_IN(in_tables(), 0, before + 2 * PAGE);
}

/* Dead goroutines' stacks go, too. */
static void nothing_is_lost(void)
{
	for (int round = 0; round < 3; round++) {
		start(MANY, deep_then_wait);
		if (round % 2 == 0)
			go_reclaim();
		finish(MANY);
	}
	go_reclaim();
	CHECK_IN(in_stacks(), 0, (size_t)(go_harts() * 64 + 10) * 12 * PAGE); /* what Ps keep at hand */
}

/* Those that nobody has touched since the last cycle are not asked again, be they 5,000 or a million. */
static void only_what_was_touched_is_asked(void)
{
	enum { N = 5000, LATER = 100 };

	if (!packs)
		return;
	go_reclaim();
	start(N, only_wait);
	go_reclaim();
	CHECK_IN(in_stacks(), 0, (size_t)N / 5 * PAGE);
	go_reclaim();
	go_reclaim();
	/* dead ones that Ps keep at hand */
	size_t others = (size_t)go_harts() * (GFREE_MAX + GFREE_BATCH) + 10;
	CHECK_IN(reclaim_asked, 0, others);
	for (int i = 0; i < LATER; i++)
		go(only_wait, NULL);
	WAIT_FOR(arrived == N + LATER);
	go_sleep(5 * MS);
	go_reclaim();
	CHECK_IN(reclaim_asked, 0, others + LATER);
	CHECK_IN(in_stacks(), 0, (size_t)N / 5 * PAGE);
	finish(N + LATER);
}

/* A million may die at once: what they had goes in parts, too, and all of it. */
static void the_dead_are_asked_in_parts(void)
{
	enum { N = 6 * MANY };

	if (!packs)
		return;
	start(N, only_wait);
	finish(N);
	go_reclaim();
	/* but for what Ps keep at hand */
	CHECK_IN(in_stacks(), 0, (size_t)(go_harts() * (GFREE_MAX + GFREE_BATCH) + 50) * PAGE);
}

static void wait_deep(int kib)
{
	volatile unsigned char bytes[1024];
	bytes[0] = 1;
	if (kib > 1) {
		wait_deep(kib - 1);
	} else {
		arrived++;
		go_recv(gate, NULL);
	}
	wrong += bytes[0] != 1;
}

static go_chan *second_gate;

static void rise_then_wait(void *unused)
{
	wait_deep(40);
	arrived++;
	go_recv(second_gate, NULL);
	ended++;
}

/* A cycle has seen them wait where they need all of their stack; then they need next to none, without a fault. */
static void asked_again_when_they_went_on(void)
{
	second_gate = go_chan_make(0, 0);
	start(200, rise_then_wait);
	go_reclaim();
	go_reclaim();
	size_t before = in_stacks();
	CHECK(before >= (size_t)200 * 10 * PAGE);
	go_close(gate);
	WAIT_FOR(arrived == 400);
	go_sleep(5 * MS);
	go_reclaim();
	CHECK_IN(in_stacks(), 0, before - (size_t)200 * 8 * PAGE);
	go_close(second_gate);
	WAIT_FOR(ended == 200);
	WAIT_FOR(go_count() == 1);
	CHECK_EQ(wrong, 0);
	go_chan_free(gate);
	go_chan_free(second_gate);
}

static void end_or_wait(void *number)
{
	if ((intptr_t)number % 2 != 0) {
		arrived++;
		go_recv(gate, NULL);
	}
	ended++;
}

/* Each second one ends at once, and the next, which has not run yet, gets its stack: also that one is asked. */
static void inherited_ones_are_asked(void)
{
	enum { N = 2 * MANY };

	for (int round = 0; round < 2; round++) {
		arrived = ended = wrong = 0;
		gate = go_chan_make(0, 0);
		for (int i = 0; i < N; i++)
			go(end_or_wait, (void *)(intptr_t)i);
		WAIT_FOR(arrived == N / 2 && ended == N / 2);
		go_sleep(5 * MS);
		go_reclaim();
		if (packs)
			CHECK_IN(in_stacks(), 0, (size_t)(N / 2 / 5 + go_harts() * 64 * 2) * PAGE);
		finish(N);
	}
}

/* A goroutine writes over all that lies above its frame, as a program must not: a cycle takes no harm. */
static void write_over_the_top(void *with)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0), top = (here | (PAGE - 1)) + 1;
	*((void **)top - 1) = with;
	arrived++;
	go_recv(gate, NULL);
	ended++;
}

static void written_over_at_the_top(void)
{
	static const uintptr_t values[] = { 0, 1, 8, (uintptr_t)-8, (uintptr_t)1 << 63, 0x12345678, UINTPTR_MAX };
	enum { N = sizeof(values) / sizeof(values[0]) };
	void *blocks[3] = { malloc(16), malloc(100000), &gate };

	arrived = ended = wrong = 0;
	gate = go_chan_make(0, 0);
	for (int i = 0; i < N; i++)
		go(write_over_the_top, (void *)values[i]);
	for (int i = 0; i < 3; i++)
		go(write_over_the_top, blocks[i]);
	WAIT_FOR(arrived == N + 3);
	go_sleep(5 * MS);
	for (int i = 0; i < 3; i++)
		go_reclaim();
	finish(N + 3);
	free(blocks[0]);
	free(blocks[1]);
}

static int *places[MANY];

static void lend_a_place(void *arg)
{
	int place = 0;
	places[(intptr_t)arg] = &place;
	arrived++;
	go_recv(gate, NULL);
	wrong += place != (int)(intptr_t)arg + 1;
	ended++;
}

/* Others write to variables of goroutines whose stacks are packed. */
static void pointers_into_packed_stacks(void)
{
	start(MANY, lend_a_place);
	for (int round = 0; round < 2; round++) {
		CHECK(go_reclaim() != 0 || !packs);
		for (int i = round; i < MANY; i += 2)
			*places[i] += i + 1;
	}
	go_reclaim();
	finish(MANY);
}

/* No fault comes in between that is elsewhere: a hart may take it for one that it has handled already. */
static void the_same_place_again(void)
{
	start(1, lend_a_place);
	for (int i = 0; i < 21; i++) {
		CHECK(go_reclaim() != 0 || i > 0 || !packs);
		*places[0] += i % 2 == 0 ? 1 : -1;
	}
	finish(1);
}

static go_chan *values;

static void receive_sums(void *arg)
{
	long sum = 0, value;
	while (go_recv(values, &value))
		sum += value;
	wrong += sum < 0;
	ended++;
}

/* A channel hands over into a packed stack. */
static void handed_into_packed_stacks(void)
{
	wrong = ended = 0;
	values = go_chan_make(sizeof(long), 0);
	for (int i = 0; i < 100; i++)
		go(receive_sums, NULL);
	for (int round = 0; round < 20; round++) {
		go_sleep(100 * US);
		go_reclaim();
		for (long i = 0; i < 100; i++)
			go_send(values, &i);
	}
	go_close(values);
	WAIT_FOR(ended == 100);
	CHECK_EQ(wrong, 0);
	go_chan_free(values);
}

static _Atomic(bool) is_deep, go_on;

static __attribute__((noinline)) int fill_and_stay(int kib)
{
	volatile unsigned char bytes[1024];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(kib + (int)i);
	int below = kib > 1 ? fill_and_stay(kib - 1) : 0;
	for (is_deep = true; !go_on;)
		hart_relax();
	for (size_t i = 0; i < sizeof(bytes); i++)
		if (bytes[i] != (unsigned char)(kib + (int)i))
			return below + 1;
	return below;
}

/* Not preempted: so its context is one that was saved when it used little of its stack. */
static void stay_deep(void *unused)
{
	hart_lock();
	wrong += fill_and_stay(40);
	hart_unlock();
	ended++;
}

/* A goroutine that runs on another hart meanwhile, and looks at nothing but the end of its stack. */
static void running_ones_keep_theirs(void)
{
	wrong = 0;
	for (int i = 0; i < 20 && go_harts() > 1; i++) {
		is_deep = go_on = false;
		ended = 0;
		go(stay_deep, NULL);
		WAIT_FOR(is_deep);
		go_reclaim();
		go_on = true;
		WAIT_FOR(ended == 1);
		CHECK_EQ(wrong, 0);
	}
}

static _Atomic(bool) over;

static void reclaim_all_the_time(void *unused)
{
	while (!over) {
		go_reclaim();
		go_yield();
	}
	ended++;
}

/* Others write to variables of goroutines whose stacks are being hidden, taken and packed. */
static void written_to_meanwhile(void)
{
	enum { N = 500 };
	int64_t until = go_now() + SECOND / 2;

	start(N, lend_a_place);
	over = false;
	go(reclaim_all_the_time, NULL);
	while (go_now() < until)
		for (int step = 1; step >= -1; step -= 2)
			for (int i = 0; i < N; i++)
				*(volatile int *)places[i] += step;
	over = true;
	WAIT_FOR(ended == 1);
	for (int i = 0; i < N; i++)
		*places[i] += i + 1;
	finish(N + 1);
}

static void grow_and_wait(void *arg)
{
	unsigned seed = (unsigned)(intptr_t)arg;
	go_chan *ch = go_chan_make(sizeof(int), 0);
	for (int round = 0; !over; round++) {
		wrong += fill(1 + (int)((seed * 7 + (unsigned)round * 13) % 60), seed);
		struct go_case cases[] = { { GO_RECV, ch, NULL, false } };
		go_select(cases, 1, go_now() + (int64_t)(seed % 5 + 1) * 50 * US);
	}
	go_chan_free(ch);
	ended++;
}

/* Stacks grow and goroutines wait everywhere while one reclaims without an end. */
static void storm(void)
{
	enum { GS = 100 };
	over = false;
	wrong = ended = 0;
	go(reclaim_all_the_time, NULL);
	for (int i = 0; i < GS; i++)
		go(grow_and_wait, (void *)(intptr_t)i);
	go_sleep(SECOND / 2);
	over = true;
	WAIT_FOR(ended == GS + 1);
	CHECK_EQ(wrong, 0);
}

int main(int argc, char **argv)
{
	parked_begin();
	TESTS(TEST(stacks_shrink), TEST(tables_of_deep_stacks_go_back), TEST(nothing_is_lost),
	      TEST(only_what_was_touched_is_asked), TEST(asked_again_when_they_went_on),
	      TEST(inherited_ones_are_asked), TEST(the_dead_are_asked_in_parts), TEST(written_over_at_the_top),
	      TEST(pointers_into_packed_stacks), TEST(the_same_place_again), TEST(handed_into_packed_stacks),
	      TEST(running_ones_keep_theirs), TEST(written_to_meanwhile), TEST(storm));
	return test_main(argc, argv, tests);
}
