/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio network device (virtio 1.2, section 5.1).
 *
 * Receiving: every descriptor of the ring has a buffer of its own, which is posted again as soon
 * as its frame was handed over: a slow program never takes buffers from the device. With mergeable
 * buffers the device may spread a frame over several.
 *
 * Sending: frames are not copied. Their memory is the device's until it returns it; that needs no
 * interrupt, because each poll and each send look. Only when the ring is full is an interrupt
 * asked for.
 */
#include "drivers/virtio/net.h"

#include <string.h>

#include "kernel/hart.h"
#include "kernel/pages.h"

#define VIRTIO_NET_F_CSUM (UINT64_C(1) << 0)
#define VIRTIO_NET_F_GUEST_CSUM (UINT64_C(1) << 1)
#define VIRTIO_NET_F_MAC (UINT64_C(1) << 5)
#define VIRTIO_NET_F_MRG_RXBUF (UINT64_C(1) << 15)

#define VIRTIO_NET_HDR_F_NEEDS_CSUM 1
#define VIRTIO_NET_HDR_F_DATA_VALID 2

#define RX 0
#define TX 1
#define BUFFER_STRIDE 2048
#define BUFFER_OFFSET 6 /* then the frame lies 2 bytes off 8, where its user has it too: words are copied */
#define BUFFER_SIZE (BUFFER_STRIDE - BUFFER_OFFSET) /* the longest frame and its header */

#define FEWEST_BUFFERS 256 /* if the device has so many */
#define BATCH 64 /* frames after which the device gets buffers back, and what answers them */

struct header {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
	uint16_t num_buffers;
};
_Static_assert(sizeof(struct header) == VIRTIO_NET_HEADER, "virtio_net_hdr as in virtio 1.0");
_Static_assert(VIRTIO_NET_HEADER + VIRTIO_NET_FRAME_MAX <= BUFFER_SIZE, "a frame fits a buffer");

/* On the trap stack, beside anything: it only says so. A device that lies may be too early, or too late. */
static void interrupt(void *arg)
{
	struct virtio_net *net = arg;
	if (!net->up)
		return;
	virtqueue_interrupts_off(&net->rx);
	virtqueue_interrupts_off(&net->tx);
	net->callbacks.ready();
}

static void give_up(struct virtio_net *net, const char *why)
{
	void *cookie;
	net->up = false;
	hart_print("virtio-net: device broke the ring: %s (%s); it is not used any more\n", why,
		   net->device.name);
	virtio_fail(&net->device);
	while (virtqueue_abandon(&net->tx, &cookie))
		net->callbacks.sent(cookie);
}

static void post_buffer(struct virtio_net *net, void *buffer)
{
	struct virtq_piece piece = { buffer, BUFFER_SIZE };
	virtqueue_post(&net->rx, &piece, 1, true, buffer);
}

/* What comes in a burst waits in them for a poll, so many are good; they are a 32nd of the memory at most. */
static unsigned most_buffers(void)
{
	size_t most = pages_total() / 32 * PAGE_SIZE / BUFFER_STRIDE;
	return most < FEWEST_BUFFERS ? FEWEST_BUFFERS : most > UINT16_MAX ? UINT16_MAX : (unsigned)most;
}

static int start_device(struct virtio_net *net)
{
	struct virtio_device *device = &net->device;
	if (virtio_negotiate(device, VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_NET_F_MAC |
					     VIRTIO_NET_F_MRG_RXBUF | VIRTIO_NET_F_CSUM |
					     VIRTIO_NET_F_GUEST_CSUM))
		return -1;
	if (virtio_irq_attach(device, interrupt, net) ||
	    virtio_queue_setup(device, RX, most_buffers(), &net->rx) ||
	    virtio_queue_setup(device, TX, VIRTQUEUE_SIZE_MAX, &net->tx))
		return -1;
	while (((size_t)PAGE_SIZE << net->buffers_order) < (size_t)net->rx.size * BUFFER_STRIDE)
		net->buffers_order++;
	net->buffers = pages_alloc(net->buffers_order, PAGES_DEVICES);
	if (!net->buffers) {
		hart_print("%s: no memory for its buffers\n", device->name);
		virtio_fail(device);
		return -1;
	}
	for (unsigned i = 0; i < net->rx.size; i++)
		post_buffer(net, net->buffers + (size_t)i * BUFFER_STRIDE + BUFFER_OFFSET);
	return 0;
}

/* The device's address; QEMU's usual one if it has none, or none that a station can have. */
static void read_mac(struct virtio_net *net)
{
	static const uint8_t made_up[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };
	memcpy(net->mac, made_up, sizeof made_up);
	if (!(net->device.features & VIRTIO_NET_F_MAC))
		return;
	for (unsigned i = 0; i < sizeof net->mac; i++)
		net->mac[i] = net->device.transport->config_read8(&net->device, i);
	if (net->mac[0] & 1) /* a group address cannot be a station's */
		memcpy(net->mac, made_up, sizeof made_up);
}

int virtio_net_start(struct virtio_net *net, unsigned index, const struct virtio_net_callbacks *callbacks)
{
	memset(net, 0, sizeof *net);
	net->callbacks = *callbacks;
	if (!virtio_find(VIRTIO_ID_NET, index, &net->device))
		return -1;
	if (start_device(net)) {
		virtqueue_free(&net->rx);
		virtqueue_free(&net->tx);
		return 1;
	}
	read_mac(net);
	net->checksum_offload = net->device.features & VIRTIO_NET_F_CSUM;
	net->up = true;
	virtio_ready(&net->device);
	if (virtio_net_flush(net))
		virtio_net_notify(net);
	virtqueue_interrupts_on(&net->rx);
	return 0;
}

/* Finished sends. */
static void reap(struct virtio_net *net)
{
	void *cookie;
	uint32_t written;
	unsigned before = net->tx.free_count;
	while (virtqueue_take(&net->tx, &cookie, &written))
		net->callbacks.sent(cookie);
	net->tx_returned += net->tx.free_count - before;
}

/*
 * Room for who was refused: once a quarter of the ring has come back, however much of that others have taken
 * meanwhile. To ask all who wait costs too much for each descriptor. The quarter comes: all in flight does.
 */
static bool has_room(const struct virtio_net *net)
{
	unsigned quarter = net->tx.size / 4;
	return load_relaxed(&net->tx_full) && net->tx.free_count >= net->tx_wanted &&
	       (net->tx.free_count >= quarter || net->tx_returned >= quarter);
}

/*
 * Collects the buffers of one frame. 1: there is one; 0: none (yet); -1: the header is not true.
 * The device makes all buffers of a frame used at once, so a missing one is a lie. One that takes more than
 * VIRTIO_NET_PIECES is none: the frame is far too long, as those of a tap device may be. What is beyond is
 * posted again at once, and `count` counts it.
 */
static int take_frame(struct virtio_net *net, struct virtq_piece *pieces, void **buffers,
		      unsigned *count, struct header *header, size_t *length)
{
	uint32_t written;
	if (!virtqueue_take(&net->rx, &buffers[0], &written))
		return 0;
	*count = 1;
	if (written < sizeof *header) {
		net->rx.broken = "frame shorter than its header";
		return -1;
	}
	memcpy(header, buffers[0], sizeof *header); /* once: the device could change it */
	unsigned wanted = net->device.features & VIRTIO_NET_F_MRG_RXBUF ? header->num_buffers : 1;
	if (wanted < 1 || wanted > net->rx.size) {
		net->rx.broken = "impossible num_buffers";
		return -1;
	}
	pieces[0].address = (char *)buffers[0] + sizeof *header;
	pieces[0].length = written - (uint32_t)sizeof *header;
	*length = pieces[0].length;
	for (; *count < wanted; ++*count) {
		void *buffer;
		if (!virtqueue_take(&net->rx, &buffer, &written)) {
			if (!net->rx.broken)
				net->rx.broken = "num_buffers beyond what was used";
			return -1;
		}
		*length += written;
		if (*count >= VIRTIO_NET_PIECES) {
			post_buffer(net, buffer);
			continue;
		}
		buffers[*count] = buffer;
		pieces[*count].address = buffer;
		pieces[*count].length = written;
	}
	return 1;
}

unsigned virtio_net_poll(struct virtio_net *net, unsigned budget)
{
	struct virtq_piece pieces[VIRTIO_NET_PIECES];
	void *buffers[VIRTIO_NET_PIECES];
	struct header header;
	unsigned frames = 0, count;
	size_t length;

	if (!net->up)
		return 0;
	reap(net);
	if (has_room(net)) {
		store_relaxed(&net->tx_full, false);
		net->callbacks.room(net);
	}
	while (net->up && frames < budget && take_frame(net, pieces, buffers, &count, &header, &length) > 0) {
		frames++;
		if (count <= VIRTIO_NET_PIECES && length <= VIRTIO_NET_FRAME_MAX && header.gso_type == 0)
			net->callbacks.receive(net, pieces, count, length,
					       header.flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM |
							       VIRTIO_NET_HDR_F_DATA_VALID));
		else
			net->dropped++;
		for (unsigned i = 0; i < count && i < VIRTIO_NET_PIECES; i++)
			post_buffer(net, buffers[i]);
		if (frames % BATCH == 0 && virtio_net_flush(net))
			virtio_net_notify(net);
	}
	if (net->up && (net->rx.broken || net->tx.broken)) /* else what it sent meanwhile has found out */
		give_up(net, net->rx.broken ? net->rx.broken : net->tx.broken);
	return frames;
}

bool virtio_net_rearm(struct virtio_net *net)
{
	if (!net->up)
		return false;
	bool more = virtqueue_interrupts_on(&net->rx);
	/* Full during this poll, and room since: the device has perhaps nothing left to interrupt for. */
	if (load_relaxed(&net->tx_full))
		more |= has_room(net) || virtqueue_interrupts_on(&net->tx);
	return more;
}

void virtio_net_tell_of_room(struct virtio_net *net, unsigned count)
{
	if (!net->up)
		return;
	if (!load_relaxed(&net->tx_full)) {
		net->tx_wanted = count;
		net->tx_returned = 0;
	} else if (count < net->tx_wanted) {
		net->tx_wanted = count;
	}
	store_relaxed(&net->tx_full, true);
	if (virtio_net_flush(net)) /* what is queued must leave before there is room */
		virtio_net_notify(net);
	if (virtqueue_interrupts_on(&net->tx))
		net->callbacks.ready();
}

bool virtio_net_room(struct virtio_net *net, unsigned count)
{
	if (!net->up || count > net->tx.size)
		return false;
	reap(net);
	if (net->tx.broken) {
		give_up(net, net->tx.broken);
		return false;
	}
	if (count <= net->tx.free_count)
		return true;
	virtio_net_tell_of_room(net, count);
	return false;
}

bool virtio_net_send(struct virtio_net *net, const struct virtq_piece *pieces, unsigned count,
		     uint16_t checksum_start, uint16_t checksum_offset, void *cookie)
{
	if (!virtio_net_room(net, count))
		return false;
	struct header header = { 0 };
	if (checksum_start) {
		header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		header.csum_start = checksum_start;
		header.csum_offset = checksum_offset;
	}
	memcpy(pieces[0].address, &header, sizeof header);
	return virtqueue_post(&net->tx, pieces, count, false, cookie);
}

bool virtio_net_flush(struct virtio_net *net)
{
	if (!net->up)
		return false;
	bool rx = virtqueue_publish(&net->rx), tx = virtqueue_publish(&net->tx);
	uint32_t notify = (rx && virtqueue_wants_notify(&net->rx) ? 1u << RX : 0) |
			  (tx && virtqueue_wants_notify(&net->tx) ? 1u << TX : 0);
	if (notify)
		atomic_fetch_or_explicit(&net->notify, notify, memory_order_relaxed);
	return rx || tx;
}

void virtio_net_notify(struct virtio_net *net)
{
	uint32_t notify = 0;
	if (!net->up)
		return;
	if (load_relaxed(&net->notify))
		notify = atomic_exchange_explicit(&net->notify, 0, memory_order_relaxed);
	if (notify & 1u << RX || virtqueue_missed_notify(&net->rx))
		virtio_notify(&net->device, RX);
	if (notify & 1u << TX || virtqueue_missed_notify(&net->tx))
		virtio_notify(&net->device, TX);
}

bool virtio_net_pending(const struct virtio_net *net)
{
	return net->up && (virtqueue_pending(&net->rx) ||
			   (load_relaxed(&net->tx_full) && virtqueue_pending(&net->tx)));
}
