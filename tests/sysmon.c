/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How often the hart's timer is set: sched/sysmon.c from inside, which is part of this program in place of
 * the library's. To set it costs as much as many switches.
 *
 * @test harts=1 machines=virt,q35,microvm,hosted env=GUMPDEBUG=seed=0
 */
#include "kernel/hart.h"

static void count_and_set(int64_t deadline);
#define hart_timer_set count_and_set
#include "sched/sysmon.c"
#undef hart_timer_set

#include "test.h"

static int sets;

static void count_and_set(int64_t deadline)
{
	sets++;
	hart_timer_set(deadline);
}

static volatile bool stop;
static long switches;

static void yield(void *unused)
{
	while (!stop) {
		switches++;
		go_yield();
	}
}

/* Many short turns: an interrupt each 10 ms, and the timer is set anew by that and by who runs then. */
static void busy(void)
{
	stop = false;
	switches = 0;
	go(yield, NULL);
	go(yield, NULL);
	int64_t start = go_now();
	int before = sets;
	while (switches < 10000 || go_now() - start < 50 * MS)
		go_yield();
	int64_t slices = (go_now() - start) / (10 * MS);
	CHECK_IN(sets - before, 0, 2 * slices + 4);
	stop = true;
	WAIT_FOR(go_count() == 1);
}

static void never(void *unused)
{
	test_failed(__FILE__, __LINE__, "a timer has fired that is an hour ahead");
}

/* Only one that is earlier than all others moves the deadline. */
static void timers(void)
{
	enum { TIMERS = 100 };
	static go_timer later[TIMERS];
	int64_t hour = go_now() + 3600 * SECOND;

	hart_lock(); /* no slice ends meanwhile */
	int before = sets;
	for (int i = 0; i < TIMERS; i++)
		go_timer_call(&later[i], hour + i * SECOND, 0, never, NULL);
	CHECK_IN(sets - before, 0, 1);
	before = sets;
	for (int i = 0; i < TIMERS; i++)
		CHECK(go_timer_stop(&later[i]));
	CHECK_IN(sets - before, 0, 1);
	hart_unlock();
}

int main(int argc, char **argv)
{
	TESTS(TEST(busy), TEST(timers));
	return test_main(argc, argv, tests);
}
