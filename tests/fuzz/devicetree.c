/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device tree is any bytes. Its header may say any length up to the input's: how much memory there is
 * behind a tree that a boot loader hands over nobody can tell, so a longer one is cut down to that. Right
 * behind it nothing may be read.
 *
 * @with libfdt
 */
#include "fuzz.h"

#include "../../kernel/devicetree.c"
#include "../../kernel/devicetree_devices.c"
#include "../../kernel/machine.c"

char __image_start[64], __image_end[1];
bool hart_clock_is_tsc = true;

uint64_t hart_ticks_slow(void)
{
	return 0;
}

/* libfdt can also write, which nobody asks for here. */
int fdt_appendprop(void *tree, int node, const char *name, const void *value, int length)
{
	abort();
}

static fdt32_t *blob;

static void read_it(void)
{
	devicetree_read(blob, 0);
	FUZZ_CHECK(machine.hart_count >= 1 && machine.hart_count <= HARTS_MAX);
	FUZZ_CHECK(machine.virtio_count <= MACHINE_VIRTIO && machine.memory_count <= MACHINE_RANGES);
	FUZZ_CHECK(devicetree.device_count <= DEVICETREE_DEVICES && devicetree.mmu_levels >= 3);
	for (unsigned i = 0; i < HARTS_MAX; i++)
		FUZZ_CHECK(devicetree.plic.base == 0 || devicetree.plic.context[i] >= -1);
	if (machine.cmdline)
		FUZZ_CHECK(strlen(machine.cmdline) < CMDLINE_MAX);
	for (unsigned i = 0; i < machine.memory_count; i++) /* what is usable has no end beyond that of addresses */
		FUZZ_CHECK(machine.memory[i].base + machine.memory[i].size >= machine.memory[i].base);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < sizeof(struct fdt_header)) /* whatever lies there, so much memory does */
		return 0;
	blob = malloc(size);
	memcpy(blob, data, size);
	if (fdt32_to_cpu(blob[1]) > size)
		blob[1] = cpu_to_fdt32((uint32_t)size);
	memset(&machine, 0, sizeof(machine));
	memset(&devicetree, 0, sizeof(devicetree));
	fuzz_run(data, size, read_it);
	free(blob);
	return 0;
}
