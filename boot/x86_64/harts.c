/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starting the other harts: INIT to each, a startup IPI to each, and then all of them run the
 * trampoline at once. Each finds its block through its APIC id.
 */
#include <stdatomic.h>
#include <string.h>

#include "boot.h"
#include "kernel/hart.h"
#include "kernel/machine.h"
#include "kernel/vm.h"
#include "x86.h"

#define INIT_WAIT_US 200
#define STARTUP_WAIT_US 2000   /* then a second startup IPI, which a running hart ignores */
#define START_LIMIT_US 2000000 /* QEMU's threads may have to wait for the host's CPUs */

extern const char ap_trampoline[], ap_trampoline_end[];

struct hart *ap_harts[256]; /* by APIC id; read by entry.S */
static _Atomic(uint32_t) started;

noreturn void ap_main(struct hart *hart);

/* On the hart's g0 stack, gs is set; nothing else is, so nothing may fail here: it could not say so. */
void ap_main(struct hart *hart)
{
	cpu_hart_install(hart);
	/* Release: pairs with the acquire in wait_until. */
	atomic_fetch_add_explicit(&started, 1, memory_order_release);
	sched_hart_start();
}

static bool wait_until(uint32_t count, unsigned us)
{
	int64_t end = hart_now() + (int64_t)us * 1000;

	while (load_acquire(&started) < count) {
		if (hart_now() > end)
			return false;
		hart_relax();
	}
	return true;
}

static void send_startup(unsigned count, uint8_t page)
{
	for (unsigned id = 1; id < count; id++)
		lapic_startup_ipi(hart_get(id)->hwid, page);
}

void arch_harts_start(void)
{
	unsigned count = hart_count();
	uint8_t page = boot_trampoline_page();

	if (count == 1)
		return;
	if (page == 0)
		hart_fatal("no page of RAM below 640 KiB to start the other harts from");
	memcpy((void *)((uintptr_t)page << PAGE_SHIFT), ap_trampoline,
	       ap_trampoline_end - ap_trampoline);
	for (unsigned id = 1; id < count; id++) {
		cpu_trap_stacks(hart_get(id));
		ap_harts[hart_get(id)->hwid & 0xff] = hart_get(id);
		lapic_init_ipi(hart_get(id)->hwid);
	}
	clock_wait_us(INIT_WAIT_US);
	send_startup(count, page);
	if (wait_until(count - 1, STARTUP_WAIT_US))
		return;
	send_startup(count, page);
	if (!wait_until(count - 1, START_LIMIT_US))
		hart_fatal("%u of the %u harts that firmware lists did not start",
			   count - 1 - (unsigned)atomic_load(&started), count);
}
