/* SPDX-License-Identifier: BSD-2-Clause */
/* When a peer that says nothing is asked whether it is still there, and when it counts as gone. */
#ifndef NET_KEEPALIVE_H
#define NET_KEEPALIVE_H

struct keepalive {
	unsigned idle, interval; /* seconds of silence, and between the questions after it */
	unsigned count;          /* questions without an answer */
};

/* Constant after the start. */
extern struct keepalive keepalive;
/* Reads the environment: keepalive=IDLE,INTERVAL,COUNT. */
void keepalive_init(void);

#endif
