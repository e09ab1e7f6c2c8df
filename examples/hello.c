/* SPDX-License-Identifier: BSD-2-Clause */
/* Goroutines and a channel: each greets from the hart that it happens to run on. */
#include <gump.h>
#include <stdint.h>
#include <stdio.h>

enum { GREETERS = 4 };

static go_chan *harts;

static void greet(void *number)
{
	int hart = go_hart();
	printf("hello from goroutine %d on hart %d\n", (int)(intptr_t)number, hart);
	go_send(harts, &hart);
}

int main(void)
{
	harts = go_chan_make(sizeof(int), 0);
	for (intptr_t i = 0; i < GREETERS; i++)
		go(greet, (void *)i);
	int hart;
	for (int i = 0; i < GREETERS; i++)
		go_recv(harts, &hart);
	printf("%d greetings, %d harts\n", GREETERS, go_harts());
}
