/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The limits of stacks: nine tenths of one are there, and what goes beyond it ends the machine: by
 * recursion, which touches each page on the way, and by an array that reaches over the stack's end to the
 * end of its guard.
 *
 * Not on hosted, where a large array touches each page (gump-cc).
 *
 * @test many_grow_at_once machines=virt,q35 harts=8 mem=512M timeout=60
 * @test limit_of_256_kib machines=virt,q35,microvm harts=1,4 status=2 "nine tenths" "stack overflow" "deep one" /stack: 25[6-9] KiB deep, limit 256 KiB/ /go_down[.\w]*\+/ !"the end"
 * @test limit_of_64_mib machines=virt,q35,microvm harts=1,4 status=2 "nine tenths" "stack overflow" "deep one" /stack: 6553[6-9] KiB deep, limit 65536 KiB/ /go_down[.\w]*\+/ !"the end"
 * @test alone limit_of_1_gib machines=virt,q35,microvm harts=1 mem=1200M timeout=60 status=2 "nine tenths" "stack overflow" "deep one" /stack: 104857[6-9] KiB deep, limit 1048576 KiB/ /go_down[.\w]*\+/ !"the end"
 * @test step_over_256_kib machines=virt,q35,microvm harts=1,4 status=2 "stack overflow" "deep one" /stack: 25\d KiB deep, limit 256 KiB/ /reach[.\w]*\+/ !"the end"
 * @test step_over_64_mib machines=virt,q35,microvm harts=1 status=2 "stack overflow" "deep one" /stack: 6553\d KiB deep, limit 65536 KiB/ /reach[.\w]*\+/ !"the end"
 * @test step_over_1_gib machines=virt,q35,microvm harts=1 status=2 "stack overflow" "deep one" /stack: 104857\d KiB deep, limit 1048576 KiB/ /reach[.\w]*\+/ !"the end"
 * @test jump_over_256_kib machines=virt,q35,microvm harts=1,4 status=2 "stack overflow" "deep one" /stack: 51[01] KiB deep, limit 256 KiB/ /reach[.\w]*\+/ !"the end"
 * @test jump_over_64_mib machines=virt,q35,microvm harts=1 status=2 "stack overflow" "deep one" /stack: 13107[01] KiB deep, limit 65536 KiB/ /reach[.\w]*\+/ !"the end"
 * @test jump_over_1_gib machines=virt,q35,microvm harts=1 status=2 "stack overflow" "deep one" /stack: 209715[01] KiB deep, limit 1048576 KiB/ /reach[.\w]*\+/ !"the end"
 */
#include "test.h"

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

enum { PAGE = 4096 };

static size_t limit;
static _Atomic(int) count;

/*
 * A page or two for each call, down to that depth; answers how many frames were not what they were
 * on the way back.
 */
static __attribute__((noinline)) int go_down(char *top, size_t depth)
{
	volatile char frame[PAGE - 256];
	uintptr_t mark = (uintptr_t)frame >> 8;

	frame[0] = (char)mark;
	if ((size_t)(top - (char *)frame) >= depth)
		return 0;
	int wrong = go_down(top, depth);
	return wrong + (frame[0] != (char)mark);
}

static void on_a_stack(void (*fn)(void *))
{
	struct go_attr attr = { limit, "deep one" };

	count = 0;
	CHECK_EQ(go_try(fn, NULL, &attr), 0);
	WAIT_FOR(count == 1);
}

/* fn's variables lie a few hundred bytes below the stack's top. */
static void use_nine_tenths(void *unused)
{
	char here;

	CHECK_EQ(go_down(&here, limit / 10 * 9), 0);
	printf("nine tenths\n");
	count = 1;
}

static void use_more(void *unused)
{
	char here;

	go_down(&here, SIZE_MAX);
	printf("the end\n");
	count = 1;
}

static void limit_of(size_t size)
{
	limit = size;
	on_a_stack(use_nine_tenths);
	on_a_stack(use_more);
}

static void limit_of_256_kib(void)
{
	limit_of(256 * KIB);
}

static void limit_of_64_mib(void)
{
	limit_of(64 * MIB);
}

static void limit_of_1_gib(void)
{
	limit_of(GIB);
}

/* Writes to the lowest byte of an array of that size, and to no other. */
static __attribute__((noinline)) int reach(size_t size)
{
	volatile char *array = __builtin_alloca(size);

	array[0] = 1;
	return array[0];
}

static size_t distance;

static void use_far(void *unused)
{
	reach(distance);
	printf("the end\n");
	count = 1;
}

/* Just over the stack's end. */
static void step_over(size_t size)
{
	limit = distance = size;
	on_a_stack(use_far);
}

/* To the end of the guard, which is as long as the stack. */
static void jump_over(size_t size)
{
	limit = size;
	distance = 2 * size - KIB;
	on_a_stack(use_far);
}

static void step_over_256_kib(void)
{
	step_over(256 * KIB);
}

static void step_over_64_mib(void)
{
	step_over(64 * MIB);
}

static void step_over_1_gib(void)
{
	step_over(GIB);
}

static void jump_over_256_kib(void)
{
	jump_over(256 * KIB);
}

static void jump_over_64_mib(void)
{
	jump_over(64 * MIB);
}

static void jump_over_1_gib(void)
{
	jump_over(GIB);
}

static go_chan *gate;
static go_waitgroup growing;
static _Atomic(int) arrived, wrong;

/* Each goes on by a page when all others had their turn. */
static __attribute__((noinline)) int grow(int pages, unsigned seed)
{
	volatile unsigned char frame[PAGE];

	for (size_t i = 0; i < PAGE; i += 64)
		frame[i] = (unsigned char)(seed + i / 64);
	go_yield();
	int bad = pages > 1 ? grow(pages - 1, seed + 1) : 0;
	for (size_t i = 0; i < PAGE; i += 64)
		bad += frame[i] != (unsigned char)(seed + i / 64);
	return bad;
}

static void wait_and_grow(void *number)
{
	arrived++;
	go_recv(gate, NULL);
	wrong += grow(5, (unsigned)(intptr_t)number);
	go_waitgroup_done(&growing);
}

static void many_grow_at_once(void)
{
	enum { MANY = 10000 };

	gate = go_chan_make(0, 0);
	go_waitgroup_add(&growing, MANY);
	for (int i = 0; i < MANY; i++)
		go(wait_and_grow, (void *)(intptr_t)i);
	WAIT_FOR(arrived == MANY);
	go_close(gate);
	go_waitgroup_wait(&growing);
	CHECK_EQ(wrong, 0);
	WAIT_FOR(go_count() == 1);
	go_chan_free(gate);
}

int main(int argc, char **argv)
{
	TESTS(TEST(many_grow_at_once), TEST_WHEN_NAMED(limit_of_256_kib), TEST_WHEN_NAMED(limit_of_64_mib),
	      TEST_WHEN_NAMED(limit_of_1_gib), TEST_WHEN_NAMED(step_over_256_kib), TEST_WHEN_NAMED(step_over_64_mib),
	      TEST_WHEN_NAMED(step_over_1_gib), TEST_WHEN_NAMED(jump_over_256_kib), TEST_WHEN_NAMED(jump_over_64_mib),
	      TEST_WHEN_NAMED(jump_over_1_gib));
	return test_main(argc, argv, tests);
}
