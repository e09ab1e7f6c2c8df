/* SPDX-License-Identifier: BSD-2-Clause */
/* What go_net_stats() tells: counted where it happens, under the net lock. */
#include "net/conn.h"
#include "net/memory.h"

struct go_net_stats net_counts;

void go_net_stats(struct go_net_stats *stats)
{
	net_lock();
	*stats = net_counts;
	stats->memory = net_memory_used();
	stats->memory_max = net_memory_max();
	net_unlock();
}
