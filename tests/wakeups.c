/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Wake-ups of harts, as many as there can be: work comes and goes at the moment when others are about to
 * sleep. What is to be seen here is that all of it ends. In the build with checks (tests/run --checks) the
 * scheduler itself ends the machine when a goroutine waits while a hart sleeps.
 *
 * @test harts=1,2,4,8 timeout=60
 * @test windows checks machines=virt,q35 harts=4 env=GUMPDEBUG=windows args=-none timeout=60
 * @stress env=PART=3 timeout=60
 */
#include "test.h"

static int often; /* rounds */

static _Atomic(bool) over;

/* Harts that wake up, find this, and have nothing to do afterwards. */
static void stir(void *number)
{
	uint32_t n = (uint32_t)(intptr_t)number;
	while (!over) {
		n = n * 1664525 + 1013904223;
		go_sleep(5 * US + n % 64 * US);
	}
}

static void start_stirring(void)
{
	over = false;
	for (int i = 1; i < go_harts(); i++)
		go(stir, (void *)(intptr_t)i);
}

static void stop_stirring(void)
{
	over = true;
	WAIT_FOR(go_count() == 1);
}

/* Critical sections, but no wake-up: what has been forgotten stays so. */
static void busy(int64_t ns)
{
	static go_sem none;
	for (int64_t end = go_now() + ns; go_now() < end;)
		CHECK(!go_sem_try_acquire(&none));
}

static uint32_t random_below(uint32_t *state, uint32_t n)
{
	*state = *state * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)*state * n >> 32);
}

/*
 * Mostly short, so that something is always about to happen; now and then long enough for
 * all others to sleep.
 */
static void pause(uint32_t *random)
{
	busy(random_below(random, 4) == 0 ? 200 * US : random_below(random, 20) * US);
}

static go_sem work;

static void take_work(void *rounds)
{
	uint32_t random = 1;
	for (int i = 0; i < *(int *)rounds; i++) {
		go_sem_acquire(&work);
		if (i % 4 == 0)
			pause(&random);
	}
}

/*
 * One makes another ready and yields: it goes to the global queue, and the other is taken from the ring. A
 * hart that looks at the queues meanwhile, the global one first, sees neither.
 */
static void yield_to_whom_one_woke(void)
{
	int rounds = 4 * often;
	uint32_t random = 2;
	go_sem_init(&work, 0);
	go(take_work, &rounds);
	for (int i = 0; i < rounds; i++) {
		go_sem_release(&work);
		pause(&random);
		go_yield();
		busy(random_below(&random, 40) * US);
	}
	WAIT_FOR(go_count() == 1);
}

static void yield_often(void *rounds)
{
	uint32_t random = (uint32_t)(uintptr_t)&random;
	for (int i = 0; i < *(int *)rounds; i++) {
		for (int n = i % 8; n > 0; n--)
			go_yield();
		pause(&random);
		if (i % 5 == 0)
			go_sleep(10 * US);
	}
}

/* One more than there are harts: somebody always waits. */
static void yield_among_many(void)
{
	int rounds = often;
	start_stirring();
	for (int i = 0; i <= go_harts(); i++)
		go(yield_often, &rounds);
	WAIT_FOR(go_count() == go_harts()); /* main, and the stirrers */
	stop_stirring();
}

static void touch(void *count)
{
	++*(_Atomic(int) *)count;
	busy(5 * US);
}

/* Goroutines are made while harts go to sleep, and whoever makes them goes on without them. */
static void create_and_go_on(void)
{
	static _Atomic(int) count;
	uint32_t random = 3;
	count = 0;
	start_stirring();
	for (int i = 0; i < often; i++) {
		go(touch, &count);
		pause(&random);
		if (i % 3 == 0)
			go_sleep(10 * US);
	}
	WAIT_FOR(count == often);
	stop_stirring();
}

int main(int argc, char **argv)
{
	often = test_part(300);
	TESTS(TEST(yield_to_whom_one_woke), TEST(yield_among_many), TEST(create_and_go_on));
	return test_main(argc, argv, tests);
}
