/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process that may not have more memory: RLIMIT_AS, set while it runs. What has no stack waits for one, or
 * the call says ENOMEM; and what comes free serves.
 *
 * A sanitizer needs memory for itself, so there is none here.
 *
 * @test machines=hosted harts=1,4 sanitize=
 * @test machines=hosted nobody_can_go_on harts=1,4 sanitize= status=2 "out of memory growing the stack" /goroutine \d+.*created by nobody_can_go_on/
 */
#include <errno.h>
#include <malloc.h>
#include <sys/resource.h>

#include "kernel/hart.h"
#include "test.h"

enum { MANY = 2000 }; /* stacks for some hundreds are mapped at a time */

static go_chan *gate;
static _Atomic(int) arrived, ended;

/* What the process has already, and so much more. */
static void limit_memory(size_t more)
{
	unsigned long pages;
	FILE *file = fopen("/proc/self/statm", "r");
	CHECK(file != NULL && fscanf(file, "%lu", &pages) == 1);
	fclose(file);
	struct rlimit limit = { pages * 4096 + more, RLIM_INFINITY };
	CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
}

static void unlimit_memory(void)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
}

static void wait_at_gate(void *unused)
{
	arrived++;
	go_recv(gate, NULL);
	ended++;
}

static void open_gate(int n)
{
	go_close(gate);
	WAIT_FOR(ended == n);
	WAIT_FOR(go_count() == 1);
	go_chan_free(gate);
}

static void prepare(void)
{
	arrived = ended = 0;
	gate = go_chan_make(0, 0);
}

/* Those that are left over run on the stacks of those that end. */
static void stacks_run_out(void)
{
	prepare();
	limit_memory((size_t)100 << 20);
	for (int i = 0; i < MANY; i++)
		go(wait_at_gate, NULL);
	go_sleep(20 * MS);
	CHECK_IN(arrived, 1, MANY - 1);
	unlimit_memory();
	open_gate(MANY);
}

struct block {
	struct block *next;
};

/* All that malloc has for objects of any size from that of a goroutine's structure on. */
static struct block *take_all(void)
{
	struct block *list = NULL;

	limit_memory(0);
	for (size_t size = (size_t)1 << 16; size >= 128; size -= size > 1024 ? size / 8 : 16)
		for (struct block *block; (block = malloc(size)) != NULL; list = block)
			block->next = list;
	return list;
}

static void give_back(struct block *list)
{
	unlimit_memory();
	while (list != NULL) {
		struct block *next = list->next;
		free(list);
		list = next;
	}
}

static int start_until_full(const struct go_attr *attr)
{
	int n = 0;

	errno = 0;
	while (go_try(wait_at_gate, NULL, attr) == 0)
		CHECK(++n < 100000);
	CHECK_EQ(errno, ENOMEM);
	return n;
}

static const struct go_attr large = { .stack_max = (size_t)1 << 20 };

/*
 * Dead goroutines are of use, with whichever stack they had; then no more can be started. This comes before
 * tests that leave thousands of them.
 */
static void structures_run_out(void)
{
	prepare();
	CHECK_EQ(go_try(wait_at_gate, NULL, &large), 0);
	for (int i = 0; i < 10; i++)
		go(wait_at_gate, NULL);
	WAIT_FOR(arrived == 11); /* at a time, so that there are as many structures */
	open_gate(11);
	prepare();
	struct block *all = take_all();
	int n = start_until_full(&large);
	n += start_until_full(NULL);
	give_back(all);
	CHECK(n >= 11 || go_harts() > 1); /* other Ps keep theirs */
	open_gate(n);
}

/* However often memory is refused, it is to be had again. */
static void refused_many_times(void)
{
	static const struct go_attr larger = { .stack_max = (size_t)2 << 20 };

	prepare();
	limit_memory(0);
	for (int i = 0; i < 100000; i++)
		CHECK(go_try(wait_at_gate, NULL, &larger) != 0);
	unlimit_memory();
	CHECK_EQ(go_try(wait_at_gate, NULL, &larger), 0);
	open_gate(1);
}

static __attribute__((noinline)) int go_deep(int kib)
{
	volatile char bytes[1024];
	for (size_t i = 0; i < sizeof(bytes); i += 64)
		bytes[i] = (char)kib;
	int below = kib > 1 ? go_deep(kib - 1) : 0;
	return below + bytes[0];
}

static void deep_then_wait(void *arg)
{
	go_deep(100);
	wait_at_gate(arg);
}

static size_t in_stacks(void)
{
	struct go_memory memory;
	go_memory(&memory);
	return memory.stacks;
}

/*
 * A call that finds no memory asks for what waiting goroutines can spare, before it fails; not if that was
 * asked for just before.
 */
static void stacks_are_asked_first(void)
{
	prepare();
	for (int i = 0; i < 100; i++)
		go(deep_then_wait, NULL);
	WAIT_FOR(arrived == 100);
	size_t before = in_stacks();
	struct block *all = take_all();
	int n = 0;
	WAIT_FOR((n += start_until_full(NULL), in_stacks() + (size_t)100 * 20 * 4096 < before));
	give_back(all);
	open_gate(100 + n);
}

static void nobody_can_go_on(void)
{
	prepare();
	limit_memory((size_t)100 << 20);
	for (int i = 0; i < MANY; i++)
		go(wait_at_gate, NULL);
	go_recv(gate, NULL);
}

int main(int argc, char **argv)
{
	mallopt(M_ARENA_MAX, 1); /* what is free there is in reach */
	for (unsigned id = 0; id < hart_count(); id++)
		WAIT_FOR(hart_get(id)->arch.thread != 0); /* it has what memory it needs to start */
	TESTS(TEST(refused_many_times), TEST(structures_run_out), TEST(stacks_run_out), TEST(stacks_are_asked_first),
	      TEST_WHEN_NAMED(nobody_can_go_on));
	return test_main(argc, argv, tests);
}
