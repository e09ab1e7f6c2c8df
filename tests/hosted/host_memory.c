/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * go_memory() on a host: what it tells sums up, malloc is seen, and of what was never touched there is no
 * more than can be.
 *
 * @test machines=hosted sanitize=undefined
 */
#include <unistd.h>

#include "test.h"

enum { UNTOUCHED = 64 << 20 };

static volatile char untouched[UNTOUCHED];

/* In place of the C library's: so many pages are in use. */
static long pages_used;

long __sysconf(int name);
long sysconf(int name)
{
	if (name == _SC_AVPHYS_PAGES && pages_used != 0)
		return __sysconf(_SC_PHYS_PAGES) - pages_used;
	return __sysconf(name);
}

static void check_sum(const struct go_memory *m)
{
	const size_t parts[] = { m->free, m->heap, m->goroutines, m->stacks, m->tables, m->image, m->other };
	size_t sum = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		CHECK(parts[i] <= m->total);
		sum += parts[i];
	}
	CHECK_EQ(m->total, sum);
}

int main(void)
{
	struct go_memory m;
	void *volatile p = malloc(1000000);

	go_memory(&m);
	check_sum(&m);
	CHECK(m.heap_used >= 1000000 && m.heap_used <= m.heap && m.image > 10000);
	free(p);
	/* more than is in use, and never touched: only addresses */
	p = malloc(m.total - m.total / 16);
	if (p != NULL) {
		go_memory(&m);
		check_sum(&m);
		CHECK(m.heap_used <= m.heap);
		free(p);
	}
	/* less is in use than the program's arrays would take */
	pages_used = UNTOUCHED / 2 / 4096;
	go_memory(&m);
	CHECK_EQ(untouched[pages_used], 0);
	check_sum(&m);
	pages_used = 1;
	go_memory(&m);
	check_sum(&m);
	printf("PASS\n");
	return 0;
}
