/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network device lies: between any two polls, and just before any word that the driver reads of
 * memory which they share, it moves the used indices anywhere, returns any id with any length, changes
 * entries it has written already, the descriptors and the available rings, writes any bytes into the
 * buffers that it was given, headers with any number of buffers, and interrupts for nothing. While it
 * does, the network's code runs on top of the driver with a program that waits for connections. The
 * features it offers are the input's, too.
 *
 * The compiler calls __sanitizer_cov_load...() before each load in the driver (tests/lib/fuzzing.py), so what
 * is read twice may differ.
 *
 * What it may not do is to write elsewhere: that is a matter of the machine's I/O memory management.
 *
 * @with net lwip drivers/virtio/net.c drivers/virtio/queue.c drivers/virtio/virtio.c
 */
#include "net.h"

#include "drivers/virtio/net.h"
#include "tests/host/virtio_device.h"

#define FRAME_PLACE 12 /* behind virtio's header */

bool virtio_mmio_find(unsigned id, unsigned *index, struct virtio_device *device)
{
	static const uint16_t sizes[] = { 4, 8, 256, 0, 7, 1024, 1, 2 };
	if (*index > 0)
		return false;
	unsigned start = fuzz_8();

	device_fill(device, "liar");
	offered = (uint64_t)(start & 8 ? 0 : 1) << 32 | (uint64_t)(start & 16 ? 1 : 0) << 29 | fuzz_16();
	queue_max = sizes[start & 7];
	status = 0;
	memset(queues, 0, sizeof(queues));
	memset(seen, 0, sizeof(seen));
	return true;
}

/* The next buffer in its turn: the receiver's with a frame of ours in it, the sender's is given back. */
static void honest(unsigned index)
{
	const struct virtqueue *q = queues[index];
	uint32_t size = 0;
	int next = next_available(index);

	if (next < 0)
		return;
	unsigned id = (unsigned)next & (q->size - 1); /* what it lied about before */
	if (index == 0) {
		char *buffer = (char *)(uintptr_t)q->chain[id].cookie;
		size = fuzz_8() * (uint32_t)8;
		if (size > q->chain[id].writable || q->chain[id].count == 0)
			return;
		memset(buffer, 0, size);
		if (size >= 12)
			buffer[0] = (char)fuzz_8(), buffer[1] = (char)(fuzz_8() & 1), buffer[10] = (char)fuzz_8();
		for (uint32_t i = FRAME_PLACE; i < size && fuzz_left() > 0; i++)
			buffer[i] = (char)fuzz_8();
	}
	use(q, id, size);
}

/* The buffer of a chain that is posted, or was. */
static uint8_t *buffer_of(const struct virtqueue *q, unsigned id)
{
	static uint8_t none[FRAME_PLACE];
	return q == queues[0] && q->chain[id].cookie ? q->chain[id].cookie : none;
}

static void lie(const struct virtqueue *q)
{
	switch (fuzz_8() % 10) {
	case 0: q->used->idx = (uint16_t)(q->used->idx + (int8_t)fuzz_8()); break;
	case 1: q->used->idx = fuzz_16(); break;
	case 2: q->used->ring[fuzz_8() % q->size].id = fuzz_32(); break;
	case 3: q->used->ring[fuzz_8() % q->size].len = fuzz_32(); break;
	case 4: q->desc[fuzz_8() % q->size] = (struct virtq_desc){ fuzz_32(), fuzz_32(), fuzz_16(), fuzz_16() }; break;
	case 5: q->avail->ring[fuzz_8() % q->size] = fuzz_16(); break;
	case 6: q->used->flags = *q->avail_event = fuzz_16(); break;
	case 7: use(q, fuzz_8(), fuzz_16()); break;
	case 8: use(q, fuzz_32(), fuzz_32()); break;
	case 9: buffer_of(q, fuzz_8() % q->size)[fuzz_8() % FRAME_PLACE] = fuzz_8(); break;
	}
}

static void world(void)
{
	const struct virtqueue *q = queues[fuzz_8() & 1];
	unsigned what = fuzz_8() % 4;

	polling_is_due = true;
	now += MS;
	if (!q || !q->block)
		return;
	if (what == 0)
		lie(q);
	else if (what == 1)
		now += fuzz_16() * 4 * MS;
	else
		honest(q == queues[1]);
	interrupt_driver();
}

/* ---- While the driver reads ---- */

static bool within(const void *address, const volatile void *start, const volatile void *end)
{
	return (uintptr_t)address >= (uintptr_t)start && (uintptr_t)address < (uintptr_t)end;
}

/* Most reads are left alone, so that the driver gets on. */
static void before_load(const void *address)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct virtqueue *q = queues[i];
		if (q == NULL || q->block == NULL || fuzz_left() == 0)
			continue;
		bool header = i == 0 && q->chain[0].cookie && within(address, buffer_of(q, 0), buffer_of(q, 0) + FRAME_PLACE);
		if ((header || within(address, q->block, q->chain)) && fuzz_8() % 8 == 0)
			lie(q);
	}
}

void __sanitizer_cov_load1(uint8_t *address);
void __sanitizer_cov_load2(uint16_t *address);
void __sanitizer_cov_load4(uint32_t *address);
void __sanitizer_cov_load8(uint64_t *address);
void __sanitizer_cov_load16(__int128 *address);

void __sanitizer_cov_load1(uint8_t *address) { before_load(address); }
void __sanitizer_cov_load2(uint16_t *address) { before_load(address); }
void __sanitizer_cov_load4(uint32_t *address) { before_load(address); }
void __sanitizer_cov_load8(uint64_t *address) { before_load(address); }
void __sanitizer_cov_load16(__int128 *address) { before_load(address); }
