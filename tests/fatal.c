/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a machine ends when the program is wrong: the message, the goroutine's backtrace with the
 * names of its functions, status 2.
 *
 * @test panic_in_main harts=1,4 status=2 "panic: wrong by 7" "panic_in_main+" "main+" "deferred call" !"not reached"
 * @test panic_in_goroutine harts=1,4 status=2 "panic: in a goroutine" "worker" "blame_me+" !"not reached"
 * @test panic_in_defer harts=1 status=2 "panic: first" "panic: second" "panic_later+"
 * @test park_in_section harts=1,4 status=2 "in a blocking section" "[blocking section]" "park_in_section+"
 * @test wake_in_section harts=1,4 status=2 "[blocking section]" "go_block_leave it may not call" "wake_in_section+"
 * @test resize_in_section harts=2,4 status=2 "in a blocking section" "[blocking section]" "resize_in_section+"
 * @test exit_below_a_panic harts=1 status=2 "panic: second" "panic_later+" "exit_below_a_panic+"
 * @test panic_of_a_timer harts=1 status=2 "panic: rang" "created by go_timer_call"
 * @test longjmp_out_of_a_call harts=1 status=2 "a longjmp has left a go_call; then: panic: later" "longjmp_out_of_a_call+"
 * @test defer_in_main harts=1 status=0 "deferred call"
 * @test close_nil harts=1 status=2 "close of nil channel" "close_nil+"
 * @test send_closed harts=1 status=2 "send on closed channel" "send_closed+"
 * @test unlock harts=1 status=2 "unlock of unlocked mutex" "unlock+"
 * @test done_too_often harts=1 status=2 "negative WaitGroup counter" "done_too_often+"
 * @test deadlock_chan harts=1,4 status=2 "all goroutines are asleep - deadlock!" "deadlock_chan+"
 * @test deadlock_many harts=1,4 status=2 "all goroutines are asleep - deadlock!" "goroutine 1 [chan receive, " "goroutine 101 [chan receive, " "lock_up+" "deadlock_many+"
 * @test deadlock_mutex harts=1 status=2 "all goroutines are asleep - deadlock!" "[mutex lock, " "deadlock_mutex+"
 * @test deadlock_select harts=1 status=2 "all goroutines are asleep - deadlock!" "[select (no cases), " "deadlock_select+"
 * @test deadlock_after_sleep harts=2 status=2 "slept" "all goroutines are asleep - deadlock!" /goroutine 1 .* ran ([3-9]\d{4}|\d{6,}) us/
 * @test main_exits harts=1,4 status=2 "the last one" "no goroutines (main called go_exit) - deadlock!"
 * @test aborts harts=1 status=2 "abort" "aborts+"
 * @test asserts harts=1 status=2 "one_is_two" "fatal.c"
 * @test deadlock_packed harts=1,4 machines=virt,q35,microvm status=2 "all goroutines are asleep - deadlock!" "lock_up+" "deadlock_packed+"
 * @test deadlock_beyond_memory harts=1,4 machines=virt,q35 mem=16M timeout=60 status=2 "lock_up+" "no memory is left to put its stack back" "goroutine 5001 [" !"growing the stack"
 * @test stacks_for_no_more harts=1,4 machines=virt,q35,microvm mem=32M env=QUANTUM_US=1000000 timeout=60 status=2 "out of memory growing the stack of a goroutine that has not run yet"
 * @test deeper_than_memory harts=1,4 machines=virt,q35,microvm mem=32M timeout=60 status=2 "out of memory growing the stack of a goroutine" /stack: \d{5} KiB deep, limit 1048576 KiB/
 * @test many_stacks_for_memory harts=1,4 machines=virt,q35,microvm mem=32M timeout=60 status=2 "out of memory growing the stack of a goroutine" /stack: \d+ KiB deep, limit 256 KiB/ "go_down_together"
 * @test exits_while_others_print harts=4 status=9
 */
#include <assert.h>
#include <setjmp.h>

#include "test.h"
#include "waiting.h"

static void say(void *text)
{
	printf("%s\n", (char *)text);
}

static void panic_in_main(void)
{
	go_defer(say, "deferred call");
	go_panic("wrong by %d", 7);
}

static __attribute__((noinline)) void blame_me(int depth)
{
	if (depth == 0)
		go_panic("in a goroutine");
	blame_me(depth - 1);
	say("not reached");
}

static void run_blame_me(void *unused)
{
	blame_me(3);
}

static void ring(void *unused)
{
	go_panic("rang");
}

static void panic_of_a_timer(void)
{
	static go_timer timer;
	go_timer_call(&timer, go_now(), 0, ring, NULL);
	go_sleep(SECOND);
}

static jmp_buf way_out;

static void leave_by_longjmp(void *unused)
{
	longjmp(way_out, 1);
}

static void longjmp_out_of_a_call(void)
{
	if (setjmp(way_out) == 0)
		go_call(leave_by_longjmp, NULL);
	go_panic("later");
}

static void panic_in_goroutine(void)
{
	struct go_attr attr = { 0, "worker" };
	CHECK_EQ(go_try(run_blame_me, NULL, &attr), 0);
	go_sleep(SECOND);
	say("not reached");
}

static void panic_later(void *unused)
{
	go_panic("second");
}

static void panic_in_defer(void)
{
	go_defer(panic_later, NULL);
	go_panic("first");
}

static void deferred_in_main(void *unused)
{
	say("deferred call");
}

static void defer_in_main(void)
{
	go_defer(deferred_in_main, NULL); /* this is main's goroutine, and main returns */
}

static void park_in_section(void)
{
	go_block_enter();
	go_recv(go_chan_make(0, 0), NULL);
}

static void receive(void *ch)
{
	here_i_come();
	go_recv(ch, NULL);
}

static void wake_in_section(void)
{
	go_chan *ch = go_chan_make(0, 0);
	go(receive, ch);
	WAIT_FOR(it_waits_for(WAIT_CHAN_RECEIVE));
	go_block_enter();
	go_send(ch, NULL);
}

static void resize_in_section(void)
{
	go_block_enter();
	go_maxprocs(1);
}

static void leave(void *unused)
{
	go_exit();
}

static void exit_below_a_panic(void)
{
	go_defer(panic_later, NULL);
	go_call(leave, NULL);
}

static void close_nil(void)
{
	go_close(NULL);
}

static void send_closed(void)
{
	go_chan *ch = go_chan_make(0, 1);
	go_close(ch);
	go_send(ch, NULL);
}

static void unlock(void)
{
	static go_mutex mutex;
	go_mutex_unlock(&mutex);
}

static void done_too_often(void)
{
	static go_waitgroup all;
	go_waitgroup_done(&all);
}

static void deadlock_chan(void)
{
	go_recv(go_chan_make(0, 0), NULL);
}

static void lock_up(void *ch)
{
	go_recv(ch, NULL);
}

static void deadlock_many(void)
{
	go_chan *ch = go_chan_make(0, 0);
	for (int i = 0; i < 100; i++)
		go(lock_up, ch);
	lock_up(ch);
}

static void deadlock_mutex(void)
{
	static go_mutex mutex;
	go_mutex_lock(&mutex);
	go_mutex_lock(&mutex);
}

static void deadlock_select(void)
{
	go_select(NULL, 0, GO_FOREVER);
}

static void deadlock_after_sleep(void)
{
	go_chan *ch = go_chan_make(0, 0);
	go(lock_up, ch);
	go_sleep(20 * MS); /* a sleeper is no deadlock */
	say("slept");
	hart_lock(); /* not preempted: all of that time it runs */
	test_spin(30 * MS);
	hart_unlock();
	lock_up(ch);
}

static void end_soon(void *unused)
{
	go_sleep(5 * MS);
	say("the last one");
}

static void main_exits(void)
{
	go(end_soon, NULL);
	go_exit();
}

static void aborts(void)
{
	abort();
}

static void asserts(void)
{
	bool one_is_two = false;
	assert(one_is_two);
}

static void print_on(void *unused)
{
	for (;;)
		printf("and so on\n");
}

static void exits_while_others_print(void)
{
	for (int i = 0; i < 8; i++)
		go(print_on, NULL);
	go_sleep(10 * MS);
	exit(9);
}

/* The report reads what is in the heap, at the addresses where it was. */
static void deadlock_packed(void)
{
	for (int i = 0; i < 100; i++)
		go(lock_up, NULL);
	go_sleep(20 * MS);
	CHECK(go_reclaim() != 0);
	go_recv(NULL, NULL);
}

/* More than can be unpacked at once: each is listed even so. */
static void deadlock_beyond_memory(void)
{
	for (int i = 0; i < 5000; i++) {
		go(lock_up, NULL);
		if (i % 100 == 99)
			go_sleep(MS);
	}
	go_sleep(20 * MS);
	go_reclaim();
	go_recv(NULL, NULL);
}

static void use_and_lock_up(void *unused)
{
	volatile char used[2048]; /* more than is packed */
	used[0] = 0;
	go_recv(NULL, NULL);
	used[1] = used[0];
}

/*
 * There is memory for more goroutines than for their stacks, and none ever ends. None runs before there is no more:
 * harts that kept pace with their creation would use up the memory with stacks, and nobody would be left without.
 */
static void stacks_for_no_more(void)
{
	go_maxprocs(1);
	while (go_try(use_and_lock_up, NULL, NULL) == 0)
		;
	go_maxprocs(go_harts());
	go_recv(NULL, NULL);
}

static __attribute__((noinline)) int go_down(int depth)
{
	volatile char used[1000];
	used[0] = (char)depth;
	return go_down(depth + 1) + used[0];
}

static void run_go_down(void *unused)
{
	go_down(0);
}

static void deeper_than_memory(void)
{
	struct go_attr attr = { .stack_max = (size_t)1 << 30 };
	CHECK_EQ(go_try(run_go_down, NULL, &attr), 0);
	go_recv(NULL, NULL);
}

static __attribute__((noinline)) int go_down_together(int depth)
{
	volatile char used[4000];
	used[0] = (char)depth;
	__asm__ volatile("" : : "r"(used) : "memory"); /* or a compiler makes it smaller */
	go_yield();
	return (depth > 0 ? go_down_together(depth - 1) : 0) + used[0];
}

static void run_go_down_together(void *unused)
{
	go_down_together(50);
}

/* Each needs less than its limit, and together they need more than there is. */
static void many_stacks_for_memory(void)
{
	for (int i = 0; i < 500; i++)
		go(run_go_down_together, NULL);
	go_recv(NULL, NULL);
}

int main(int argc, char **argv)
{
	TESTS(TEST_WHEN_NAMED(panic_in_main), TEST_WHEN_NAMED(panic_in_goroutine),
	      TEST_WHEN_NAMED(panic_in_defer), TEST_WHEN_NAMED(panic_of_a_timer),
	      TEST_WHEN_NAMED(longjmp_out_of_a_call), TEST_WHEN_NAMED(park_in_section),
	      TEST_WHEN_NAMED(defer_in_main), TEST_WHEN_NAMED(resize_in_section), TEST_WHEN_NAMED(exit_below_a_panic),
	      TEST_WHEN_NAMED(wake_in_section), TEST_WHEN_NAMED(close_nil),
	      TEST_WHEN_NAMED(send_closed), TEST_WHEN_NAMED(unlock),
	      TEST_WHEN_NAMED(done_too_often), TEST_WHEN_NAMED(deadlock_chan),
	      TEST_WHEN_NAMED(deadlock_many), TEST_WHEN_NAMED(deadlock_mutex),
	      TEST_WHEN_NAMED(deadlock_select), TEST_WHEN_NAMED(deadlock_after_sleep),
	      TEST_WHEN_NAMED(main_exits), TEST_WHEN_NAMED(aborts), TEST_WHEN_NAMED(asserts),
	      TEST_WHEN_NAMED(deadlock_packed), TEST_WHEN_NAMED(deadlock_beyond_memory), TEST_WHEN_NAMED(stacks_for_no_more),
	      TEST_WHEN_NAMED(deeper_than_memory), TEST_WHEN_NAMED(many_stacks_for_memory),
	      TEST_WHEN_NAMED(exits_while_others_print));
	return test_main(argc, argv, tests);
}
