/* SPDX-License-Identifier: BSD-2-Clause */
/* A vector instruction, for test_machines.py: nobody saves those registers, so none may be used. */
#include "test.h"

int main(void)
{
	__asm__ volatile(".4byte 0x0c007057"); /* vsetvli zero, zero, e8, m1, ta, ma */
	printf("it went through\n");
	return 0;
}
