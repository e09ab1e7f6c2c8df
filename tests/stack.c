/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stacks: they grow up to their limit without moving, and what is beyond is an overflow. ThreadSanitizer has
 * room for 65,536 calls within each other, which 64 MiB are more than.
 *
 * @test harts=1,2,4 mem=256M sanitize=address,undefined
 * @test most machines=hosted-thread harts=1,4 args=-nine_tenths_of_64_mib
 * @test overflow_in_main harts=1,4 status=2 "stack overflow" "limit 256 KiB" /recurse[.\w]*\+/
 * @test overflow_in_goroutine harts=1,4 status=2 "stack overflow" "deep one" "limit 1024 KiB" /recurse[.\w]*\+/
 * @test overflow_by_a_big_frame harts=1 status=2 "stack overflow" "big_frame+"
 * @test out_of_an_array harts=1 status=2 sanitize= "page fault" /out_of_an_array[.\w]*\+/
 */
#include "test.h"

static _Atomic(int) count;

static __attribute__((noinline)) int recurse(char *bottom, size_t depth)
{
	volatile char frame[256];
	frame[0] = (char)depth;
	if ((size_t)(bottom - (char *)frame) >= depth)
		return frame[0];
	int below = recurse(bottom, depth);
	return frame[0] + below;
}

static void use_stack(void *depth)
{
	char here;
	recurse(&here, (size_t)depth);
	count++;
}

static void nine_tenths_of_default(void)
{
	count = 0;
	for (int i = 0; i < 50; i++)
		go(use_stack, (void *)((size_t)256 * 1024 / 10 * 9));
	WAIT_FOR(count == 50);
	use_stack((void *)((size_t)256 * 1024 / 10 * 8)); /* main's, from some way down */
}

static void nine_tenths_of_64_mib(void)
{
	struct go_attr attr = { (size_t)64 << 20, "deep" };
	count = 0;
	CHECK_EQ(go_try(use_stack, (void *)(((size_t)64 << 20) / 10 * 9), &attr), 0);
	WAIT_FOR(count == 1);
}

static __attribute__((noinline)) int touch_low_end(size_t size)
{
	volatile char *room = __builtin_alloca(size);
	room[0] = 1; /* far below all pages that are there */
	room[size / 2] = 2;
	return room[0] + room[size / 2];
}

static void big_frames(void *unused)
{
	CHECK_EQ(touch_low_end(200 * 1024), 3);
	count++;
}

static void any_order(void)
{
	count = 0;
	for (int i = 0; i < 20; i++)
		go(big_frames, NULL);
	WAIT_FOR(count == 20);
}

static go_chan *ch;

static void write_elsewhere(void *unused)
{
	char *p;
	go_recv(ch, &p);
	for (size_t i = 0; i < 100 * 1024; i++)
		p[i] = (char)(i * 7);
	go_send(ch, &p);
}

/* A pointer into a stack is good in other goroutines, where its pages are not there yet too. */
static void touched_by_others(void)
{
	char room[100 * 1024], *p = room;
	ch = go_chan_make(sizeof(p), 0);
	go(write_elsewhere, NULL);
	go_send(ch, &p);
	go_recv(ch, &p);
	for (size_t i = 0; i < sizeof(room); i++)
		CHECK_EQ(room[i], (char)(i * 7));
	go_chan_free(ch);
}

static _Atomic(int) started;

static void touch_together(void *room)
{
	volatile char *p = room;
	int me = started++;
	for (size_t i = 0; i < 150 * 1024; i += 4096)
		p[i + (size_t)me] = (char)(me + 1);
	count++;
}

/* Its pages are fresh: the stacks of the rounds before are still in use. */
static void provide_room(void *unused)
{
	char *p = __builtin_alloca(160 * 1024);
	for (int i = 0; i < 8; i++)
		go(touch_together, p);
	WAIT_FOR(count == 8);
	for (size_t i = 0; i < 150 * 1024; i += 4096)
		for (size_t me = 0; me < 8; me++)
			CHECK_EQ(p[i + me], me + 1); /* two pages for one would lose some */
	count = 100;
	go_recv(ch, NULL);
}

static void touched_by_several_at_once(void)
{
	ch = go_chan_make(0, 0);
	for (int i = 0; i < 10; i++) {
		count = started = 0;
		go(provide_room, NULL);
		WAIT_FOR(count == 100);
	}
	go_close(ch);
	WAIT_FOR(go_count() == 1);
	go_chan_free(ch);
}

enum { STEP = 16, LARGE = 20000 };

struct crossing {
	void (*does)(struct crossing *);
	size_t below; /* so far below its frame the stack pointer is when it does */
	void *object;
};

static _Atomic(int) crossed;

static void frees(struct crossing *c)
{
	free(c->object);
}

static void allocates(struct crossing *c)
{
	c->object = malloc(LARGE);
	CHECK(c->object != NULL);
}

static void ends_at_once(void *unused)
{
	crossed++;
}

static void starts(struct crossing *c)
{
	static const struct go_attr attr = { .stack_max = (size_t)1 << 20 };

	CHECK_EQ(go_try(ends_at_once, NULL, &attr), 0);
}

static __attribute__((noinline)) void do_it(struct crossing *c)
{
	volatile char *room = __builtin_alloca(c->below);

	__asm__ volatile("" : : "r"(room));
	c->does(c);
}

static void cross(void *arg)
{
	do_it(arg);
	crossed++;
	go_recv(ch, NULL);
}

/*
 * Its next page is not there, and begins anywhere in the frames of what takes the locks of pages and page
 * tables: no page is wanted under these. They wait until all have done it, so each has a stack of its own.
 */
static void next_page_under_a_lock(void)
{
	static void (*const does[])(struct crossing *) = { frees, allocates, starts };
	enum { N = 4096 / STEP };
	static struct crossing crossings[N];

	for (int i = 0; i < 3; i++) {
		ch = go_chan_make(0, 0);
		crossed = 0;
		go_reclaim(); /* no page of those that have ended is there */
		for (int n = 0; n < N; n++) {
			crossings[n] = (struct crossing){ does[i], (size_t)n * STEP, malloc(LARGE) };
			if (does[i] != frees)
				free(crossings[n].object);
			go(cross, &crossings[n]);
		}
		WAIT_FOR(crossed == (does[i] == starts ? 2 * N : N));
		for (int n = 0; n < N && does[i] == allocates; n++)
			free(crossings[n].object);
		go_close(ch);
		WAIT_FOR(go_count() == 1);
		go_chan_free(ch);
	}
}

static void overflow_in_main(void)
{
	use_stack((void *)((size_t)1 << 40));
}

static void overflow_in_goroutine(void)
{
	struct go_attr attr = { (size_t)1 << 20, "deep one" };
	CHECK_EQ(go_try(use_stack, (void *)((size_t)1 << 40), &attr), 0);
	go_sleep(5 * SECOND);
}

static __attribute__((noinline)) void big_frame(void)
{
	volatile char room[320 * 1024];
	room[0] = 1;
	__asm__ volatile("" : : "r"(room) : "memory"); /* or a compiler makes it smaller */
}

static void overflow_by_a_big_frame(void)
{
	big_frame();
}

static void wait_for_ever(void *unused)
{
	go_sleep_until(GO_FOREVER);
}

/* Upwards, over this stack's top and to the guard of the next one: nobody's stack has grown. */
static void out_of_an_array(void)
{
	volatile char array[64];

	go(wait_for_ever, NULL);
	go_sleep(MS); /* it has a stack by now */
	for (volatile char *at = array;; at++)
		*at = 1;
}

int main(int argc, char **argv)
{
	TESTS(TEST(nine_tenths_of_default), TEST(nine_tenths_of_64_mib), TEST(any_order),
	      TEST(touched_by_others), TEST(touched_by_several_at_once), TEST(next_page_under_a_lock),
	      TEST_WHEN_NAMED(overflow_in_main), TEST_WHEN_NAMED(overflow_in_goroutine),
	      TEST_WHEN_NAMED(overflow_by_a_big_frame), TEST_WHEN_NAMED(out_of_an_array));
	return test_main(argc, argv, tests);
}
