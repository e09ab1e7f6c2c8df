/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Internet checksum (RFC 1071): the ones' complement sum of 16-bit words in memory order, not
 * inverted. Eight bytes at a time: the sum of wider words, folded, is the same sum.
 */
#include <stdint.h>
#include <stdbool.h>

#include "lwip/opt.h"

static uint64_t add(uint64_t sum, uint64_t word)
{
	sum += word;
	return sum + (sum < word); /* the carry comes back in at the bottom */
}

uint16_t net_checksum(const void *data, int length)
{
	const uint8_t *at = data;
	uint64_t sum = 0;
	bool odd = (uintptr_t)at & 1;

	if (length <= 0)
		return 0;
	if (odd) { /* one byte late: every byte is in the other half of its word, until the end */
		sum = (uint64_t)*at++ << 8;
		length--;
	}
	for (; ((uintptr_t)at & 7) && length >= 2; at += 2, length -= 2)
		sum = add(sum, *(const uint16_t *)(const void *)at);
	for (; length >= 32; at += 32, length -= 32) {
		const uint64_t *words = (const void *)at;
		sum = add(add(sum, words[0]), words[1]);
		sum = add(add(sum, words[2]), words[3]);
	}
	for (; length >= 8; at += 8, length -= 8)
		sum = add(sum, *(const uint64_t *)(const void *)at);
	for (; length >= 2; at += 2, length -= 2)
		sum = add(sum, *(const uint16_t *)(const void *)at);
	if (length)
		sum = add(sum, *at);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)(odd ? (sum & 0xff) << 8 | sum >> 8 : sum);
}
