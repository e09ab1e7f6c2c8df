/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of a machine, or of a hart. QEMU's test device ends QEMU with a status of our choice;
 * firmware's system reset only tells success from failure.
 */
#include "riscv64.h"

#include "kernel/devicetree.h"
#include "kernel/console.h"
#include "kernel/machine.h"
#include "sbi.h"

#define TEST_PASS 0x5555u
#define TEST_FAIL 0x3333u /* the status in the upper half */

enum { SRST_SHUTDOWN = 0 };
enum { SRST_NO_REASON = 0, SRST_SYSTEM_FAILURE = 1 };

void arch_halt(void)
{
	csr_write("sie", 0);
	for (;;)
		__asm__ volatile("wfi");
}

void arch_poweroff(int status)
{
	static const char message[] = "gump: the machine has no power switch; halted\n";

	if (devicetree.test_device != 0) {
		volatile uint32_t *test = (volatile uint32_t *)(uintptr_t)devicetree.test_device;
		*test = status == 0 ? TEST_PASS : ((uint32_t)status & 0xff) << 16 | TEST_FAIL;
		/* Newer QEMUs end a little later, and what firmware asks for until then is the status. */
		for (int i = 0; i < 10000000; i++)
			hart_relax();
	}
	sbi_call(SBI_SRST, 0, SRST_SHUTDOWN, status == 0 ? SRST_NO_REASON : SRST_SYSTEM_FAILURE, 0);
	console_write_unlocked(message, sizeof(message) - 1);
	arch_halt();
}
