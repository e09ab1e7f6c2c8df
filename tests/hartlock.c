/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * go_lock_hart(): goroutines tied to a hart, one or more than there are harts.
 *
 * @test alone
 * @test machines=virt,q35,hosted harts=3 args=others_stay_busy
 * @test harts=2 args=the_last_is_tied
 * @test harts=2 args=timers_beside_a_tied_one
 * @test harts=2 args=yields_to_a_tied_one
 * @test checks machines=virt,q35,hosted harts=2 env=GUMPDEBUG=windows args=tied_while_spinning
 * @stress env=PART=5
 */
#include "busy.h"

static _Atomic(int) count;
static _Atomic(bool) stop;

static _Atomic(int) tied_to;

static void stay(void *unused)
{
	go_lock_hart();
	go_lock_hart(); /* they nest */
	go_unlock_hart();
	int hart = go_hart();
	tied_to = hart;
	for (int i = 0; i < 24; i++) {
		if (i % 3 == 0)
			go_yield();
		else if (i % 3 == 1)
			go_sleep(300 * US);
		else if (i % 12 == 2)
			test_spin(15 * MS);
		CHECK_EQ(go_hart(), hart);
	}
	tied_to = -1;
	go_unlock_hart();
	count++;
}

static void keep_off(void *unused)
{
	while (!stop) {
		int before = tied_to, hart = go_hart(), after = tied_to;
		if (go_harts() > 1 && before >= 0 && before == after)
			CHECK(hart != before);
		go_yield();
	}
	count++;
}

static void lock_hart(void)
{
	stop = false;
	count = 0;
	tied_to = -1;
	for (int i = 0; i < 8; i++)
		go(keep_off, NULL);
	for (int round = 1; round <= test_part(2); round++) {
		go(stay, NULL);
		WAIT_FOR(count == round);
	}
	stop = true;
	WAIT_FOR(count == 8 + test_part(2));
}

static void stay_a_little(void *unused)
{
	go_lock_hart();
	int hart = go_hart();
	for (int i = 0; i < 15; i++) {
		if (i % 5 == 0)
			go_sleep(100 * US);
		else
			go_yield();
		CHECK_EQ(go_hart(), hart);
	}
	if ((intptr_t)unused % 2 == 0)
		go_unlock_hart();
	count++;
}

static void roam(void *unused)
{
	for (int i = 0; i < 50; i++)
		go_yield();
	count++;
}

/* Some harts have several Gs tied to them then; with fewer Ps than harts, they wait for one another's. */
static void more_locked_than_harts(void)
{
	int all = go_harts(), procs = go_maxprocs(0);
	for (int round = 0; round < 4; round++) {
		count = 0;
		for (intptr_t i = 0; i < 2 * all; i++)
			go(stay_a_little, (void *)i);
		for (int i = 0; i < 4; i++)
			go(roam, NULL);
		go_maxprocs(round % all + 1);
		WAIT_FOR(count == 2 * all + 4);
	}
	go_maxprocs(procs);
}

static void exit_locked(void *unused)
{
	go_lock_hart();
	count++; /* ends tied: the hart must come back */
}

static void exit_while_locked(void)
{
	count = 0;
	for (int i = 0; i < test_part(20); i++) {
		go(exit_locked, NULL);
		WAIT_FOR(count == i + 1);
	}
	go_lock_hart();
	go_sleep(MS);
	go_unlock_hart();
}

static _Atomic(bool) in_section, leave, about_to_sleep, unlocked;

static bool main_has_unlocked(void)
{
	about_to_sleep = true;
	return unlocked;
}

static void come_back_without_p(void *unused)
{
	go_lock_hart();
	go_block_enter();
	in_section = true;
	while (!leave)
		hart_relax();
	fuzz_hold(FUZZ_SLEEP, main_has_unlocked);
	go_block_leave();
	go_unlock_hart();
	count++;
}

/*
 * Both Ms have a locked goroutine, so each may look for others' work. One comes back from a blocking section,
 * finds no P and goes to sleep; it is woken to spin; but before it does the other's goroutine is locked no
 * more, and it may look for nothing but its own. It must not stay counted as spinning, or nobody would be
 * woken while it sleeps.
 */
static void tied_while_spinning(void)
{
	for (int round = 1; round <= 10; round++) {
		in_section = leave = about_to_sleep = unlocked = false;
		go_lock_hart();
		go(come_back_without_p, NULL);
		while (!in_section)
			;
		struct m *other = m_get((unsigned)go_hart() ^ 1);
		go_maxprocs(1);
		hart_lock(); /* preempted, this M would find the other's goroutine */
		leave = true;
		while (!about_to_sleep)
			hart_relax();
		go_maxprocs(2);
		CHECK(other->next_p != NULL && peek_flag(&other->spinning));
		go_unlock_hart();
		unlocked = true;
		/* It stops by itself, before this M looks for work and finds its goroutine. */
		(void)HELD_UNTIL(!peek_flag(&other->spinning), SECOND);
		hart_unlock();
		WAIT_FOR(count == round);
	}
}

/*
 * They have ended, and not only said so. As long as one is left, the next that is tied may find that each
 * M has a locked goroutine, and the test come to run on the M of one that waits.
 */
static bool none_is_tied(void)
{
	return sched.locked_ms == 0;
}

static _Atomic(struct g *) at_hand;
static _Atomic(struct m *) sleeper;
static int64_t due;

static bool note_at_hand(struct g *g, void *unused)
{
	at_hand = g;
	return true;
}

static void keep_busy(void *unused)
{
	hart_lock();
	park(note_at_hand, NULL, WAIT_NONE);
	while (!stop)
		hart_relax();
	count++;
}

static void sleep_tied(void *unused)
{
	go_lock_hart();
	hart_lock();
	due = go_now() + 2 * MS;
	sleeper = m_self();
	hart_unlock();
	go_sleep(due - go_now());
	count++;
}

/*
 * A tied M wakes up for the timer of the P that it left. It sees an M that looks for work already, and sleeps again;
 * but that one finds work without an end elsewhere, and so does the last M. It must look again.
 */
static void others_stay_busy(void)
{
	for (int round = 0; round < 10; round++) {
		stop = false;
		count = 0;
		sleeper = NULL;
		at_hand = NULL;
		go(keep_busy, NULL);
		while (at_hand == NULL)
			go_yield();
		go(sleep_tied, NULL);
		hart_lock(); /* not preempted, this M does not come to look */
		while (sleeper == NULL ||
		       (go_now() < due && (!(sched.parked_locked & bit(sleeper->hart.id)) || sched.idle_ms == 0)))
			hart_relax();
		atomic_fetch_add(&sched.spinning, 1); /* as if it were this M */
		while (go_now() < due + 200 * US)
			hart_relax();
		spin_lock(&sched.lock);
		atomic_fetch_sub(&sched.spinning, 1);
		g_change(at_hand, G_WAITING, G_RUNNABLE);
		globrunq_put_one(at_hand);
		/* A round says nothing if the timer is one that this M watches over, or that the third would find. */
		unsigned self = m_self()->hart.id, tied = sleeper->hart.id;
		bool others = self != tied && !timers_due(p_get(self), now_ticks());
		struct p *p = others ? idle_p_take(3 - self - tied) : NULL;
		bool busy = p != NULL && !timers_due(p, now_ticks()) && m_start(p, true);
		if (busy)
			atomic_fetch_add(&sched.spinning, 1);
		else if (p != NULL)
			idle_p_add(p);
		spin_unlock(&sched.lock);
		if (!busy) {
			wake_p();
			hart_unlock();
		}
		CHECK(HELD_UNTIL(count == 1, 5 * SECOND));
		if (busy)
			hart_unlock();
		stop = true;
		WAIT_FOR(count == 2 && none_is_tied());
	}
}

static _Atomic(bool) tied_and_waits;

static void wait_tied(void *ch)
{
	go_lock_hart();
	tied_and_waits = true;
	go_recv(ch, NULL);
	count++;
}

static void come_by(void *unused)
{
	count++;
}

/* An M sleeps for its locked goroutine. When the other one gets its own, there is none for the rest, so it wakes up. */
static void the_last_is_tied(void)
{
	for (int round = 0; round < 10; round++) {
		go_chan *ch = go_chan_make(0, 0);
		count = 0;
		tied_and_waits = false;
		go(wait_tied, ch);
		WAIT_FOR(tied_and_waits);
		hart_lock();
		while (sched.parked_locked == 0)
			hart_relax();
		hart_unlock();
		go_lock_hart();
		hart_lock(); /* neither gives its goroutines a turn */
		go(come_by, NULL);
		CHECK(HELD_UNTIL(count == 1, 5 * SECOND));
		hart_unlock();
		go_unlock_hart();
		go_send(ch, NULL);
		WAIT_FOR(count == 2 && none_is_tied());
		go_chan_free(ch);
	}
}

/*
 * One that is tied computes, and the other hart has work without end: who sleeps beside it wakes up in time. The timer
 * is now on the one's P, now on the other's.
 */
static void timers_beside_a_tied_one(void)
{
	for (int round = 0; round < 10; round++) {
		busy_begin();
		go_lock_hart();
		CHECK(HELD_UNTIL(awake, 5 * SECOND));
		go_unlock_hart();
		busy_end();
	}
}

static go_chan *letters[2]; /* by hart */
static _Atomic(unsigned) tied_harts;
static _Atomic(int) tied_ones, writer_on, yields;
static _Atomic(bool) may_write, written, was_read;

static void read_tied(void *unused)
{
	go_lock_hart();
	tied_harts |= 1u << go_hart();
	tied_ones++;
	go_recv(letters[go_hart()], NULL);
	was_read = true;
	go_unlock_hart();
	count++;
}

static void write_elsewhere(void *unused)
{
	writer_on = go_hart();
	while (!may_write)
		hart_relax();
	go_send(letters[1 - writer_on], NULL);
	written = true;
	while (!was_read)
		hart_relax();
	count++;
}

static bool yields_to_the_tied_one_here(void)
{
	go(write_elsewhere, NULL);
	while (writer_on < 0)
		hart_relax();
	bool beside = go_hart() != writer_on;
	may_write = true;
	while (!was_read) {
		/* The two may have changed places before that: then the writer has its slice there first. */
		yields += written && go_hart() != writer_on;
		go_yield();
	}
	CHECK(yields < 1000); /* a slice has tens of thousands */
	go_send(letters[writer_on], NULL);
	WAIT_FOR(count == 3);
	return beside;
}

/*
 * Each hart has a goroutine that is tied to it and waits, so both serve others. Who yields on one, with nothing else
 * to run, finds that the other has readied the one that is tied to this.
 */
static void yields_to_a_tied_one(void)
{
	letters[0] = go_chan_make(0, 0);
	letters[1] = go_chan_make(0, 0);
	for (int rounds = 0; rounds < 10;) {
		count = yields = tied_ones = 0;
		tied_harts = 0;
		writer_on = -1;
		may_write = written = was_read = false;
		go(read_tied, NULL);
		go(read_tied, NULL);
		WAIT_FOR(tied_ones == 2);
		if (tied_harts == 3) {
			rounds += yields_to_the_tied_one_here();
			continue;
		}
		for (int i = 0; i < 2; i++)
			go_send(letters[tied_harts >> 1], NULL);
		WAIT_FOR(count == 2);
	}
	go_chan_free(letters[0]);
	go_chan_free(letters[1]);
}

int main(int argc, char **argv)
{
	TESTS(TEST(lock_hart), TEST(more_locked_than_harts), TEST(exit_while_locked),
	      TEST_WHEN_NAMED(tied_while_spinning), TEST_WHEN_NAMED(others_stay_busy),
	      TEST_WHEN_NAMED(the_last_is_tied),
	      TEST_WHEN_NAMED(timers_beside_a_tied_one),
	      TEST_WHEN_NAMED(yields_to_a_tied_one));
	return test_main(argc, argv, tests);
}
