/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Preemption, seen by eye: endless empty loops on every hart, and beside them a goroutine that
 * wants to wake every millisecond. Each line tells how late it did.
 *
 *     qemu/run -e GOMAXPROCS=1 examples/hogs.c        until Ctrl-C
 *     qemu/run -e GOMAXPROCS=1 examples/hogs.c 5      for 5 seconds, then the average
 *
 * Without preemption the first hog would keep its hart, and nothing more would be printed.
 */
#include <gump.h>
#include <stdio.h>
#include <stdlib.h>

#define MS INT64_C(1000000)

static void hog(void *unused)
{
	(void)unused;
	for (;;)
		;
}

int main(int argc, char **argv)
{
	int64_t end = argc > 1 ? go_now() + (int64_t)atoi(argv[1]) * 1000 * MS : GO_FOREVER;
	int hogs = go_maxprocs(0);
	for (int i = 0; i < hogs; i++)
		go(hog, NULL);
	printf("%d endless loops are running\n", hogs);

	int64_t total = 0, worst = 0, count = 0, print = go_now();
	while (go_now() < end) {
		int64_t due = go_now() + MS;
		go_sleep_until(due);
		int64_t late = go_now() - due;
		total += late;
		count++;
		if (late > worst)
			worst = late;
		if (go_now() >= print) {
			printf("woke %lld us late\n", (long long)late / 1000);
			print += 100 * MS;
		}
	}
	printf("%lld wake-ups, average %lld us late, at most %lld us\n", (long long)count,
	       (long long)(count ? total / count : 0) / 1000, (long long)worst / 1000);
}
