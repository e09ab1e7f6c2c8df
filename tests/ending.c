/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a program begins and ends: arguments, environment, exit status.
 *
 * @test harts=1 args="args|one|two words|a\"quote|back\\slash||-x=1|last" env="A=1|B=with blanks|EMPTY=|Q=a\"b"
 * @test harts=1,4 args=status|0 status=0 "at exit" "destructor"
 * @test harts=1,4 args=status|7 status=7 "at exit"
 * @test harts=1 args=status|255 status=255
 * @test harts=1 args=status|128 status=128
 * @test harts=1 args=status|2 status=2
 * @test harts=1,4 args=status|256 status=0
 * @test harts=1,4 args=goroutine|33 status=33 "at exit"
 * @test harts=1 args=quick|44 status=44 !"at exit" !"destructor"
 * @test harts=1 args=short|45 status=45 "second, first" !"at exit" !"destructor"
 * @test harts=1,4 args=tail|46 status=46 lines=1 each=/begun, tail/ !"at exit" !"destructor"
 * @test harts=4 args=busy|5 status=5
 * @test harts=1 args=status|0 env=GUMPDEBUG=nonsense,trace=0 "GUMPDEBUG=nonsense is not" "GUMPDEBUG=trace=0 is not"
 */
#include <unistd.h>

#include "test.h"

static int constructed;

static __attribute__((constructor)) void construct(void)
{
	constructed = 77;
}

static __attribute__((destructor)) void destruct(void)
{
	printf("destructor\n");
}

static void say_goodbye(void)
{
	printf("PASS\nat exit\n");
}

static void exit_with(void *status)
{
	exit(atoi(status));
}

static void say_first(void)
{
	printf("first\nPASS\n");
}

static void say_second(void)
{
	printf("second, ");
}

static void say_tail(void)
{
	printf("tail");
}

static void spin(void *unused)
{
	for (;;)
		;
}

static int check_arguments(int argc, char **argv)
{
	static const char *const want[] = { "args", "one", "two words", "a\"quote", "back\\slash",
					    "", "-x=1", "last" };
	CHECK_EQ(argc, 9);
	for (int i = 0; i < 8; i++)
		CHECK_STR(argv[i + 1], want[i]);
	CHECK(argv[9] == NULL);
	CHECK(argv[0] != NULL);
	CHECK_STR(getenv("A"), "1");
	CHECK_STR(getenv("B"), "with blanks");
	CHECK_STR(getenv("EMPTY"), "");
	CHECK_STR(getenv("Q"), "a\"b");
	CHECK(getenv("NONE") == NULL);
	CHECK_EQ(setenv("NONE", "some", 1), 0);
	CHECK_STR(getenv("NONE"), "some");
	printf("PASS\n");
	return 0;
}

int main(int argc, char **argv)
{
	CHECK(argc > 1);
	CHECK_EQ(constructed, 77);
	if (strcmp(argv[1], "args") == 0)
		return check_arguments(argc, argv);
	atexit(say_goodbye);
	CHECK_EQ(argc, 3);
	if (strcmp(argv[1], "status") == 0)
		return atoi(argv[2]);
	if (strcmp(argv[1], "quick") == 0)
		_exit(atoi(argv[2]));
	if (strcmp(argv[1], "short") == 0) {
		CHECK_EQ(at_quick_exit(say_first), 0);
		CHECK_EQ(at_quick_exit(say_second), 0);
		quick_exit(atoi(argv[2]));
	}
	if (strcmp(argv[1], "tail") == 0) {
		CHECK_EQ(at_quick_exit(say_tail), 0);
		printf("begun, ");
		quick_exit(atoi(argv[2]));
	}
	if (strcmp(argv[1], "goroutine") == 0) {
		go(exit_with, argv[2]);
		go_sleep(10 * SECOND);
	}
	for (int i = 0; i < 8; i++) /* other harts do not keep the machine alive */
		go(spin, NULL);
	go_sleep(30 * MS);
	return atoi(argv[2]);
}
