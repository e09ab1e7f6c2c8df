/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers that a peer should not guess: sequence numbers, ports, identifiers of questions for names and
 * leases. lwIP counts those of IP's packets and fragments. Under the net lock.
 */
#ifndef NET_RANDOM_H
#define NET_RANDOM_H

#include <stdint.h>

void net_random_init(void);
uint32_t net_random(void);

#endif
