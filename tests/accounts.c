/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who has the memory: go_memory() and mallinfo() see each byte that is allocated, and that it is given back.
 * tests/test_memory_map.py reads this program's memory map.
 *
 * @test machines=virt,q35,microvm
 * @test structures_go_back machines=virt,q35 harts=1,4 env=GUMPDEBUG=heap
 */
#include <malloc.h>

#include "sched/sched.h"
#include "test.h"

static struct go_memory now(void)
{
	struct go_memory m;
	go_memory(&m);
	CHECK_EQ(m.total, m.free + m.heap + m.goroutines + m.stacks + m.tables + m.image + m.other);
	CHECK(m.heap_used <= m.heap && m.heap < m.total && m.other < m.total);
	return m;
}

static void sums(void)
{
	for (int i = 0; i < 100; i++)
		now();
	CHECK(now().image > 10000);
	CHECK(now().goroutines >= sizeof(struct g));
}

/* n objects: that they are in use is seen, and afterwards that none is. */
static void use(int n, size_t align, size_t size, size_t each)
{
	enum { MAX = 1000 };
	static void *objects[MAX];
	size_t before = now().heap_used;

	for (int i = 0; i < n; i++)
		CHECK(objects[i] = aligned_alloc(align, size));
	CHECK_EQ(now().heap_used - before, (size_t)n * each);
	CHECK_EQ(malloc_usable_size(objects[0]) >= size, true);
	for (int i = 0; i < n; i++)
		free(objects[i]);
	CHECK_EQ(now().heap_used, before);
}

static void what_is_in_use(void)
{
	use(1000, 16, 1, 16);
	use(1000, 16, 64, 64);
	use(1000, 16, 300, 320);
	use(50, 16, 8192, 8192);
	use(3, 16, 1000000, 1003520);
}

/* Small objects that are aligned are small: none takes pages. */
static void aligned_objects_are_small(void)
{
	use(1000, 64, 64, 64);
	use(1000, 64, 65, 128);
	use(1000, 32, 100, 128);
	use(1000, 128, 300, 384);
	use(500, 512, 600, 1024);
	use(100, 4096, 4096, 4096);
	use(100, 1024, 5000, 5120);
}

static void heap_gives_back(void)
{
	struct go_memory before = now();
	void *volatile large = malloc((size_t)4 << 20);
	CHECK(large);
	CHECK(now().free + ((size_t)4 << 20) <= before.free);
	free(large);
	CHECK_EQ(now().free, before.free);
}

static void wait_there(void *ch)
{
	go_recv(ch, NULL);
}

static void goroutines_are_seen(void)
{
	enum { N = 300 };
	go_chan *ch = go_chan_make(0, 0);
	struct go_memory before = now();
	for (int i = 0; i < N; i++)
		go(wait_there, ch);
	go_sleep(10 * MS);
	struct go_memory then = now();
	CHECK_IN((then.goroutines - before.goroutines) / sizeof(struct g), N - 2 * (int)GFREE_MAX, N);
	CHECK(then.stacks > before.stacks);
	go_close(ch);
	WAIT_FOR(go_count() == 1);
	go_chan_free(ch);
}

/* Dead goroutines' structures, when the harts that might look at them still have left them alone. */
static void structures_go_back(void)
{
	enum { N = 3000 };
	size_t few = (size_t)go_harts() * (2 * GFREE_MAX + GFREE_BATCH);
	for (int round = 0; round < 3; round++) {
		go_chan *ch = go_chan_make(0, 0);
		for (int i = 0; i < N; i++)
			go(wait_there, ch);
		go_sleep(10 * MS);
		CHECK(now().goroutines >= N * sizeof(struct g));
		go_close(ch);
		WAIT_FOR(go_count() == 1);
		go_chan_free(ch);
		WAIT_FOR((go_reclaim(), now().goroutines <= few * sizeof(struct g)));
	}
}

static _Atomic(bool) enough;

static void take_and_give(int n, size_t size)
{
	enum { MAX = 400 };
	void *objects[MAX];

	for (int i = 0; i < n; i++)
		objects[i] = malloc(size);
	for (int i = 0; i < n; i++)
		free(objects[i]);
}

static void large_objects(void *unused)
{
	while (!enough)
		take_and_give(1, (size_t)8 << 20);
}

static void whole_spans(void *unused)
{
	while (!enough)
		take_and_give(400, 8192);
}

static void return_at_once(void *unused)
{
}

static void structures(void *unused)
{
	while (!enough) {
		for (int i = 0; i < 400; i++)
			go(return_at_once, NULL);
		go_reclaim();
	}
}

/* No sum is below nothing or above what there is, at whatever moment others are. */
static void while_others_go_on(void)
{
	enough = false;
	go(large_objects, NULL);
	go(whole_spans, NULL);
	go(structures, NULL);
	for (int64_t end = go_now() + SECOND; go_now() < end;) {
		now();
		struct mallinfo info = mallinfo();
		CHECK(info.uordblks <= info.arena && info.fordblks <= info.arena && info.hblkhd <= info.arena);
	}
	enough = true;
}

static _Atomic(unsigned) been_on; /* harts, as bits */

/* Of each size the hart that this runs on keeps some afterwards. Not preempted. */
static void use_each_size_here(void)
{
	for (size_t size = 16; size <= 8192; size += size / 8 + 1)
		take_and_give(4, size);
}

static void use_each_size(void *unused)
{
	while (been_on != (1u << go_harts()) - 1) {
		hart_lock();
		use_each_size_here();
		been_on |= 1u << go_hart();
		hart_unlock();
		go_yield();
	}
}

/* What other harts keep of the heap goes back, too: spans of 56 sizes on each. */
static void all_harts_give_back(void)
{
	go_reclaim();
	go_sleep(20 * MS);
	size_t before = now().heap;
	been_on = 0;
	for (int i = 0; i < 2 * go_harts(); i++)
		go(use_each_size, NULL);
	WAIT_FOR(go_count() == 1);
	CHECK(go_harts() == 1 || now().heap > before + ((size_t)1 << 20));
	WAIT_FOR((go_reclaim(), now().heap <= before + ((size_t)256 << 10)));
}

static go_chan *gate;
static _Atomic(int) tied;

/* To a hart that no other is tied to. */
static void wait_tied(void *unused)
{
	go_lock_hart();
	while (atomic_fetch_or(&been_on, 1u << go_hart()) >> go_hart() & 1) {
		go_unlock_hart();
		go_yield();
		go_lock_hart();
	}
	hart_lock();
	use_each_size_here();
	hart_unlock();
	tied++;
	go_recv(gate, NULL);
}

/* And those that sleep for a goroutine which is tied to them. */
static void tied_harts_give_back(void)
{
	go_reclaim();
	go_sleep(20 * MS);
	size_t before = now().heap;
	gate = go_chan_make(0, 0);
	been_on = 0;
	tied = 0;
	for (int i = 1; i < go_harts(); i++)
		go(wait_tied, NULL);
	WAIT_FOR(tied == go_harts() - 1);
	CHECK(go_harts() == 1 || now().heap > before + ((size_t)512 << 10));
	WAIT_FOR((go_reclaim(), now().heap <= before + ((size_t)256 << 10)));
	go_close(gate);
	WAIT_FOR(go_count() == 1);
	go_chan_free(gate);
}

static go_timer timers[100000];
static _Atomic(int) fired;

static int64_t soon;

static void fires(void *after)
{
	CHECK(go_now() >= soon + (intptr_t)after);
	fired++;
}

/* The places of a hundred thousand timers, when a thousand are left: by a cycle, or when one might be due. */
static void timers_give_back(void)
{
	enum { N = sizeof(timers) / sizeof(timers[0]), EACH = 100 };

	for (int periodic = 0; periodic < 2; periodic++) {
		go_reclaim();
		size_t before = now().heap_used;
		for (int i = 0; i < N; i++)
			go_timer_call(&timers[i], INT64_MAX - i, 0, fires, NULL);
		CHECK(now().heap_used >= before + N * 16);
		for (int i = 0; i < N; i++)
			if (i % EACH != 0)
				CHECK(go_timer_stop(&timers[i]));
		size_t few = before + 4 * (N / EACH) * 16;
		if (periodic) {
			store_relaxed(&sched.reclaim_due, 0);
			WAIT_FOR(now().heap_used < few);
		} else {
			go_reclaim();
			CHECK(now().heap_used < few);
		}
		fired = 0;
		soon = go_now() + 20 * MS;
		for (int i = 0; i < N; i += EACH)
			go_timer_call(&timers[i], soon + i * US, 0, fires, (void *)(intptr_t)(i * US));
		WAIT_FOR(fired == N / EACH);
	}
}

static void mallinfo_agrees(void)
{
	void *volatile large = malloc(100000), *volatile small = malloc(100);
	struct mallinfo info = mallinfo();
	struct go_memory m = now();
	CHECK_EQ(info.arena, m.heap + m.goroutines);
	CHECK_EQ(info.uordblks, m.heap_used + m.goroutines);
	CHECK_EQ(info.fordblks, info.arena - info.uordblks);
	CHECK(info.hblkhd >= 100000 && info.keepcost <= info.fordblks);
	free(large);
	free(small);
}

int main(int argc, char **argv)
{
	TESTS(TEST(sums), TEST(what_is_in_use), TEST(aligned_objects_are_small), TEST(heap_gives_back),
	      TEST(mallinfo_agrees), TEST(goroutines_are_seen),
	      TEST(structures_go_back), TEST(while_others_go_on),
	      TEST(all_harts_give_back), TEST(tied_harts_give_back), TEST(timers_give_back));
	return test_main(argc, argv, tests);
}
