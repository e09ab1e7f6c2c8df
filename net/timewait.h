/* SPDX-License-Identifier: BSD-2-Clause */
/* Connections that are over, remembered for a while. Under the net lock. */
#ifndef NET_TIMEWAIT_H
#define NET_TIMEWAIT_H

#include <stdbool.h>
#include <stdint.h>

struct tcp_pcb;

/* Takes over what lwIP has in TIME_WAIT, and forgets what is old. After each batch of frames. */
void timewait_collect(void);

/* A connection with the addresses of this one, and that port of our own, was over not long ago. */
bool timewait_has(const struct tcp_pcb *pcb, uint16_t local_port);

#endif
