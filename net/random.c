/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SipHash-2-4 (Aumasson and Bernstein) keyed with the machine's random seed: of a counter for
 * random numbers, of a connection's addresses for its first sequence number (RFC 6528), to
 * which the clock is added so that a later connection of the same pair starts higher.
 */
#include "net/random.h"

#include <string.h>

#include "kernel/machine.h"
#include "lwip/opt.h"
#include "lwip_hooks.h"

static uint64_t key[2];

static uint64_t rotate(uint64_t x, unsigned n)
{
	return x << n | x >> (64 - n);
}

static void round_(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] = rotate(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] = rotate(v[2], 32);
}

static uint64_t siphash(const uint64_t *words, unsigned count)
{
	uint64_t v[4] = { key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
			  key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573 };
	for (unsigned i = 0; i <= count; i++) {
		/* The last word is the length in bytes, in the top byte. */
		uint64_t word = i < count ? words[i] : (uint64_t)count * 8 << 56;
		v[3] ^= word;
		round_(v);
		round_(v);
		v[0] ^= word;
	}
	v[2] ^= 0xff;
	for (unsigned i = 0; i < 4; i++)
		round_(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void net_random_init(void)
{
	key[0] = machine.random_seed[0] ^ machine.random_seed[2];
	key[1] = machine.random_seed[1] ^ machine.random_seed[3] ^ (uint64_t)hart_now();
}

uint32_t net_random(void)
{
	static uint64_t counter;
	uint64_t word = ++counter;
	return (uint32_t)siphash(&word, 1);
}

static unsigned put_address(uint64_t *words, const ip_addr_t *address)
{
	if (IP_IS_V6(address)) {
		memcpy(words, ip_2_ip6(address)->addr, 16);
		return 2;
	}
	words[0] = ip_2_ip4(address)->addr;
	return 1;
}

u32_t net_tcp_isn(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote,
		  u16_t remote_port)
{
	uint64_t words[5];
	unsigned count = put_address(words, local);
	count += put_address(words + count, remote);
	words[count++] = (uint64_t)local_port << 16 | remote_port;
	/* One step in 4 us, as RFC 6528 has it. */
	return (u32_t)siphash(words, count) + (u32_t)(hart_now() / 4000);
}
