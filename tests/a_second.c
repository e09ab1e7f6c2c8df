/* SPDX-License-Identifier: BSD-2-Clause */
/* Takes a second, by its own clock: for test_machines.py, which looks at another one. */
#include "test.h"

int main(void)
{
	printf("begins\n");
	test_spin(SECOND);
	printf("ends\nPASS\n");
	return 0;
}
