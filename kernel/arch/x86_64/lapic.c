/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC: kicks between harts, the timer's registers, the end of an interrupt;
 * and how a hart sleeps, since that is the other half of a kick.
 *
 * A kick is two notes: `kicked`, which hart_idle looks at with interrupts off, and an
 * interrupt, which ends a hlt or lets the scheduler look at a running G. A hart that is kicked
 * after its look at `kicked` gets the interrupt not before the hlt, because sti lets one more
 * instruction through.
 */
#include <stdatomic.h>

#include "asm.h"
#include "cpu.h"
#include "kernel/hart.h"
#include "kernel/vm.h"
#include "x86.h"

#define LAPIC_TPR 0x80
#define LAPIC_EOI 0xb0
#define LAPIC_SVR 0xf0
#define LAPIC_ICR_LOW 0x300
#define LAPIC_ICR_HIGH 0x310
#define LAPIC_LVT_TIMER 0x320
#define LAPIC_LVT_LINT0 0x350
#define LAPIC_LVT_LINT1 0x360
#define LAPIC_LVT_ERROR 0x370
#define LAPIC_TIMER_INITIAL 0x380
#define LAPIC_TIMER_CURRENT 0x390
#define LAPIC_TIMER_DIVIDE 0x3e0

#define SVR_ENABLE 0x100
#define LVT_MASKED 0x10000
#define ICR_INIT 0x4500    /* level assert */
#define ICR_STARTUP 0x4600
#define ICR_FIXED 0x4000
#define ICR_PENDING 0x1000
#define DIVIDE_BY_1 0xb
#define APIC_BASE_X2APIC 0x400
#define APIC_BASE_ENABLE 0x800

static uintptr_t lapic; /* where its registers are: the same address on every hart */

static uint32_t lapic_read(unsigned offset)
{
	return *(volatile uint32_t *)(lapic + offset);
}

static void lapic_write(unsigned offset, uint32_t value)
{
	*(volatile uint32_t *)(lapic + offset) = value;
}

static void lapic_find(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);

	if (!(base & APIC_BASE_ENABLE) || (base & APIC_BASE_X2APIC))
		hart_fatal("the local APIC is %s; gump needs it in xAPIC mode",
			   base & APIC_BASE_ENABLE ? "in x2APIC mode" : "switched off");
	base &= 0xffffff000;
	if (arch_vm_map_device(base, PAGE_SIZE) != 0)
		hart_fatal("no memory to map the local APIC");
	lapic = base;
	/* The old interrupt controllers stay silent: their lines arrive at the I/O APIC too. */
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
}

void lapic_install(void)
{
	if (lapic == 0)
		lapic_find();
	lapic_write(LAPIC_TPR, 0);
	lapic_write(LAPIC_LVT_LINT0, LVT_MASKED);
	lapic_write(LAPIC_LVT_LINT1, LVT_MASKED);
	lapic_write(LAPIC_LVT_ERROR, LVT_MASKED);
	lapic_write(LAPIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
	lapic_write(LAPIC_TIMER_DIVIDE, DIVIDE_BY_1);
	lapic_write(LAPIC_LVT_TIMER, VECTOR_TIMER);
	/* A kick before the APIC was enabled was dropped: `kicked` still tells of it. */
	atomic_store_explicit(&hart_self()->arch.ipi, 0, memory_order_seq_cst);
}

void lapic_eoi(void)
{
	lapic_write(LAPIC_EOI, 0);
}

void lapic_timer(uint32_t count)
{
	lapic_write(LAPIC_TIMER_INITIAL, count);
}

uint32_t lapic_timer_left(void)
{
	return lapic_read(LAPIC_TIMER_CURRENT);
}

/* The command is two registers, so no interrupt may send another in between. */
static void lapic_send(uint32_t id, uint32_t command)
{
	bool on = hart_irq_off();

	while (lapic_read(LAPIC_ICR_LOW) & ICR_PENDING)
		hart_relax();
	lapic_write(LAPIC_ICR_HIGH, id << 24);
	lapic_write(LAPIC_ICR_LOW, command);
	hart_irq_restore(on);
}

void lapic_init_ipi(uint32_t id)
{
	lapic_send(id, ICR_INIT);
}

void lapic_startup_ipi(uint32_t id, uint8_t page)
{
	lapic_send(id, ICR_STARTUP | page);
}

void lapic_flush_ipi(uint32_t id)
{
	lapic_send(id, ICR_FIXED | VECTOR_FLUSH);
}

void hart_kick(unsigned id)
{
	struct hart *hart = hart_get(id);

	/* Release: pairs with the exchange in hart_idle. */
	atomic_store_explicit(&hart->kicked, 1, memory_order_release);
	/*
	 * If one is on its way already, its handler comes after this and sees what we wrote. In a report at
	 * boot there may be no APIC yet, and nobody else.
	 */
	if (atomic_exchange_explicit(&hart->arch.ipi, 1, memory_order_acq_rel) == 0 && lapic != 0)
		lapic_send(hart->hwid, ICR_FIXED | VECTOR_KICK);
}

void hart_idle(void)
{
	struct hart *hart = hart_self();

	__asm__ volatile("cli" ::: "memory");
	vm_fall_asleep(hart);
	if (!load_relaxed(&hart->kicked))
		__asm__ volatile("sti\n\thlt" ::: "memory");
	else
		__asm__ volatile("sti" ::: "memory");
	vm_wake(hart);
	/* Acquire: pairs with the release in hart_kick. A kick after this makes the next call return. */
	atomic_exchange_explicit(&hart->kicked, 0, memory_order_acquire);
}

void arch_halt(void)
{
	for (;;)
		__asm__ volatile("cli\n\thlt" ::: "memory");
}
