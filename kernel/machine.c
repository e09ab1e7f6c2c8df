/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine's memory map while it is being found: ranges added, then cut by reservations. */
#include "kernel/machine.h"

struct machine machine = { .cmdline = (char *)"" };

static void drop(unsigned index)
{
	machine.memory[index] = machine.memory[--machine.memory_count];
}

static void insert(uint64_t base, uint64_t size)
{
	if (machine.memory_count == MACHINE_RANGES) {
		unsigned smallest = 0;
		for (unsigned i = 1; i < MACHINE_RANGES; i++)
			if (machine.memory[i].size < machine.memory[smallest].size)
				smallest = i;
		if (machine.memory[smallest].size >= size)
			return;
		drop(smallest);
	}
	machine.memory[machine.memory_count++] = (struct machine_range){ base, size };
}

/* Takes the range out of `memory`. */
static void cut(uint64_t base, uint64_t size)
{
	uint64_t end = size > UINT64_MAX - base ? UINT64_MAX : base + size;

	for (unsigned i = 0; i < machine.memory_count;) {
		struct machine_range r = machine.memory[i];
		uint64_t r_end = r.base + r.size;
		if (end <= r.base || r_end <= base || base == end) {
			i++;
			continue;
		}
		drop(i);
		/* What is left of it lies outside the reservation: meeting it again does no harm. */
		if (r.base < base)
			insert(r.base, base - r.base);
		if (end < r_end)
			insert(end, r_end - end);
	}
}

void machine_reserve(uint64_t base, uint64_t size, const char *owner)
{
	if (size != 0 && machine.owned_count < MACHINE_RANGES)
		machine.owned[machine.owned_count++] = (struct machine_owned){ base, size, owner };
	cut(base, size);
}

void machine_add_ram(uint64_t base, uint64_t size)
{
	if (size != 0 && machine.ram_count < MACHINE_RANGES)
		machine.ram[machine.ram_count++] = (struct machine_range){ base, size };
}

void machine_add_memory(uint64_t base, uint64_t size)
{
	if (size > UINT64_MAX - base)
		size = UINT64_MAX - base;
	/* A firmware that names RAM twice must not have it handed out twice. */
	cut(base, size);
	machine_add_ram(base, size);
	if (size != 0)
		insert(base, size);
}
