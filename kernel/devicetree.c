/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device tree: harts, memory and what /chosen says. devicetree_devices.c reads the devices.
 *
 * The tree comes from outside: libfdt checks offsets and lengths, and everything here checks what
 * it takes out. What the system cannot do without is named in one line before the machine ends.
 */
#include "kernel/devicetree.h"

#include <libfdt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kernel/layout.h"

#define CMDLINE_MAX 4096
#define TREE_MAX ((uint32_t)4 << 20)
#define FREQUENCY_MAX 10000000000ull /* what timer.c's arithmetic holds */

struct devicetree devicetree;

void devicetree_fail(const char *fmt, ...)
{
	char message[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	hart_print("gump: %s\n", message);
	hart_poweroff(2);
}

static uint64_t cells(const fdt32_t *at, int count)
{
	return count == 2 ? (uint64_t)fdt32_to_cpu(at[0]) << 32 | fdt32_to_cpu(at[1])
			  : fdt32_to_cpu(at[0]);
}

bool devicetree_reg(const void *tree, int node, unsigned index, struct machine_range *range)
{
	int parent = fdt_parent_offset(tree, node), length;
	int address = fdt_address_cells(tree, parent), size = fdt_size_cells(tree, parent);
	const fdt32_t *reg = fdt_getprop(tree, node, "reg", &length);

	if (reg == NULL || address < 1 || address > 2 || size < 0 || size > 2)
		return false;
	unsigned stride = (unsigned)(address + size);
	if ((size_t)length / sizeof(fdt32_t) / stride <= index)
		return false;
	reg += index * stride;
	range->base = cells(reg, address);
	range->size = size == 0 ? 0 : cells(reg + address, size);
	return range->size <= UINT64_MAX - range->base;
}

bool devicetree_number(const void *tree, int node, const char *name, uint64_t *value)
{
	int length;
	const fdt32_t *at = fdt_getprop(tree, node, name, &length);

	if (at == NULL || (length != 4 && length != 8))
		return false;
	*value = cells(at, length / 4);
	return true;
}

const char *devicetree_string(const void *tree, int node, const char *name)
{
	int length;
	const char *text = fdt_getprop(tree, node, name, &length);
	return text != NULL && length > 0 && memchr(text, '\0', (size_t)length) ? text : NULL;
}

bool devicetree_is_okay(const void *tree, int node)
{
	const char *status = devicetree_string(tree, node, "status");
	return status == NULL || strcmp(status, "okay") == 0 || strcmp(status, "ok") == 0;
}

/* Levels of page tables by the name of the mode; 0: none that is known. */
static unsigned mmu_levels(const char *type)
{
	if (type == NULL)
		return 0;
	if (strcmp(type, "riscv,sv39") == 0)
		return 3;
	if (strcmp(type, "riscv,sv48") == 0)
		return 4;
	return strcmp(type, "riscv,sv57") == 0 ? 5 : 0;
}

/* An extension is an underscore and its name in the ISA string, or an entry of the newer list. */
static bool has_extension(const void *tree, int cpu, const char *name)
{
	if (fdt_stringlist_search(tree, cpu, "riscv,isa-extensions", name) >= 0)
		return true;
	const char *isa = devicetree_string(tree, cpu, "riscv,isa");
	for (; isa != NULL && (isa = strchr(isa, '_')) != NULL;) {
		size_t length = strcspn(++isa, "_");
		if (length == strlen(name) && strncmp(isa, name, length) == 0)
			return true;
	}
	return false;
}

/* The code is compiled for rv64gc: a hart without multiplication, atomics or doubles cannot run it. */
static bool has_base(const void *tree, int cpu)
{
	const char *isa = devicetree_string(tree, cpu, "riscv,isa");
	if (isa == NULL || strncmp(isa, "rv64", 4) != 0)
		return isa == NULL; /* newer trees have another property; every such hart is bigger */
	size_t length = strcspn(isa, "_");
	for (const char *letter = "mafdc"; *letter != '\0'; letter++)
		if (memchr(isa, *letter, length) == NULL && memchr(isa, 'g', length) == NULL)
			return false;
	return true;
}

/* Takes one hart in, unless it cannot run the system or there are too many. */
static void read_cpu(const void *tree, int cpu, uint32_t boot_hwid, bool *boot_seen)
{
	const char *type = devicetree_string(tree, cpu, "device_type");
	struct machine_range reg;

	if (type == NULL || strcmp(type, "cpu") != 0 || !devicetree_is_okay(tree, cpu) ||
	    !devicetree_reg(tree, cpu, 0, &reg) || reg.base > UINT32_MAX)
		return;
	unsigned levels = mmu_levels(devicetree_string(tree, cpu, "mmu-type"));
	if (levels == 0 || !has_base(tree, cpu))
		return; /* such as a monitor core */
	/* Index 0 is the boot hart's, whatever its place in the tree. */
	unsigned index = machine.hart_count;
	if (reg.base == boot_hwid) {
		if (*boot_seen)
			return;
		*boot_seen = true;
		index = 0;
	} else if (index == HARTS_MAX) {
		return;
	} else {
		machine.hart_count++;
	}
	machine.hart_hwid[index] = (uint32_t)reg.base;
	if (devicetree.mmu_levels == 0 || levels < devicetree.mmu_levels)
		devicetree.mmu_levels = levels;
	devicetree.sstc = devicetree.sstc && has_extension(tree, cpu, "sstc");
}

static void read_cpus(const void *tree, uint32_t boot_hwid)
{
	int cpus = fdt_path_offset(tree, "/cpus"), cpu;
	bool boot_seen = false;

	if (cpus < 0)
		devicetree_fail("device tree: no /cpus");
	if (!devicetree_number(tree, cpus, "timebase-frequency", &devicetree.timebase) ||
	    devicetree.timebase == 0 || devicetree.timebase > FREQUENCY_MAX)
		devicetree_fail("device tree: no usable /cpus timebase-frequency");
	machine.hart_count = 1;
	devicetree.sstc = true;
	unsigned found = 0;
	fdt_for_each_subnode(cpu, tree, cpus) {
		const char *type = devicetree_string(tree, cpu, "device_type");
		found += type != NULL && strcmp(type, "cpu") == 0;
		read_cpu(tree, cpu, boot_hwid, &boot_seen);
	}
	if (!boot_seen)
		devicetree_fail("device tree: the hart that booted (mhartid %u) is not among those "
				"with rv64gc and page tables (%u harts in all)",
				(unsigned)boot_hwid, found);
	if (found > machine.hart_count)
		hart_print("gump: %u of %u harts are used\n", machine.hart_count, found);
}

static void read_memory(const void *tree)
{
	for (int node = fdt_next_node(tree, -1, NULL); node >= 0;
	     node = fdt_next_node(tree, node, NULL)) {
		const char *type = devicetree_string(tree, node, "device_type");
		struct machine_range range;
		if (type == NULL || strcmp(type, "memory") != 0 || !devicetree_is_okay(tree, node))
			continue;
		for (unsigned i = 0; devicetree_reg(tree, node, i, &range); i++) {
			if (range.size == 0 || devicetree.ram_count == MACHINE_RANGES)
				continue;
			devicetree.ram[devicetree.ram_count++] = range;
			machine_add_memory(range.base, range.size);
		}
	}
	if (devicetree.ram_count == 0)
		devicetree_fail("device tree: no memory");
}

static void reserve_firmware(uint64_t base, uint64_t size)
{
	machine_reserve(base, size, "firmware");
	if (devicetree.firmware_count < MACHINE_RANGES)
		devicetree.firmware[devicetree.firmware_count++] =
			(struct machine_range){ base, size };
}

/*
 * Firmware lies below the image, and its memory faults from S-mode, yet not every firmware marks
 * it. Where no reservation covers the start of the image's RAM, all below the image is left out.
 */
static void reserve_below_image(void)
{
	uint64_t image = (uintptr_t)__image_start;

	for (unsigned i = 0; i < devicetree.ram_count; i++) {
		struct machine_range ram = devicetree.ram[i];
		if (image < ram.base || image - ram.base >= ram.size)
			continue;
		for (unsigned j = 0; j < devicetree.firmware_count; j++)
			if (ram.base - devicetree.firmware[j].base < devicetree.firmware[j].size)
				return;
		reserve_firmware(ram.base, image - ram.base);
	}
}

static void read_reservations(const void *tree)
{
	int reserved = fdt_path_offset(tree, "/reserved-memory"), node;
	struct machine_range range;
	uint64_t base, size;

	if (reserved >= 0)
		fdt_for_each_subnode(node, tree, reserved)
			for (unsigned i = 0; devicetree_reg(tree, node, i, &range); i++)
				reserve_firmware(range.base, range.size);
	reserve_below_image();
	for (int i = 0; i < fdt_num_mem_rsv(tree); i++)
		if (fdt_get_mem_rsv(tree, i, &base, &size) == 0)
			machine_reserve(base, size, "reserved by firmware");
	machine_reserve((uintptr_t)__image_start, (uintptr_t)(__image_end - __image_start), "image");
	machine_reserve((uintptr_t)tree, fdt_totalsize(tree), "device tree");
}

static void read_chosen(const void *tree)
{
	static char cmdline[CMDLINE_MAX];
	int chosen = fdt_path_offset(tree, "/chosen"), length;
	uint64_t start, end;

	if (chosen < 0)
		return;
	const char *arguments = devicetree_string(tree, chosen, "bootargs");
	if (arguments != NULL) {
		if (strlen(arguments) >= CMDLINE_MAX)
			devicetree_fail("the command line is longer than %d bytes", CMDLINE_MAX - 1);
		strcpy(cmdline, arguments);
		machine.cmdline = cmdline;
	}
	if (devicetree_number(tree, chosen, "linux,initrd-start", &start) &&
	    devicetree_number(tree, chosen, "linux,initrd-end", &end) && start < end)
		machine_reserve(start, end - start, "initrd");
	const void *seed = fdt_getprop(tree, chosen, "rng-seed", &length);
	if (seed != NULL && length > 0)
		memcpy(machine.random_seed, seed,
		       (size_t)length < sizeof(machine.random_seed) ? (size_t)length
								    : sizeof(machine.random_seed));
	machine.random_seed[0] ^= hart_ticks();
}

void devicetree_read(const void *tree, uint32_t boot_hwid)
{
	int error = tree == NULL || (uintptr_t)tree % 8 != 0 ? -FDT_ERR_BADMAGIC
							     : fdt_check_header(tree);
	if (error != 0)
		devicetree_fail("no usable device tree at %p (a1): %s", tree, fdt_strerror(error));
	/* libfdt reads words there. */
	if (fdt_off_dt_struct(tree) % 4 != 0 || fdt_off_mem_rsvmap(tree) % 8 != 0)
		devicetree_fail("no usable device tree at %p (a1): its blocks are not aligned", tree);
	if (fdt_totalsize(tree) > TREE_MAX)
		devicetree_fail("device tree: %u bytes long", (unsigned)fdt_totalsize(tree));

	devicetree_read_test_device(tree); /* first: it tells the status of a failure */
	read_memory(tree);
	read_reservations(tree);
	read_chosen(tree);
	read_cpus(tree, boot_hwid);
	devicetree_read_devices(tree);
}
