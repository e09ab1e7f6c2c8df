/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Select under load: senders and receivers on four channels, some by select and some plain, with
 * deadlines that often pass just when a partner comes. Everything sent arrives exactly once.
 *
 * @test harts=1,2,4,8 timeout=60
 * @test windows checks machines=virt,q35 harts=4 env=GUMPDEBUG=windows|PART=20 args=-none timeout=60
 * @stress env=PART=10 timeout=60
 */
#include "test.h"

enum { CHANS = 4 };

static int each;
static go_chan *ch[CHANS];
static go_waitgroup all;

static void send_plain(void *n)
{
	for (int i = 0; i < each; i++)
		go_send(ch[(intptr_t)n], &i);
	go_waitgroup_done(&all);
}

static void recv_plain(void *n)
{
	int value;
	for (int i = 0; i < each; i++) {
		CHECK(go_recv(ch[(intptr_t)n], &value));
		CHECK_EQ(value, i); /* one plain sender and this one receiver see one order */
	}
	go_waitgroup_done(&all);
}

static void select_all(void *op)
{
	int left[CHANS], value[CHANS], total = CHANS * each;
	struct go_case cases[CHANS];
	for (int i = 0; i < CHANS; i++) {
		left[i] = each;
		cases[i] = (struct go_case){ (int)(intptr_t)op, ch[i], &value[i], false };
		value[i] = 0;
	}
	while (total > 0) {
		int which = go_select(cases, CHANS, GO_FOREVER);
		CHECK_IN(which, 0, CHANS - 1);
		CHECK(left[which] > 0);
		if ((intptr_t)op == GO_SEND)
			value[which]++;
		else
			CHECK_EQ(value[which], each - left[which]);
		if (--left[which] == 0)
			cases[which].ch = NULL; /* as in Go: never ready again */
		total--;
	}
	go_waitgroup_done(&all);
}

static void run(void (*senders)(void *), void (*receivers)(void *), size_t cap)
{
	for (int i = 0; i < CHANS; i++)
		ch[i] = go_chan_make(sizeof(int), cap);
	for (intptr_t i = 0; i < CHANS; i++) {
		if (senders) {
			go_waitgroup_add(&all, 1);
			go(senders, (void *)i);
		}
		if (receivers) {
			go_waitgroup_add(&all, 1);
			go(receivers, (void *)i);
		}
	}
	if (!senders || !receivers) {
		go_waitgroup_add(&all, 1);
		go(select_all, (void *)(intptr_t)(senders ? GO_RECV : GO_SEND));
	}
	go_waitgroup_wait(&all);
	for (int i = 0; i < CHANS; i++)
		go_chan_free(ch[i]);
}

static void plain_to_plain(void) { run(send_plain, recv_plain, 0); }
static void plain_to_select(void) { run(send_plain, NULL, 0); }
static void select_to_plain(void) { run(NULL, recv_plain, 0); }
static void plain_to_select_buffered(void) { run(send_plain, NULL, 3); }

static void select_to_select(void)
{
	for (int i = 0; i < CHANS; i++)
		ch[i] = go_chan_make(sizeof(int), 0);
	go_waitgroup_add(&all, 2);
	go(select_all, (void *)(intptr_t)GO_SEND);
	go(select_all, (void *)(intptr_t)GO_RECV);
	go_waitgroup_wait(&all);
	for (int i = 0; i < CHANS; i++)
		go_chan_free(ch[i]);
}

static _Atomic(int) sent, got;
static _Atomic(bool) stop;

/* A hundred take 4 ms, for which the receivers' harts may well be away: then there are more, until one is sent. */
static void send_or_give_up(void *unused)
{
	for (int i = 0; i < each / 5 || (sent == 0 && !stop); i++) {
		struct go_case cases[] = { { GO_SEND, ch[0], &i, false },
					   { GO_SEND, ch[1], &i, false } };
		if (go_select(cases, 2, go_now() + (i % 5) * 20 * US) >= 0)
			sent++;
	}
	go_waitgroup_done(&all);
}

static void recv_or_give_up(void *unused)
{
	int value;
	for (int i = 0; !stop; i++) {
		struct go_case cases[] = { { GO_RECV, ch[1], &value, false },
					   { GO_RECV, ch[0], &value, false } };
		int which = go_select(cases, 2, go_now() + (i % 3) * 30 * US);
		if (which >= 0 && cases[which].ok)
			got++;
	}
	go_waitgroup_done(&all);
}

/* A deadline and a partner race for a goroutine: whoever comes second finds it gone. */
static void deadlines_race_with_partners(void)
{
	stop = false;
	ch[0] = go_chan_make(sizeof(int), 0);
	ch[1] = go_chan_make(sizeof(int), 0);
	go_waitgroup_add(&all, 8);
	for (int i = 0; i < 4; i++)
		go(send_or_give_up, NULL);
	for (int i = 0; i < 4; i++)
		go(recv_or_give_up, NULL);
	int64_t end = go_now() + 20 * SECOND;
	while (go_count() > 5 && go_now() < end)
		go_sleep(MS); /* until the senders are done */
	stop = true;
	go_waitgroup_wait(&all);
	CHECK(sent > 0);
	CHECK_EQ(sent, got);
	go_chan_free(ch[0]);
	go_chan_free(ch[1]);
}

enum { MANY = 64 };

static go_chan *many[MANY];

static void move_tokens(void *unused)
{
	int token = 0;
	for (int i = 0; !stop; i++) {
		go_chan *from = many[i % 2 * (MANY - 1)], *to = many[(i + 1) % 2 * (MANY - 1)];
		go_send(to, &token);
		while (go_try_recv(from, &token) == 0 && go_try_recv(to, &token) == 0)
			;
	}
	go_waitgroup_done(&all);
}

/*
 * The first or the last of many channels always has something, now the one, now the other: no select that may
 * not wait finds nothing, however long it takes to look at all of them.
 */
static void never_none_at_one_instant(void)
{
	int token = 0;
	int64_t end = go_now() + SECOND / 5;
	stop = false;
	for (int i = 0; i < MANY; i++)
		many[i] = go_chan_make(sizeof(int), 4);
	go_send(many[0], &token);
	go_waitgroup_add(&all, 1);
	go(move_tokens, NULL);
	while (go_now() < end) {
		struct go_case cases[MANY];
		for (int i = 0; i < MANY; i++)
			cases[i] = (struct go_case){ GO_RECV, many[i], &token, false };
		int which = go_select(cases, MANY, GO_NOW);
		CHECK_IN(which, 0, MANY - 1);
		go_send(many[which], &token);
	}
	stop = true;
	go_waitgroup_wait(&all);
	for (int i = 0; i < MANY; i++)
		go_chan_free(many[i]);
}

int main(int argc, char **argv)
{
	each = test_part(5000);
	TESTS(TEST(plain_to_plain), TEST(plain_to_select), TEST(select_to_plain),
	      TEST(plain_to_select_buffered), TEST(select_to_select),
	      TEST(deadlines_race_with_partners), TEST(never_none_at_one_instant));
	return test_main(argc, argv, tests);
}
