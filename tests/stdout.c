/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines come out whole when goroutines on all harts print at once, in pieces and by several calls. A report of
 * the end begins a line, after all that was printed.
 *
 * @test harts=1,2,4,8 lines=4000 each=/<\d\d \d{3} ([a-t])\1{30,180}>/
 * @test unfinished harts=1 lines=1 each=/no_newline_at_the_end/ status=0
 * @test written harts=1,2,4 lines=100 each=/<\d\d ([a-t])\1{1999}>/ status=0
 * @test begun harts=1,2 lines=1 each=/main,(worker,){3}/ status=0
 * @test panics machines=virt,q35,microvm harts=1,2 status=2 lines=1 each=/panic: at the end/ /main,(worker,){3}\n/
 * @test panics machines=hosted harts=1,2 status=2 /main,(worker,){3}panic: at the end\n/
 * @test faults machines=virt,q35,microvm harts=1,2 status=2 lines=1 each=/fatal: .*main.+/ /(main,|worker,){4}\n/
 * @test faults machines=hosted harts=1,2 status=2 /(main,|worker,){4}fatal: .*main/
 * @test sleeps machines=virt,q35,microvm harts=1,2 status=2 lines=1 each=/fatal: all.+/ /(main,|worker,){4}\n/
 * @test sleeps machines=hosted harts=1,2 status=2 /(main,|worker,){4}fatal: all/
 * @test flushed harts=1 lines=1 each=/one,two,three,four/ status=0
 * @test beside harts=1 machines=hosted status=0
 */
#include <unistd.h>

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

static void write_lines(void *arg)
{
	int number = (int)(intptr_t)arg;
	char text[2006];
	sprintf(text, "<%02d ", number);
	memset(text + 4, 'a' + number, 2000);
	memcpy(text + 2004, ">\n", 2);
	for (int i = 0; i < 25; i++)
		CHECK_EQ(write(1, text, sizeof(text)), (ssize_t)sizeof(text));
	go_waitgroup_done(&all);
}

/* By write(), all of which comes out as one piece, if it is no more than a pipe takes so. */
static int written(void)
{
	go_waitgroup_add(&all, 4);
	for (intptr_t i = 0; i < 4; i++)
		go(write_lines, (void *)i);
	go_waitgroup_wait(&all);
	printf("PASS\n");
	return 0;
}

static void begin_a_line(void *nobody)
{
	printf("worker,");
	go_waitgroup_done(&all);
	go_recv(nobody, NULL);
}

static int *volatile nowhere;

/* What goroutines have printed comes out when main returns, as from a process, and at any other end. */
static int end(const char *how)
{
	go_chan *nobody = go_chan_make(0, 0);
	if (strcmp(how, "begun") == 0)
		puts("PASS");
	printf("main,");
	go_waitgroup_add(&all, 3);
	for (int i = 0; i < 3; i++)
		go(begin_a_line, nobody);
	go_waitgroup_wait(&all);
	if (strcmp(how, "panics") == 0)
		go_panic("at the end");
	if (strcmp(how, "faults") == 0)
		*nowhere = 1;
	if (strcmp(how, "sleeps") == 0)
		go_recv(nobody, NULL);
	return 0;
}

/* write() goes beside the C library's stream. */
static int flushed(void)
{
	puts("PASS");
	printf("one,");
	fflush(stdout);
	CHECK_EQ(write(1, "two,", 4), 4);
	printf("three,");
	fflush(NULL);
	CHECK_EQ(write(1, "four\n", 5), 5);
	return 0;
}

static _Atomic(bool) enough;

static void print_on(void *unused)
{
	while (!enough)
		printf("and so on\n");
	go_waitgroup_done(&all);
}

/* Whoever prints all the time lets others run, though hardly ever outside the library and the host's kernel. */
static int beside(void)
{
	int soon = 0;
	go_waitgroup_add(&all, 1);
	go(print_on, NULL);
	for (int i = 0; i < 200 && soon < 10; i++) { /* the host may be away at times */
		int64_t due = go_now() + MS;
		go_sleep(MS);
		soon += go_now() - due < 20 * MS;
	}
	CHECK_EQ(soon, 10);
	enough = true;
	go_waitgroup_wait(&all);
	printf("PASS\n");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "written") == 0)
		return written();
	if (argc > 1 && strcmp(argv[1], "unfinished") == 0) {
		printf("PASS\nno_newline_at_the_end");
		return 0;
	}
	if (argc > 1 && strcmp(argv[1], "beside") == 0)
		return beside();
	if (argc > 1)
		return strcmp(argv[1], "flushed") == 0 ? flushed() : end(argv[1]);
	go_waitgroup_add(&all, PRINTERS);
	for (intptr_t i = 0; i < PRINTERS; i++)
		go(print_lines, (void *)i);
	go_waitgroup_wait(&all);
	printf("PASS\n");
	return 0;
}
