/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * More harts than there is memory for: said in one report, on the hart that boots. Without what lies in the image
 * here it is found out when the harts are started, which is `machine.no-memory`; with it, before there is an APIC.
 *
 * @test harts=16 machines=microvm mem=2M status=2 "fatal: no memory for hart "
 */
#include "test.h"

static char much[600 << 10];

int main(int argc, char **argv)
{
	much[argc] = 1;
	printf("PASS %s%s\n", argv[0], much + 100);
	return 0;
}
