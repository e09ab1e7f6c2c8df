/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Slots lie in chunks that stay, so whatever number a handle has can be looked at, without a lock. A slot's
 * word has its generation, whether it was closed, and how many references there are: one compare-and-swap
 * sees that it is the same still and takes a reference. When the last is left, the next generation begins.
 *
 * A handle has the generation above and the number below. Generations have their topmost bit set, and so
 * handles are addresses of nothing: whoever follows one faults.
 */
#include "net/handle.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>

#include "kernel/hart.h"
#include "kernel/spinlock.h"

#define CHUNK 256   /* slots: a page */
#define CHUNKS 4096
#define NONE UINT32_MAX

#define GENERATION_FIRST (UINT64_C(1) << 63)
#define GENERATION (UINT64_C(1) << 32) /* and the bits above */
#define CLOSED (UINT64_C(1) << 31)
#define REFERENCES (CLOSED - 1)

struct slot {
	_Atomic(uint64_t) word;
	union {
		void *object;
		uint32_t next_free; /* under `lock` */
	};
};

static _Atomic(struct slot *) chunks[CHUNKS];
static struct spinlock lock = SPINLOCK(LOCK_HANDLES);
static uint32_t first_free = NONE, chunk_count; /* under `lock` */

/* NULL: there is none of that number. */
static struct slot *slot_at(uint32_t number)
{
	if (number / CHUNK >= CHUNKS)
		return NULL;
	/* Acquire: pairs with the release in add_chunk(). */
	struct slot *chunk = load_acquire(&chunks[number / CHUNK]);
	return chunk != NULL ? &chunk[number % CHUNK] : NULL;
}

static struct slot *slot_of(const void *handle)
{
	return slot_at((uint32_t)(uintptr_t)handle);
}

static uint64_t generation_of(uint64_t word)
{
	return word & -GENERATION;
}

/* Locked. */
static void put_free(uint32_t number, struct slot *slot, uint64_t generation)
{
	atomic_store_explicit(&slot->word, generation | CLOSED, memory_order_relaxed);
	slot->next_free = first_free;
	first_free = number;
}

static bool add_chunk(void)
{
	struct slot *chunk;

	if (slot_at(CHUNK * CHUNKS - 1) != NULL || (chunk = handle_memory(CHUNK * sizeof(*chunk))) == NULL)
		return false;
	spin_lock(&lock);
	bool room = chunk_count < CHUNKS;
	if (room) {
		uint32_t first = chunk_count * CHUNK;
		for (uint32_t i = CHUNK; i-- > 0;)
			put_free(first + i, &chunk[i], GENERATION_FIRST);
		/* Release: pairs with the acquire in slot_at(). */
		atomic_store_explicit(&chunks[chunk_count++], chunk, memory_order_release);
	}
	spin_unlock(&lock);
	return room;
}

static uint32_t take_free(void)
{
	spin_lock(&lock);
	uint32_t number = first_free;
	if (number != NONE)
		first_free = slot_at(number)->next_free;
	spin_unlock(&lock);
	return number;
}

void *handle_new(void *object)
{
	uint32_t number;

	while ((number = take_free()) == NONE)
		if (!add_chunk())
			return NULL;
	struct slot *slot = slot_at(number);
	uint64_t generation = generation_of(load_relaxed(&slot->word));
	slot->object = object;
	/* Release: whoever is given the handle, or has guessed it, finds the object. */
	atomic_store_explicit(&slot->word, generation | 1, memory_order_release);
	return (void *)(uintptr_t)(generation | number);
}

/* Adds to the word of a handle that was not closed. */
static void *change(const void *handle, uint64_t what)
{
	struct slot *slot = slot_of(handle);
	uint64_t word = 0;

	if (slot != NULL)
		word = load_relaxed(&slot->word);
	do {
		if (word == 0 || word & CLOSED || generation_of(word) != generation_of((uintptr_t)handle)) {
			errno = EBADF;
			return NULL;
		}
		/* Acquire: pairs with the release in handle_new(). */
	} while (!atomic_compare_exchange_weak_explicit(&slot->word, &word, word + what, memory_order_acquire,
							memory_order_relaxed));
	return slot->object;
}

void *handle_enter(const void *handle)
{
	return change(handle, 1);
}

void *handle_close(const void *handle)
{
	return change(handle, CLOSED);
}

void handle_refer(const void *handle)
{
	atomic_fetch_add_explicit(&slot_of(handle)->word, 1, memory_order_relaxed);
}

bool handle_shared(const void *handle)
{
	return (load_relaxed(&slot_of(handle)->word) & REFERENCES) > 1;
}

bool handle_leave(const void *handle)
{
	struct slot *slot = slot_of(handle);
	/* Release what this call did, acquire what others did, before the last one frees it. */
	uint64_t word = atomic_fetch_sub_explicit(&slot->word, 1, memory_order_acq_rel);

	assert((word & REFERENCES) != 0 && "handle_leave: without a reference");
	if ((word & REFERENCES) > 1)
		return false;
	assert(word & CLOSED && "handle_leave: the program's own, before it closed");
	spin_lock(&lock);
	put_free((uint32_t)(uintptr_t)handle, slot, (generation_of(word) + GENERATION) | GENERATION_FIRST);
	spin_unlock(&lock);
	return true;
}
