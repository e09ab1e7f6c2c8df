/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The limits of stacks: nine tenths of one are there, and what goes beyond it ends the machine: by
 * recursion, which touches each page on the way, by an array that reaches over the stack's end to the
 * end of its guard, and by one that reaches beyond that, into another's stack: where that has no page yet, and
 * where it has one.
 *
 * Not on hosted, where a large array touches each page (gump-cc).
 *
 * @test many_grow_at_once machines=virt,q35,hosted harts=8 mem=512M timeout=60 sanitize=address,undefined
 * @test limit_of_256_kib machines=virt,q35,microvm harts=1,4 status=2 "nine tenths" "stack overflow" "deep one" /stack: 25[6-9] KiB deep, limit 256 KiB/ /go_down[.\w]*\+/ !"the end"
 * @test limit_of_64_mib machines=virt,q35,microvm harts=1,4 status=2 "nine tenths" "stack overflow" "deep one" /stack: 6553[6-9] KiB deep, limit 65536 KiB/ /go_down[.\w]*\+/ !"the end"
 * @test alone limit_of_1_gib machines=virt,q35,microvm harts=1 mem=1200M timeout=60 status=2 "nine tenths" "stack overflow" "deep one" /stack: 104857[6-9] KiB deep, limit 1048576 KiB/ /go_down[.\w]*\+/ !"the end"
 * @test step_over_256_kib machines=virt,q35,microvm harts=1,4 status=2 "stack overflow" "deep one" /stack: 25\d KiB deep, limit 256 KiB/ /reach[.\w]*\+/ /use_far[.\w]*\+/ !"the end"
 * @test write_below_256_kib machines=virt,q35,microvm harts=1,4 status=2 "stack overflow" "deep one" "stack: 256 KiB deep, limit 256 KiB" /write_below[.\w]*\+/ !"the end"
 * @test step_over_64_mib machines=virt,q35,microvm harts=1 status=2 "stack overflow" "deep one" /stack: 6553\d KiB deep, limit 65536 KiB/ /reach[.\w]*\+/ !"the end"
 * @test step_over_1_gib machines=virt,q35,microvm harts=1 status=2 "stack overflow" "deep one" /stack: 104857\d KiB deep, limit 1048576 KiB/ /reach[.\w]*\+/ !"the end"
 * @test jump_over_256_kib machines=virt,q35,microvm harts=1,4 status=2 "stack overflow" "deep one" /stack: 3(19|20) KiB deep, limit 256 KiB/ /reach[.\w]*\+/ !"the end"
 * @test jump_over_64_mib machines=virt,q35,microvm harts=1 status=2 "stack overflow" "deep one" /stack: 13107[01] KiB deep, limit 65536 KiB/ /reach[.\w]*\+/ !"the end"
 * @test jump_over_1_gib machines=virt,q35,microvm harts=1 status=2 "stack overflow" "deep one" /stack: 209715[01] KiB deep, limit 1048576 KiB/ /reach[.\w]*\+/ !"the end"
 * @test jump_into_anothers machines=virt,q35,microvm harts=1,4 status=2 "stack overflow" "deep one" /stack: 42[3-5] KiB deep, limit 256 KiB/ /reach[.\w]*\+/ !"the end"
 * @test jump_far machines=virt,q35,microvm harts=1 status=2 "stack overflow" "deep one" /stack: 102[345] KiB deep, limit 256 KiB/ /reach[.\w]*\+/ !"the end"
 * @test jump_onto_anothers machines=virt,q35,microvm harts=1,4 status=2 "stack overflow" "deep one" /stack: 32\d KiB deep, limit 256 KiB/ /reach_and_stay[.\w]*\+/ !"the end"
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

/* To the end of the guard: 64 KiB for the default size, as long as the stack for the others. */
static void jump_over(size_t size)
{
	limit = size;
	distance = size + (size == 256 * KIB ? 64 * KIB : size) - KIB;
	on_a_stack(use_far);
}

static void step_over_256_kib(void)
{
	step_over(256 * KIB);
}

/* By a pointer: its own stack pointer is where it should be. */
static __attribute__((noinline)) void write_below(char *somewhere)
{
	uintptr_t top = ((uintptr_t)somewhere | (PAGE - 1)) + 1;

	*(volatile char *)(top - limit - 8) = 1;
	printf("the end\n");
	count = 1;
}

static void use_below(void *unused)
{
	char here;

	write_below(&here);
}

static void write_below_256_kib(void)
{
	limit = 256 * KIB;
	on_a_stack(use_below);
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

static char *top_of_anothers;

static void stay_there(void *unused)
{
	char here;

	top_of_anothers = &here;
	go_recv(NULL, NULL);
}

/* So many stacks of the default size lie below the one of the goroutine that comes next. */
static void take_stacks(int n)
{
	for (int i = 0; i < n; i++) {
		top_of_anothers = NULL;
		go(stay_there, NULL);
		WAIT_FOR(top_of_anothers != NULL);
	}
}

/* Over the guard, to where the stack below would only grow. */
static void jump_into_anothers(void)
{
	take_stacks(10);
	limit = 256 * KIB;
	distance = 424 * KIB;
	on_a_stack(use_far);
}

static void jump_far(void)
{
	take_stacks(10);
	limit = 256 * KIB;
	distance = MIB;
	on_a_stack(use_far);
}

/* It reads, so that nothing of the other one's is changed. */
static __attribute__((noinline)) int reach_and_stay(size_t size)
{
	volatile char *array = __builtin_alloca(size);
	__asm__ volatile("" : : "r"(array) : "memory");
	int sum = array[0];

	/* calls nothing: a call would touch what is not there */
	for (int64_t i = 0; i < INT64_C(10000000000); i++)
		__asm__ volatile("" : "+r"(sum));
	return sum;
}

static void use_anothers(void *unused)
{
	char here;

	reach_and_stay((size_t)(&here - top_of_anothers));
	printf("the end\n");
	count = 1;
}

/* To where the stack below is in use, so that nothing faults. */
static void jump_onto_anothers(void)
{
	take_stacks(10);
	limit = 256 * KIB;
	on_a_stack(use_anothers);
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
	      TEST_WHEN_NAMED(limit_of_1_gib), TEST_WHEN_NAMED(step_over_256_kib), TEST_WHEN_NAMED(write_below_256_kib),
	      TEST_WHEN_NAMED(step_over_64_mib),
	      TEST_WHEN_NAMED(step_over_1_gib), TEST_WHEN_NAMED(jump_over_256_kib), TEST_WHEN_NAMED(jump_over_64_mib),
	      TEST_WHEN_NAMED(jump_over_1_gib), TEST_WHEN_NAMED(jump_into_anothers), TEST_WHEN_NAMED(jump_far),
	      TEST_WHEN_NAMED(jump_onto_anothers));
	return test_main(argc, argv, tests);
}
