/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A split virtqueue (virtio 1.2, section 2.7), the only one in gump: every virtio driver
 * posts its buffers and takes them back through these functions.
 *
 * The device is not trusted. What the driver needs to know later about a buffer it keeps in
 * memory of its own (struct virtq_chain): the descriptors that the device could have changed are
 * written and never read back. What the device writes (the used ring) is read once and
 * checked before it is used; the first value that cannot be true breaks the queue, which then
 * gives out nothing more, and `broken` says what was wrong.
 *
 * The caller's lock protects a queue. Only virtqueue_interrupts_off(), in an interrupt handler, and
 * the two that say so may run beside it.
 */
#ifndef DRIVERS_VIRTIO_QUEUE_H
#define DRIVERS_VIRTIO_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VIRTQUEUE_SIZE_MAX 1024

struct virtq_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

struct virtq_avail {
	uint16_t flags;
	uint16_t idx;
	uint16_t ring[]; /* size entries, then used_event */
};

struct virtq_used_elem {
	uint32_t id;
	uint32_t len;
};

struct virtq_used {
	uint16_t flags;
	uint16_t idx;
	struct virtq_used_elem ring[]; /* size entries, then avail_event */
};

/* What the driver remembers of the chain whose head is this descriptor. */
struct virtq_chain {
	void *cookie;      /* the caller's */
	uint32_t writable; /* bytes that the device may write */
	uint16_t count;    /* descriptors in the chain; 0: not in flight */
	uint16_t next;     /* the chain's or the free list's next descriptor */
};

struct virtqueue {
	volatile struct virtq_desc *desc;
	volatile struct virtq_avail *avail;
	volatile struct virtq_used *used;
	volatile uint16_t *used_event;  /* behind avail's ring: when the device is to interrupt */
	volatile uint16_t *avail_event; /* behind used's ring: when the device wants a notification */
	uint16_t size;         /* a power of two */
	bool event_index;      /* VIRTIO_F_EVENT_IDX was negotiated */
	uint16_t free_head;
	uint16_t free_count;   /* descriptors */
	uint16_t in_flight;    /* chains */
	uint16_t avail_next;   /* avail->idx once virtqueue_publish() was called */
	uint16_t avail_shown;  /* avail->idx now */
	uint16_t notified;     /* avail->idx when the device was last to be notified, or later */
	uint16_t used_next;    /* the first used entry that was not taken */
	const char *broken;    /* NULL, or what the device did */
	struct virtq_chain *chain;
	void *block;           /* the pages that hold all of it */
	unsigned order;
};

struct virtq_piece { /* a stretch of RAM */
	void *address;
	uint32_t length;
};

/* size: a power of two up to VIRTQUEUE_SIZE_MAX. -1: no memory. */
int virtqueue_init(struct virtqueue *queue, unsigned size, bool event_index);
/* After the device was reset: it must not use the rings any more. */
void virtqueue_free(struct virtqueue *queue);

/*
 * Posts one buffer of 1 to n pieces, all read by the device or all written by it. It is the
 * device's until virtqueue_take() gives the cookie back. False: no room. Nothing is shown to
 * the device before virtqueue_publish().
 */
bool virtqueue_post(struct virtqueue *queue, const struct virtq_piece *pieces, unsigned count,
		    bool device_writes, void *cookie);

/* Shows what was posted to the device. False: there was nothing new. */
bool virtqueue_publish(struct virtqueue *queue);
/* After that: true if the device wants to be notified of what it was shown since the last time. */
bool virtqueue_wants_notify(struct virtqueue *queue);
/* The same question a little later, without the lock; an answer too many does no harm. See queue.c. */
bool virtqueue_missed_notify(const struct virtqueue *queue);

/* Takes one buffer that the device has finished, and how much it says it wrote. False: none, or `broken`. */
bool virtqueue_take(struct virtqueue *queue, void **cookie, uint32_t *written);

/* Takes back a buffer in flight, in any order; for a device that was reset. False: none left. */
bool virtqueue_abandon(struct virtqueue *queue, void **cookie);

/* The device need not interrupt for this queue. A hint. Also from the interrupt handler. */
void virtqueue_interrupts_off(struct virtqueue *queue);
/* It is to interrupt for the next buffer that it finishes. True: one is there already. */
bool virtqueue_interrupts_on(struct virtqueue *queue);
/* True: a buffer is there to be taken. Also a little later and without the lock: see queue.c. */
bool virtqueue_pending(const struct virtqueue *queue);

#endif
