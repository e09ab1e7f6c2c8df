/* SPDX-License-Identifier: BSD-2-Clause */
/* lwIP's periodic work. Under the net lock. */
#ifndef NET_TIMERS_H
#define NET_TIMERS_H

#include <stdint.h>

/* Does what is due; from the poll function. */
void net_timers_run(void);
/* Starts what became necessary. Before the net lock is released. */
void net_timers_update(void);

#endif
