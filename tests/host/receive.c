/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net/receive.c on this host: frames come in bursts of any size and are handed over a few at a time. They come
 * out as they went in, their contents and what the device said of their checksums; they take no more memory than
 * they may; and when the device is given up none is left.
 */
#include <stdio.h>
#include <stdlib.h>

#include "net/receive.c"

#define STEPS 2000
#define FROM 4 /* the byte of a frame with its number's first */
#define CHECK(condition) check(condition, #condition, __LINE__)

struct interface *interfaces[INTERFACES_MAX];
unsigned interface_count;

static size_t pages = 1 << 20;
static bool out_of_memory;
static unsigned alive; /* pbufs */
static struct interface net0;
static unsigned came, came_in, dropped; /* frames, by their numbers */
static size_t waiting[1 << 20];         /* lengths, by their numbers; 0: lost */

static void check(bool good, const char *what, int line)
{
	if (good)
		return;
	printf("FAIL line %d: %s\n", line, what);
	exit(1);
}

size_t pages_total(void)
{
	return pages;
}

struct pbuf *pbuf_alloc(pbuf_layer layer, u16_t length, pbuf_type type)
{
	struct pbuf *p = out_of_memory ? NULL : calloc(1, sizeof *p + length);
	if (p) {
		alive++;
		p->payload = p + 1;
	}
	return p;
}

u8_t pbuf_free(struct pbuf *p)
{
	alive--;
	free(p);
	return 1;
}

static size_t length_of(unsigned number)
{
	return 60 + number * 2654435761u % (VIRTIO_NET_FRAME_MAX - 60 + 1);
}

static bool is_good(unsigned number)
{
	return number % 3 == 0;
}

static bool is_cut(unsigned number) /* too short to be a frame, so it is dropped */
{
	return number % 50 == 49;
}

static err_t input(struct pbuf *p, struct netif *netif)
{
	unsigned number;
	while (waiting[came_in] == 0)
		came_in++;
	memcpy(&number, (char *)p->payload + ETH_PAD_SIZE + FROM, sizeof number);
	CHECK(number == came_in && p->tot_len == ETH_PAD_SIZE + length_of(number) && p->len == p->tot_len);
	CHECK(p->next == NULL && p->flags == 0);
	CHECK(netif->chksum_flags == (is_good(number) ? CHECK_NOT_TCP_UDP : CHECK_ALL));
	came_in++;
	if (number % 2)
		return ERR_VAL; /* refused: it is the caller's again */
	pbuf_free(p);
	return ERR_OK;
}

static void one_comes(void)
{
	static char frame[VIRTIO_NET_FRAME_MAX];
	unsigned cut = 20 + (unsigned)rand() % 20;
	size_t length = is_cut(came) ? 13 : length_of(came);
	memcpy(frame + FROM, &came, sizeof came);
	struct virtq_piece pieces[] = { { frame, length < cut ? (uint32_t)length : cut },
					{ frame + cut, length < cut ? 0 : (uint32_t)length - cut } };
	out_of_memory = rand() % 100 == 0;
	dropped += out_of_memory || is_cut(came);
	waiting[came] = out_of_memory || is_cut(came) ? 0 : length;
	receive(&net0.device, pieces, 2, length, is_good(came));
	came++;
}

static void bursts(void)
{
	for (int step = 0; step < STEPS; step++) {
		unsigned most = receive_most(&net0), burst = (unsigned)rand() % (rand() % 8 ? 100 : 3000);
		for (unsigned i = 0; i < burst && i < most; i++)
			one_comes();
		CHECK(net0.came.bytes <= pages / 32 * PAGE_SIZE + CAME_MAX * (ETH_PAD_SIZE + BEHIND));
		CHECK(net0.came.count <= CAME_MAX && alive == net0.came.count);
		unsigned budget = (unsigned)rand() % 200, before = net0.came.count;
		unsigned frames = receive_some(&net0, budget);
		CHECK(frames == (budget < before ? budget : before) && net0.came.count == before - frames);
		CHECK(net0.netif.chksum_flags == CHECK_NOT_TCP_UDP);
	}
	while (receive_some(&net0, 64) > 0)
		;
	CHECK(alive == 0 && net0.came.count == 0 && net0.came.bytes == 0);
	CHECK(net0.counts.received_frames + dropped == came && net0.counts.received_dropped == dropped);
}

int main(void)
{
	net0.netif.input = input;
	net0.generate = CHECK_ALL;
	receive_start(&net0);
	/* A whole ring of the device finds a place, and as much again; of little memory little is used. */
	CHECK(receive_most(&net0) >= 2 * VIRTQUEUE_SIZE_MAX);
	bursts();
	pages = 8 << 20 >> 12;
	CHECK(receive_most(&net0) > 0 && receive_most(&net0) <= (pages << 12) / 32 / VIRTIO_NET_FRAME_MAX);
	bursts();
	pages = 1 << 20;
	while (net0.came.count < 1000)
		one_comes();
	dropped += 1000;
	receive_nothing(&net0);
	CHECK(alive == 0 && net0.came.bytes == 0 && receive_some(&net0, 64) == 0);
	return 0;
}
