/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A goroutine that waits for a stack gets one when there is memory again, whoever runs and whoever sleeps. Here
 * there is memory all along, and one is put where it waits.
 *
 * @test harts=2 beside_a_locked_one env=GUMPDEBUG=seed=0
 * @test harts=1 beside_a_hog env=QUANTUM_US=1000|GUMPDEBUG=seed=0
 */
#include "sched/sched.h"
#include "test.h"

static go_chan *ch;
static _Atomic(bool) ran;

static void send(void *unused)
{
	ran = true;
	go_send(ch, NULL);
}

/* The first of a program: nobody has left a stack. */
static void let_one_wait(void)
{
	bool inherit;

	ch = go_chan_make(0, 1);
	hart_lock();
	atomic_fetch_add(&sched.spinning, 1); /* so that nobody is woken for it */
	go(send, NULL);
	struct g *g = runq_get(m_self()->p, &inherit);
	atomic_fetch_sub(&sched.spinning, 1);
	CHECK_EQ(g->long_way, G_UNBOUND);
	spin_lock(&sched.lock);
	glist_push(&sched.unbound, g);
	store_relaxed(&sched.unbound_count, sched.unbound.size);
	spin_unlock(&sched.lock);
	hart_unlock();
}

/* The last that parks may not run it: the other hart, which is asleep, is to look before that is a deadlock. */
static void beside_a_locked_one(void)
{
	go_lock_hart();
	let_one_wait();
	CHECK(go_recv(ch, NULL));
	go_unlock_hart();
	go_chan_free(ch);
}

/* There is always somebody in the global queue: who ran until a moment ago. */
static void beside_a_hog(void)
{
	let_one_wait();
	for (int64_t end = go_now() + 5 * SECOND; !ran && go_now() < end;)
		;
	CHECK(ran);
	CHECK(go_recv(ch, NULL));
	go_chan_free(ch);
}

int main(int argc, char **argv)
{
	TESTS(TEST_WHEN_NAMED(beside_a_locked_one), TEST_WHEN_NAMED(beside_a_hog));
	return test_main(argc, argv, tests);
}
