/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page tables, four levels. The lower half maps RAM and devices one to one with the biggest
 * pages that fit, the image by 4 KiB pages so that each part gets its own rights. The upper half
 * holds the trap stacks in its first GiB and goroutines' stacks in the rest.
 *
 * In the lower half entries only ever go from absent to present, by compare-and-swap, and tables are never
 * freed: so no walk takes a lock and no TLB holds anything stale. A page of the upper half can be hidden: its
 * entry stays as it was but for the present bit.
 */
#include <stdatomic.h>
#include <string.h>

#include "cpu.h"
#include "kernel/acpi.h"
#include "kernel/layout.h"
#include "kernel/pages.h"
#include "x86.h"

#define PTE_PRESENT ((uint64_t)1 << 0)
#define PTE_WRITE ((uint64_t)1 << 1)
#define PTE_UNCACHED ((uint64_t)3 << 3) /* PWT, PCD */
#define PTE_USED ((uint64_t)3 << 5)     /* accessed, dirty: nobody asks, so the CPU need not set them */
#define PTE_LARGE ((uint64_t)1 << 7)
#define PTE_NX ((uint64_t)1 << 63)
#define PTE_ADDRESS 0x000ffffffffff000

#define MAP_TEXT PTE_USED
#define MAP_RODATA (PTE_USED | PTE_NX)
#define MAP_RAM (PTE_USED | PTE_NX | PTE_WRITE)
#define MAP_DEVICE (MAP_RAM | PTE_UNCACHED)

#define ROOT_LEVEL 3
_Static_assert(PTE_PRESENT == VM_VALID, "kernel/vm.c");
#define LEVEL_SIZE(level) ((uint64_t)PAGE_SIZE << 9 * (level))
#define LOWER_HALF_END ((uint64_t)1 << 47)

#define TRAP_STACKS 0xffff800000000000
#define TRAP_STACKS_STRIDE 0x10000
#define STACKS_START (TRAP_STACKS + LEVEL_SIZE(2))
#define STACKS_END ((uintptr_t)0 - LEVEL_SIZE(2))

typedef _Atomic(uint64_t) pte;

uint64_t vm_root;

static uint64_t boot_table_next, boot_table_end; /* while vm_build() runs: pages behind the image */
static int large_levels = 1;                     /* largest page: 1 is 2 MiB, 2 is 1 GiB */

static uint64_t boot_table_page(void)
{
	uint64_t page = boot_table_next;

	if (page + PAGE_SIZE > boot_table_end)
		hart_fatal("no memory for page tables: %u MiB behind the image are not enough",
			   (unsigned)((boot_table_end - (uintptr_t)__image_end) >> 20));
	boot_table_next += PAGE_SIZE;
	memset((void *)page, 0, PAGE_SIZE);
	return page;
}

static uint64_t table_from_pages(void)
{
	return (uintptr_t)pages_alloc_zeroed(0, PAGES_TABLES);
}

/*
 * A new table, which table_page() gives zeroed, behind the entry, or that of whoever was faster.
 * 0: no memory.
 */
static uint64_t add_table(pte *entry, uint64_t (*table_page)(void))
{
	static _Atomic(uint64_t) spare; /* a page that lost the race: kept for the next one that is needed */
	uint64_t table = 0, found = 0;

	if (load_relaxed(&spare) != 0)
		table = atomic_exchange_explicit(&spare, 0, memory_order_acquire);
	if (table == 0)
		table = table_page();
	if (table == 0)
		return 0;
	/* Release: whoever follows the entry sees the zeros. Its partner is the walk's load. */
	if (atomic_compare_exchange_strong_explicit(entry, &found, table | PTE_PRESENT | PTE_WRITE,
						    memory_order_acq_rel, memory_order_acquire))
		return table;
	atomic_store_explicit(&spare, table, memory_order_release);
	return found;
}

/*
 * The entry for `va` at `level`, adding tables on the way, or, without table_page, if they are there. A
 * larger page that covers it already: that one's entry. NULL: no memory, or no table.
 */
static pte *walk(uintptr_t va, int level, uint64_t (*table_page)(void))
{
	uint64_t table = vm_root;

	for (int at = ROOT_LEVEL;; at--) {
		pte *entry = (pte *)table + (va >> (PAGE_SHIFT + 9 * at) & 511);
		if (at == level)
			return entry;
		uint64_t value = load_acquire(entry);
		if (value & PTE_LARGE)
			return entry;
		if (value == 0 && table_page != NULL)
			value = add_table(entry, table_page);
		if (value == 0)
			return NULL;
		table = value & PTE_ADDRESS;
	}
}

/* Maps [start, end), page-aligned, one to one. What is mapped already stays as it is. */
static int map_range(uint64_t start, uint64_t end, uint64_t rights, uint64_t (*table_page)(void))
{
	while (start < end) {
		int level = large_levels;
		while (level > 0 &&
		       (start % LEVEL_SIZE(level) != 0 || end - start < LEVEL_SIZE(level)))
			level--;

		pte *entry = walk(start, level, table_page);
		if (entry == NULL)
			return -1;
		uint64_t value = load_relaxed(entry);
		if (level > 0 && value != 0 && !(value & PTE_LARGE)) {
			/* Small pages are there already: fill the gaps between them. */
			level = 0;
			entry = walk(start, 0, table_page);
			if (entry == NULL)
				return -1;
		}
		uint64_t absent = 0;
		atomic_compare_exchange_strong_explicit(
			entry, &absent,
			start | rights | PTE_PRESENT | (level > 0 ? PTE_LARGE : 0),
			memory_order_release, memory_order_relaxed);
		start += LEVEL_SIZE(level);
	}
	return 0;
}

int arch_vm_map_device(uint64_t pa, size_t size)
{
	uint64_t start = pa & ~(uint64_t)(PAGE_SIZE - 1);

	if (pa >= LOWER_HALF_END || size > LOWER_HALF_END - pa)
		return -1;
	return map_range(start, (pa + size + PAGE_SIZE - 1) & ~(uint64_t)(PAGE_SIZE - 1),
			 MAP_DEVICE, table_from_pages);
}

enum vm_result arch_vm_map_page(uintptr_t va, uint64_t pa, uint64_t (*table_page)(void))
{
	pte *entry = walk(va, 0, table_page);
	uint64_t absent = 0;

	if (entry == NULL)
		return VM_NO_MEMORY;
	/* Release: what was written to the page before is seen through the mapping. */
	if (atomic_compare_exchange_strong_explicit(entry, &absent, pa | MAP_RAM | PTE_PRESENT,
						    memory_order_release, memory_order_relaxed))
		return VM_MAPPED;
	return VM_WAS_MAPPED;
}

uint64_t arch_vm_lookup(uintptr_t va)
{
	uint64_t table = vm_root;

	/* The boot tables, which map everything, are still on, or the address is not canonical. */
	if (vm_root == 0 || (va + LOWER_HALF_END) >> 48 != 0)
		return vm_root == 0 ? va : 0;
	for (int at = ROOT_LEVEL;; at--) {
		pte *entry = (pte *)table + (va >> (PAGE_SHIFT + 9 * at) & 511);
		uint64_t value = load_acquire(entry);
		if (!(value & PTE_PRESENT)) /* nor hidden */
			return 0;
		if (at == 0 || (value & PTE_LARGE))
			return (value & PTE_ADDRESS & ~(LEVEL_SIZE(at) - 1)) |
			       (va & (LEVEL_SIZE(at) - 1));
		table = value & PTE_ADDRESS;
	}
}

_Atomic(uint64_t) *arch_vm_entry(uintptr_t va, int level)
{
	return walk(va, level, NULL);
}

uint64_t arch_vm_entry_page(uint64_t entry)
{
	return entry & PTE_ADDRESS;
}

/* How often a flush was asked for; each hart notes up to which it has done them. */
static _Atomic(uint64_t) flushes;

void arch_vm_flush_here(void)
{
	bool on = hart_irq_off(); /* the handler, for a flush after this one, would be undone */
	/* Acquire: pairs with the addition in arch_vm_flush(). */
	uint64_t asked = load_acquire(&flushes);

	write_cr3(vm_root);
	/* Release: what this hart did with the old translations comes before. */
	store_release(&hart_self()->arch.flushed, asked);
	hart_irq_restore(on);
}

bool arch_vm_flush(void)
{
	uint64_t asked = atomic_fetch_add_explicit(&flushes, 1, memory_order_seq_cst) + 1;
	unsigned self = hart_self()->id;

	for (unsigned id = 0; id < hart_count(); id++)
		if (id != self && !vm_will_flush(hart_get(id)))
			lapic_flush_ipi(hart_get(id)->hwid);
	write_cr3(vm_root);
	/* Each has done it, in its handler or as it woke, or sleeps. */
	for (unsigned id = 0; id < hart_count(); id++)
		while (id != self && load_acquire(&hart_get(id)->arch.flushed) < asked &&
		       !vm_will_flush(hart_get(id)))
			hart_relax();
	return true;
}

static void map_image(void)
{
	uint64_t text = (uintptr_t)__text_start, rodata = (uintptr_t)__rodata_start;
	uint64_t data = (uintptr_t)__data_start;

	map_range(text, rodata, MAP_TEXT, boot_table_page);
	map_range(rodata, data, MAP_RODATA, boot_table_page);
	map_range(data, (uintptr_t)__image_end, MAP_RAM, boot_table_page);
}

/* RAM without page 0 and without the image, which has its own rights. */
static void map_ram(uint64_t start, uint64_t end)
{
	uint64_t image = (uintptr_t)__image_start, image_end = (uintptr_t)__image_end;

	if (start < PAGE_SIZE)
		start = PAGE_SIZE;
	if (start < image)
		map_range(start, end < image ? end : image, MAP_RAM, boot_table_page);
	if (end > image_end)
		map_range(start > image_end ? start : image_end, end, MAP_RAM, boot_table_page);
}

void vm_build(const struct machine_range *ram, unsigned count)
{
	boot_table_next = (uintptr_t)__image_end;
	for (unsigned i = 0; i < count; i++)
		if (ram[i].base <= boot_table_next && boot_table_next < ram[i].base + ram[i].size)
			boot_table_end = ram[i].base + ram[i].size;
	if (boot_table_end > UINT32_MAX) /* all that the boot tables reach */
		boot_table_end = UINT32_MAX;
	if (cpuid(0x80000001, 0).edx & CPUID_EXT_EDX_GIGABYTE_PAGES)
		large_levels = 2;

	vm_root = boot_table_page();
	map_image();
	for (unsigned i = 0; i < count; i++)
		map_ram((ram[i].base + PAGE_SIZE - 1) & ~(uint64_t)(PAGE_SIZE - 1),
			(ram[i].base + ram[i].size) & ~(uint64_t)(PAGE_SIZE - 1));
	/* The machine can be switched off without a page. */
	uint64_t off = acpi.sleep_control & ~(uint64_t)(PAGE_SIZE - 1);
	if (off != 0 && off < LOWER_HALF_END)
		map_range(off, off + PAGE_SIZE, MAP_DEVICE, boot_table_page);
	machine_reserve((uintptr_t)__image_start, (uintptr_t)(__image_end - __image_start), "image");
	machine_reserve((uintptr_t)__image_end, boot_table_next - (uintptr_t)__image_end, OWNER_TABLES);
	write_cr3(vm_root);
}

void arch_vm_init(void)
{
	/* The tables are on since vm_build(): pages_init() may write to RAM above 4 GiB. */
	vm_stacks_start = STACKS_START;
	vm_stacks_end = STACKS_END;
}

bool vm_trap_stacks(unsigned id, uint64_t top[IST_COUNT])
{
	static const unsigned pages[IST_COUNT] = { 2, 4, 3 };
	uint64_t va = TRAP_STACKS + id * (uint64_t)TRAP_STACKS_STRIDE;

	for (unsigned i = 0; i < IST_COUNT; i++) {
		va += PAGE_SIZE; /* the guard */
		for (unsigned page = 0; page < pages[i]; page++, va += PAGE_SIZE) {
			uint64_t pa = (uintptr_t)pages_alloc(0, PAGES_HARTS);
			if (pa == 0 || arch_vm_map_page(va, pa, table_from_pages) == VM_NO_MEMORY)
				return false;
		}
		top[i] = va;
	}
	return true;
}
