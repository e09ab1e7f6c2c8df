/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages of the stack area that are hidden, shown and taken away. On both architectures an entry of a page
 * table is valid by its lowest bit, and the others are free for whatever while that is 0: so one that is
 * not 0 is hidden.
 */
#include <stddef.h>

#include "kernel/atomic.h"
#include "kernel/hart.h"
#include "kernel/vm.h"

#define REFRESH_NS (100 * 1000 * 1000)
#define ENTRIES (PAGE_SIZE / sizeof(uint64_t))

static uint64_t value_of(_Atomic(uint64_t) *entry)
{
	return entry != NULL ? load_relaxed(entry) : 0;
}

/* Release: what was written to the page, or read from it, comes before. */
static void change(_Atomic(uint64_t) *entry, uint64_t value)
{
	atomic_store_explicit(entry, value, memory_order_release);
}

bool vm_hide(uintptr_t va)
{
	_Atomic(uint64_t) *entry = arch_vm_entry(va, 0);
	uint64_t value = value_of(entry);

	if (!(value & VM_VALID))
		return false;
	change(entry, value & ~VM_VALID);
	return true;
}

bool vm_is_hidden(uintptr_t va)
{
	uint64_t value = value_of(arch_vm_entry(va, 0));

	return value != 0 && !(value & VM_VALID);
}

bool vm_show(uintptr_t va)
{
	_Atomic(uint64_t) *entry = arch_vm_entry(va, 0);
	uint64_t value = value_of(entry);

	if (value == 0)
		return false;
	change(entry, value | VM_VALID);
	return true;
}

uint64_t vm_page(uintptr_t va)
{
	uint64_t value = value_of(arch_vm_entry(va, 0));

	return value != 0 ? arch_vm_entry_page(value) : 0;
}

uint64_t vm_take(uintptr_t va)
{
	_Atomic(uint64_t) *entry = arch_vm_entry(va, 0);
	uint64_t value = value_of(entry);

	if (value == 0 || value & VM_VALID)
		return 0;
	change(entry, 0);
	return arch_vm_entry_page(value);
}

uint64_t vm_take_table(uintptr_t va)
{
	_Atomic(uint64_t) *entry = arch_vm_entry(va, 1);
	uint64_t value = value_of(entry);

	if (value == 0)
		return 0;
	_Atomic(uint64_t) *table = (_Atomic(uint64_t) *)(uintptr_t)arch_vm_entry_page(value);
	for (size_t i = 0; i < ENTRIES; i++)
		if (value_of(&table[i]) != 0)
			return 0;
	change(entry, 0);
	return (uintptr_t)table;
}

/* ---- Harts that sleep ---- */

void vm_fall_asleep(struct hart *hart)
{
	/* Release: what this hart did with translations, and with Gs, comes before. */
	store_release(&hart->arch.vm_sleep, VM_ASLEEP);
}

void vm_wake(struct hart *hart)
{
	if (load_relaxed(&hart->arch.vm_sleep) == VM_AWAKE) /* only this hart ever falls asleep */
		return;
	/* Acquire: sees what was hidden and taken. Pairs with the release in vm_will_flush(). */
	if (atomic_exchange_explicit(&hart->arch.vm_sleep, VM_AWAKE, memory_order_acquire) == VM_ASLEEP_STALE)
		arch_vm_flush_here();
}

bool vm_will_flush(struct hart *hart)
{
	uint32_t state = VM_ASLEEP;

	/* Acquire: pairs with the release in vm_fall_asleep(). */
	return atomic_compare_exchange_strong_explicit(&hart->arch.vm_sleep, &state, VM_ASLEEP_STALE,
						       memory_order_acq_rel, memory_order_acquire) ||
	       state == VM_ASLEEP_STALE;
}

/* ---- The TLB's size ---- */

/*
 * QEMU's TLB of a hart begins with 256 entries, each for 4 KiB, and gets another size only when it is
 * flushed: as many as were used of late. A program may never need a flush. So a switch among 1000 goroutines
 * took 250 ns on riscv64, and takes 71 with this; ten thousand requests, each on a connection of its own,
 * took 0.55 s on q35, and take 0.40. On a machine of silicon a flush ten times a second is not seen.
 */
void vm_refresh(struct hart *hart, int64_t now)
{
	if (now - hart->arch.vm_refreshed < REFRESH_NS)
		return;
	hart->arch.vm_refreshed = now;
	arch_vm_flush_here();
}
