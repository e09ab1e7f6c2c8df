/* SPDX-License-Identifier: BSD-2-Clause */
/* Whom names are asked of. Under the net lock. */
#ifndef NET_NAMESERVERS_H
#define NET_NAMESERVERS_H

#include <stdbool.h>

#include "lwip/netif.h"

void nameservers_start(void);                       /* those of dns=, once the interfaces are there */
void nameservers_of_ip(const ip_addr_t *server);    /* of ip= */

/* Before each question: those that can be reached now become lwIP's. False: there are none. */
bool nameservers_choose(void);

#endif
