/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What go_memory() tells: the machine's figures, and of the heap what goroutines' structures take.
 */
#include "sched/sched.h"

void go_memory(struct go_memory *memory)
{
	struct hart_memory machine;

	hart_memory(&machine);
	size_t goroutines = load_relaxed(&sched.g_structs) * sizeof(struct g);
	if (goroutines > machine.heap_used)
		goroutines = machine.heap_used; /* some were created since the machine was asked */
	*memory = (struct go_memory){
		.total = machine.total,
		.free = machine.free,
		.heap = machine.heap - goroutines,
		.heap_used = machine.heap_used - goroutines,
		.goroutines = goroutines,
		.stacks = machine.stacks,
		.tables = machine.tables,
		.image = machine.image,
	};
	memory->other = machine.total - machine.free - machine.heap - machine.stacks - machine.tables -
		machine.image;
}
