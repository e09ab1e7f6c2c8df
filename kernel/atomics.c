/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the compiler calls for C11 atomics that the machine has no instructions for, since there is no
 * libatomic: on riscv64 those of one and two bytes, which are done on the word around them;
 * everywhere those that are larger than a word, under one of a few spin locks. All are sequentially
 * consistent, whatever is asked.
 *
 * The compiler knows these names as built-in functions of its own, hence the assembler names.
 */
#include <fenv.h>
#include <string.h>

#include "kernel/hart.h"

#define NAMED(name) __asm__("__atomic_" #name)

/* ---- Parts of a word. An object's size divides its address, so it lies in one. Little-endian. ---- */

enum op { EXCHANGE, ADD, SUB, AND, OR, XOR, NAND };

static uint32_t apply(enum op op, uint32_t old, uint32_t value)
{
	switch (op) {
	case ADD: return old + value;
	case SUB: return old - value;
	case AND: return old & value;
	case OR: return old | value;
	case XOR: return old ^ value;
	case NAND: return ~(old & value);
	default: return value;
	}
}

static uint32_t *word_around(volatile void *at, unsigned *shift)
{
	*shift = (unsigned)((uintptr_t)at & 3) * 8;
	return (uint32_t *)((uintptr_t)at & ~(uintptr_t)3);
}

static uint32_t update(volatile void *at, uint32_t mask, enum op op, uint32_t value)
{
	unsigned shift;
	uint32_t *word = word_around(at, &shift);
	uint32_t old = __atomic_load_n(word, __ATOMIC_RELAXED), new;

	do
		new = (old & ~(mask << shift)) | (apply(op, old >> shift & mask, value) & mask) << shift;
	while (!__atomic_compare_exchange_n(word, &old, new, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
	return old >> shift & mask;
}

/* What was there; it is replaced only if that is `want`. */
static uint32_t replace_if(volatile void *at, uint32_t mask, uint32_t want, uint32_t value)
{
	unsigned shift;
	uint32_t *word = word_around(at, &shift);
	uint32_t old = __atomic_load_n(word, __ATOMIC_SEQ_CST);

	while ((old >> shift & mask) == want &&
	       !__atomic_compare_exchange_n(word, &old, (old & ~(mask << shift)) | value << shift, true,
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
	return old >> shift & mask;
}

#define UPDATE(name, op, type, size) \
	type part_##name##_##size(volatile void *at, type value, int order) NAMED(name##_##size); \
	type part_##name##_##size(volatile void *at, type value, int order) \
	{ \
		(void)order; \
		return (type)update(at, (type)-1, op, value); \
	}

#define PARTS(type, size) \
	UPDATE(exchange, EXCHANGE, type, size) \
	UPDATE(fetch_add, ADD, type, size) \
	UPDATE(fetch_sub, SUB, type, size) \
	UPDATE(fetch_and, AND, type, size) \
	UPDATE(fetch_or, OR, type, size) \
	UPDATE(fetch_xor, XOR, type, size) \
	UPDATE(fetch_nand, NAND, type, size) \
	bool part_cas_##size(volatile void *at, type *want, type value, bool weak, int order, int failed) \
		NAMED(compare_exchange_##size); \
	bool part_cas_##size(volatile void *at, type *want, type value, bool weak, int order, int failed) \
	{ \
		type wanted = *want; \
		(void)weak, (void)order, (void)failed; \
		*want = (type)replace_if(at, (type)-1, wanted, value); \
		return *want == wanted; \
	}

PARTS(uint8_t, 1)
PARTS(uint16_t, 2)

/* ---- Larger than a word ---- */

static struct spinlock locks[16] = { [0 ... 15] = SPINLOCK(LOCK_LIBC) };

static struct spinlock *lock_of(const volatile void *at)
{
	return &locks[(uintptr_t)at / 16 % 16];
}

void large_load(size_t size, const void *at, void *value, int order) NAMED(load);
void large_load(size_t size, const void *at, void *value, int order)
{
	(void)order;
	spin_lock(lock_of(at));
	memcpy(value, at, size);
	spin_unlock(lock_of(at));
}

void large_exchange(size_t size, void *at, const void *value, void *old, int order) NAMED(exchange);
void large_exchange(size_t size, void *at, const void *value, void *old, int order)
{
	char *there = at, *was = old;
	const char *new = value;

	(void)order;
	spin_lock(lock_of(at));
	for (size_t i = 0; i < size; i++) { /* byte by byte: old may be value */
		char byte = there[i];
		there[i] = new[i];
		if (was != NULL)
			was[i] = byte;
	}
	spin_unlock(lock_of(at));
}

void large_store(size_t size, void *at, const void *value, int order) NAMED(store);
void large_store(size_t size, void *at, const void *value, int order)
{
	large_exchange(size, at, value, NULL, order);
}

bool large_cas(size_t size, void *at, void *want, const void *value, int order, int failed)
	NAMED(compare_exchange);
bool large_cas(size_t size, void *at, void *want, const void *value, int order, int failed)
{
	(void)order, (void)failed;
	spin_lock(lock_of(at));
	bool same = memcmp(at, want, size) == 0;
	if (same)
		memcpy(at, value, size);
	else
		memcpy(want, at, size);
	spin_unlock(lock_of(at));
	return same;
}

typedef unsigned __int128 pair;

pair pair_load(const void *at, int order) NAMED(load_16);
pair pair_load(const void *at, int order)
{
	pair value;
	large_load(sizeof(value), at, &value, order);
	return value;
}

void pair_store(void *at, pair value, int order) NAMED(store_16);
void pair_store(void *at, pair value, int order)
{
	large_store(sizeof(value), at, &value, order);
}

pair pair_exchange(void *at, pair value, int order) NAMED(exchange_16);
pair pair_exchange(void *at, pair value, int order)
{
	pair old;
	large_exchange(sizeof(value), at, &value, &old, order);
	return old;
}

bool pair_cas(void *at, pair *want, pair value, bool weak, int order, int failed) NAMED(compare_exchange_16);
bool pair_cas(void *at, pair *want, pair value, bool weak, int order, int failed)
{
	(void)weak;
	return large_cas(sizeof(value), at, want, &value, order, failed);
}

#define PAIR_UPDATE(name, op) \
	pair pair_##name(void *at, pair value, int order) NAMED(name##_16); \
	pair pair_##name(void *at, pair value, int order) \
	{ \
		(void)order; \
		spin_lock(lock_of(at)); \
		pair old = *(pair *)at; \
		*(pair *)at = op; \
		spin_unlock(lock_of(at)); \
		return old; \
	}

PAIR_UPDATE(fetch_add, old + value)
PAIR_UPDATE(fetch_sub, old - value)
PAIR_UPDATE(fetch_and, old & value)
PAIR_UPDATE(fetch_or, old | value)
PAIR_UPDATE(fetch_xor, old ^ value)
PAIR_UPDATE(fetch_nand, ~(old & value))

bool is_lock_free(size_t size, const volatile void *at) NAMED(is_lock_free);
bool is_lock_free(size_t size, const volatile void *at)
{
	return (size == 1 || size == 2 || size == 4 || size == 8) && (uintptr_t)at % size == 0;
}

/* After `atomic_double += x`: the exceptions of the addition that counted. */
void raise_exceptions(int exceptions) NAMED(feraiseexcept);
void raise_exceptions(int exceptions)
{
	feraiseexcept(exceptions);
}
