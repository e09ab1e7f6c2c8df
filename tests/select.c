/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Select: one ready case, evenly chosen; nothing lost and nothing done twice.
 *
 * @test
 * @test machines=virt,q35 harts=1,2 mem=256M timeout=120 env=GUMPDEBUG=pack
 * @stress
 */
#include "sched/chan.h"
#include "test.h"

static go_chan *ch[4], *done;
static _Atomic(int) count;

static void make_chans(int n, size_t cap)
{
	for (int i = 0; i < n; i++)
		ch[i] = go_chan_make(sizeof(int), cap);
}

static void free_chans(int n)
{
	for (int i = 0; i < n; i++)
		go_chan_free(ch[i]);
}

/*
 * Of 12,000 choices each case that is ready gets its share, within 10 standard deviations, wherever those
 * that are not lie among them: receives from channels that are full, then sends to ones that are empty.
 */
static void fairness(void)
{
	enum { TRIALS = 12000 };
	static const bool ready[][4] = { { true, true, true, true }, { true, false, false, true },
					 { false, true, true, false }, { true, true, false, true } };
	int value = 0;

	for (int op = GO_SEND; op <= GO_RECV; op++)
		for (int set = 0; set < 4; set++) {
			int chosen[4] = { 0 }, n = 0;
			make_chans(4, 1);
			for (int i = 0; i < 4; i++) {
				n += ready[set][i];
				if (ready[set][i] == (op == GO_RECV))
					CHECK_EQ(go_try_send(ch[i], &value), 1);
			}
			for (int i = 0; i < TRIALS; i++) {
				struct go_case cases[4];
				for (int k = 0; k < 4; k++)
					cases[k] = (struct go_case){ op, ch[k], &value, false };
				int which = go_select(cases, 4, GO_FOREVER);
				CHECK_IN(which, 0, 3);
				CHECK(cases[which].ok);
				chosen[which]++;
				if (op == GO_RECV)
					CHECK_EQ(go_try_send(ch[which], &value), 1);
				else
					CHECK_EQ(go_try_recv(ch[which], &value), 1);
			}
			for (int i = 0; i < 4; i++)
				CHECK_IN(chosen[i], ready[set][i] ? TRIALS / n - 550 : 0,
					 ready[set][i] ? TRIALS / n + 550 : 0);
			free_chans(4);
		}
}

static void default_clause(void)
{
	int value = 7;
	make_chans(1, 1);
	struct go_case recv = { GO_RECV, ch[0], &value, true };
	CHECK_EQ(go_select(&recv, 1, GO_NOW), -1);
	struct go_case send = { GO_SEND, ch[0], &value, false };
	CHECK_EQ(go_select(&send, 1, GO_NOW), 0);
	CHECK_EQ(go_select(&send, 1, GO_NOW), -1);
	CHECK_EQ(go_select(&recv, 1, GO_NOW), 0);
	CHECK(recv.ok);
	go_close(ch[0]);
	value = 7;
	CHECK_EQ(go_select(&recv, 1, GO_NOW), 0);
	CHECK(!recv.ok);
	CHECK_EQ(value, 0);
	CHECK_EQ(go_select(NULL, 0, GO_NOW), -1);
	free_chans(1);
}

static void deadline(void)
{
	int value;
	make_chans(2, 0);
	struct go_case cases[] = { { GO_RECV, ch[0], &value, false },
				   { GO_SEND, ch[1], &value, false } };
	int64_t start = go_now();
	CHECK_EQ(go_select(cases, 2, start + 20 * MS), -1);
	CHECK_IN(go_now() - start, 20 * MS, 2 * SECOND);
	start = go_now();
	CHECK_EQ(go_select(NULL, 0, start + 5 * MS), -1);
	CHECK(go_now() - start >= 5 * MS);
	CHECK_EQ(go_select(cases, 2, start), -1); /* long past */
	/* The loser of the select has left the queues: a send finds nobody. */
	CHECK_EQ(go_try_send(ch[0], &value), 0);
	CHECK_EQ(go_try_recv(ch[1], &value), 0);
	free_chans(2);
}

static void null_and_empty_cases(void)
{
	int value = 5;
	make_chans(1, 1);
	struct go_case cases[] = { { GO_RECV, NULL, &value, false },
				   { 0, ch[0], &value, false },
				   { GO_SEND, NULL, &value, false },
				   { GO_SEND, ch[0], &value, false } };
	CHECK_EQ(go_select(cases, 4, GO_FOREVER), 3);
	CHECK_EQ(go_select(cases, 4, GO_NOW), -1);
	CHECK_EQ(go_select(cases, 3, go_now() + MS), -1);
	free_chans(1);
}

static void self_select(void *unused)
{
	for (int i = 0; i < 2000; i++) {
		int sent = i, got = -1;
		struct go_case cases[] = { { GO_SEND, ch[0], &sent, false },
					   { GO_RECV, ch[0], &got, false } };
		count += go_select(cases, 2, GO_FOREVER) == 0 ? 1 : -1;
	}
	go_send(done, NULL);
}

/* Send and receive on the same channel in one select: it never meets itself. */
static void same_channel(void)
{
	for (size_t cap = 0; cap < 2; cap++) {
		count = 0;
		make_chans(1, cap);
		done = go_chan_make(0, 2);
		go(self_select, NULL);
		go(self_select, NULL);
		int value = -1, finished = 0;
		/* Whoever is left alone needs a partner. */
		while (finished < 2) {
			struct go_case cases[] = { { GO_RECV, done, NULL, false },
						   { GO_SEND, ch[0], &value, false },
						   { GO_RECV, ch[0], &value, false } };
			int which = go_select(cases, finished ? 3 : 1, GO_FOREVER);
			finished += which == 0;
			count += which == 1 ? 1 : which == 2 ? -1 : 0;
		}
		CHECK_EQ(count, go_chan_len(ch[0]));
		go_chan_free(done);
		free_chans(1);
	}
}

static void send_soon(void *n)
{
	int value = 1;
	go_sleep(MS);
	go_send(ch[(intptr_t)n], &value);
	count++;
}

/* The same channel twice, and losers that have to be taken out of every queue. */
static void duplicates(void)
{
	int a, b;
	count = 0;
	make_chans(2, 0);
	for (int i = 0; i < 50; i++) {
		struct go_case cases[] = { { GO_RECV, ch[0], &a, false },
					   { GO_RECV, ch[0], &b, false },
					   { GO_RECV, ch[1], &b, false } };
		a = b = 0;
		go(send_soon, (void *)(intptr_t)(i % 2));
		int which = go_select(cases, 3, GO_FOREVER);
		CHECK_EQ(i % 2, which == 2);
		CHECK_EQ(a + b, 1);
		CHECK(cases[which].ok);
		CHECK_EQ(go_try_send(ch[0], &a), 0);
		CHECK_EQ(go_try_send(ch[1], &a), 0);
	}
	WAIT_FOR(count == 50);
	free_chans(2);
}

/* One case wins, and nothing of the others is left behind, whose places are on a stack. */
static void losers_leave(void)
{
	int value = 3, got;
	make_chans(3, 0);
	struct go_case cases[] = { { GO_RECV, ch[0], &got, false }, { GO_RECV, ch[1], &got, false },
				   { GO_SEND, ch[2], &value, false } };
	count = 0;
	go(send_soon, (void *)1);
	CHECK_EQ(go_select(cases, 3, GO_FOREVER), 1);
	CHECK(ch[0]->receivers.head == NULL && ch[2]->senders.head == NULL);
	CHECK_EQ(go_select(cases, 3, go_now() + MS), -1);
	CHECK(ch[0]->receivers.head == NULL && ch[1]->receivers.head == NULL && ch[2]->senders.head == NULL);
	free_chans(3);
}

static void select_closed(void *unused)
{
	int value = 9;
	struct go_case cases[] = { { GO_RECV, ch[0], &value, true },
				   { GO_RECV, ch[1], &value, true } };
	CHECK_EQ(go_select(cases, 2, GO_FOREVER), 1);
	CHECK(!cases[1].ok);
	CHECK_EQ(value, 0);
	count++;
}

static void send_to_closed(void *unused)
{
	int value = 9;
	struct go_case cases[] = { { GO_RECV, ch[0], &value, true },
				   { GO_SEND, ch[1], &value, true } };
	go_select(cases, 2, GO_FOREVER);
}

static void send_must_panic(void *unused)
{
	CHECK_STR(go_call(send_to_closed, NULL), "send on closed channel");
	count++;
}

static void close_wakes_selects(void)
{
	count = 0;
	make_chans(2, 0);
	for (int i = 0; i < 20; i++)
		go(select_closed, NULL);
	go_sleep(2 * MS);
	go_close(ch[1]);
	WAIT_FOR(count == 20);
	send_must_panic(NULL);
	free_chans(2);
	make_chans(2, 0);
	go(send_must_panic, NULL);
	go_sleep(2 * MS);
	go_close(ch[1]);
	WAIT_FOR(count == 22);
	free_chans(2);
}

/* More than a few, in a wild order of addresses, of which the last to come is ready. */
static void many_channels(void)
{
	enum { MANY = 50 };
	go_chan *all[MANY];
	struct go_case cases[MANY];
	int value, sent = 7;

	for (int i = 0; i < MANY; i++)
		all[i] = go_chan_make(sizeof(int), 1);
	for (int i = 0; i < MANY; i++)
		cases[i] = (struct go_case){ GO_RECV, all[i * 17 % MANY], &value, false };
	for (int i = 0; i < MANY; i++) {
		go_send(cases[i].ch, &sent);
		CHECK_EQ(go_select(cases, MANY, GO_FOREVER), i);
		CHECK_EQ(go_select(cases, MANY, GO_NOW), -1);
	}
	for (int i = 0; i < MANY; i++)
		go_chan_free(all[i]);
}

int main(int argc, char **argv)
{
	TESTS(TEST(losers_leave), TEST(fairness), TEST(default_clause), TEST(deadline), TEST(null_and_empty_cases),
	      TEST(same_channel), TEST(duplicates), TEST(close_wakes_selects),
	      TEST(many_channels));
	return test_main(argc, argv, tests);
}
