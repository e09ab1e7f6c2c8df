/* SPDX-License-Identifier: BSD-2-Clause */
/* Connections that are over, remembered for a while. Under the net lock. */
#ifndef NET_TIMEWAIT_H
#define NET_TIMEWAIT_H

#include <stdbool.h>

struct tcp_hdr;
struct pbuf;

/* Takes over what lwIP has in TIME_WAIT, and forgets what is old. After each batch of frames. */
void timewait_collect(void);

/*
 * A segment for a listener: true if it may be looked at; false if it belonged to an old connection
 * and was answered. lwIP's current addresses are the segment's.
 */
bool timewait_admit(const struct tcp_hdr *header, const struct pbuf *p);

#endif
