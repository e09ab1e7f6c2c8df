/* SPDX-License-Identifier: BSD-2-Clause */
/* What go_net_stats() tells. The kernel's side of it, memory and whom it turned away, is not known here. */
#include "gump/net.h"
#include "kernel/atomic.h"
#include "socket.h"

static _Atomic(uint64_t) accepted, dialled, closed;

void count_accepted(void)
{
	atomic_fetch_add_explicit(&accepted, 1, memory_order_relaxed);
}

void count_dialled(void)
{
	atomic_fetch_add_explicit(&dialled, 1, memory_order_relaxed);
}

void count_closed(void)
{
	atomic_fetch_add_explicit(&closed, 1, memory_order_release);
}

void go_net_stats(struct go_net_stats *stats)
{
	/* First, and acquire, with the release above: whoever is seen to have closed had come. */
	uint64_t gone = load_acquire(&closed);

	*stats = (struct go_net_stats){
		.accepted = load_relaxed(&accepted),
		.dialled = load_relaxed(&dialled),
	};
	stats->connections = stats->accepted + stats->dialled - gone;
}

/* The host's kernel has them. */
int go_interface_stats(int number, struct go_interface_stats *stats)
{
	return -1;
}
