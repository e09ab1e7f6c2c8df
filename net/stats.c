/* SPDX-License-Identifier: BSD-2-Clause */
/* What go_net_stats() tells: counted where it happens, under the net lock. */
#include <string.h>

#include "net/conn.h"
#include "net/interface.h"
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

int go_interface_stats(int number, struct go_interface_stats *stats)
{
	if (number < 0 || (unsigned)number >= interface_count)
		return -1;
	const struct interface *interface = interfaces[number];
	net_lock();
	*stats = interface->counts;
	stats->up = interface->device.up;
	stats->received_dropped += interface->device.dropped;
	net_unlock();
	strcpy(stats->name, "net0");
	stats->name[3] = (char)('0' + number);
	return 0;
}
