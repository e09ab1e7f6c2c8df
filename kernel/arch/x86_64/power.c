/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of the machine. QEMU's isa-debug-exit makes the status QEMU's own: (value << 1) | 1. It
 * holds seven bits, so the whole status goes to the debug console before. Where the device is
 * missing, ACPI switches off and the status is lost.
 */
#include "cpu.h"
#include "kernel/acpi.h"
#include "kernel/machine.h"
#include "kernel/vm.h"

#define DEBUGCON 0xe9
#define DEBUG_EXIT 0xf4
#define PM1_SLEEP_ENABLE 0x2000
#define SLEEP_CONTROL_ENABLE 0x20

noreturn void arch_poweroff(int status)
{
	status &= 0xff;
	outb(DEBUGCON, status);
	outb(DEBUG_EXIT, status > 127 ? 127 : status);

	if (acpi.pm1a_control != 0)
		outw(acpi.pm1a_control, PM1_SLEEP_ENABLE | acpi.s5_type << 10);
	if (acpi.sleep_control != 0 && arch_vm_lookup(acpi.sleep_control) != 0)
		*(volatile uint8_t *)acpi.sleep_control = SLEEP_CONTROL_ENABLE | acpi.s5_type << 2;
	arch_halt();
}
