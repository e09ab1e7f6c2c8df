/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio network driver against a device of ours, on the host, under the sanitizers: first one
 * that keeps to the rules, then one for each lie, which is to be named. One that lies at random,
 * at any time: tests/fuzz/virtio.c.
 *
 * Driver and virtqueue are the ones of the tree, included; what they need of the kernel is here.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../drivers/virtio/net.c"
#include "../../drivers/virtio/queue.c"
#include "../../drivers/virtio/virtio.c"
#include "virtio_device.h"

static char console[4096];
static unsigned received, posted, returned;
static uint8_t frame[70000];
static size_t frame_length;
static bool exact;           /* what is received must be `frame` */
static size_t total = 1 << 16; /* pages that the machine has */

/* ---- The kernel ---- */

void *pages_alloc(unsigned order, enum pages_owner owner) { return aligned_alloc(4096, (size_t)4096 << order); }
void *pages_alloc_zeroed(unsigned order, enum pages_owner owner)
{
	return memset(pages_alloc(order, owner), 0, (size_t)4096 << order);
}
void pages_free(void *block, unsigned order) { free(block); }
size_t pages_total(void) { return total; }
int64_t hart_now(void)
{
	static int64_t now;
	return now += 1000;
}
void hart_print(const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(console + strlen(console), sizeof console - strlen(console), fmt, args);
	va_end(args);
}
void sched_preempt(void) {}

/* ---- The device ---- */

bool virtio_mmio_find(unsigned id, unsigned *index, struct virtio_device *device)
{
	device_fill(device, "fake");
	return true;
}
/* Delivers `frame` in buffers of at most `piece` bytes, the header counted. */
static void deliver(uint32_t piece, int num_buffers, uint8_t gso)
{
	const struct virtqueue *q = queues[RX];
	size_t total = frame_length + sizeof(struct header), done = 0;
	uint8_t bytes[sizeof(struct header) + sizeof frame];
	unsigned count = (unsigned)((total + piece - 1) / piece);
	struct header header = { .gso_type = gso,
				 .num_buffers = (uint16_t)(num_buffers < 0 ? (int)count : num_buffers) };
	memcpy(bytes, &header, sizeof header);
	memcpy(bytes + sizeof header, frame, frame_length);
	uint16_t idx = q->used->idx;
	while (done < total) {
		int id = next_available(RX);
		if (id < 0)
			return;
		uint32_t n = total - done < piece ? (uint32_t)(total - done) : piece;
		memcpy((void *)(uintptr_t)q->desc[id].addr, bytes + done, n);
		q->used->ring[idx & (q->size - 1)].id = (uint32_t)id;
		q->used->ring[idx & (q->size - 1)].len = n;
		idx++;
		done += n;
	}
	q->used->idx = idx;
}

/* ---- The driver's user ---- */

static unsigned told; /* to poll */
static void ready(void) { told++; }
static unsigned answers; /* to each frame */
static void send_one(void);
static void receive(struct virtio_net *unused, const struct virtq_piece *pieces, unsigned count, size_t length, bool good)
{
	size_t at = 0;
	volatile uint8_t sum = 0;
	for (unsigned i = 0; i < count; i++) {
		const uint8_t *bytes = pieces[i].address;
		assert(at + pieces[i].length <= length);
		for (uint32_t k = 0; k < pieces[i].length; k++)
			sum = (uint8_t)(sum + bytes[k]);
		assert(!exact || memcmp(bytes, frame + at, pieces[i].length) == 0);
		at += pieces[i].length;
	}
	assert(at == length && (!exact || length == frame_length));
	received++;
	for (unsigned i = 0; i < answers; i++)
		send_one();
}
static void sent(void *cookie)
{
	assert(*(bool *)cookie); /* once each */
	*(bool *)cookie = false;
	returned++;
}

static struct virtio_net net;
static unsigned room_found, free_then;
static void room(struct virtio_net *unused)
{
	room_found++;
	free_then = net.tx.free_count;
}
static bool in_flight[1000];

static const struct virtio_net_callbacks callbacks = { ready, receive, sent, room };

static void start(uint64_t features)
{
	if (net.buffers) {
		free(net.buffers);
		virtqueue_free(&net.rx);
		virtqueue_free(&net.tx);
	}
	memset(in_flight, 0, sizeof in_flight);
	memset(seen, 0, sizeof seen);
	console[0] = '\0';
	received = posted = returned = room_found = answers = 0;
	exact = true;
	offered = VIRTIO_F_VERSION_1 | features;
	assert(virtio_net_start(&net, 0, &callbacks) == 0);
	assert(status & VIRTIO_STATUS_DRIVER_OK);
}

static bool send_pieces(unsigned count)
{
	static uint8_t text[2][100];
	struct virtq_piece pieces[2] = { { text[0], 100 }, { text[1], 50 } };
	unsigned i = 0;
	while (in_flight[i])
		i++;
	in_flight[i] = virtio_net_send(&net, pieces, count, 0, 0, &in_flight[i]);
	posted += in_flight[i];
	if (virtio_net_flush(&net))
		virtio_net_notify(&net);
	return in_flight[i];
}

static void send_one(void)
{
	send_pieces(1 + (unsigned)rand() % 2);
}

static void honest(uint64_t features)
{
	start(features);
	for (int i = 0; i < 20000; i++) {
		frame_length = 14 + (size_t)rand() % (VIRTIO_NET_FRAME_MAX - 13);
		for (size_t k = 0; k < frame_length; k += 7)
			frame[k] = (uint8_t)rand();
		deliver(features & VIRTIO_NET_F_MRG_RXBUF && i % 3 == 0 ? 512 : BUFFER_SIZE, -1, 0);
		if (i % 2)
			send_one();
		for (int id; i % 5 == 0 && (id = next_available(TX)) >= 0;)
			use(queues[TX], (uint32_t)id, 0);
		assert(virtio_net_poll(&net, 64) == 1);
		virtio_net_flush(&net);
		virtio_net_rearm(&net);
	}
	assert(received == 20000 && net.up && posted == 10000 && returned > 9900 && !console[0]);
	frame_length = VIRTIO_NET_FRAME_MAX + 100; /* too long: dropped, and nothing else */
	deliver(BUFFER_SIZE, -1, 0);
	assert(virtio_net_poll(&net, 64) == 1 && received == 20000 && net.dropped == 1 && net.up);
	frame_length = 100; /* segments that nobody asked for */
	deliver(BUFFER_SIZE, -1, 1);
	assert(virtio_net_poll(&net, 64) == 1 && received == 20000 && net.dropped == 2 && net.up);
}

static void use_all(unsigned queue)
{
	for (int id; (id = next_available(queue)) >= 0;)
		use(queues[queue], (uint32_t)id, 0);
}

/* Who was refused hears of it from a poll, whoever found the room meanwhile. */
static void full(void)
{
	start(VIRTIO_F_EVENT_IDX);
	virtio_net_rearm(&net);
	do
		send_one();
	while (!net.tx_full);
	unsigned at_once = posted;
	assert(at_once > net.tx.size / 3 && told == 0);
	use_all(TX);
	send_one(); /* which finds room */
	assert(posted == at_once + 1 && net.tx_full);
	assert(virtio_net_rearm(&net)); /* so that there is a poll */
	virtio_net_poll(&net, 64);
	assert(!net.tx_full && room_found == 1 && !virtio_net_rearm(&net));
}

/* Also if what the poll hands over is answered, and that takes the room again: he is asked before. */
static void full_again(void)
{
	start(VIRTIO_F_EVENT_IDX);
	virtio_net_rearm(&net);
	while (send_pieces(1))
		;
	use_all(TX);
	frame_length = 100;
	answers = net.tx.size + 1;
	deliver(BUFFER_SIZE, -1, 0);
	virtio_net_poll(&net, 64);
	assert(received == 1 && net.tx_full && room_found == 1 && free_then == net.tx.size);
}

static void use_one(unsigned queue)
{
	use(queues[queue], (uint32_t)next_available(queue), 0);
}

/* What comes is taken in also while nothing can be sent: two that flood each other do not wait for each other. */
static void not_deaf(void)
{
	start(VIRTIO_F_EVENT_IDX);
	virtio_net_rearm(&net);
	while (send_pieces(1))
		;
	frame_length = 100;
	answers = 1;
	for (unsigned i = 0; i < 2 * net.rx.size; i++) {
		deliver(BUFFER_SIZE, -1, 0);
		assert(virtio_net_poll(&net, 64) == 1);
		virtio_net_flush(&net);
	}
	assert(net.tx_full && !room_found && !virtio_net_rearm(&net) && !virtio_net_pending(&net));
}

/* Who was refused hears of it when a quarter of the ring has come back, not of each descriptor. */
static void a_quarter(void)
{
	start(VIRTIO_F_EVENT_IDX);
	virtio_net_rearm(&net);
	while (send_pieces(1))
		;
	for (unsigned i = 1; i < net.tx.size / 4; i++) {
		use_one(TX);
		virtio_net_poll(&net, 64);
	}
	assert(!room_found && net.tx_full && !virtio_net_rearm(&net));
	use_one(TX);
	assert(virtio_net_pending(&net)); /* also without the lock */
	assert(virtio_net_rearm(&net));
	virtio_net_poll(&net, 64);
	assert(room_found == 1 && !net.tx_full && !virtio_net_rearm(&net) && !virtio_net_pending(&net));
}

/* Also if others, who were not refused, take each descriptor that comes back. */
static void others_are_quicker(void)
{
	start(VIRTIO_F_EVENT_IDX);
	virtio_net_rearm(&net);
	while (send_pieces(1))
		;
	for (unsigned i = 1; i < net.tx.size / 4; i++) {
		use_one(TX);
		assert(send_pieces(1));
		virtio_net_poll(&net, 64);
	}
	assert(!room_found);
	use_one(TX);
	virtio_net_poll(&net, 64);
	assert(room_found == 1 && free_then == 1);
}

/* Who wants more than there is has no poll until the device has given so much back. */
static void too_few(void)
{
	start(VIRTIO_F_EVENT_IDX);
	virtio_net_rearm(&net);
	unsigned wanted = net.tx.size / 2;
	while (send_pieces(1))
		;
	for (unsigned i = net.tx.size / 4; i > 0; i--)
		use_one(TX);
	virtio_net_poll(&net, 64);
	told = 0;
	assert(room_found == 1 && !virtio_net_room(&net, wanted) && net.tx_full && told == 0); /* several frames together */
	for (unsigned i = net.tx.size / 4; i > 1; i--)
		use_one(TX);
	virtio_net_poll(&net, 64);
	assert(room_found == 1 && net.tx_full && !virtio_net_rearm(&net));
	assert(!virtio_net_room(&net, 1000) && net.tx_wanted == wanted); /* which there never are */
	assert(!virtio_net_room(&net, wanted + 1) && net.tx_wanted == wanted);
	use_one(TX);
	assert(virtio_net_rearm(&net));
	virtio_net_poll(&net, 64);
	assert(room_found == 2 && !net.tx_full && virtio_net_room(&net, wanted) && !virtio_net_room(&net, wanted + 1));
	assert(!virtio_net_rearm(&net));
	virtio_net_tell_of_room(&net, 1); /* another one wants fewer */
	assert(virtio_net_rearm(&net));
	virtio_net_poll(&net, 64);
	assert(room_found == 3 && !net.tx_full);
}

/* While a long batch is under way the device already has buffers again. */
static void refilled_on_the_way(void)
{
	start(VIRTIO_NET_F_MRG_RXBUF | VIRTIO_F_EVENT_IDX);
	frame_length = 100;
	for (unsigned i = 0; i < net.rx.size; i++)
		deliver(BUFFER_SIZE, -1, 0);
	assert(next_available(RX) < 0);
	assert(virtio_net_poll(&net, BATCH + 1) == BATCH + 1);
	assert((uint16_t)(queues[RX]->avail->idx - seen[RX]) == BATCH);
}

static void one_frame(void)
{
	deliver(BUFFER_SIZE, -1, 0);
	assert(virtio_net_poll(&net, 64) == 1);
	if (virtio_net_flush(&net))
		virtio_net_notify(&net);
}

/* As QEMU does: for its receive queue it asks when that is empty. */
static void run_empty(void)
{
	while (queues[RX]->avail->idx != seen[RX])
		deliver(BUFFER_SIZE, -1, 0);
	*queues[RX]->avail_event = seen[RX];
}

/* Who runs out of buffers is notified of new ones, also 65,536 buffers after the last time. */
static void runs_out_rarely(void)
{
	start(VIRTIO_F_EVENT_IDX);
	frame_length = 100;
	run_empty();
	virtio_net_poll(&net, 1);
	if (virtio_net_flush(&net))
		virtio_net_notify(&net);
	unsigned before = notifications[RX];
	assert(before > 0);
	for (uint32_t i = 1; i < net.rx.size; i++) /* what was used then */
		virtio_net_poll(&net, 1);
	for (uint32_t i = net.rx.size; i < 65536; i++)
		one_frame();
	run_empty();
	virtio_net_poll(&net, BATCH);
	assert(notifications[RX] > before && notifications[RX] < before + 5);
}

/*
 * Whatever a frame takes, it is dropped if it is too long, or comes in too many pieces, and nothing is lost
 * by that: not one buffer.
 */
static void far_too_long(void)
{
	static const struct { size_t length; uint32_t piece; } frames[] = {
		{ 65535, BUFFER_SIZE },            /* by a tap device with the longest MTU */
		{ 8 * BUFFER_SIZE - 12, BUFFER_SIZE }, { 8 * BUFFER_SIZE - 11, BUFFER_SIZE },
		{ 1500, 168 },                     /* nine pieces of what is not too long */
		{ 256 * 100 - 12, 100 },           /* all that the queue has */
	};
	start(VIRTIO_NET_F_MRG_RXBUF | VIRTIO_F_EVENT_IDX);
	for (unsigned i = 0; i < 2000; i++) {
		unsigned dropped = (unsigned)net.dropped;
		frame_length = frames[i % 5].length;
		deliver(frames[i % 5].piece, -1, 0);
		assert(virtio_net_poll(&net, 64) == 1 && net.up && received == i);
		assert(net.dropped == dropped + 1);
		virtio_net_flush(&net);
		assert((uint16_t)(queues[RX]->avail->idx - seen[RX]) == net.rx.size);
		frame_length = 1500;
		deliver(214, -1, 0);               /* eight */
		assert(virtio_net_poll(&net, 64) == 1 && received == i + 1 && net.dropped == dropped + 1);
		virtio_net_flush(&net);
	}
	assert(!console[0]);
}

/* A device that interrupts while there are no queues, and one that does after it was given up. */
static void interrupts_out_of_time(void)
{
	interrupts_early = true;
	start(VIRTIO_F_EVENT_IDX);
	start(0);
	interrupts_early = false;
	struct virtio_net other;
	queue_max = 0;
	assert(virtio_net_start(&other, 0, &callbacks) == 1);
	interrupt_driver();
	queue_max = 256;
}

static void sizes(void)
{
	queue_max = 1024;
	total = 64 << 8;
	start(0);
	assert(net.rx.size == 1024);
	total = 32 << 8;
	start(0);
	assert(net.rx.size == 512);
	total = 4 << 8;
	start(0);
	assert(net.rx.size == 256);
	total = 1 << 16;
}

/* After each lie: one report, everything sent is given back, nothing more happens. */
static void caught(const char *what)
{
	virtio_net_poll(&net, 64);
	assert(!net.up && status & VIRTIO_STATUS_FAILED);
	if (!strstr(console, what))
		fprintf(stderr, "wanted \"%s\", got \"%s\"\n", what, console);
	assert(strncmp(console, "virtio-net: device broke the ring: ", 35) == 0);
	assert(strstr(console, what) && strchr(console, '\n') == console + strlen(console) - 1);
	assert(returned == posted);
	unsigned before = received;
	send_one();
	assert(virtio_net_poll(&net, 64) == 0 && !virtio_net_rearm(&net) && received == before);
	printf("caught: %s\n", what);
}

#define LIE(what, ...) \
	do { \
		start(VIRTIO_NET_F_MRG_RXBUF | VIRTIO_F_EVENT_IDX); \
		exact = false; \
		send_one(); \
		send_one(); \
		frame_length = 100; \
		__VA_ARGS__; \
		caught(what); \
	} while (0)

static void lies(void)
{
	LIE("used index beyond", queues[RX]->used->idx = 300);
	LIE("used index beyond", queues[RX]->used->idx = 0xffff);
	LIE("used index beyond", queues[TX]->used->idx = 3);
	LIE("used id outside", use(queues[RX], 256, 100));
	LIE("used id outside", use(queues[TX], UINT32_MAX, 0));
	LIE("used id that is not in flight", use(queues[TX], 200, 0));
	LIE("used id that is not in flight", use(queues[TX], 0, 0); use(queues[TX], 0, 0));
	LIE("used length beyond", use(queues[RX], 5, BUFFER_SIZE + 1));
	LIE("used length beyond", use(queues[TX], 0, 1));
	LIE("frame shorter than its header", use(queues[RX], 5, 11));
	LIE("impossible num_buffers", deliver(BUFFER_SIZE, 0, 0));
	LIE("impossible num_buffers", deliver(BUFFER_SIZE, 257, 0));
	LIE("num_buffers beyond what was used", deliver(BUFFER_SIZE, 2, 0));
	LIE("num_buffers beyond what was used", deliver(BUFFER_SIZE, VIRTIO_NET_PIECES + 1, 0));
	LIE("num_buffers beyond what was used", deliver(BUFFER_SIZE, 256, 0));
}

int main(void)
{
	queue_max = 256;
	honest(0);
	honest(VIRTIO_NET_F_MRG_RXBUF);
	honest(VIRTIO_F_EVENT_IDX | VIRTIO_NET_F_MRG_RXBUF);
	queue_max = 1024;
	honest(VIRTIO_F_EVENT_IDX);
	queue_max = 100; /* not a power of two: 64 are used */
	honest(VIRTIO_NET_F_MRG_RXBUF);
	sizes();
	queue_max = 256;
	full();
	full_again();
	too_few();
	not_deaf();
	a_quarter();
	others_are_quicker();
	refilled_on_the_way();
	runs_out_rarely();
	far_too_long();
	interrupts_out_of_time();
	lies();
	printf("PASS\n");
	return 0;
}
