/* SPDX-License-Identifier: BSD-2-Clause */
/* A machine that waits: for tests/test_idle.py, which looks at what that costs the host. */
#include "test.h"

int main(int argc, char **argv)
{
	go_sleep(50 * MS);
	printf("idle now\n");
	go_sleep((argc > 1 ? atoi(argv[1]) : 5) * SECOND);
	printf("PASS\n");
	return 0;
}
