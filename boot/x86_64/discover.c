/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What machine is this? From PVH's start_info: memory, command line, the RSDP; from ACPI or the
 * MP table: harts, interrupt controllers, PCI; from the command line: microvm's virtio transports.
 *
 * Everything that firmware left is copied or read here, on tables that map the first 4 GiB. Then
 * vm_build() maps RAM and devices, and the first MiB stays reserved.
 */
#include <string.h>

#include "boot.h"
#include "cpu.h"
#include "drivers/uart.h"
#include "kernel/acpi.h"
#include "kernel/console.h"
#include "kernel/hart.h"
#include "kernel/machine.h"
#include "kernel/vm.h"
#include "x86.h"

#define COM1 0x3f8
#define START_MAGIC 0x336ec578
#define MEMORY_RAM 1
#define LOW_MEMORY_END 0x100000
#define REACHABLE ((uint64_t)1 << 32)
#define CMDLINE_MAX 4096

struct start_info {
	uint32_t magic, version, flags, module_count;
	uint64_t modules, cmdline, rsdp, memory_map; /* physical addresses */
	uint32_t memory_map_count, reserved;
};

struct module {
	uint64_t address, size, cmdline, reserved;
};

struct memory_map_entry {
	uint64_t address, size;
	uint32_t type, reserved;
};

static struct machine_range ram[MACHINE_RANGES];
static unsigned ram_count;
static char cmdline[CMDLINE_MAX];

static uint8_t com1_read(unsigned reg)
{
	return inb(COM1 + reg);
}

static void com1_write(unsigned reg, uint8_t value)
{
	outb(COM1 + reg, value);
}

void arch_console_early(void)
{
	static const struct uart_access com1 = { com1_read, com1_write };

	cpu_install_early(); /* so that a fault from here on is reported */
	uart_init(&com1);
	console_set(uart_put);
}

/* What firmware has kept of the machine's RAM for its tables: it lies where RAM that is free ends. */
static void take_tables(const struct start_info *info)
{
	const struct memory_map_entry *entry =
		(const struct memory_map_entry *)(uintptr_t)info->memory_map;

	for (uint32_t i = 0; i < info->memory_map_count && i < 1024; i++, entry++)
		for (unsigned j = 0; entry->type != MEMORY_RAM && j < ram_count; j++)
			if (ram[j].base >= LOW_MEMORY_END && ram[j].base + ram[j].size == entry->address) {
				machine_add_ram(entry->address, entry->size);
				machine_reserve(entry->address, entry->size, "firmware");
			}
}

static void take_memory(const struct start_info *info)
{
	const struct memory_map_entry *entry =
		(const struct memory_map_entry *)(uintptr_t)info->memory_map;

	if (info->version < 1 || info->memory_map == 0 || info->memory_map >= REACHABLE)
		hart_fatal("the boot loader gave no memory map (PVH start_info version %u)",
			   (unsigned)info->version);
	for (uint32_t i = 0; i < info->memory_map_count && i < 1024; i++, entry++) {
		if (entry->type != MEMORY_RAM || entry->size == 0)
			continue;
		if (entry->size > UINT64_MAX - entry->address || ram_count == MACHINE_RANGES) {
			hart_print("boot: memory at 0x%llx is left out\n",
				   (unsigned long long)entry->address);
			continue;
		}
		ram[ram_count++] = (struct machine_range){ entry->address, entry->size };
		machine_add_memory(entry->address, entry->size);
	}
	/* The BIOS's data, the trampoline, firmware's tables: not worth telling apart. */
	machine_add_ram(0, LOW_MEMORY_END);
	machine_reserve(0, LOW_MEMORY_END, "below 1 MiB");
	take_tables(info);
}

static void take_modules(const struct start_info *info)
{
	const struct module *module = (const struct module *)(uintptr_t)info->modules;

	for (uint32_t i = 0; module != NULL && i < info->module_count && i < 64; i++)
		machine_reserve(module[i].address, module[i].size, "initrd");
}

static void take_cmdline(const struct start_info *info)
{
	const char *text = (const char *)(uintptr_t)info->cmdline;

	if (text == NULL || info->cmdline >= REACHABLE - CMDLINE_MAX)
		return;
	size_t length = strnlen(text, CMDLINE_MAX);
	if (length == CMDLINE_MAX)
		hart_print("boot: the command line is cut off after %zu bytes\n", --length);
	memcpy(cmdline, text, length);
	virtio_words_take(cmdline);
	machine.cmdline = cmdline;
}

/* The larger gap between RAM, ECAM and the interrupt controllers is for BARs nobody assigned. */
static void find_pci_window(void)
{
	uint64_t start = LOW_MEMORY_END, end = 0xfe000000;
	uint64_t ecam = machine.pci_ecam.base, ecam_end = ecam + machine.pci_ecam.size;

	for (unsigned i = 0; i < ram_count; i++)
		if (ram[i].base < end && ram[i].base + ram[i].size > start)
			start = ram[i].base + ram[i].size;
	start = (start + 0xffffff) & ~(uint64_t)0xffffff; /* firmware's tables lie at the end of RAM */
	if (ecam >= start && ecam < end) {
		if (ecam - start > (ecam_end < end ? end - ecam_end : 0))
			end = ecam;
		else
			start = ecam_end;
	}
	if (machine.pci_ecam.size != 0 && start < end)
		machine.pci_mmio32 = (struct machine_range){ start, end - start };
}

static void seed_random(void)
{
	bool rdrand = cpuid(1, 0).ecx & CPUID_1_ECX_RDRAND;

	for (int i = 0; i < 4; i++) {
		uint64_t value = 0;
		bool valid = false;
		for (int tries = 0; rdrand && !valid && tries < 10; tries++)
			__asm__ volatile("rdrand %0" : "=r"(value), "=@ccc"(valid));
		machine.random_seed[i] = valid ? value : hart_ticks() * 0x9e3779b97f4a7c15 + i;
	}
}

void arch_discover(uintptr_t a0, uintptr_t a1)
{
	const struct start_info *info = (const struct start_info *)a0;

	(void)a1;
	if (info == NULL || info->magic != START_MAGIC)
		hart_fatal("no PVH start_info: use QEMU's -kernel, and a command line of less than 4 KiB");
	machine.hart_hwid[0] = cpuid(1, 0).ebx >> 24;
	machine.hart_count = 1;
	take_memory(info);
	take_modules(info);
	take_cmdline(info);
	if (!acpi_discover(info->rsdp) && !mptable_discover())
		hart_print("boot: neither ACPI nor an MP table: one hart, no device interrupts\n");
	find_pci_window();
	seed_random();
	vm_build(ram, ram_count);
}

uint8_t boot_trampoline_page(void)
{
	for (unsigned page = 0x8; page < 0x90; page++)
		for (unsigned i = 0; i < ram_count; i++)
			if (ram[i].base <= page << PAGE_SHIFT &&
			    ram[i].base + ram[i].size >= (page + 1) << PAGE_SHIFT)
				return page;
	return 0;
}
