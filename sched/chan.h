/* SPDX-License-Identifier: BSD-2-Clause */
/* What chan.c and select.c share. */
#ifndef SCHED_CHAN_H
#define SCHED_CHAN_H

#include <string.h>

#include "sched/sched.h"

struct go_chan {
	struct spinlock lock;
	_Atomic(bool) closed;     /* written under lock */
	size_t elem_size, cap;
	_Atomic(size_t) count;    /* elements in the buffer; written under lock */
	size_t send_at, recv_at;  /* the rest under lock: */
	struct waitq senders, receivers;
	max_align_t buffer[];
};

/* Elements are mostly words; the library's memcpy is a call, and built for size. */
static inline void chan_copy(void *to, const void *from, size_t size)
{
	if (size == 8 && (((uintptr_t)to | (uintptr_t)from) & 7) == 0)
		*(uint64_t __attribute__((may_alias)) *)to =
			*(const uint64_t __attribute__((may_alias)) *)from;
	else
		memcpy(to, from, size);
}

static inline size_t chan_count(const go_chan *c)
{
	return atomic_load_explicit(&c->count, memory_order_relaxed);
}

/*
 * One step of a send or receive that can go on without waiting; c->lock held. CHAN_DONE: carried out, and *wake,
 * if not NULL, is to be made ready after the lock is released.
 */
enum chan_result { CHAN_WAIT, CHAN_DONE, CHAN_CLOSED };
enum chan_result chan_send_step(go_chan *c, const void *elem, struct g **wake);
enum chan_result chan_recv_step(go_chan *c, void *elem, struct g **wake);

#endif
