/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Channels: order, hand-over, closing, and the sizes at the edges.
 *
 * @test
 * @test machines=virt,q35 harts=1,2 mem=256M timeout=120 env=GUMPDEBUG=pack
 * @stress
 */
#include "test.h"
#include "waiting.h"

static go_chan *ch, *done;
static _Atomic(int) count;

static void send_numbers(void *n)
{
	for (int i = 0; i < (int)(intptr_t)n; i++)
		go_send(ch, &i);
	go_close(ch);
}

static void order_with(size_t cap)
{
	int got, expected = 0;
	ch = go_chan_make(sizeof(int), cap);
	go(send_numbers, (void *)(intptr_t)1000);
	while (go_recv(ch, &got))
		CHECK_EQ(got, expected++);
	CHECK_EQ(expected, 1000);
	go_chan_free(ch);
}

static void order(void)
{
	order_with(0);
	order_with(1);
	order_with(7);
	order_with(2000);
}

static void send_and_count(void *unused)
{
	int value = 42;
	go_send(ch, &value);
	count++;
}

/* An unbuffered send returns only when somebody has taken the value. */
static void send_waits_for_receiver(void)
{
	int got = 0;
	count = 0;
	ch = go_chan_make(sizeof(int), 0);
	go(send_and_count, NULL);
	go_sleep(5 * MS);
	CHECK_EQ(count, 0);
	CHECK(go_recv(ch, &got));
	CHECK_EQ(got, 42);
	WAIT_FOR(count == 1);
	go_chan_free(ch);
}

static void recv_until_closed(void *unused)
{
	int got = 99;
	CHECK(!go_recv(ch, &got));
	CHECK_EQ(got, 0);
	count++;
}

#define RECEIVERS 600 /* more than a run queue holds: they are woken in several lots */

static void close_wakes_all(void)
{
	count = 0;
	ch = go_chan_make(sizeof(int), 0);
	for (int i = 0; i < RECEIVERS; i++)
		go(recv_until_closed, NULL);
	go_sleep(2 * MS);
	CHECK_EQ(count, 0);
	go_close(ch);
	WAIT_FOR(count == RECEIVERS);
	go_chan_free(ch);
}

static void recv_and_free(void *unused)
{
	go_chan *closed = ch; /* main may have made another one by the time this is freed */
	CHECK(!go_recv(closed, NULL));
	if (++count == RECEIVERS)
		go_chan_free(closed);
}

static void the_last_one_woken_may_free_it(void)
{
	count = 0;
	ch = go_chan_make(0, 0);
	for (int i = 0; i < RECEIVERS; i++)
		go(recv_and_free, NULL);
	go_sleep(2 * MS);
	go_close(ch);
	WAIT_FOR(count == RECEIVERS);
}

static void close_leaves_what_was_sent(void)
{
	int got;
	ch = go_chan_make(sizeof(int), 4);
	for (int i = 1; i <= 3; i++)
		CHECK_EQ(go_try_send(ch, &i), 1);
	go_close(ch);
	for (int i = 1; i <= 3; i++) {
		CHECK(go_recv(ch, &got));
		CHECK_EQ(got, i);
	}
	CHECK(!go_recv(ch, &got));
	CHECK_EQ(got, 0);
	CHECK(!go_recv(ch, NULL));
	CHECK_EQ(go_try_recv(ch, &got), -1);
	go_chan_free(ch);
}

static void try_len_cap(void)
{
	int got = 0;
	ch = go_chan_make(sizeof(int), 3);
	CHECK_EQ(go_chan_cap(ch), 3);
	CHECK_EQ(go_try_recv(ch, &got), 0);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(go_chan_len(ch), i);
		CHECK_EQ(go_try_send(ch, &i), 1);
	}
	CHECK_EQ(go_try_send(ch, &got), 0);
	CHECK_EQ(go_try_recv(ch, &got), 1);
	CHECK_EQ(got, 0);
	CHECK_EQ(go_try_recv(ch, NULL), 1);
	CHECK_EQ(go_try_recv(ch, &got), 1);
	CHECK_EQ(got, 2);
	CHECK_EQ(go_chan_len(ch), 0);
	go_chan_free(ch);

	ch = go_chan_make(sizeof(int), 0);
	CHECK_EQ(go_try_send(ch, &got), 0);
	CHECK_EQ(go_chan_cap(ch), 0);
	go(send_and_count, NULL);
	WAIT_FOR(go_try_recv(ch, &got) == 1);
	CHECK_EQ(got, 42);
	go_chan_free(ch);
}

static void send_nothing(void *n)
{
	for (int i = 0; i < (int)(intptr_t)n; i++)
		go_send(ch, NULL);
	go_close(ch);
}

static void elements_of_no_size(void)
{
	for (size_t cap = 0; cap < 4; cap += 3) {
		int got = 0;
		ch = go_chan_make(0, cap);
		go(send_nothing, (void *)(intptr_t)500);
		while (go_recv(ch, NULL))
			got++;
		CHECK_EQ(got, 500);
		go_chan_free(ch);
	}
}

struct big {
	int number;
	unsigned char bytes[5000];
};

static void send_big(void *unused)
{
	struct big big;
	for (int i = 0; i < 100; i++) {
		big.number = i;
		memset(big.bytes, i, sizeof(big.bytes));
		go_send(ch, &big);
		memset(&big, 0xee, sizeof(big)); /* what was sent is a copy */
	}
	go_close(ch);
}

static void big_elements(void)
{
	for (size_t cap = 0; cap < 4; cap += 3) {
		static struct big big;
		int expected = 0;
		ch = go_chan_make(sizeof(struct big), cap);
		go(send_big, NULL);
		for (; go_recv(ch, &big); expected++) {
			CHECK_EQ(big.number, expected);
			for (size_t i = 0; i < sizeof(big.bytes); i++)
				CHECK_EQ(big.bytes[i], expected);
		}
		CHECK_EQ(expected, 100);
		go_chan_free(ch);
	}
}

static void send_own_number(void *number)
{
	int value = (int)(intptr_t)number;
	here_i_come();
	go_send(ch, &value);
	go_send(done, NULL);
}

/* Senders that wait are served in order of arrival, through a full buffer too. */
static void waiting_senders_in_order(void)
{
	for (size_t cap = 0; cap < 3; cap++) {
		int got;
		ch = go_chan_make(sizeof(int), cap);
		done = go_chan_make(0, 20);
		for (intptr_t i = 0; i < 20; i++) {
			go(send_own_number, (void *)i);
			if (i < (intptr_t)cap) {
				WAIT_FOR(go_chan_len(ch) == (size_t)i + 1);
				it_comes = NULL;
			} else {
				WAIT_FOR(it_waits_for(WAIT_CHAN_SEND));
			}
		}
		for (int i = 0; i < 20; i++) {
			CHECK(go_recv(ch, &got));
			CHECK_EQ(got, i);
			size_t left = 19 - i;
			CHECK_EQ(go_chan_len(ch), cap < left ? cap : left);
		}
		for (int i = 0; i < 20; i++)
			go_recv(done, NULL);
		go_chan_free(ch);
		go_chan_free(done);
	}
}

static void recv_one(void *number)
{
	int got = -1;
	here_i_come();
	CHECK(go_recv(ch, &got));
	CHECK_EQ(got, (intptr_t)number);
	count++;
}

static void waiting_receivers_in_order(void)
{
	count = 0;
	ch = go_chan_make(sizeof(int), 0);
	for (intptr_t i = 0; i < 20; i++) {
		go(recv_one, (void *)i);
		WAIT_FOR(it_waits_for(WAIT_CHAN_RECEIVE));
	}
	for (int i = 0; i < 20; i++)
		go_send(ch, &i);
	WAIT_FOR(count == 20);
	go_chan_free(ch);
}

static void send_on_null(void *unused)
{
	go_send(NULL, &count);
	test_failed(__FILE__, __LINE__, "a send on a NULL channel came back");
}

static void recv_on_null(void *unused)
{
	go_recv(NULL, NULL);
	test_failed(__FILE__, __LINE__, "a receive on a NULL channel came back");
}

static void null_channel_is_never_ready(void)
{
	int value = 0;
	go(send_on_null, NULL);
	go(recv_on_null, NULL);
	go_sleep(5 * MS);
	CHECK_EQ(go_try_send(NULL, &value), 0);
	CHECK_EQ(go_try_recv(NULL, &value), 0);
	CHECK_EQ(go_chan_len(NULL), 0);
	CHECK_EQ(go_chan_cap(NULL), 0);
	go_chan_free(NULL);
}

int main(int argc, char **argv)
{
	TESTS(TEST(order), TEST(send_waits_for_receiver), TEST(close_wakes_all),
	      TEST(the_last_one_woken_may_free_it),
	      TEST(close_leaves_what_was_sent), TEST(try_len_cap), TEST(elements_of_no_size),
	      TEST(big_elements), TEST(waiting_senders_in_order), TEST(waiting_receivers_in_order),
	      TEST_THAT_LEAVES(null_channel_is_never_ready));
	return test_main(argc, argv, tests);
}
