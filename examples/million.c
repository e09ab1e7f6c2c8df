/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A million goroutines that wait for one channel, and what each of them costs.
 *
 *     qemu/run --machine q35 --mem 1280M examples/million.c           a million
 *     qemu/run --mem 256M examples/million.c 100000                   fewer
 *
 * All of them have run, on stacks of their own, and wait in a receive. A page for each would not fit: when
 * memory becomes scarce, a reclaim cycle packs the stacks of those that wait.
 */
#include <gump.h>
#include <stdio.h>
#include <stdlib.h>

#define MS INT64_C(1000000)

static go_chan *gate;
static go_waitgroup begun, ended;

static void wait_at_gate(void *unused)
{
	(void)unused;
	go_waitgroup_done(&begun);
	go_recv(gate, NULL);
	go_waitgroup_done(&ended);
}

static size_t in_use(void)
{
	struct go_memory memory;

	go_memory(&memory);
	return memory.total - memory.free;
}

static void tell(int n, const char *what, int64_t start)
{
	printf("%d %s after %lld ms\n", n, what, (long long)((go_now() - start) / MS));
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 1000000;
	if (n < 1) {
		fprintf(stderr, "usage: million [GOROUTINES]\n");
		return 2;
	}
	gate = go_chan_make(0, 0);
	if (!gate) {
		perror("million");
		return 1;
	}
	go_waitgroup_add(&begun, n);
	go_waitgroup_add(&ended, n);
	size_t before = in_use();
	int64_t start = go_now();
	for (int i = 0; i < n; i++)
		go(wait_at_gate, NULL);
	go_waitgroup_wait(&begun);
	tell(n, "goroutines have begun", start);
	go_reclaim();
	tell(n, "wait", start);
	printf("%zu bytes of memory for each\n", (in_use() - before) / (size_t)n);
	go_close(gate);
	go_waitgroup_wait(&ended);
	tell(n, "have ended", start);
}
