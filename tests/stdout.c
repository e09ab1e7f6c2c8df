/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines come out whole when goroutines on all harts print at once, in pieces and by several calls.
 *
 * @test harts=1,2,4,8 lines=4000 each=/<\d\d \d{3} ([a-t])\1{30,180}>/
 * @test unfinished harts=1 lines=1 each=/no_newline_at_the_end/ status=0
 * @test begun harts=1,2 lines=1 each=/main,(worker,){3}/ status=0
 */
#include "test.h"

enum { PRINTERS = 20, LINES = 200 };

static go_waitgroup all;

static void print_lines(void *arg)
{
	int number = (int)(intptr_t)arg;
	char text[200];
	for (int i = 0; i < LINES; i++) {
		int length = 31 + (number * 31 + i * 7) % 150;
		memset(text, 'a' + number, (size_t)length);
		text[length] = 0;
		printf("<%02d ", number);
		if (i % 3 == 0)
			go_yield(); /* a line belongs to its goroutine */
		printf("%03d ", i);
		fputs(text, stdout);
		putchar('>');
		putchar('\n');
	}
	go_waitgroup_done(&all);
}

static void begin_a_line(void *arg)
{
	printf("worker,");
	go_waitgroup_done(&all);
	go_sleep(100 * SECOND);
}

/* What goroutines have printed when main returns comes out, as from a process. */
static int begun(void)
{
	printf("PASS\nmain,");
	go_waitgroup_add(&all, 3);
	for (int i = 0; i < 3; i++)
		go(begin_a_line, NULL);
	go_waitgroup_wait(&all);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "begun") == 0)
		return begun();
	if (argc > 1 && strcmp(argv[1], "unfinished") == 0) {
		printf("PASS\nno_newline_at_the_end");
		return 0;
	}
	go_waitgroup_add(&all, PRINTERS);
	for (intptr_t i = 0; i < PRINTERS; i++)
		go(print_lines, (void *)i);
	go_waitgroup_wait(&all);
	printf("PASS\n");
	return 0;
}
