/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The harts of the machine: how each is set up, started, put to sleep and kicked.
 *
 * Sleeping loses no kick. hart_kick() first sets the target's `kicked`, then makes its interrupt
 * pending. hart_idle() reads `kicked` with interrupts off: either it sees the kick, or the
 * interrupt becomes pending later, and wfi returns for a pending interrupt that is enabled in
 * sie even while interrupts are off.
 *
 * `ipi` saves firmware calls: it is 1 while an interrupt is under way that the target's handler
 * has not yet taken note of, and whoever finds it 1 needs to send none.
 */
#include "riscv64.h"

#include <stddef.h>

#include "kernel/devicetree.h"
#include "kernel/machine.h"
#include "kernel/pages.h"
#include "kernel/vm.h"
#include "sbi.h"

#define START_TIMEOUT_NS 5000000000

_Static_assert(offsetof(struct hart, self) == HART_SELF && offsetof(struct hart, g) == HART_G &&
	       offsetof(struct hart, g0_sp) == HART_G0_SP &&
	       offsetof(struct hart, locks) == HART_LOCKS &&
	       offsetof(struct hart, preempt) == HART_PREEMPT &&
	       offsetof(struct hart, in_trap) == HART_IN_TRAP &&
	       offsetof(struct hart, mark) == HART_MARK &&
	       offsetof(struct hart, heap) == HART_HEAP && offsetof(struct hart, arch) == HART_ARCH &&
	       offsetof(struct hart, arch.trap_sp) == HART_TRAP_SP &&
	       offsetof(struct hart, arch.fp) == HART_FP &&
	       offsetof(struct hart, arch.interrupted_sp) == HART_INTERRUPTED_SP &&
	       offsetof(struct hart, arch.preempt_pc) == HART_PREEMPT_PC &&
	       offsetof(struct hart, arch.fcsr) == HART_FCSR &&
	       offsetof(struct hart, arch.preempt_t0) == HART_PREEMPT_T0, "offsets.h");

void hart_entry(void); /* boot/riscv64/entry.S: where firmware starts the other harts */

/* Who was asked to start: where a hart that enters finds its block, see entry.S. Not in bss, which
   the boot hart clears. */
struct hart_start {
	uint64_t hwid;
	_Atomic(struct hart *) hart; /* NULL: not asked yet. Written last */
};
struct hart_start hart_starts[HARTS_MAX] __attribute__((section(".data.hart_starts")));

_Static_assert(HARTS_MAX == 16 && sizeof(struct hart_start) == HART_START_SIZE &&
	       offsetof(struct hart_start, hart) == HART_START_HART, "offsets.h");

int hart_trap_stack_alloc(struct hart *hart)
{
	uintptr_t top = vm_trap_stack_top(hart->id);

	for (uintptr_t va = top - TRAP_STACK_SIZE; va < top; va += PAGE_SIZE) {
		void *page = pages_alloc(0, PAGES_HARTS);
		if (page == NULL ||
		    arch_vm_map_page(va, (uintptr_t)page, vm_table_page) != VM_MAPPED)
			return -1;
	}
	hart->arch.trap_sp = top;
	return 0;
}

void hart_csrs_init(struct hart *hart)
{
	__asm__ volatile("mv tp, %0" ::"r"(hart) : "memory");
	csr_write("sscratch", (uintptr_t)hart);
	csr_write("stvec", (uintptr_t)trap_entry);
	hart->arch.timer = UINT64_MAX;
	/* The timer's bit is set by hart_timer_set(). */
	csr_write("sie", SIE_SSIE | SIE_SEIE);
}

void arch_hart_install(struct hart *hart)
{
	/* FP goes on as it is: this hart is the one that has run since the entry. */
	hart->arch.fp = hart_self()->arch.fp;
	if (hart_trap_stack_alloc(hart) != 0)
		hart_fatal("no memory for the trap stack of hart %u", (unsigned)hart->id);
	__asm__ volatile("sfence.vma" ::: "memory"); /* the next trap cannot have it done */
	hart_csrs_init(hart);
	atomic_store_explicit(&hart->arch.arrived, 1, memory_order_relaxed);
}

/* Another hart's first C code: on its g0 stack, page tables on, interrupts off, locks == 1. */
void hart_arrive(void)
{
	struct hart *hart = hart_self();

	hart_csrs_init(hart);
	atomic_store_explicit(&hart->arch.arrived, 1, memory_order_relaxed);
	sched_hart_start();
}

static void start(struct hart *hart)
{
	if (hart_trap_stack_alloc(hart) != 0)
		hart_fatal("no memory for the trap stack of hart %u", (unsigned)hart->id);
	hart_starts[hart->id].hwid = hart->hwid;
	/* Release: pairs with the fence in hart_entry, which sees the whole block. */
	atomic_store_explicit(&hart_starts[hart->id].hart, hart, memory_order_release);
	struct sbi_result started =
		sbi_call(SBI_HSM, 0, hart->hwid, (uintptr_t)hart_entry, 0);
	if (started.error != 0)
		devicetree_fail("firmware does not start hart %u (mhartid %u): %s",
				(unsigned)hart->id, (unsigned)hart->hwid,
				sbi_error_name(started.error));
}

void arch_harts_start(void)
{
	if (hart_count() > 1 && !sbi_has(SBI_HSM))
		devicetree_fail("firmware cannot start harts: it has no HSM extension; "
				"use OpenSBI 0.7 or newer, or one hart");
	for (unsigned id = 1; id < hart_count(); id++)
		start(hart_get(id));

	int64_t deadline = hart_now() + START_TIMEOUT_NS;
	for (unsigned id = 1; id < hart_count(); id++)
		while (!load_relaxed(&hart_get(id)->arch.arrived)) {
			if (hart_now() > deadline)
				devicetree_fail("hart %u (mhartid %u) was started and did not come",
						id, (unsigned)hart_get(id)->hwid);
			hart_relax();
		}
}

void hart_idle(void)
{
	struct hart *hart = hart_self(); /* g0 stays on its hart */

	hart_irq_off();
	vm_fall_asleep(hart);
	if (!load_relaxed(&hart->kicked))
		__asm__ volatile("wfi" ::: "memory");
	vm_wake(hart);
	hart_irq_restore(true); /* what woke the hart is handled here */
	/* Acquire: pairs with the release in hart_kick. A later kick is for the next hart_idle. */
	atomic_exchange_explicit(&hart->kicked, 0, memory_order_acquire);
}

void hart_kick(unsigned id)
{
	struct hart *hart = hart_get(id);

	/* Release: pairs with the acquire in hart_idle. */
	atomic_store_explicit(&hart->kicked, 1, memory_order_release);
	/* Release: pairs with the acquire in hart_kick_taken, also when another kick's interrupt
	   serves for this one. Sequentially consistent, so that `kicked` is set before it. */
	if (atomic_exchange_explicit(&hart->arch.ipi, 1, memory_order_seq_cst) == 0)
		sbi_call(SBI_IPI, 0, 1, hart->hwid, 0);
}

void hart_kick_taken(void)
{
	/* First the pending bit, then the word: a kick that comes in between finds the word at 1
	   and is part of this one; a later one sends an interrupt that stays pending. */
	csr_clear("sip", SIE_SSIE);
	__asm__ volatile("fence iorw, iorw" ::: "memory");
	atomic_exchange_explicit(&hart_self()->arch.ipi, 0, memory_order_acq_rel);
}
