/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * go_memory() on a host: what it tells sums up, and malloc is seen.
 *
 * @test machines=hosted sanitize=undefined
 */
#include "test.h"

int main(void)
{
	struct go_memory m;
	void *volatile p = malloc(1000000);

	go_memory(&m);
	CHECK_EQ(m.total, m.free + m.heap + m.goroutines + m.stacks + m.tables + m.image + m.other);
	CHECK(m.heap_used >= 1000000 && m.heap_used <= m.heap && m.image > 10000);
	free(p);
	/* more than is in use, and never touched: only addresses */
	p = malloc(m.total - m.total / 16);
	if (p != NULL) {
		go_memory(&m);
		CHECK(m.heap <= m.total && m.other <= m.total && m.heap_used <= m.heap);
		free(p);
	}
	printf("PASS\n");
	return 0;
}
