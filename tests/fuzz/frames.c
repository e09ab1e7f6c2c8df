/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network is any frames, at any time, while a program of ours listens, reads and writes, or asks for a
 * name: of any contents, and, since random ones are not for us and have wrong checksums, also those that are
 * put right. What has been sent in between is seen, so that a peer can answer with the right numbers. The
 * device itself is honest.
 *
 * @with net lwip
 */
#include "net.h"

#include "drivers/virtio/net.h"
#include "lwip/inet_chksum.h"
#include "lwip/prot/ip.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "lwip/prot/tcp.h"
#include "lwip/prot/udp.h"
#include "netif/ethernet.h"
#include "net/net.h"

#define FRAME_MAX 2048
#define QUEUED 64

static struct virtio_net_callbacks callbacks;
static uint8_t frame[FRAME_MAX] __attribute__((aligned(8))), last_sent[FRAME_MAX];
static size_t frame_size;
static void *in_flight[QUEUED];
static unsigned in_flight_count;

/* ---- The device ---- */

int virtio_net_start(struct virtio_net *net, unsigned index, const struct virtio_net_callbacks *given)
{
	if (index > 0)
		return -1;
	static const uint8_t mac[] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
	memset(net, 0, sizeof(*net));
	callbacks = *given;
	memcpy(net->mac, mac, sizeof(mac));
	net->up = true;
	net->tx.size = 2 * QUEUED;
	in_flight_count = 0;
	frame_size = 0;
	memset(last_sent, 0, sizeof(last_sent));
	return 0;
}

unsigned virtio_net_poll(struct virtio_net *net, unsigned budget)
{
	while (in_flight_count > 0)
		callbacks.sent(in_flight[--in_flight_count]);
	net->tx.free_count = 2 * QUEUED;
	if (net->tx_full) {
		net->tx_full = false;
		callbacks.room(net);
	}
	if (frame_size == 0)
		return 0;
	uint8_t *exact = malloc(frame_size);
	memcpy(exact, frame, frame_size);
	struct virtq_piece pieces[2] = { { exact, (uint32_t)frame_size / 3 },
					 { exact + frame_size / 3, (uint32_t)(frame_size - frame_size / 3) } };
	callbacks.receive(net, pieces, 2, frame_size, false);
	free(exact);
	frame_size = 0;
	return 1;
}

bool virtio_net_send(struct virtio_net *net, const struct virtq_piece *pieces, unsigned count, uint16_t start,
		     uint16_t offset, void *cookie)
{
	if (in_flight_count == QUEUED) {
		net->tx_full = true;
		return false;
	}
	size_t at = 0;
	for (unsigned i = 0; i < count; i++) {
		FUZZ_CHECK(at + pieces[i].length <= FRAME_MAX);
		memcpy(last_sent + at, pieces[i].address, pieces[i].length);
		at += pieces[i].length;
	}
	FUZZ_CHECK(at >= VIRTIO_NET_HEADER + SIZEOF_ETH_HDR - ETH_PAD_SIZE && at <= VIRTIO_NET_HEADER + VIRTIO_NET_FRAME_MAX);
	memmove(last_sent, last_sent + VIRTIO_NET_HEADER, at - VIRTIO_NET_HEADER);
	in_flight[in_flight_count++] = cookie;
	net->tx.free_count = (uint16_t)(2 * (QUEUED - in_flight_count));
	sched_netpoll_ready();
	return true;
}

void virtio_net_tell_of_room(struct virtio_net *net, unsigned count)
{
	net->tx_full = true;
}

bool virtio_net_room(struct virtio_net *net, unsigned count)
{
	bool room = count <= 2 * (QUEUED - in_flight_count);

	if (!room)
		virtio_net_tell_of_room(net, count);
	return room;
}

bool virtio_net_rearm(struct virtio_net *net) { return false; }
bool virtio_net_pending(const struct virtio_net *net) { return false; }
bool virtio_net_flush(struct virtio_net *net) { return false; }
void virtio_net_notify(struct virtio_net *net) {}

/* ---- Frames ---- */

#define ETHERNET (SIZEOF_ETH_HDR - ETH_PAD_SIZE)

/* Of a pseudo header that begins at `addresses`, and what follows. */
static void fix_transport(uint8_t *addresses, size_t length, uint8_t protocol, uint8_t *at, size_t size)
{
	size_t where = protocol == IP_PROTO_TCP ? 16 : protocol == IP_PROTO_UDP ? 6 : 2;
	static uint8_t text[FRAME_MAX + 64] __attribute__((aligned(8)));

	if (size < where + 2)
		return;
	if (protocol == IP_PROTO_UDP)
		at[4] = (uint8_t)(size >> 8), at[5] = (uint8_t)size;
	at[where] = at[where + 1] = 0;
	memcpy(text, addresses, length);
	text[length] = 0;
	text[length + 1] = protocol;
	text[length + 2] = (uint8_t)(size >> 8);
	text[length + 3] = (uint8_t)size;
	memcpy(text + length + 4, at, size);
	if (protocol == IP_PROTO_ICMP)
		length = 0, memcpy(text, at, size);
	uint16_t sum = (uint16_t)~net_checksum(text, (int)(size + (length ? length + 4 : 0)));
	memcpy(at + where, &sum, 2);
}

static void fix_v4(uint8_t *ip, size_t size)
{
	size_t header = (size_t)(ip[0] & 15) * 4;
	static const uint8_t us[] = { 10, 0, 2, 15 }, peer[] = { 10, 0, 2, 2 };

	if (size < 20 || header < 20 || header > size)
		return;
	ip[2] = (uint8_t)(size >> 8);
	ip[3] = (uint8_t)size;
	memcpy(ip + 12, peer, 4);
	memcpy(ip + 16, us, 4);
	ip[10] = ip[11] = 0;
	uint16_t sum = (uint16_t)~net_checksum(ip, (int)header);
	memcpy(ip + 10, &sum, 2);
	fix_transport(ip + 12, 8, ip[9], ip + header, size - header);
}

static void fix_v6(uint8_t *ip, size_t size)
{
	if (size < 40)
		return;
	ip[4] = (uint8_t)((size - 40) >> 8);
	ip[5] = (uint8_t)(size - 40);
	fix_transport(ip + 8, 32, ip[6], ip + 40, size - 40);
}

/*
 * A segment that fits the last one which was sent: ports and numbers turned round. The input adds what it
 * likes to the numbers, up to a window's end, and has the flags, the window, options and data.
 */
static void answer(unsigned scale)
{
	const uint8_t *sent = last_sent + ETHERNET;
	uint8_t *ip = frame + ETHERNET, *tcp = ip + 20;
	uint32_t length = (uint32_t)(sent[2] << 8 | sent[3]), seq, ack;

	if (sent[0] != 0x45 || sent[9] != IP_PROTO_TCP || frame_size < ETHERNET + 40)
		return;
	ip[0] = 0x45;
	ip[6] = ip[7] = 0;
	ip[9] = IP_PROTO_TCP;
	memcpy(tcp, sent + 22, 2);
	memcpy(tcp + 2, sent + 20, 2);
	memcpy(&ack, sent + 24, 4);
	ack = lwip_htonl(lwip_ntohl(ack) + length - 20 - (uint32_t)(sent[32] >> 4) * 4 + ((sent[33] & 3) != 0) +
			 (uint32_t)(int8_t)tcp[8] * scale);
	memcpy(&seq, sent + 28, 4);
	seq = lwip_htonl(lwip_ntohl(seq) + (uint32_t)(int8_t)tcp[4] * scale);
	memcpy(tcp + 4, &seq, 4);
	memcpy(tcp + 8, &ack, 4);
}

enum { RAW, TYPED, ANSWER, TIME, SCARCE, KINDS };

static void world(void)
{
	unsigned kind = fuzz_8() % KINDS;
	size_t size = 0;

	if (kind == TIME) {
		now += (int64_t)fuzz_16() * 4 * MS;
		return;
	}
	if (kind == SCARCE)
		memory_is_scarce = !memory_is_scarce;
	uint8_t form = fuzz_8();
	size = fuzz_8() * (size_t)(form & 1 ? 8 : 1);
	if (size > fuzz_left())
		size = fuzz_left();
	if (size > FRAME_MAX)
		size = FRAME_MAX;
	memcpy(frame, fuzz_at, size);
	fuzz_at += size;
	frame_size = size;
	if (size >= ETHERNET && kind != RAW) {
		static const uint8_t to[] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 }, from[] = { 0x52, 0x55, 10, 0, 2, 2 };
		static const uint16_t types[] = { ETHTYPE_IP, ETHTYPE_IP, ETHTYPE_IPV6, ETHTYPE_ARP };
		uint16_t type = kind == ANSWER ? ETHTYPE_IP : types[(form >> 1) & 3];
		if (!(form & 8))
			memcpy(frame, to, 6);
		memcpy(frame + 6, from, 6);
		frame[12] = (uint8_t)(type >> 8);
		frame[13] = (uint8_t)type;
		if (kind == ANSWER)
			answer(form & 16 ? 128 : 1);
		if (type == ETHTYPE_IP)
			fix_v4(frame + ETHERNET, size - ETHERNET);
		else if (type == ETHTYPE_IPV6)
			fix_v6(frame + ETHERNET, size - ETHERNET);
	}
	now += MS;
	sched_netpoll_ready();
}
