/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The split virtqueue. Two rings in RAM, each written by one side: the driver shows buffers in
 * the available ring, the device returns them in the used ring.
 *
 * Four orders matter, and each fence here has its partner in the device:
 *
 *   publish    ring entries, then idx.            release  | device: idx, then entries
 *   notify?    idx, then device's avail_event.    seq_cst  | device: avail_event, then idx
 *   take       idx, then ring entries.            acquire  | device: entries, then idx
 *   interrupt? used_event, then device's idx.     seq_cst  | device: idx, then used_event
 *
 * The second and the fourth are the store-load pattern of a sleeper and a waker: without the full
 * fence both sides could read the old value, and a buffer would lie in the ring with
 * nobody to look at it.
 *
 * QEMU before 8.0, when it emulates one processor, leaves these fences out of what it runs, since no
 * other processor could look; but its devices run beside it. The processor below it then lets the
 * load go before the store. So both questions are asked again a little later, when the
 * store has long left: virtqueue_missed_notify(), virtqueue_pending(). That is no substitute
 * for the fences, only for that case.
 */
#include "drivers/virtio/queue.h"

#include <stdatomic.h>
#include <string.h>

#include "kernel/pages.h"

#define VIRTQ_DESC_F_NEXT 1
#define VIRTQ_DESC_F_WRITE 2
#define VIRTQ_AVAIL_F_NO_INTERRUPT 1
#define VIRTQ_USED_F_NO_NOTIFY 1

/*
 * A device that never runs out of buffers asks for no notification, and idx comes round to where it was when
 * the last one was due: `notified` is taken along before. What the device can ask for lies within the ring.
 */
#define LAG_MAX 0x8000
#define LAG_LEFT 0x4000
_Static_assert(LAG_LEFT > VIRTQUEUE_SIZE_MAX, "all that it can ask for");
_Static_assert(LAG_MAX + VIRTQUEUE_SIZE_MAX < 0x10000, "before idx comes round");

int virtqueue_init(struct virtqueue *queue, unsigned size, bool event_index)
{
	memset(queue, 0, sizeof *queue);
	if (size == 0 || size > VIRTQUEUE_SIZE_MAX || (size & (size - 1)))
		return -1;
	size_t avail = sizeof(struct virtq_desc) * size;
	size_t used = avail + sizeof(struct virtq_avail) + sizeof(uint16_t) * (size + 1);
	used = (used + 3) & ~(size_t)3;
	size_t chain = used + sizeof(struct virtq_used) + sizeof(struct virtq_used_elem) * size +
		       sizeof(uint16_t);
	chain = (chain + 63) & ~(size_t)63;
	size_t total = chain + sizeof(struct virtq_chain) * size;
	while ((PAGE_SIZE << queue->order) < total)
		queue->order++;
	queue->block = pages_alloc_zeroed(queue->order, PAGES_DEVICES);
	if (!queue->block)
		return -1;

	char *base = queue->block;
	queue->desc = (volatile void *)base;
	queue->avail = (volatile void *)(base + avail);
	queue->used = (volatile void *)(base + used);
	queue->used_event = &queue->avail->ring[size];
	queue->avail_event = (volatile void *)&queue->used->ring[size];
	queue->chain = (void *)(base + chain);
	queue->size = (uint16_t)size;
	queue->event_index = event_index;
	queue->free_count = (uint16_t)size;
	for (unsigned i = 0; i < size; i++)
		queue->chain[i].next = (uint16_t)(i + 1);
	virtqueue_interrupts_off(queue);
	return 0;
}

void virtqueue_free(struct virtqueue *queue)
{
	if (queue->block)
		pages_free(queue->block, queue->order);
	memset(queue, 0, sizeof *queue);
}

bool virtqueue_post(struct virtqueue *queue, const struct virtq_piece *pieces, unsigned count,
		    bool device_writes, void *cookie)
{
	if (count == 0 || count > queue->free_count || queue->broken)
		return false;
	uint16_t head = queue->free_head, at = head;
	uint32_t writable = 0;
	for (unsigned i = 0; i < count; i++) {
		bool last = i + 1 == count;
		volatile struct virtq_desc *desc = &queue->desc[at];
		desc->addr = (uintptr_t)pieces[i].address;
		desc->len = pieces[i].length;
		desc->flags = (uint16_t)((device_writes ? VIRTQ_DESC_F_WRITE : 0) |
					 (last ? 0 : VIRTQ_DESC_F_NEXT));
		desc->next = last ? 0 : queue->chain[at].next;
		if (device_writes)
			writable += pieces[i].length;
		if (last)
			queue->free_head = queue->chain[at].next;
		at = queue->chain[at].next;
	}
	queue->free_count = (uint16_t)(queue->free_count - count);
	queue->in_flight++;
	queue->chain[head].cookie = cookie;
	queue->chain[head].writable = writable;
	queue->chain[head].count = (uint16_t)count;
	queue->avail->ring[queue->avail_next++ & (queue->size - 1)] = head;
	return true;
}

bool virtqueue_publish(struct virtqueue *queue)
{
	if (queue->avail_shown == queue->avail_next)
		return false;
	/* Release: entries and descriptors before idx. Partner: the device, idx before entries.
	   It also keeps what we read out of a buffer before the buffer is given away again. */
	atomic_thread_fence(memory_order_release);
	queue->avail->idx = queue->avail_next;
	queue->avail_shown = queue->avail_next;
	if ((uint16_t)(queue->avail_shown - queue->notified) > LAG_MAX)
		queue->notified = (uint16_t)(queue->avail_shown - LAG_LEFT);
	return true;
}

bool virtqueue_missed_notify(const struct virtqueue *queue)
{
	uint16_t shown = queue->avail_shown, since = (uint16_t)(shown - queue->notified);
	if (since == 0)
		return false;
	if (!queue->event_index)
		return !(queue->used->flags & VIRTQ_USED_F_NO_NOTIFY);
	/* A lie here costs a notification too many or a stalled device, nothing else. */
	return (uint16_t)(shown - *queue->avail_event - 1) < since;
}

bool virtqueue_wants_notify(struct virtqueue *queue)
{
	/* Full: idx before avail_event. Partner: the device announces avail_event, then looks at idx. */
	atomic_thread_fence(memory_order_seq_cst);
	if (!virtqueue_missed_notify(queue))
		return false;
	queue->notified = queue->avail_shown;
	return true;
}

/* Gives the chain's descriptors back to the free list; answers its cookie. */
static void *chain_release(struct virtqueue *queue, uint16_t head)
{
	struct virtq_chain *chain = &queue->chain[head];
	uint16_t last = head;
	for (unsigned i = 1; i < chain->count; i++)
		last = queue->chain[last].next;
	queue->chain[last].next = queue->free_head;
	queue->free_head = head;
	queue->free_count = (uint16_t)(queue->free_count + chain->count);
	queue->in_flight--;
	chain->count = 0;
	return chain->cookie;
}

static bool broke(struct virtqueue *queue, const char *how)
{
	queue->broken = how;
	return false;
}

bool virtqueue_take(struct virtqueue *queue, void **cookie, uint32_t *written)
{
	if (queue->broken)
		return false;
	uint16_t ready = (uint16_t)(queue->used->idx - queue->used_next);
	if (ready == 0)
		return false;
	/* At most `size` is what the ring can hold; more than is in flight cannot be true either. */
	if (ready > queue->in_flight)
		return broke(queue, "used index beyond what was posted");
	/* Acquire: idx before entries and data. Partner: the device writes them before idx. */
	atomic_thread_fence(memory_order_acquire);
	volatile struct virtq_used_elem *elem =
		&queue->used->ring[queue->used_next & (queue->size - 1)];
	uint32_t id = elem->id, length = elem->len;
	if (id >= queue->size)
		return broke(queue, "used id outside the ring");
	if (queue->chain[id].count == 0)
		return broke(queue, "used id that is not in flight");
	if (length > queue->chain[id].writable)
		return broke(queue, "used length beyond the buffer");
	queue->used_next++;
	*written = length;
	*cookie = chain_release(queue, (uint16_t)id);
	return true;
}

bool virtqueue_abandon(struct virtqueue *queue, void **cookie)
{
	for (unsigned id = 0; queue->in_flight && id < queue->size; id++) {
		if (queue->chain[id].count) {
			*cookie = chain_release(queue, (uint16_t)id);
			return true;
		}
	}
	return false;
}

/*
 * With the event index nothing is to be done: the device interrupts once, when its idx passes
 * used_event, and not again before used_event moves on.
 */
void virtqueue_interrupts_off(struct virtqueue *queue)
{
	if (!queue->event_index)
		queue->avail->flags = VIRTQ_AVAIL_F_NO_INTERRUPT;
}

bool virtqueue_interrupts_on(struct virtqueue *queue)
{
	if (queue->event_index)
		*queue->used_event = queue->used_next;
	else
		queue->avail->flags = 0;
	/* Full: used_event before idx. Partner: the device writes idx, then looks at used_event. */
	atomic_thread_fence(memory_order_seq_cst);
	return virtqueue_pending(queue);
}

bool virtqueue_pending(const struct virtqueue *queue)
{
	return !queue->broken && queue->used->idx != queue->used_next;
}
