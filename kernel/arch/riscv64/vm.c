/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page tables: Sv57, Sv48 or Sv39, whichever is the deepest that the machine has.
 *
 * The lower half maps RAM and devices one to one with the biggest pages that fit; the image lies
 * in 4 KiB pages, so that text is not writable and data not executable; firmware's memory is
 * left out. The upper half has the stacks of goroutines and, at its end, those of traps.
 *
 * Entries of the lower half only ever change from invalid to valid, by compare-and-swap, and its tables are
 * never freed, so a walk takes no lock; those of stacks go, too: kernel/vm.c. A hart may remember that an
 * entry was invalid: it then faults once more, and the fault handler makes it forget (vm_fault_is_stale).
 * The accessed and dirty bits are set from the start: not every machine sets them by itself.
 */
#include "riscv64.h"

#include "kernel/devicetree.h"
#include "kernel/layout.h"
#include "kernel/machine.h"
#include "kernel/pages.h"
#include "kernel/vm.h"
#include "sbi.h"

#define PTE_V 0x01u
#define PTE_R 0x02u
#define PTE_W 0x04u
#define PTE_X 0x08u
#define PTE_G 0x20u
#define PTE_A 0x40u
#define PTE_D 0x80u
#define PTE_LEAF (PTE_R | PTE_W | PTE_X)
#define PTE_ADDRESS(pte) ((pte) << 10 >> 20 << PAGE_SHIFT)
#define PTE_OF(address) ((uint64_t)(address) >> PAGE_SHIFT << 10)

#define TEXT (PTE_V | PTE_R | PTE_X | PTE_G | PTE_A | PTE_D)
#define RODATA (PTE_V | PTE_R | PTE_G | PTE_A | PTE_D)
#define DATA (PTE_V | PTE_R | PTE_W | PTE_G | PTE_A | PTE_D)

#define TABLE_ENTRIES 512
#define LEVELS_MAX 5
#define SATP_MODE(levels) ((uint64_t)((levels) + 5) << 60) /* Sv39: 8, Sv48: 9, Sv57: 10 */

typedef _Atomic(uint64_t) pte_t;

uint64_t vm_satp;

static unsigned levels;
static pte_t root_table[TABLE_ENTRIES] __attribute__((aligned(PAGE_SIZE)));
static pte_t *root; /* NULL until arch_vm_init() */

static unsigned level_shift(unsigned level)
{
	return PAGE_SHIFT + 9 * level;
}

static pte_t *entry_of(pte_t *table, uintptr_t va, unsigned level)
{
	return &table[va >> level_shift(level) & (TABLE_ENTRIES - 1)];
}

static pte_t *table_of(uint64_t pte)
{
	return (pte_t *)(uintptr_t)PTE_ADDRESS(pte);
}

uint64_t vm_table_page(void)
{
	return (uintptr_t)pages_alloc_zeroed(0, PAGES_TABLES);
}

/* A table page that lost the race to be installed: kept for the next one that is needed. */
static _Atomic(uint64_t) spare_table;

/* The entry's table, made if there is none: 0 when memory is out. A leaf is answered as it is. */
static uint64_t descend(pte_t *entry, uint64_t (*table_page)(void))
{
	/* Acquire: pairs with the release below, the table's zeroes come before it. */
	uint64_t pte = load_acquire(entry);
	if (pte & PTE_V)
		return pte;

	uint64_t page = 0;
	if (load_relaxed(&spare_table) != 0)
		page = atomic_exchange_explicit(&spare_table, 0, memory_order_acquire);
	if (page == 0)
		page = table_page();
	if (page == 0)
		return 0;
	uint64_t fresh = PTE_OF(page) | PTE_V;
	if (atomic_compare_exchange_strong_explicit(entry, &pte, fresh, memory_order_acq_rel,
						    memory_order_acquire))
		return fresh;
	atomic_store_explicit(&spare_table, page, memory_order_release);
	return pte;
}

/* Installs a leaf of the size that `level` stands for. */
static enum vm_result map(uintptr_t va, uint64_t pte, unsigned level, uint64_t (*table_page)(void))
{
	pte_t *table = root;

	for (unsigned at = levels - 1; at > level; at--) {
		uint64_t next = descend(entry_of(table, va, at), table_page);
		if (next == 0)
			return VM_NO_MEMORY;
		if (next & PTE_LEAF)
			return VM_WAS_MAPPED;
		table = table_of(next);
	}
	uint64_t none = 0;
	if (atomic_compare_exchange_strong_explicit(entry_of(table, va, level), &none, pte,
						    memory_order_acq_rel, memory_order_relaxed))
		return VM_MAPPED;
	return VM_WAS_MAPPED;
}

enum vm_result arch_vm_map_page(uintptr_t va, uint64_t pa, uint64_t (*table_page)(void))
{
	return map(va, PTE_OF(pa) | DATA, 0, table_page);
}

/* The leaf that maps `va`, or 0, and how much it maps. */
static uint64_t leaf_of(uintptr_t va, uintptr_t *size)
{
	pte_t *table = root;

	/* The highest bit that is translated is repeated up to the top. */
	unsigned unused = 64 - level_shift(levels);
	if ((uintptr_t)((intptr_t)(va << unused) >> unused) != va)
		return 0;
	for (unsigned at = levels; at-- > 0;) {
		uint64_t pte = load_acquire(entry_of(table, va, at));
		if (!(pte & PTE_V))
			return 0;
		if (pte & PTE_LEAF) {
			*size = (uintptr_t)1 << level_shift(at);
			return pte;
		}
		table = table_of(pte);
	}
	return 0;
}

uint64_t arch_vm_lookup(uintptr_t va)
{
	uintptr_t size;

	if (root == NULL) /* before the tables, all that is known to be there is the image */
		return va >= (uintptr_t)__image_start && va < (uintptr_t)__image_end ? va : 0;
	uint64_t pte = leaf_of(va, &size);
	return pte == 0 ? 0 : PTE_ADDRESS(pte) | (va & (size - 1));
}

bool vm_fault_is_stale(uintptr_t va, bool store)
{
	uintptr_t size;

	return root != NULL && (leaf_of(va, &size) & (store ? PTE_W : PTE_R)) != 0;
}

_Static_assert(PTE_V == VM_VALID, "kernel/vm.c");

_Atomic(uint64_t) *arch_vm_entry(uintptr_t va, int level)
{
	pte_t *table = root;

	for (unsigned at = levels - 1; at > (unsigned)level; at--) {
		uint64_t pte = load_acquire(entry_of(table, va, at));
		if (!(pte & PTE_V))
			return NULL;
		table = table_of(pte);
	}
	return entry_of(table, va, (unsigned)level);
}

uint64_t arch_vm_entry_page(uint64_t entry)
{
	return PTE_ADDRESS(entry);
}

/* The harts of a mask, counted from `base`; all addresses. Returns when each of them has done it. */
static bool flush_others(uintptr_t mask, uintptr_t base)
{
	return mask == 0 || sbi_call(SBI_RFENCE, 1, mask, base, 0).error == 0;
}

bool arch_vm_flush(void)
{
	uintptr_t mask = 0, base = 0;
	bool done = true;

	for (unsigned id = 0; id < hart_count(); id++) {
		struct hart *hart = hart_get(id);
		if (id == hart_self()->id || vm_will_flush(hart))
			continue;
		if (mask == 0 || hart->hwid - base >= 8 * sizeof(mask)) {
			done &= flush_others(mask, base);
			mask = 0;
			base = hart->hwid;
		}
		mask |= (uintptr_t)1 << (hart->hwid - base);
	}
	done &= flush_others(mask, base);
	/* What the other harts wrote before they did it is seen after this. */
	__asm__ volatile("fence rw, rw" ::: "memory");
	arch_vm_flush_here();
	return done;
}

void arch_vm_flush_here(void)
{
	__asm__ volatile("sfence.vma" ::: "memory");
}

/* The biggest page that starts at `start` and does not pass `end`. */
static unsigned level_that_fits(uint64_t start, uint64_t end)
{
	unsigned level = levels - 1;
	while (level > 0 && (start & (((uint64_t)1 << level_shift(level)) - 1) ||
			     end - start < (uint64_t)1 << level_shift(level)))
		level--;
	return level;
}

/* Maps [start, end), whole pages of the lower half, one to one. -1: out of memory. */
static int map_range(uint64_t start, uint64_t end, uint64_t flags)
{
	uint64_t limit = (uint64_t)1 << (level_shift(levels) - 1);
	uintptr_t size;

	if (start == 0)
		start = PAGE_SIZE; /* a NULL pointer must fault */
	if (end > limit)
		end = limit;
	while (start < end) {
		unsigned level = level_that_fits(start, end);
		enum vm_result result;
		/* Where a table is already, smaller pages fill what it leaves free. */
		while ((result = map(start, PTE_OF(start) | flags, level, vm_table_page)) ==
			       VM_WAS_MAPPED &&
		       leaf_of(start, &size) == 0)
			level--;
		if (result == VM_NO_MEMORY)
			return -1;
		if (result == VM_MAPPED)
			size = (uintptr_t)1 << level_shift(level);
		start = (start | (size - 1)) + 1;
	}
	return 0;
}

int arch_vm_map_device(uint64_t pa, size_t size)
{
	uint64_t start = pa & ~(PAGE_SIZE - 1);

	if (size == 0 || size > UINT64_MAX - PAGE_SIZE - pa)
		return -1;
	if (map_range(start, (pa + size + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1), DATA) != 0)
		return -1;
	__asm__ volatile("sfence.vma" ::: "memory");
	return 0;
}

/* RAM without firmware's ranges (from the index on) and without the image. */
static int map_ram(uint64_t start, uint64_t end, unsigned hole)
{
	if (start >= end)
		return 0;
	if (hole > devicetree.firmware_count)
		return map_range(start, end, DATA);

	uint64_t hole_start = (uintptr_t)__image_start, hole_end = (uintptr_t)__image_end;
	if (hole < devicetree.firmware_count) {
		hole_start = devicetree.firmware[hole].base & ~(PAGE_SIZE - 1);
		hole_end = (devicetree.firmware[hole].base + devicetree.firmware[hole].size +
			    PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
	}
	if (hole_end <= start || end <= hole_start)
		return map_ram(start, end, hole + 1);
	if (map_ram(start, hole_start, hole + 1) != 0)
		return -1;
	return map_ram(hole_end, end, hole + 1);
}

/* What is mapped first stays: a device that the tree says to be everywhere takes nothing from the image. */
static int map_all(void)
{
	if (map_range((uintptr_t)__text_start, (uintptr_t)__text_end, TEXT) != 0 ||
	    map_range((uintptr_t)__rodata_start, (uintptr_t)__rodata_end, RODATA) != 0 ||
	    map_range((uintptr_t)__data_start, (uintptr_t)__image_end, DATA) != 0)
		return -1;
	for (unsigned i = 0; i < devicetree.ram_count; i++) {
		struct machine_range ram = devicetree.ram[i];
		if (map_ram((ram.base + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1),
			    (ram.base + ram.size) & ~(PAGE_SIZE - 1), 0) != 0)
			return -1;
	}
	for (unsigned i = 0; i < devicetree.device_count; i++)
		if (arch_vm_map_device(devicetree.device[i].base, devicetree.device[i].size) != 0)
			return -1;
	return 0;
}

/* Tries a mode with a table that maps the whole lower half one to one. satp keeps its value if the
   mode does not exist. */
static bool mode_works(unsigned depth)
{
	for (unsigned i = 0; i < TABLE_ENTRIES; i++) {
		uint64_t pte = PTE_OF((uint64_t)i << level_shift(depth - 1)) | DATA | PTE_X;
		atomic_store_explicit(&root_table[i], i < TABLE_ENTRIES / 2 ? pte : 0,
				      memory_order_relaxed);
	}
	uint64_t satp = SATP_MODE(depth) | (uintptr_t)root_table >> PAGE_SHIFT;
	__asm__ volatile("sfence.vma" ::: "memory");
	csr_write("satp", satp);
	bool works = csr_read("satp") == satp;
	csr_write("satp", 0);
	__asm__ volatile("sfence.vma" ::: "memory");
	return works;
}

void vm_discover(void)
{
	levels = devicetree.mmu_levels;
	while (!mode_works(levels))
		if (--levels < 3)
			devicetree_fail("this machine has none of Sv39, Sv48, Sv57");
	__builtin_memset((void *)root_table, 0, PAGE_SIZE);

	uint64_t reach = (uint64_t)1 << (level_shift(levels) - 1); /* of the lower half: map_range() */
	machine_reserve(reach, UINT64_MAX - reach, "beyond the page tables' reach");
}

void arch_vm_init(void)
{
	root = root_table;
	if (map_all() != 0)
		devicetree_fail("no memory for page tables");
	vm_stacks_start = -((uintptr_t)1 << (level_shift(levels) - 1)) + PAGE_SIZE;
	vm_stacks_end = vm_trap_stack_top(0) - TRAP_STACK_STRIDE;
	vm_satp = SATP_MODE(levels) | (uintptr_t)root >> PAGE_SHIFT;
	csr_write("satp", vm_satp);
	__asm__ volatile("sfence.vma" ::: "memory");
}

/* The last addresses of the upper half, but for the last page: a stack, its guard, a stack, ... */
uintptr_t vm_trap_stack_top(unsigned hart)
{
	return -PAGE_SIZE - (HARTS_MAX - 1 - hart) * TRAP_STACK_STRIDE;
}
