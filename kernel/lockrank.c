/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What each hart holds, for the build with checks: see lockrank.h.
 *
 * A hart's list is its own: `locks` > 0 while it is not empty, so nobody is preempted in between. The
 * page-fault handler takes a lock on top of whatever it interrupted, the writing of this list included: so a
 * place in it is counted before it is filled, and is empty when it is not counted.
 */
#include "kernel/hart.h"

#define HELD_MAX 1024 /* a select locks all its channels: of larger ones, some */
#define STUCK_NS INT64_C(20000000000)

static struct held {
	unsigned count;
	unsigned unknown; /* more, not kept */
	struct spinlock *locks[HELD_MAX];
} held[HARTS_MAX];

static _Atomic(bool) over; /* a report is under way: it may take what it needs */

static const char *const names[LOCK_RANKS] = {
	[LOCK_UNRANKED] = "a lock without a rank",
	[LOCK_NET] = "net lock",
	[LOCK_HANDLES] = "free handles",
	[LOCK_CHANNEL] = "channel",
	[LOCK_SEMA_ROOT] = "semaphore root",
	[LOCK_COND] = "go_cond or go_sem",
	[LOCK_SCHED] = "sched.lock",
	[LOCK_TIMERS] = "timer heap",
	[LOCK_GFREE] = "pool of dead Gs",
	[LOCK_DEVICE] = "interrupt controller",
	[LOCK_HANDLERS] = "interrupt handlers",
	[LOCK_LIBC] = "C library",
	[LOCK_HEAP] = "heap",
	[LOCK_STACKS] = "stacks",
	[LOCK_CONSOLE] = "console",
	[LOCK_PAGES] = "pages",
	[LOCK_VM] = "page tables",
};

static enum lock_rank rank_of(struct spinlock *lock)
{
	uint32_t rank = lockrank_bits(lock) >> 16;
	return rank < LOCK_RANKS ? (enum lock_rank)rank : LOCK_UNRANKED;
}

static const char *name(struct spinlock *lock)
{
	return names[rank_of(lock)];
}

static bool checking(void)
{
	return !load_relaxed(&over);
}

#define fail(...) (atomic_store(&over, true), hart_fatal(__VA_ARGS__))

void lockrank_set(struct spinlock *lock, enum lock_rank rank)
{
	uint32_t bits = (uint32_t)rank << 16;
	if (lockrank_bits(lock) != bits)
		atomic_fetch_or_explicit(&lock->owner, bits, memory_order_relaxed);
}

uint32_t lockrank_bits(struct spinlock *lock)
{
	return load_relaxed(&lock->owner) & 0xffff0000;
}

void lockrank_wanted(struct spinlock *lock)
{
	struct held *h = &held[hart_self()->id];
	enum lock_rank rank = rank_of(lock);

	if (!checking())
		return;
	if (hart_self()->locks == 0 && hart_self()->in_trap == 0)
		fail("lock order: %s %p is wanted with locks == 0", name(lock), (void *)lock);
	if (rank == LOCK_UNRANKED)
		fail("lock order: %p has no rank", (void *)lock);
	if (spin_held_here(lock))
		fail("lock order: %s %p is wanted again by its holder", name(lock), (void *)lock);
	for (unsigned i = 0; i < h->count; i++) {
		struct spinlock *other = h->locks[i];
		bool after = other == NULL || rank_of(other) < rank ||
			     ((rank == LOCK_CHANNEL || rank == LOCK_TIMERS) &&
			      rank_of(other) == rank && other < lock);
		if (!after)
			fail("lock order: %s %p is wanted while %s %p is held", name(lock), (void *)lock,
			     name(other), (void *)other);
	}
}

void lockrank_waited(struct spinlock *lock, int64_t *since)
{
	int64_t now = hart_now();

	if (*since == 0)
		*since = now;
	if (checking() && now - *since > STUCK_NS)
		fail("%s %p is held by hart %d for 20 s", name(lock), (void *)lock,
		     (int)(lock->owner & 0xffff) - 1);
}

void lockrank_taken(struct spinlock *lock)
{
	struct held *h = &held[hart_self()->id];
	unsigned at = h->count;

	if (at == HELD_MAX) {
		h->unknown++;
		return;
	}
	h->count = at + 1;
	atomic_signal_fence(memory_order_seq_cst);
	h->locks[at] = lock;
}

void lockrank_released(struct spinlock *lock)
{
	struct held *h = &held[hart_self()->id];
	unsigned at = h->count;

	while (at > 0 && h->locks[at - 1] != lock)
		at--;
	if (at == 0 && h->unknown != 0) {
		h->unknown--;
		return;
	}
	if (at == 0) {
		if (checking())
			fail("lock order: %s %p is released, but not held here", name(lock), (void *)lock);
		return;
	}
	for (; at < h->count; at++)
		h->locks[at - 1] = h->locks[at];
	h->locks[h->count - 1] = NULL;
	atomic_signal_fence(memory_order_seq_cst);
	h->count--;
}

void lockrank_none_held(const char *where, unsigned locks)
{
	struct held *h = &held[hart_self()->id];

	if (!checking())
		return;
	if (h->count != 0)
		fail("lock order: %s %p is held at %s", name(h->locks[h->count - 1]),
		     (void *)h->locks[h->count - 1], where);
	if (hart_self()->locks != locks)
		fail("lock order: locks is %u at %s", (unsigned)hart_self()->locks, where);
}
