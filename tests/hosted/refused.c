/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that is refused at each place where the scheduler asks for some. The machines' tests use all memory
 * up; here the allocator and mmap() are this program's own, and refuse when told to.
 *
 * @test harts=1,4 sanitize=
 * @test timer_without_place harts=1,4 sanitize= status=2 "out of memory for a timer" !"not reached"
 * @test goroutine_of_a_timer harts=1,4 sanitize= status=2 "go_timer_call: out of memory for a goroutine" !"not reached"
 * @test timers_of_a_removed_p harts=2,4 sanitize= env=GUMPDEBUG=seed=0 status=2 "go_maxprocs: out of memory for timers" !"not reached"
 * @test harts=2 sanitize= env=GUMPDEBUG=trace=60000000 args=first_of_all "no memory for a trace of 60000000 events a hart"
 */
#include <errno.h>
#include <gump/trace.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hosted.h"
#include "kernel/console.h"
#include "sched/sched.h"
#include "test.h"

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *block, size_t size);

static _Atomic(int) granted = INT32_MAX; /* allocations until all are refused */
static _Atomic(bool) no_stacks;

CALLED_BY_LIBC static bool refuse(void)
{
	if (granted == INT32_MAX || granted-- > 0)
		return false;
	granted = 0;
	errno = ENOMEM;
	return true;
}

CALLED_BY_LIBC void *malloc(size_t size)
{
	return refuse() ? NULL : __libc_malloc(size);
}

CALLED_BY_LIBC void *calloc(size_t n, size_t size)
{
	return n > ((size_t)1 << 30) / size || refuse() ? NULL : __libc_calloc(n, size);
}

CALLED_BY_LIBC void *realloc(void *block, size_t size)
{
	return refuse() ? NULL : __libc_realloc(block, size);
}

/* The name that gump calls it by. */
CALLED_BY_LIBC void *mmap64(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
	return no_stacks ? MAP_FAILED : (void *)SYS(SYS_mmap, at, size, protection, flags, fd, offset);
}

static void grant(int n)
{
	granted = n;
}

/* A report: the test is over, and what writes coverage out needs memory. */
static void put_report(const char *text, size_t length)
{
	grant(INT32_MAX);
	SYS(SYS_write, 2, text, length, 0, 0, 0);
}

static _Atomic(bool) over;
static _Atomic(int) there;

static void wait_until_over(void *unused)
{
	there++;
	while (!over)
		go_sleep(MS);
	there--;
}

static void nothing(void *unused) {}

/* As many goroutines as there are until one is refused. */
static int crowd(void)
{
	int n = 0;
	over = false;
	errno = 0;
	while (go_try(wait_until_over, NULL, NULL) == 0)
		n++;
	CHECK_EQ(errno, ENOMEM);
	WAIT_FOR(there == n);
	return n;
}

static void disperse(void)
{
	over = true;
	WAIT_FOR(go_count() == 1);
}

static void first_of_all(void)
{
	CHECK_EQ(go_trace_start(64), 0); /* the refusal has left nothing behind */
	go_trace_stop();
}

static void channels(void)
{
	grant(0);
	errno = 0;
	CHECK(go_chan_make(sizeof(int), 10) == NULL);
	CHECK_EQ(errno, ENOMEM);
	grant(INT32_MAX);
	errno = 0;
	CHECK(go_chan_make(SIZE_MAX / 2, 3) == NULL); /* no such size */
	CHECK_EQ(errno, ENOMEM);
}

static void start_one(void *unused)
{
	go(nothing, NULL);
}

static void panic_once(void *unused)
{
	go_panic("once");
}

static void defer_one(void *unused)
{
	go_defer(nothing, NULL);
}

static void goroutines(void)
{
	CHECK(go_call(panic_once, NULL) != NULL); /* memory for a message is kept */
	for (int n = 0; n < 20; n++) { /* for its timer, for the G itself */
		grant(n);
		crowd();
		grant(INT32_MAX);
		disperse();
	}
	int procs = go_maxprocs(1); /* or there would be dead Gs in the pools of others */
	grant(0);
	crowd();
	CHECK_STR(go_call(start_one, NULL), "go: out of memory");
	CHECK_STR(go_call(defer_one, NULL), "go_defer: out of memory");
	grant(INT32_MAX);
	disperse();
	go_maxprocs(procs);
}

/* There are Gs, but no stacks for them: they wait until others end. */
static void stacks(void)
{
	struct go_attr large = { .stack_max = (size_t)512 << 20 };

	enum { MORE = 1000 }; /* than there is room for in what was mapped */

	no_stacks = true;
	over = false;
	CHECK_EQ(go_try(nothing, NULL, &large), -1);
	for (int i = 0; i < MORE; i++)
		go(wait_until_over, NULL);
	while (there < 100)
		go_sleep(MS);
	CHECK(there < MORE);
	CHECK_EQ(go_count(), MORE + 1);
	disperse(); /* and those that end leave their stacks to the others */
	no_stacks = false;
	CHECK_EQ(go_try(nothing, NULL, &large), 0);
}

enum { TIMERS = 100000 };
static go_timer timers[TIMERS];

static void timer_without_place(void)
{
	grant(0);
	for (int i = 0; i < TIMERS; i++)
		go_timer_call(&timers[i], go_now() + 3600 * SECOND, 0, nothing, NULL);
	printf("not reached\n");
}

/*
 * A heap that cannot grow: the entries of stopped timers make room, and once all are of timers that run, the
 * heap of another P takes the next.
 */
static void full_heap(void)
{
	int n = 0;
	hart_lock();
	struct p *p = m_self()->p;
	/* a P on which no goroutine was created has no room at all */
	go_timer_call(&timers[0], go_now() + 3600 * SECOND, 0, nothing, NULL);
	grant(0);
	for (; p->timer_count < p->timer_capacity; n++) {
		go_timer_call(&timers[n], go_now() + 3600 * SECOND, 0, nothing, NULL);
		for (int i = 3; i < 6 && p->timer_count == p->timer_capacity - 1; i++)
			go_timer_stop(&timers[i]); /* the place of the last serves the next, the others' are found by a sweep */
	}
	CHECK(p->timer_dead > 0);
	go_timer_call(&timers[n++], go_now() + 3600 * SECOND, 0, nothing, NULL);
	CHECK_EQ(p->timer_dead, 0);
	while (p->timer_count < p->timer_capacity)
		go_timer_call(&timers[n++], go_now() + 3600 * SECOND, 0, nothing, NULL);
	bool room_elsewhere = false; /* a P on which no goroutine was created has none */
	for (unsigned id = 0; id < sched.procs; id++)
		room_elsewhere |= p_get(id)->timer_count < p_get(id)->timer_capacity;
	if (room_elsewhere)
		go_timer_call(&timers[n++], go_now() + 3600 * SECOND, 0, nothing, NULL);
	hart_unlock();
	grant(INT32_MAX);
	while (n-- > 0)
		go_timer_stop(&timers[n]);
}

static void goroutine_of_a_timer(void)
{
	grant(0);
	crowd();
	go_timer_call(&timers[0], go_now() + MS, 0, nothing, NULL);
	test_spin(SECOND);
	printf("not reached\n");
}

static void set_some(void *number)
{
	for (int i = 0; i < 200; i++)
		go_timer_call(&timers[(intptr_t)number * 200 + i], go_now() + 3600 * SECOND, 0, nothing, NULL);
	there++;
	while (!over)
		test_spin(MS);
}

static void timers_of_a_removed_p(void)
{
	int harts = go_harts();
	hart_lock(); /* or this P could run them, too, and there would be few to move */
	for (intptr_t i = 1; i < harts; i++)
		go(set_some, (void *)i);
	for (int i = 0; i < 200; i++)
		go_timer_call(&timers[i], go_now() + 3600 * SECOND, 0, nothing, NULL);
	for (int64_t end = go_now() + 10 * SECOND; there < harts - 1 && go_now() < end;)
		hart_relax();
	hart_unlock();
	CHECK_EQ(there, harts - 1);
	grant(0);
	go_maxprocs(1);
	printf("not reached\n");
}

static void traces(void)
{
	grant(go_harts() - 1);
	errno = 0;
	CHECK_EQ(go_trace_start(100), -1);
	CHECK_EQ(errno, ENOMEM);
	grant(INT32_MAX);
	CHECK_EQ(go_trace_start(100), 0);
	go_trace_stop();
}

int main(int argc, char **argv)
{
	TESTS(TEST(channels), TEST(goroutines), TEST(stacks), TEST(full_heap), TEST(traces), TEST_WHEN_NAMED(first_of_all),
	      TEST_WHEN_NAMED(timer_without_place), TEST_WHEN_NAMED(goroutine_of_a_timer),
	      TEST_WHEN_NAMED(timers_of_a_removed_p));
	console_set(put_report);
	return test_main(argc, argv, tests);
}
