/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gump: the scheduler's event trace.
 *
 * Each hart writes what happens on it into a ring of its own: which goroutine started and stopped,
 * why it stopped, who woke it. While no trace is taken this costs a branch at each of these points.
 * `qemu/run --trace FILE` takes one of the whole run, and turns it into a file for Perfetto
 * (ui.perfetto.dev) or chrome://tracing.
 */
#ifndef GUMP_TRACE_H
#define GUMP_TRACE_H

#include <stddef.h>

/*
 * Starts a trace with room for so many events on each hart (40 bytes each, rounded up to a power of two,
 * from 64 to 67,108,864: more is cut); the oldest give way to the newest. What an earlier trace held is
 * dropped; its memory is used again, and one that needs more is refused. 0, or -1 with ENOMEM.
 */
int go_trace_start(size_t events);
void go_trace_stop(void); /* what was recorded stays until the next start */

#endif
