/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Run queues and pools from inside: Ps and Gs that the scheduler does not know are put through sched/runq.h,
 * runq.c and gfree.c.
 *
 * @test harts=1 env=GUMPDEBUG=seed=0 args=ring_in_order|next_inherits|overflow_of_half|steal_of_half timeout=60
 * @test harts=1 env=GUMPDEBUG=seed=0 args=back_off|global_batches|pools_of_64|layout
 * @test machines=virt,q35,microvm harts=2,4 each_is_taken_once
 * @stress harts=2,4,8 args=each_is_taken_once env=PART=8
 * @test machines=hosted harts=2,4 env=GUMPDEBUG=seed=0 each_is_taken_once
 */
#include "sched/sched.h"
#include "test.h"

enum { GS = 4096 };
static struct p owner, thief;
static struct g gs[GS];

static void empty(struct p *p)
{
	/* The counters wrap round in each test. */
	p->runq_head = p->runq_tail = UINT32_MAX - 100;
	p->runnext = NULL;
}

static void fill(struct p *p, int n)
{
	empty(p);
	for (int i = 0; i < n; i++)
		runq_put(p, &gs[i]);
}

static int number(struct g *g)
{
	return g == NULL ? -1 : (int)(g - gs);
}

/* The ring of p holds gs[from], gs[from + 1], ... up to before gs[to]. Empties it. */
static void check_holds(struct p *p, int from, int to)
{
	bool inherit;
	for (int i = from; i < to; i++)
		CHECK_EQ(number(runq_get(p, &inherit)), i);
	CHECK(runq_get(p, &inherit) == NULL);
	CHECK(runq_none(p) && runq_empty(p));
}

static void ring_in_order(void)
{
	for (int n = 0; n <= (int)RUNQ_SIZE; n += n < 5 ? 1 : 251) {
		fill(&owner, n);
		CHECK_EQ(runq_length(&owner), n);
		check_holds(&owner, 0, n);
	}
}

static void next_inherits(void)
{
	bool inherit;
	fill(&owner, 1);
	runq_put_next(&owner, &gs[1]);
	runq_put_next(&owner, &gs[2]); /* which puts the one before into the ring */
	CHECK_EQ(runq_length(&owner), 3);
	CHECK_EQ(number(runq_get(&owner, &inherit)), 2);
	CHECK(inherit);
	CHECK_EQ(number(runq_get(&owner, &inherit)), 0);
	CHECK(!inherit);
	check_holds(&owner, 1, 2);
}

/* locks > 0 on the only hart: whatever is in the global queue is ours. */
static void check_global(int from, int to)
{
	for (int i = from; i < to; i++)
		CHECK_EQ(number(glist_pop(&sched.runq)), i);
	sched.runq_size = sched.runq.size;
}

static void overflow_of_half(void)
{
	hart_lock();
	CHECK_EQ(sched.runq.size, 0);
	fill(&owner, RUNQ_SIZE + 1);
	CHECK_EQ(sched.runq.size, RUNQ_SIZE / 2 + 1);
	CHECK_EQ(sched.runq_size, RUNQ_SIZE / 2 + 1);
	check_global(0, RUNQ_SIZE / 2); /* the oldest, and the one that did not fit */
	check_global(RUNQ_SIZE, RUNQ_SIZE + 1);
	CHECK_EQ(sched.runq.size, 0);
	check_holds(&owner, RUNQ_SIZE / 2, RUNQ_SIZE);
	hart_unlock();
}

static void steal_of_half(void)
{
	for (int n = 1; n <= (int)RUNQ_SIZE; n++) {
		int half = n - n / 2;
		fill(&owner, n);
		empty(&thief);
		CHECK_EQ(number(runq_steal(&thief, &owner, false)), half - 1); /* the last of them is run */
		check_holds(&thief, 0, half - 1);
		check_holds(&owner, half, n);
	}
	empty(&owner);
	CHECK(runq_steal(&thief, &owner, true) == NULL);
}

/* The quickest of many thefts of runnext, ns: the host may be away at times. */
static int64_t theft(enum p_status status)
{
	int64_t least = INT64_MAX;
	owner.status = status;
	for (int i = 0; i < 100; i++) {
		empty(&owner);
		empty(&thief);
		runq_put_next(&owner, &gs[i]);
		CHECK(runq_steal(&thief, &owner, false) == NULL);
		int64_t start = go_now();
		CHECK_EQ(number(runq_steal(&thief, &owner, true)), i);
		int64_t took = go_now() - start;
		least = took < least ? took : least;
	}
	return least;
}

/* A P that runs a G is left time to take its runnext itself; one in a blocking section is not. */
static void back_off(void)
{
	int64_t running = theft(P_RUNNING);
	CHECK(running >= RUNNEXT_BACKOFF_NS);
	CHECK_IN(theft(P_BLOCKED), 0, running - RUNNEXT_BACKOFF_NS / 2);
	owner.status = P_IDLE;
}

static void check_batch(uint32_t size, uint32_t procs, uint32_t max, uint32_t want)
{
	uint32_t before = sched.procs;

	empty(&owner);
	for (uint32_t i = 0; i < size; i++)
		globrunq_put_one(&gs[i]);
	sched.procs = procs;
	struct g *g = globrunq_get(&owner, max);
	sched.procs = before;
	CHECK_EQ(number(g), size > 0 ? 0 : -1);
	CHECK_EQ(sched.runq_size, size - want);
	check_holds(&owner, 1, (int)want);
	check_global((int)want, (int)size);
}

static void global_batches(void)
{
	hart_lock();
	CHECK_EQ(sched.runq.size, 0);
	for (uint32_t procs = 1; procs <= 8; procs++)
		for (uint32_t size = 1; size <= 1200; size += size < 20 ? 1 : 59) {
			uint32_t share = size / procs + 1;
			share = share > size ? size : share;
			share = share > RUNQ_SIZE / 2 ? RUNQ_SIZE / 2 : share;
			check_batch(size, procs, 0, share);
			check_batch(size, procs, 1, 1);
		}
	CHECK(globrunq_get(&owner, 0) == NULL);
	hart_unlock();
}

static go_chan *gate;
static _Atomic(int) arrived;

static void pass(void *unused)
{
	arrived++;
	go_recv(gate, NULL);
}

/* n goroutines that exist at once, and end. */
static void crowd(int n)
{
	arrived = 0;
	gate = go_chan_make(0, 0);
	for (int i = 0; i < n; i++)
		go(pass, NULL);
	WAIT_FOR(arrived == n);
	go_close(gate);
	WAIT_FOR(go_count() == 1);
	go_chan_free(gate);
}

static int all_gs(void)
{
	int n = 0;
	for (struct g *g = sched.all_gs; g != NULL; g = g->all_next)
		n++;
	return n;
}

static int dead(const struct p *p)
{
	return (int)(p->gfree.count + p->gfree_bare.count + sched.gfree.count + sched.gfree_bare.count);
}

static void pools_of_64(void)
{
	struct p *p = p_get(0);
	crowd(200);
	int made = all_gs();
	CHECK_IN(p->gfree.count, 64 - 32 + 1, 64); /* over 64, and 32 went to the global pool */
	CHECK_EQ(sched.gfree.count % 32, 0);
	CHECK_EQ(dead(p), made - 1);
	crowd(200);
	CHECK_EQ(all_gs(), made); /* they came back from there */

	hart_lock();
	gfree_flush(p);
	CHECK_EQ(p->gfree.count, 0);
	struct g *g = gfree_get(p); /* an empty pool takes 32 */
	CHECK_EQ(p->gfree.count, 31);
	gfree_put(p, g);
	CHECK_EQ(dead(p), made - 1);
	hart_unlock();
}

/* What others write lies in cache lines of its own, and all of a P in its hart's block. */
static void layout(void)
{
	CHECK_EQ(offsetof(struct p, timer_lock) % CACHE_LINE, 0);
	CHECK_EQ(offsetof(struct p, runq_head) % CACHE_LINE, 0);
	CHECK_EQ(offsetof(struct p, runq_tail) % CACHE_LINE, 0);
	for (unsigned id = 0; id < hart_count(); id++) {
		size_t at = (size_t)((char *)p_get(id) - (char *)m_get(id));
		CHECK_EQ((uintptr_t)p_get(id) % CACHE_LINE, 0);
		CHECK_IN(at, sizeof(struct m), sched_hart_size - sizeof(struct p));
	}
}

/* One puts and gets, others steal from it: each G is taken by one of them, once. */
static _Atomic(int) taken[GS];
static _Atomic(int) thieves;
static _Atomic(bool) done;

static void take(struct g *g)
{
	if (g != NULL)
		taken[number(g)]++;
}

static void rob(void *arg)
{
	static struct p mine[HARTS_MAX];
	struct p *p = &mine[(intptr_t)arg];
	bool inherit;

	empty(p);
	while (!done) {
		take(runq_steal(p, &owner, true));
		for (struct g *g; (g = runq_get(p, &inherit)) != NULL;)
			take(g);
	}
	thieves--;
}

static void put_and_get(void)
{
	bool inherit;

	for (int i = 0; i < GS; i++) {
		if (i % 3 == 0)
			runq_put_next(&owner, &gs[i]);
		else
			runq_put(&owner, &gs[i]);
		while (runq_length(&owner) > (uint32_t)(i % 7) * 3)
			take(runq_get(&owner, &inherit));
	}
	for (struct g *g; (g = runq_get(&owner, &inherit)) != NULL;)
		take(g);
}

static void each_is_taken_once(void)
{
	owner.status = P_IDLE; /* no back-off */
	empty(&owner);
	for (int round = 0; round < test_part(40); round++) {
		memset(taken, 0, sizeof(taken));
		thieves = go_harts() - 1;
		done = false;
		for (intptr_t i = 0; i < go_harts() - 1; i++)
			go(rob, (void *)i);
		put_and_get();
		done = true;
		WAIT_FOR(thieves == 0);
		for (int i = 0; i < GS; i++)
			CHECK_EQ(taken[i], 1);
	}
}

int main(int argc, char **argv)
{
	for (int i = 0; i < GS; i++)
		gs[i].status = G_RUNNABLE; /* a thief waits for that */
	TESTS(TEST(ring_in_order), TEST(next_inherits), TEST(overflow_of_half), TEST(steal_of_half),
	      TEST(back_off), TEST(global_batches), TEST(pools_of_64), TEST(layout), TEST(each_is_taken_once));
	return test_main(argc, argv, tests);
}
