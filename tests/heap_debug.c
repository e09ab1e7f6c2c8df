/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GUMPDEBUG=heap: what a program does wrong with memory ends the machine with a report that names who
 * allocated it, who freed it, and who does it now. tests/heap.c and tests/nomem.c run with it, too: what
 * is right stays so.
 *
 * @test machines=virt,q35 env=GUMPDEBUG=heap
 * @test double_free machines=virt,q35,microvm harts=1,4 env=GUMPDEBUG=heap status=2 /double free.*100 bytes/ /allocated by\s+\S+ allocates\+/ /freed by\s+\S+ frees\+/ /now\s[^$]*again\+/ !"survived"
 * @test double_free_elsewhere machines=virt,q35 harts=4 env=GUMPDEBUG=heap status=2 /double free.*100 bytes/ /allocated by\s+\S+ allocates\+/ /freed by\s+\S+ frees_there\+/ /now\s[^$]*again\+/ !"survived"
 * @test double_free_large machines=virt,q35 harts=1 env=GUMPDEBUG=heap status=2 /double free.*100000 bytes/ /freed by\s+\S+ frees\+/ !"survived"
 * @test realloc_freed machines=virt,q35 harts=1 env=GUMPDEBUG=heap status=2 /double free or realloc/ /freed by\s+\S+ frees\+/ !"survived"
 * @test free_inside machines=virt,q35,microvm harts=1 env=GUMPDEBUG=heap status=2 /malloc did not return.*lies in an object of 100 bytes, at offset 8\b/ /allocated by\s+\S+ allocates\+/ /now\s[^$]*again\+/ !"survived"
 * @test free_of_data machines=virt,q35 harts=1 env=GUMPDEBUG=heap status=2 /malloc did not return/ /now\s[^$]*again\+/ !"survived"
 * @test past_the_end machines=virt,q35,microvm harts=1 env=GUMPDEBUG=heap status=2 /written beyond.*100 bytes, at offset 100\b/ /allocated by\s+\S+ allocates\+/ /now\s[^$]*again\+/ !"survived"
 * @test before_the_start machines=virt,q35 harts=1 env=GUMPDEBUG=heap status=2 /written beyond.*100 bytes, at offset -1\b/ !"survived"
 * @test past_the_end_of_a_large_one machines=virt,q35 harts=1 env=GUMPDEBUG=heap status=2 /written beyond.*100000 bytes, at offset 100000\b/ !"survived"
 * @test written_after_free machines=virt,q35,microvm harts=1,4 env=GUMPDEBUG=heap status=2 /written after it was freed.*100 bytes, at offset 50\b/ /allocated by\s+\S+ allocates\+/ /freed by\s+\S+ frees\+/ /now\s[^$]*uses_up\+/ !"survived"
 */
#include <errno.h>

#include "test.h"

#define NOINLINE __attribute__((noinline))

static char data[64];

static NOINLINE char *allocates(size_t size)
{
	char *volatile p = malloc(size);
	CHECK(p);
	return p;
}

static NOINLINE void frees(void *volatile p)
{
	free(p);
	__asm__ volatile("");
}

static NOINLINE void again(void *volatile p)
{
	free(p);
	printf("survived\n");
}

static void double_free(void)
{
	char *p = allocates(100);
	frees(p);
	again(p);
}

static _Atomic(int) done;

static void frees_there(void *p)
{
	free(p);
	done = 1;
}

static void double_free_elsewhere(void)
{
	char *p = allocates(100);
	go_lock_hart();
	go(frees_there, p);
	WAIT_FOR(done);
	again(p);
}

static void double_free_large(void)
{
	char *p = allocates(100000);
	frees(p);
	again(p);
}

static void realloc_freed(void)
{
	char *volatile p = allocates(100);
	frees(p);
	p = realloc(p, 200);
	printf("survived %p\n", (void *)p);
}

static void free_inside(void)
{
	again(allocates(100) + 8);
}

static void free_of_data(void)
{
	again(data + 16);
}

static void past_the_end(void)
{
	char *volatile p = allocates(100);
	p[100] = 0;
	again(p);
}

static void before_the_start(void)
{
	char *volatile p = allocates(100);
	p[-1] = 0;
	again(p);
}

static void past_the_end_of_a_large_one(void)
{
	char *volatile p = allocates(100000);
	p[100000] = 0;
	again(p);
}

/* Until the freed one is handed out again, or on the way there. */
static NOINLINE void uses_up(void)
{
	for (int i = 0; i < 2000; i++)
		free(allocates(100));
	printf("survived\n");
}

static void written_after_free(void)
{
	char *volatile p = allocates(100);
	frees(p);
	p[50] = 1;
	uses_up();
}

/* What is right is let alone. */
static void right_use(void)
{
	for (size_t size = 0; size < 50000; size = size * 2 + 1)
		for (size_t align = 16; align <= 16384; align *= 2) {
			char *p = aligned_alloc(align, size);
			CHECK(p);
			CHECK_EQ((uintptr_t)p % align, 0);
			memset(p, 1, size);
			CHECK(p = realloc(p, size + 10));
			memset(p, 2, size + 10);
			free(p);
		}
	free(NULL);
	errno = 0;
	char *volatile p = malloc(SIZE_MAX / 2);
	CHECK(!p);
	CHECK_EQ(errno, ENOMEM);
}

int main(int argc, char **argv)
{
	TESTS(TEST(right_use), TEST_WHEN_NAMED(double_free), TEST_WHEN_NAMED(double_free_elsewhere),
	      TEST_WHEN_NAMED(double_free_large), TEST_WHEN_NAMED(realloc_freed), TEST_WHEN_NAMED(free_inside),
	      TEST_WHEN_NAMED(free_of_data), TEST_WHEN_NAMED(past_the_end), TEST_WHEN_NAMED(before_the_start),
	      TEST_WHEN_NAMED(past_the_end_of_a_large_one), TEST_WHEN_NAMED(written_after_free));
	return test_main(argc, argv, tests);
}
