/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests/test_valgrind.py: a goroutine reads behind an object, and nothing else is wrong. */
#include "test.h"

static _Atomic(bool) ended;

static void reads_beyond(void *object)
{
	volatile char *bytes = object;

	go_yield();
	printf("%d\n", bytes[100] != 0);
	ended = true;
}

int main(void)
{
	void *object = malloc(100);

	go(reads_beyond, object);
	WAIT_FOR(ended);
	free(object);
	printf("PASS\n");
	return 0;
}
