/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The classic puzzle: what does `for { go print(0); print(1) }` print?
 *
 *     qemu/run -e GOMAXPROCS=1 examples/zero-one.c 60      60 rounds
 *     qemu/run -e GOMAXPROCS=2 examples/zero-one.c         until Ctrl-C
 *
 * With one P, long rows of 1 until the loop has run for 10 ms and is preempted; then all the
 * goroutines that it started print their 0 one after the other. With two, the second P steals
 * them as they are made, and the digits mix.
 */
#include <gump.h>
#include <stdio.h>
#include <stdlib.h>

static void print(void *digit)
{
	putchar(*(char *)digit);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static char zero = '0', one = '1';
	long rounds = argc > 1 ? atol(argv[1]) : -1;
	for (long i = 0; i != rounds; i++) {
		go(print, &zero);
		print(&one);
	}
	/* Main's end is the machine's: let those that were started print first. */
	while (go_count() > 1)
		go_yield();
	putchar('\n');
}
