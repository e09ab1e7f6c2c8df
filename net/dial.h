/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef NET_DIAL_H
#define NET_DIAL_H

#include <stdint.h>

struct address;

/*
 * Under the net lock, released meanwhile: fills in address->ip by DNS where the host is a name,
 * and waits until this machine has an address to reach it from. 0 or an errno.
 */
int net_resolve(struct address *address, int64_t deadline);

#endif
