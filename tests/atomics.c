/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * C11 atomics of every size, from goroutines on all harts: those of one and two bytes, their neighbours in
 * the same word, those larger than a word, floating point.
 *
 * @test
 */
#include <stdatomic.h>

#include "test.h"

#define GOROUTINES 8
#define ROUNDS 2000

static struct {
	_Atomic(uint8_t) bytes[4];
	_Atomic(uint16_t) halves[2];
} near;
static _Atomic(bool) taken;
static int guarded;
static _Atomic(double) sum;
static struct pair {
	uint64_t low, high;
} zero_pair;
static _Atomic(struct pair) pair;
static struct triple {
	uint64_t words[3];
} zero_triple;
static _Atomic(struct triple) triple;
static go_waitgroup all;

static void add_up(void *which)
{
	int i = (int)(intptr_t)which;
	for (int round = 0; round < ROUNDS; round++) {
		near.bytes[i % 4]++;
		near.halves[i % 2] += 3;
		sum += 0.5;
		while (atomic_exchange(&taken, true))
			go_yield();
		guarded++;
		atomic_store(&taken, false);
		struct pair old = atomic_load(&pair), new;
		do
			new = (struct pair){ old.low + 1, old.high - 1 };
		while (!atomic_compare_exchange_weak(&pair, &old, new));
		struct triple three = atomic_load(&triple), next;
		do
			next = (struct triple){ { three.words[0] + 1, three.words[1] + 2, three.words[2] + 3 } };
		while (!atomic_compare_exchange_strong(&triple, &three, next));
	}
	go_waitgroup_done(&all);
}

static void every_size(void)
{
	atomic_store(&pair, zero_pair);
	atomic_store(&triple, zero_triple);
	go_waitgroup_add(&all, GOROUTINES);
	for (intptr_t i = 0; i < GOROUTINES; i++)
		go(add_up, (void *)i);
	go_waitgroup_wait(&all);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(near.bytes[i], (uint8_t)(GOROUTINES / 4 * ROUNDS));
	for (int i = 0; i < 2; i++)
		CHECK_EQ(near.halves[i], GOROUTINES / 2 * ROUNDS * 3);
	CHECK_EQ(guarded, GOROUTINES * ROUNDS);
	CHECK(sum == GOROUTINES * ROUNDS * 0.5);
	struct pair two = atomic_load(&pair);
	CHECK_EQ(two.low, GOROUTINES * ROUNDS);
	CHECK_EQ(two.low + two.high, 0);
	struct triple three = atomic_load(&triple);
	CHECK_EQ(three.words[2], 3 * GOROUTINES * ROUNDS);
}

static void operations_on_bytes(void)
{
	static _Atomic(uint8_t) b[3] = { 0xff, 0x5a, 0xff };
	uint8_t want = 1;
	CHECK_EQ(atomic_fetch_sub(&b[1], 0x5b), 0x5a);
	CHECK_EQ(atomic_fetch_and(&b[1], 0xf0), 0xff);
	CHECK_EQ(atomic_fetch_or(&b[1], 0x0c), 0xf0);
	CHECK_EQ(atomic_fetch_xor(&b[1], 0xff), 0xfc);
	CHECK(!atomic_compare_exchange_strong(&b[1], &want, 9));
	CHECK_EQ(want, 3);
	CHECK(atomic_compare_exchange_strong(&b[1], &want, 9));
	CHECK_EQ(atomic_exchange(&b[1], 8), 9);
	CHECK_EQ(b[0], 0xff);
	CHECK_EQ(b[1], 8);
	CHECK_EQ(b[2], 0xff);
}

static void old_value_over_the_new_one(void)
{
	static struct triple at = { { 1, 2, 3 } };
	struct triple both = { { 7, 8, 9 } };

	__atomic_exchange(&at, &both, &both, __ATOMIC_SEQ_CST);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(at.words[i], 7 + i);
		CHECK_EQ(both.words[i], 1 + i);
	}
}

static void operations_on_pairs_of_words(void)
{
	static _Atomic(__int128) pair;
	__int128 high = (__int128)1 << 64;

	CHECK(atomic_fetch_add(&pair, high + 5) == 0);
	CHECK(atomic_fetch_sub(&pair, 3) == high + 5);
	CHECK(atomic_fetch_or(&pair, high << 1) == high + 2);
	CHECK(atomic_fetch_and(&pair, 3 * high) == 3 * high + 2);
	CHECK(atomic_fetch_xor(&pair, high + 1) == 3 * high);
	CHECK(pair == 2 * high + 1);
}

static void what_takes_no_lock(void)
{
	static _Atomic(struct triple) large;
	static _Atomic(uint64_t) word;

	CHECK(!atomic_is_lock_free(&large));
	CHECK(atomic_is_lock_free(&word));
}

int main(int argc, char **argv)
{
	TESTS(TEST(every_size), TEST(operations_on_bytes), TEST(old_value_over_the_new_one),
	      TEST(operations_on_pairs_of_words), TEST(what_takes_no_lock));
	return test_main(argc, argv, tests);
}
