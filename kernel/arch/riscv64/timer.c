/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The clock and each hart's timer.
 *
 * The clock is the time CSR, which all harts share. A tick is a whole number of ns on most
 * machines, QEMU's too (10 MHz); otherwise the conversion divides. Both are exact: the timer's
 * tick is rounded up, so that hart_now() has reached the deadline when the interrupt comes.
 *
 * The timer is the stimecmp CSR where harts have Sstc, else a firmware call. When it fires, or is
 * set to never, only its bit in sie is cleared: setting it again is the expensive part.
 */
#include "riscv64.h"

#include "kernel/devicetree.h"
#include "kernel/machine.h"
#include "sbi.h"

#define SECOND 1000000000ull

static uint64_t frequency;
static uint64_t ns_per_tick; /* 0: not a whole number */
static bool sstc;

/*
 * A device tree may name Sstc where firmware does not pass it on. Reads the CSR once, with a trap
 * vector of its own; interrupts are off.
 */
static bool stimecmp_works(void)
{
	uint64_t old, works;

	__asm__ volatile("la %1, 1f\n\t"
			 "csrrw %0, stvec, %1\n\t"
			 "li %1, 0\n\t"
			 "csrr zero, %2\n\t"
			 "li %1, 1\n\t"
			 ".balign 4\n"
			 "1:\n\t"
			 "csrw stvec, %0"
			 : "=&r"(old), "=&r"(works)
			 : "i"(CSR_STIMECMP)
			 : "memory");
	return works != 0;
}

void arch_clock_init(void)
{
	frequency = devicetree.timebase;
	ns_per_tick = SECOND % frequency == 0 ? SECOND / frequency : 0;
	sstc = devicetree.sstc && stimecmp_works();
	if (!sstc && !sbi_has(SBI_TIME))
		devicetree_fail("no timer: harts have no Sstc and firmware has no TIME extension; "
				"use OpenSBI 0.7 or newer");
}

int64_t hart_ticks_to_ns(uint64_t ticks)
{
	if (ns_per_tick != 0)
		return (int64_t)(ticks * ns_per_tick);
	return (int64_t)(ticks / frequency * SECOND + ticks % frequency * SECOND / frequency);
}

int64_t hart_now(void)
{
	return hart_ticks_to_ns(hart_ticks());
}

uint64_t hart_ns_to_ticks(int64_t deadline)
{
	if (deadline <= 0)
		return 0;
	if (deadline >= HART_NEVER)
		return INT64_MAX;
	uint64_t ns = (uint64_t)deadline;
	if (ns_per_tick != 0)
		return (ns + ns_per_tick - 1) / ns_per_tick;

	uint64_t ticks;
	if (__builtin_mul_overflow(ns / SECOND, frequency, &ticks) || ticks >= INT64_MAX / 2)
		return INT64_MAX;
	return ticks + (ns % SECOND * frequency + SECOND - 1) / SECOND;
}

void hart_timer_set(int64_t deadline)
{
	struct hart *hart = hart_self();

	if (deadline == INT64_MAX) {
		csr_clear("sie", SIE_STIE);
		hart->arch.timer = UINT64_MAX;
		return;
	}
	uint64_t ticks = hart_ns_to_ticks(deadline);
	uint64_t old = hart->arch.timer;
	if (ticks == old)
		return;
	/*
	 * The interrupt may come between any two steps, for the old deadline or the new one, and
	 * then sets `timer` to off. So that is written first and read again at last: the bit in
	 * sie, which costs as much as the rest, is only touched when it may be clear.
	 */
	hart->arch.timer = ticks;
	if (sstc)
		__asm__ volatile("csrw %0, %1" ::"i"(CSR_STIMECMP), "r"(ticks) : "memory");
	else
		sbi_call(SBI_TIME, 0, ticks, 0, 0);
	if (old == UINT64_MAX || hart->arch.timer != ticks)
		csr_set("sie", SIE_STIE);
}

void timer_fired(void)
{
	struct hart *hart = hart_self();

	csr_clear("sie", SIE_STIE);
	hart->arch.timer = UINT64_MAX;
	atomic_store_explicit(&hart->kicked, 1, memory_order_relaxed);
}
