/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Panics that a go_call catches, deferred calls, and the texts of misuse.
 *
 * @test
 */
#include "test.h"
#include "waiting.h"

static char trail[100];
static _Atomic(int) count;

static void mark(void *letter)
{
	size_t length = strlen(trail);
	trail[length] = *(const char *)letter;
	trail[length + 1] = 0;
}

static void quiet(void *arg)
{
	*(int *)arg = 5;
}

static void loud(void *arg)
{
	go_panic("number %d, %s, %.2f", *(int *)arg, "text", *(int *)arg * 0.25);
}

static void catch(void)
{
	int value = 0;
	CHECK(go_call(quiet, &value) == NULL);
	CHECK_EQ(value, 5);
	CHECK_STR(go_call(loud, &value), "number 5, text, 1.25");
	CHECK(go_call(quiet, &value) == NULL);
	for (int i = 0; i < 1000; i++) { /* nothing is used up by it */
		value = i;
		CHECK(go_call(loud, &value) != NULL);
	}
}

static int descend(int depth)
{
	volatile char room[500];
	room[depth % 500] = (char)depth;
	if (depth == 0)
		go_panic("at the bottom");
	return descend(depth - 1) + room[0];
}

static void go_deep(void *unused)
{
	descend(200);
}

static void from_deep_inside(void)
{
	volatile double kept = 1.5;
	volatile int also = 77;
	CHECK_STR(go_call(go_deep, NULL), "at the bottom");
	CHECK_EQ(also, 77);
	CHECK(kept == 1.5);
}

static void inner(void *unused)
{
	go_defer(mark, "i");
	go_panic("inner");
}

static void outer(void *unused)
{
	go_defer(mark, "o");
	CHECK_STR(go_call(inner, NULL), "inner");
	mark("-");
	go_panic("outer");
}

static void nesting(void)
{
	trail[0] = 0;
	CHECK_STR(go_call(outer, NULL), "outer");
	CHECK_STR(trail, "i-o");
}

static void defer_three(void *unused)
{
	go_defer(mark, "1");
	go_defer(mark, "2");
	go_defer(mark, "3");
	mark("0");
}

static void add_one(void *unused)
{
	count++;
}

static void defer_three_and_count(void *unused)
{
	go_defer(add_one, NULL);
	defer_three(NULL);
}

static void last_in_first_out(void)
{
	trail[0] = 0;
	CHECK(go_call(defer_three, NULL) == NULL);
	CHECK_STR(trail, "0321");
	trail[0] = 0;
	count = 0;
	go(defer_three_and_count, NULL);
	WAIT_FOR(count == 1);
	CHECK_STR(trail, "0321");
}

static void panic_again(void *unused)
{
	mark("p");
	go_panic("second");
}

static void panic_while_panicking(void *unused)
{
	go_defer(mark, "a");
	go_defer(panic_again, NULL);
	go_defer(mark, "b");
	go_panic("first");
}

static void defer_panics_alone(void *unused)
{
	go_defer(mark, "c");
	go_defer(panic_again, NULL);
}

/* A panic in a deferred call takes the place of the first; the others still run. */
static void panic_in_deferred_call(void)
{
	trail[0] = 0;
	const char *message = go_call(panic_while_panicking, NULL);
	CHECK(message && strstr(message, "second"));
	CHECK_STR(trail, "bpa");
	trail[0] = 0;
	CHECK_STR(go_call(defer_panics_alone, NULL), "second");
	CHECK_STR(trail, "pc");
}

static void defer_more(void *unused)
{
	mark("m");
	go_defer(mark, "n");
}

static void defer_in_defer(void *unused)
{
	go_defer(mark, "x");
	go_defer(defer_more, NULL);
}

static void deferred_by_deferred(void)
{
	trail[0] = 0;
	CHECK(go_call(defer_in_defer, NULL) == NULL);
	CHECK_STR(trail, "mnx");
}

static void leave(void *unused)
{
	go_defer(mark, "2");
	go_exit();
}

static void leave_from_call(void *unused)
{
	go_defer(mark, "1");
	go_call(leave, NULL);
	mark("!"); /* go_exit ends the goroutine, not the call */
}

static void exit_runs_deferred_calls(void)
{
	trail[0] = 0;
	go(leave_from_call, NULL);
	WAIT_FOR(go_count() == 1);
	CHECK_STR(trail, "21");
}

static void exit_and_panic(void *unused)
{
	go_defer(mark, "1");
	go_defer(panic_again, NULL);
	go_defer(mark, "2");
	go_exit();
}

static void call_exit_and_panic(void *unused)
{
	go_defer(mark, "0");
	go_call(exit_and_panic, NULL);
	mark("!"); /* the panic is caught, and go_exit goes on */
}

static void catch_quietly(void *unused)
{
	int value = 1;
	CHECK_STR(go_call(loud, &value), "number 1, text, 0.25");
	mark("c"); /* a call that began after go_exit ends as any other */
}

static void exit_and_catch(void *unused)
{
	go_defer(mark, "0");
	go_defer(catch_quietly, NULL);
	go_exit();
}

static void exit_below_a_panic(void *unused)
{
	go_defer(panic_again, NULL); /* in the call outside of the one that go_exit() comes from */
	go_call(leave, NULL);
	mark("!");
}

static void call_exit_below_a_panic(void *unused)
{
	go_defer(mark, "0");
	go_call(exit_below_a_panic, NULL);
	mark("!");
}

static void exit_cannot_be_undone(void)
{
	trail[0] = 0;
	go(call_exit_and_panic, NULL);
	WAIT_FOR(go_count() == 1);
	CHECK_STR(trail, "2p10");
	trail[0] = 0;
	go(exit_and_catch, NULL);
	WAIT_FOR(go_count() == 1);
	CHECK_STR(trail, "c0");
	trail[0] = 0;
	go(call_exit_below_a_panic, NULL);
	WAIT_FOR(go_count() == 1);
	CHECK_STR(trail, "2p0");
}

static void pass_on(void *ch)
{
	go_send(ch, NULL);
}

static void panic_in_section(void *ch)
{
	go_block_enter();
	go_defer(pass_on, ch); /* runs outside of the section */
	go_block_enter();
	go_panic("in a section");
}

static void exit_in_section(void *ch)
{
	go_block_enter();
	go_defer(pass_on, ch);
	go_block_enter();
	go_exit();
}

static void from_blocking_sections(void)
{
	go_chan *ch = go_chan_make(0, 1);
	CHECK_STR(go_call(panic_in_section, ch), "in a section");
	go_recv(ch, NULL);
	go(exit_in_section, ch);
	go_recv(ch, NULL);
	WAIT_FOR(go_count() == 1);
	go_chan_free(ch);
}

static void survive(void *number)
{
	char want[40];
	int value = (int)(intptr_t)number;
	for (int i = 0; i < 100; i++) {
		snprintf(want, sizeof(want), "number %d, text, %.2f", value, value * 0.25);
		const char *got = go_call(loud, &value);
		go_yield(); /* the message belongs to this goroutine */
		CHECK_STR(got, want);
	}
	count++;
}

static void many_goroutines(void)
{
	count = 0;
	for (intptr_t i = 0; i < 50; i++)
		go(survive, (void *)i);
	WAIT_FOR(count == 50);
}

static void panic_at_length(void *text)
{
	go_panic("%s", (char *)text);
}

static void long_message(void)
{
	static char text[10000];
	memset(text, 'x', sizeof(text) - 1);
	const char *got = go_call(panic_at_length, text);
	CHECK(got && strlen(got) == 255 && strspn(got, "x") == 255);
}

static void send_closed(void *ch) { go_send(ch, &count); }
static void try_send_closed(void *ch) { go_try_send(ch, &count); }
static void close_it(void *ch) { go_close(ch); }
static void wait_on(void *ch)
{
	here_i_come();
	go_recv(ch, NULL);
}
static void free_it(void *ch) { go_chan_free(ch); }
static void time_into(void *ch)
{
	static go_timer timer;
	go_timer_send(&timer, go_now(), 0, ch);
}
static void leave_section(void *unused) { go_block_leave(); }
static void untie(void *unused) { go_unlock_hart(); }
static void rw_runlock(void *rw) { go_rwmutex_runlock(rw); }
static void rw_unlock(void *rw) { go_rwmutex_unlock(rw); }
static void select_minus_one(void *unused) { go_select(NULL, -1, GO_NOW); }
static void go_nothing(void *unused) { go(NULL, unused); }
static void go_try_nothing(void *unused) { go_try(NULL, unused, NULL); }
static void defer_nothing(void *unused) { go_defer(NULL, unused); }
static void time_nothing(void *unused)
{
	static go_timer timer;
	go_timer_call(&timer, go_now(), 0, NULL, unused);
}
static void select_neither(void *ch)
{
	struct go_case cases[] = { { GO_RECV, NULL, NULL, false }, { 3, ch, NULL, false } };
	go_select(cases, 2, GO_NOW);
}
static void panic_once(void *unused) { go_panic("the only time"); }
static void wait_unlocked(void *cond)
{
	go_mutex mutex = { 0 };
	go_cond_wait(cond, &mutex);
}
static void do_once(void *once) { go_once_do(once, panic_once, NULL); }

static void send_while_it_is_closed(void *ch)
{
	CHECK_STR(go_call(send_closed, ch), "send on closed channel");
	count++;
}

static void misuse(void)
{
	go_chan *ch = go_chan_make(sizeof(int), 1);
	go(wait_on, ch);
	WAIT_FOR(it_waits_for(WAIT_CHAN_RECEIVE));
	CHECK(go_call(free_it, ch) != NULL);
	go_close(ch);
	CHECK_STR(go_call(send_closed, ch), "send on closed channel");
	CHECK_STR(go_call(try_send_closed, ch), "send on closed channel");
	CHECK_STR(go_call(close_it, ch), "close of closed channel");
	CHECK_STR(go_call(close_it, NULL), "close of nil channel");
	CHECK(go_call(time_into, ch) != NULL); /* an int is no time */
	CHECK(go_call(leave_section, NULL) != NULL);
	CHECK(go_call(untie, NULL) != NULL);
	CHECK_STR(go_call(select_minus_one, NULL), "go_select: -1 cases, at most 65536");
	CHECK_STR(go_call(select_neither, ch), "go_select: op is 3, neither GO_SEND nor GO_RECV");
	CHECK_STR(go_call(go_nothing, NULL), "go: the function is NULL");
	CHECK_STR(go_call(go_try_nothing, NULL), "go: the function is NULL");
	CHECK_STR(go_call(time_nothing, NULL), "go_timer_call: the function is NULL");
	CHECK_STR(go_call(defer_nothing, NULL), "go_defer: the function is NULL");
	WAIT_FOR(go_count() == 1);
	go_chan_free(ch);
}

static void release(void *sem)
{
	go_sem_release(sem);
}

static void misuse_of_locks(void)
{
	go_sem sem;
	go_rwmutex rw = { 0 };
	go_once once = { 0 };
	go_cond cond = { 0 };

	CHECK_STR(go_call(wait_unlocked, &cond), "unlock of unlocked mutex");
	CHECK(cond.head_ == NULL && cond.tail_ == NULL);
	CHECK_STR(go_call(rw_runlock, &rw), "runlock of unlocked rwmutex");
	CHECK_STR(go_call(rw_unlock, &rw), "unlock of unlocked rwmutex");
	go_sem_init(&sem, UINT32_MAX);
	CHECK_STR(go_call(release, &sem), "more permits than a semaphore can have");
	CHECK(go_sem_try_acquire(&sem));
	CHECK(go_call(release, &sem) == NULL);
	go_rwmutex_lock(&rw); /* is as it was */
	CHECK_STR(go_call(rw_runlock, &rw), "runlock of unlocked rwmutex");
	go_rwmutex_unlock(&rw);
	CHECK_STR(go_call(do_once, &once), "the only time");
	CHECK(go_call(do_once, &once) == NULL);
}

/* Senders that wait when the channel is closed, of words and of what is no word. */
static void close_beside_senders(void)
{
	for (size_t size = 1; size <= sizeof(int); size += sizeof(int) - 1) {
		go_chan *ch = go_chan_make(size, 0);
		count = 0;
		for (int i = 0; i < 3; i++)
			go(send_while_it_is_closed, ch);
		go_sleep(2 * MS);
		go_close(ch);
		WAIT_FOR(count == 3 && go_count() == 1);
		go_chan_free(ch);
	}
}

enum { CROWD = 600 }; /* go_close() comes to them in batches: those of the first run beside it */

static _Atomic(int) wrong;

static void send_word(void *ch)
{
	static const int64_t word = 7;
	go_send(ch, &word);
}

static void receive_then_send(void *ch)
{
	int64_t word;
	count++;
	bool got = go_recv(ch, &word);
	const char *said = go_call(send_word, ch);
	wrong += got || said == NULL;
	count++;
}

static void send_then_receive(void *ch)
{
	int64_t word;
	count++;
	const char *said = go_call(send_word, ch);
	wrong += said == NULL || go_recv(ch, &word);
	count++;
}

/* Who knows that a channel is closed finds nobody there, however many still wait. */
static void close_of_a_crowd(void)
{
	static void (*const sides[])(void *) = { receive_then_send, send_then_receive };
	for (int round = 0; round < 20; round++) {
		go_chan *ch = go_chan_make(sizeof(int64_t), 0);
		count = wrong = 0;
		for (int i = 0; i < CROWD; i++)
			go(sides[round % 2], ch);
		WAIT_FOR(count == CROWD);
		go_sleep(MS);
		go_close(ch);
		WAIT_FOR(count == 2 * CROWD);
		CHECK_EQ(wrong, 0);
		WAIT_FOR(go_count() == 1);
		go_chan_free(ch);
	}
}

int main(int argc, char **argv)
{
	TESTS(TEST(catch), TEST(from_deep_inside), TEST(nesting), TEST(last_in_first_out),
	      TEST(panic_in_deferred_call), TEST(deferred_by_deferred),
	      TEST(exit_runs_deferred_calls), TEST(exit_cannot_be_undone),
	      TEST(from_blocking_sections), TEST(many_goroutines), TEST(long_message),
	      TEST(misuse), TEST(misuse_of_locks), TEST(close_beside_senders), TEST(close_of_a_crowd));
	return test_main(argc, argv, tests);
}
