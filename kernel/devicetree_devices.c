/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The devices of the device tree: serial port, interrupt controller, test device, virtio-mmio.
 * None of them is indispensable. Bus addresses are taken for physical ones (empty `ranges`).
 */
#include "kernel/devicetree.h"

#include <libfdt.h>
#include <string.h>

#define INTERRUPT_SUPERVISOR_EXTERNAL 9

static void add_device(struct machine_range range)
{
	if (devicetree.device_count < DEVICETREE_DEVICES)
		devicetree.device[devicetree.device_count++] = range;
}

/* The first node of that kind whose registers can be read. */
static int find(const void *tree, const char *compatible, struct machine_range *reg)
{
	for (int node = fdt_node_offset_by_compatible(tree, -1, compatible); node >= 0;
	     node = fdt_node_offset_by_compatible(tree, node, compatible))
		if (devicetree_is_okay(tree, node) && devicetree_reg(tree, node, 0, reg) &&
		    reg->base != 0 && reg->size != 0)
			return node;
	return -1;
}

void devicetree_read_test_device(const void *tree)
{
	struct machine_range reg;

	if (find(tree, "sifive,test0", &reg) < 0 && find(tree, "sifive,test1", &reg) < 0)
		return;
	devicetree.test_device = reg.base;
	add_device(reg);
}

/* The node that stdout-path names (a path or an alias, maybe ":options"), if it is a 16550. */
static int stdout_node(const void *tree, struct machine_range *reg)
{
	int chosen = fdt_path_offset(tree, "/chosen");
	const char *path = chosen < 0 ? NULL : devicetree_string(tree, chosen, "stdout-path");

	if (path == NULL)
		return -1;
	int node = fdt_path_offset_namelen(tree, path, (int)strcspn(path, ":"));
	if (node < 0 || !devicetree_reg(tree, node, 0, reg) || reg->base == 0 ||
	    (fdt_node_check_compatible(tree, node, "ns16550a") != 0 &&
	     fdt_node_check_compatible(tree, node, "ns16550") != 0))
		return -1;
	return node;
}

static void read_uart(const void *tree)
{
	struct devicetree_uart *uart = &devicetree.uart;
	struct machine_range reg;
	uint64_t shift = 0, width = 1, offset = 0;

	int node = stdout_node(tree, &reg);
	if (node < 0)
		node = find(tree, "ns16550a", &reg);
	if (node < 0)
		return;
	devicetree_number(tree, node, "reg-shift", &shift);
	devicetree_number(tree, node, "reg-io-width", &width);
	devicetree_number(tree, node, "reg-offset", &offset);
	if (shift > 3 || (width != 1 && width != 2 && width != 4) || offset >= reg.size ||
	    reg.size - offset < (uint64_t)8 << shift || width > (uint64_t)1 << shift) {
		hart_print("gump: device tree: a serial port with unknown registers\n");
		return;
	}
	*uart = (struct devicetree_uart){ reg.base + offset, reg.size - offset, (unsigned)shift,
					  (unsigned)width };
	add_device(reg);
}

/* The hart whose interrupt controller node has this phandle, or -1. */
static int hart_of_intc(const void *tree, uint32_t phandle)
{
	struct machine_range reg;
	int intc = fdt_node_offset_by_phandle(tree, phandle);
	int cpu = intc < 0 ? -1 : fdt_parent_offset(tree, intc);

	if (cpu < 0 || !devicetree_reg(tree, cpu, 0, &reg))
		return -1;
	for (unsigned i = 0; i < machine.hart_count; i++)
		if (machine.hart_hwid[i] == reg.base)
			return (int)i;
	return -1;
}

/* Context n of the PLIC is wired to what pair n of interrupts-extended names: a hart and a mode. */
static void read_plic(const void *tree)
{
	struct devicetree_plic *plic = &devicetree.plic;
	struct machine_range reg;
	uint64_t sources;
	int length;

	int node = find(tree, "sifive,plic-1.0.0", &reg);
	if (node < 0)
		node = find(tree, "riscv,plic0", &reg);
	if (node < 0 || !devicetree_number(tree, node, "riscv,ndev", &sources))
		return;
	const fdt32_t *wires = fdt_getprop(tree, node, "interrupts-extended", &length);
	if (wires == NULL)
		return;
	for (unsigned i = 0; i < HARTS_MAX; i++)
		plic->context[i] = -1;
	for (int n = 0; n < length / 8; n++) {
		if (fdt32_to_cpu(wires[2 * n + 1]) != INTERRUPT_SUPERVISOR_EXTERNAL)
			continue;
		int hart = hart_of_intc(tree, fdt32_to_cpu(wires[2 * n]));
		if (hart >= 0)
			plic->context[hart] = n;
	}
	plic->base = reg.base;
	plic->size = reg.size;
	plic->sources = sources > 1023 ? 1023 : (unsigned)sources;
	add_device(reg);
}

static void read_virtio(const void *tree)
{
	for (int node = fdt_node_offset_by_compatible(tree, -1, "virtio,mmio"); node >= 0;
	     node = fdt_node_offset_by_compatible(tree, node, "virtio,mmio")) {
		struct machine_range reg;
		int length;
		/* A line, and what more the interrupt controller wants to know of it. */
		const fdt32_t *line = fdt_getprop(tree, node, "interrupts", &length);
		if (machine.virtio_count == MACHINE_VIRTIO || !devicetree_is_okay(tree, node) ||
		    !devicetree_reg(tree, node, 0, &reg) || reg.size == 0 || line == NULL || length < 4)
			continue;
		machine.virtio[machine.virtio_count++] =
			(struct machine_virtio){ reg.base, reg.size, fdt32_to_cpu(*line) };
		add_device(reg);
	}
}

void devicetree_read_devices(const void *tree)
{
	read_uart(tree);
	read_plic(tree);
	read_virtio(tree);
}
