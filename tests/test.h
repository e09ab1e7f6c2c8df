/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the test programs share: checks that end the machine, and a table of tests.
 *
 * A program is a table of functions. Without arguments it runs them in order and prints the time that
 * each took; with arguments, those that are named, or, with a - before their names, all others. It
 * ends with a line PASS and status 0; a check that fails prints where, and ends the machine with
 * status 1 from any goroutine.
 *
 * tests/run reads what to boot from the first comment of the program: a line that starts
 * with @test, see there.
 */
#ifndef TEST_H
#define TEST_H

#include <gump.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>

#define US INT64_C(1000)
#define MS INT64_C(1000000)
#define SECOND INT64_C(1000000000)

#define CHECK(cond) \
	((cond) ? (void)0 : test_failed(__FILE__, __LINE__, "%s is false", #cond))
#define CHECK_EQ(got, want) \
	test_equal(__FILE__, __LINE__, #got, (long long)(got), (long long)(want))
/* low <= got <= high */
#define CHECK_IN(got, low, high) \
	test_within(__FILE__, __LINE__, #got, (long long)(got), (long long)(low), (long long)(high))
#define CHECK_STR(got, want) test_same_text(__FILE__, __LINE__, #got, (got), (want))

enum {
	TEST_LEAVES = 1, /* goroutines of this test live on after it */
	TEST_NAMED = 2,  /* runs only when its name is given: it ends the machine */
};

struct test {
	const char *name;
	void (*fn)(void);
	int flags;
};
#define TEST(fn) { #fn, fn, 0 }
#define TEST_THAT_LEAVES(fn) { #fn, fn, TEST_LEAVES }
#define TEST_WHEN_NAMED(fn) { #fn, fn, TEST_LEAVES | TEST_NAMED }
#define TESTS(...) static const struct test tests[] = { __VA_ARGS__, { NULL, NULL, 0 } }

#define TEST_FN static __attribute__((unused))

TEST_FN noreturn __attribute__((format(printf, 3, 4)))
void test_failed(const char *file, int line, const char *fmt, ...)
{
	char text[300];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	printf("FAIL %s:%d: %s\n", file, line, text);
	exit(1);
}

TEST_FN void test_equal(const char *file, int line, const char *what, long long got, long long want)
{
	if (got != want)
		test_failed(file, line, "%s is %lld, not %lld", what, got, want);
}

TEST_FN void test_within(const char *file, int line, const char *what, long long got,
			 long long low, long long high)
{
	if (got < low || got > high)
		test_failed(file, line, "%s is %lld, not in %lld..%lld", what, got, low, high);
}

TEST_FN void test_same_text(const char *file, int line, const char *what, const char *got,
			    const char *want)
{
	if (!got || strcmp(got, want) != 0)
		test_failed(file, line, "%s is \"%s\", not \"%s\"", what, got ? got : "(NULL)", want);
}

/* Waits until the condition holds; fails after ten seconds, so that nothing hangs silently. */
#define WAIT_FOR(cond) \
	do { \
		int64_t wait_end = go_now() + 10 * SECOND; \
		while (!(cond)) { \
			if (go_now() > wait_end) \
				test_failed(__FILE__, __LINE__, "%s did not become true", #cond); \
			go_sleep(100 * US); \
		} \
	} while (0)

/*
 * Waits with the hart held, that long at most, and answers whether the condition has become true; a CHECK of that
 * comes when the hart is free again, if others would run then.
 */
#define HELD_UNTIL(cond, ns) \
	({ \
		int64_t held_end = go_now() + (ns); \
		bool held_true; \
		while (!(held_true = (cond)) && go_now() < held_end) \
			hart_relax(); \
		held_true; \
	})

/* A part of n: the stress suite, which repeats everything a hundred times, asks for a tenth with PART=10. */
TEST_FN int test_part(int n)
{
	const char *part = getenv("PART");
	if (part != NULL && atoi(part) > 0)
		n /= atoi(part);
	return n > 0 ? n : 1;
}

/* Keeps the hart busy without a call. */
TEST_FN void test_spin(int64_t ns)
{
	int64_t end = go_now() + ns;
	while (go_now() < end)
		for (volatile int i = 0; i < 100; i++)
			;
}

TEST_FN void test_one(const struct test *test)
{
	int before = go_count();
	int64_t start = go_now();
	printf("%s\n", test->name);
	test->fn();
	if (!(test->flags & TEST_LEAVES))
		WAIT_FOR(go_count() == before);
	int64_t took = go_now() - start;
	if (took > 100 * MS)
		printf("\t%lld ms\n", (long long)(took / MS));
}

TEST_FN int test_main(int argc, char **argv, const struct test *test)
{
	int run = 0;
	bool all = argc < 2 || argv[1][0] == '-';
	for (; test->name; test++) {
		bool named = false;
		for (int i = 1; i < argc; i++)
			named |= strcmp(argv[i] + all, test->name) == 0;
		if (all ? !named && !(test->flags & TEST_NAMED) : named) {
			test_one(test);
			run++;
		}
	}
	if (!run)
		test_failed(__FILE__, __LINE__, "no test of that name");
	printf("PASS\n");
	return 0;
}

#endif
