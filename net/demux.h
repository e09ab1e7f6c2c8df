/* SPDX-License-Identifier: BSD-2-Clause */
/* Which connection a segment belongs to, and which of them rest. Under the net lock. */
#ifndef NET_DEMUX_H
#define NET_DEMUX_H

struct tcp_pcb;

/* Before the program does anything to a connection through lwIP but abort it: it may rest. */
void demux_rouse(struct tcp_pcb *pcb);
/*
 * Those that were silent for so long that lwIP has to ask whether the peer is still there. Each
 * tick of its timer.
 */
void demux_rouse_silent(void);
/* How many connections there are, those in TIME_WAIT that lwIP keeps too. */
unsigned demux_count(void);

#endif
