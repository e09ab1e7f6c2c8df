/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What memory may not be used for: each ends the machine with a report of the fault that names
 * its cause, the address, the registers, and the functions on the way there.
 *
 * @test read_null harts=1,4 status=2 /fault.*address (0x)?0*10\b/ "read_null+" "main+" /\br?sp +[0-9a-f]{16}/ !"survived"
 * @test read_null_in_a_leaf harts=1 status=2 /fault.*address (0x)?0*10\b/ "touch+" "read_null_in_a_leaf+" !"survived"
 * @test read_null_in_the_library machines=virt,q35,microvm harts=1 status=2 /fault/ "strlen+" "read_null_in_the_library+" !"survived"
 * @test write_null harts=1 status=2 /fault.*address (0x)?0*ff8\b/ "write_null+" !"survived"
 * @test call_null harts=1 status=2 /fault/ "call_null+" !"survived"
 * @test write_text harts=1 sanitize=address,undefined status=2 /fault/ "write_text+" !"survived"
 * @test write_constant harts=1 status=2 /fault/ "write_constant+" !"survived"
 * @test run_data harts=1 status=2 /fault/ "run_data+" !"survived"
 * @test run_heap harts=1 status=2 /fault/ "run_heap+" !"survived"
 * @test run_stack harts=1 status=2 /fault/ "run_stack+" !"survived"
 * @test read_nowhere harts=1 sanitize=address,undefined status=2 /fault/ "read_nowhere+" !"survived"
 * @test read_beyond_memory harts=1 status=2 /fault/ "read_beyond_memory+" !"survived"
 * @test read_unused_stack harts=1 status=2 /fault/ "read_unused_stack+" !"survived"
 * @test bad_instruction harts=1 status=2 "bad_instruction+" /instruction|opcode|breakpoint/ !"survived"
 * @test in_a_goroutine harts=1,4 status=2 /fault.*address (0x)?0*10\b/ "sinner" "read_null+" !"survived"
 * @test several_at_once harts=4 status=2 /fault/ !"survived"
 * @test fine machines=virt,q35,microvm harts=1,2,4 mem=32M
 * @test fine machines=virt,q35,microvm harts=1,16 mem=4G
 */
#include "test.h"

static __attribute__((noinline)) int touch(volatile int *p)
{
	return *p;
}

static void read_null(void)
{
	printf("reading\n");
	volatile int *volatile p = (int *)0x10;
	printf("%d survived\n", *p);
}

/* A function that calls none may have no frame of its own: the report must not lose its caller. */
static void read_null_in_a_leaf(void)
{
	printf("%d survived\n", touch((int *)0x10));
}

static void read_null_in_the_library(void)
{
	const char *volatile text = NULL;
	printf("%zu survived\n", strlen(text));
}

static void write_null(void)
{
	volatile int *volatile p = (int *)0xff8;
	*p = 1;
	printf("survived\n");
}

typedef void function(void);
static const unsigned char constant[] = "constant";
static unsigned char data[64];

static void call(void *code)
{
	function *volatile f = (function *)(uintptr_t)code;
	f();
	printf("survived\n");
}

static void call_null(void)
{
	call(NULL);
}

static void write_to(const void *where)
{
	volatile unsigned char *volatile p = (unsigned char *)(uintptr_t)where;
	*p = (unsigned char)(*p + 1);
	printf("survived\n");
}

static void write_text(void)
{
	write_to((void *)(uintptr_t)read_null);
}

static void write_constant(void)
{
	write_to(constant);
}

/* A copy of a function that only returns, so that nothing but the permission is wrong. */
static __attribute__((noinline)) void only_return(void)
{
}

static void run_at(void *where)
{
	memcpy(where, (void *)(uintptr_t)only_return, 16);
	__builtin___clear_cache((char *)where, (char *)where + 16);
	call(where);
}

static void run_data(void)
{
	run_at(data);
}

static void run_heap(void)
{
	run_at(malloc(64));
}

static void run_stack(void)
{
	unsigned char code[64];
	run_at(code);
}

static void read_nowhere(void)
{
	printf("%d survived\n", touch((int *)0x0000123456789abc));
}

static void read_beyond_memory(void)
{
	printf("%d survived\n", touch((int *)((uintptr_t)64 << 30)));
}

/* In the stack area, but no goroutine was ever given it. */
static void read_unused_stack(void)
{
	char here;
	printf("%d survived\n", touch((int *)((uintptr_t)&here + ((uintptr_t)3 << 30))));
}

static void bad_instruction(void)
{
	__builtin_trap();
}

static void run_read_null(void *unused)
{
	read_null();
}

static void in_a_goroutine(void)
{
	struct go_attr attr = { 0, "sinner" };
	CHECK_EQ(go_try(run_read_null, NULL, &attr), 0);
	go_sleep(SECOND);
	printf("survived\n");
}

static void several_at_once(void)
{
	for (int i = 0; i < 20; i++)
		go(run_read_null, NULL);
	read_null();
}

static void fine(void)
{
	CHECK_EQ(touch((int *)data), 0);
	CHECK_EQ(constant[0], 'c');
	void *p = malloc((size_t)4 << 20);
	CHECK(p);
	memset(p, 1, (size_t)4 << 20);
	free(p);
}

int main(int argc, char **argv)
{
	TESTS(TEST_WHEN_NAMED(read_null), TEST_WHEN_NAMED(read_null_in_a_leaf),
	      TEST_WHEN_NAMED(read_null_in_the_library), TEST_WHEN_NAMED(write_null), TEST_WHEN_NAMED(call_null),
	      TEST_WHEN_NAMED(write_text), TEST_WHEN_NAMED(write_constant),
	      TEST_WHEN_NAMED(run_data), TEST_WHEN_NAMED(run_heap), TEST_WHEN_NAMED(run_stack),
	      TEST_WHEN_NAMED(read_nowhere), TEST_WHEN_NAMED(read_beyond_memory),
	      TEST_WHEN_NAMED(read_unused_stack), TEST_WHEN_NAMED(bad_instruction),
	      TEST_WHEN_NAMED(in_a_goroutine), TEST_WHEN_NAMED(several_at_once), TEST(fine));
	return test_main(argc, argv, tests);
}
