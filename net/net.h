/* SPDX-License-Identifier: BSD-2-Clause */
/* The network's inside: what its files share, beside the lock (net/lock.h). */
#ifndef NET_NET_H
#define NET_NET_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "lwip/err.h"
#include "lwip/ip_addr.h"
#include "net/lock.h"

/* True: a device was there at start-up; it may have broken since. */
bool net_up(void);

/* The errno for lwIP's error. */
int net_errno(err_t error);
/* errno = error; answers -1. */
int net_fail(int error);

/* net/interface.c: the interfaces, all of them. Under the net lock. */
bool interface_start(void);                  /* false: no device; without the net lock, at start-up */
bool interface_poll(unsigned budget);        /* so many frames of each; true: there may be more */
bool interface_rearm(void);                  /* true: more to poll */
bool interface_flush(void);                  /* true: interface_notify() once the lock is released */
void interface_notify(void);
bool interface_pending(void);                /* after interface_rearm(), without the lock: more to poll */
/*
 * net/addresses.c. Waits, the lock released, until an interface has an address that reaches `to`. 0,
 * ETIMEDOUT, or EHOSTUNREACH: no device works, or it is IPv6 and no router has answered.
 */
int interface_wait_address(const ip_addr_t *to, int64_t deadline);
/* The same until there is a name server that can be reached; EHOSTUNREACH: nobody is left to tell of one. */
int interface_wait_name_server(int64_t deadline);
bool interface_reaches(const ip_addr_t *to); /* now */
void interface_wake_waiting(void);           /* to look again */
/* lwIP's index of net0, net1, ..., 0: no such; and back. Without the lock. */
u8_t interface_zone(unsigned long number);
unsigned interface_number(u8_t zone);

/* net/udp.c: a device has room again, or is gone. Under the net lock. */
void udp_retry(void);

#endif
