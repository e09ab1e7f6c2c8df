/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lock order, and what the build with checks makes of it.
 *
 * A lock may be taken only while all that the hart holds have lower ranks: those above it in the list below.
 * Only channels are taken several at a time (go_select), and timer heaps (go_maxprocs), by rising address.
 *
 * With GUMP_CHECKS each hart keeps a list of the locks that it holds (lockrank.c). Taking one out of order,
 * one that has no rank, or one that the hart holds already, releasing one that it does not hold, or keeping
 * one while it runs another goroutine or sleeps ends the machine with the names of the locks concerned.
 * Without, all of this is nothing: no code, no data.
 */
#ifndef KERNEL_LOCKRANK_H
#define KERNEL_LOCKRANK_H

enum lock_rank {
	LOCK_UNRANKED,
	LOCK_NET,        /* net/lock.c: all of lwIP; hosted, a socket's */
	LOCK_HANDLES,    /* net/handle.c: free slots */
	LOCK_CHANNEL,
	LOCK_SEMA_ROOT,  /* sched/sema.c: one of the table that mutexes and wait groups sleep in */
	LOCK_COND,       /* go_cond, go_sem */
	LOCK_SCHED,      /* sched.lock: global queue, idle sets */
	LOCK_TIMERS,     /* a P's timer heap. Under sched.lock only for the deadlock report */
	LOCK_GFREE,      /* the global pool of dead Gs */
	LOCK_DEVICE,     /* an interrupt controller's registers */
	LOCK_HANDLERS,   /* x86_64's table of interrupt handlers */
	LOCK_LIBC,       /* atexit's list, the environment, atomics larger than a word */
	LOCK_HEAP,       /* a size class of malloc */
	LOCK_STACKS,     /* free stacks of one size */
	LOCK_CONSOLE,
	/* a page fault may come under any before it, for a new page, and under this for a hidden one */
	LOCK_PAGES,
	LOCK_VM,         /* the page tables of stacks */
	LOCK_RANKS,
};

struct spinlock;

/*
 * The rank stands in the upper half of the lock's word, so that the locks inside public objects (go_cond)
 * have one, too, and are still valid when zeroed: whoever takes them ranks them first.
 */
#if GUMP_CHECKS
#define SPINLOCK(rank) { (uint32_t)(rank) << 16 } /* a free lock: an initialiser */
void lockrank_set(struct spinlock *lock, enum lock_rank rank);
uint32_t lockrank_bits(struct spinlock *lock);    /* the word of that lock when it is free */
void lockrank_wanted(struct spinlock *lock);      /* before the wait for it */
void lockrank_waited(struct spinlock *lock, int64_t *since); /* again and again meanwhile */
void lockrank_taken(struct spinlock *lock);
void lockrank_released(struct spinlock *lock);
/* Nothing may be held here, and locks is `locks`; `where` is for the report. */
void lockrank_none_held(const char *where, unsigned locks);
#else
#define SPINLOCK(rank) { 0 }
static inline void lockrank_set(struct spinlock *lock, enum lock_rank rank) { (void)lock; (void)rank; }
static inline uint32_t lockrank_bits(struct spinlock *lock) { (void)lock; return 0; }
static inline void lockrank_wanted(struct spinlock *lock) { (void)lock; }
static inline void lockrank_waited(struct spinlock *lock, int64_t *since) { (void)lock; (void)since; }
static inline void lockrank_taken(struct spinlock *lock) { (void)lock; }
static inline void lockrank_released(struct spinlock *lock) { (void)lock; }
static inline void lockrank_none_held(const char *where, unsigned locks) { (void)where; (void)locks; }
#endif

#endif
