/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory of the network: pbufs, protocol control blocks and connections. Under the net lock.
 * It takes at most half of the machine's RAM (netmemory=), so that peers cannot take all of it.
 */
#ifndef NET_MEMORY_H
#define NET_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

void net_memory_init(void);
void *net_malloc(size_t size);               /* NULL when there is none */
void *net_calloc(size_t count, size_t size);
void net_free(void *memory);                 /* NULL is fine */

/*
 * The bytes that a connection may hold in one direction: a sixteenth of what is free of half the
 * limit, but a few segments in any case. So the first get all they want, peers who do not read
 * can together never take that half, and there is always something for the next.
 */
size_t net_memory_share(void);
/* Counts (or no longer counts) bytes as taken that peers were told they may send. */
void net_memory_promise(ssize_t bytes);

size_t net_memory_used(void);
size_t net_memory_max(void);

/* How much of the limit is used: who asks first has to stop first. */
bool net_memory_tight(void);  /* 3/4: no new connection, no more data to send */
bool net_memory_scarce(void); /* 7/8: no more data for those who do not read theirs */

/*
 * Of the whole machine's memory: is there enough for that many connections that the program is about to
 * serve, their stacks and what it allocates for them, and something left for those that it serves already?
 */
bool net_memory_serves(size_t connections);

#endif
