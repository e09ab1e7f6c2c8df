/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gump: goroutines, time, channels, select, synchronisation, panics.
 *
 * A program is ordinary C. `int main(int argc, char **argv)` is the first goroutine; when it
 * returns, the machine is switched off with that status, whatever else still runs.
 *
 * Rules that hold everywhere:
 * - Times are int64_t nanoseconds of the monotonic clock since boot. A deadline is a point in
 *   time; GO_NOW never waits, GO_FOREVER always does.
 * - A mistake in the program panics, as in Go ("send on closed channel"). What the world can do
 *   to a correct program is returned: -1 or NULL, with errno set. errno belongs to the goroutine.
 * - go_mutex, go_timer and the other types whose members are visible here are valid when
 *   zeroed, need no destructor, and must not be copied after first use. Members whose names end
 *   in an underscore are the implementation's.
 * - There are no thread-local variables (_Thread_local): what belongs to a goroutine lies on its
 *   stack, or behind its argument.
 * - "Blocks" means that the goroutine waits while its hart runs others.
 * - What a goroutine prints comes out by lines, so that no two mix: with a newline, after 240 bytes,
 *   at fflush(stdout), and when the goroutine ends.
 */
#ifndef GUMP_H
#define GUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Seen from C++ the members that are the implementation's are plain: same size, same place. */
#ifdef __cplusplus
#define GO_ATOMIC_(type) type
extern "C" {
#else
#define GO_ATOMIC_(type) __extension__ _Atomic(type)
#endif

#define GO_NOW ((int64_t)0)
#define GO_FOREVER INT64_MAX

/* ---- Goroutines ---- */

/* Starts fn(arg) as a goroutine. Does not block. Panics when out of memory, or fn is NULL. */
void go(void (*fn)(void *), void *arg);

struct go_attr {
	/*
	 * Bytes; 0 = 256 KiB, which is also the least; at most 1 GiB; rounded up to a power of two.
	 * Costs only what is touched. Below it lies a guard, of 64 KiB for the least size, else as long as
	 * the stack: an overflow that touches it ends the machine. So does one that steps over it at once, by
	 * a larger array, as soon as it touches what nobody uses, or is preempted: it may have written
	 * to another stack by then. Hosted, the guard is a quarter of the stack, from 64 KiB to 1 MiB, and
	 * large frames touch each page.
	 */
	size_t stack_max;
	const char *name; /* for traces and the debugger only; must stay valid */
};

/* As go(), but 0, or -1 with ENOMEM or EINVAL (stack_max too large). attr may be NULL, fn may not. */
int go_try(void (*fn)(void *), void *arg, const struct go_attr *attr);

/*
 * Lets others run: this goroutine goes behind all in its hart's queue, or, if any wait in the global queue,
 * behind those. Returns at once if there is nothing else to run.
 */
void go_yield(void);

/*
 * Runs the deferred calls and ends this goroutine. In main's goroutine the others go on, and
 * the machine ends when all are asleep ("no goroutines (main called go_exit) - deadlock!").
 */
__attribute__((__noreturn__)) void go_exit(void);

/*
 * How many harts run goroutines at a time. n < 1 only asks; more than go_harts() means
 * go_harts(). Answers the old value. Stops the world to change it. Ends the machine when there is
 * no memory for the timers of Ps that go.
 */
int go_maxprocs(int n);
int go_harts(void); /* harts of the machine */
int go_hart(void);  /* the hart that this runs on, 0 .. go_harts() - 1; stale as soon as it is read */
int go_count(void); /* goroutines that exist now */

/*
 * Ties this goroutine to its hart and the hart to it, as LockOSThread. They nest. The hart runs
 * others while this goroutine waits only if every hart of the machine is tied; one in a blocking
 * section that is not tied counts as one that could run them. The end of the goroutine unties it.
 * Unlocking one that is not locked panics.
 */
void go_lock_hart(void);
void go_unlock_hart(void);

/*
 * A reclaim cycle now: goroutines that wait give back the pages of their stacks that they do not
 * use, and those that use little of one keep only that, until they go on or somebody touches it.
 * Cycles come by themselves when memory is short, and at times. Answers how many bytes of pages
 * came free; does not wait, but for another cycle under way. The world is not stopped, and others
 * run in between when it is their turn. Hosted, the other harts stand still for it, and what is used
 * of a page keeps the page.
 */
size_t go_reclaim(void);

/*
 * Around code that holds the hart without needing the scheduler: other goroutines move on. They
 * nest. Between them this goroutine may not wait, and may not wake or start another: that ends the
 * machine. Calls of <gump/net.h> do such things; printf, malloc and go_now do not. A panic and go_exit
 * leave what they end. Leaving one that was not entered panics.
 */
void go_block_enter(void);
void go_block_leave(void);

/* ---- Time ---- */

int64_t go_now(void);      /* ns of the monotonic clock since boot */
void go_sleep(int64_t ns); /* blocks; zero or less: as go_yield */
void go_sleep_until(int64_t deadline); /* blocks; as go_yield if it has passed */

struct go_chan;
typedef struct go_chan go_chan;

typedef struct go_timer {
	int64_t when_, period_;
	/* what it does; NULL: it is not going to */
	void (*fire_)(void *arg, int64_t now, void (*fn)(void *));
	void (*fn_)(void *);
	void *arg_;
	GO_ATOMIC_(void *) heap_;
	uint32_t index_, flags_;
} go_timer;

/*
 * Starts fn(arg) as a goroutine at `when`, then every `period` ns if that is more than 0; periods
 * that have passed meanwhile are left out. A timer that is set already is set anew. Out of memory
 * for its place among the timers, now, or for the goroutine when the time comes, ends the machine
 * ("fatal: ... out of memory ..."). Panics if fn is NULL.
 */
void go_timer_call(go_timer *, int64_t when, int64_t period, void (*fn)(void *), void *arg);
/*
 * As go_timer_call(), but sends the time (an int64_t) instead; it is dropped if the channel is full,
 * closed or NULL. Its elements are of int64_t's size, or of none: another channel panics.
 */
void go_timer_send(go_timer *, int64_t when, int64_t period, go_chan *);
/* True if it was still going to fire. After it returns, nothing more is started or sent. */
bool go_timer_stop(go_timer *);

/* ---- Channels ---- */
/* A NULL channel is never ready: send and receive wait for ever. */

/* cap 0: unbuffered. elem_size may be 0. NULL with ENOMEM. */
go_chan *go_chan_make(size_t elem_size, size_t cap);
/*
 * Panics if a goroutine waits on it. One in a go_select() counts as waiting on each of its channels until
 * go_select() returns. NULL is fine.
 */
void go_chan_free(go_chan *);
/*
 * Blocks until a receiver or room is there. Panics "send on closed channel". elem may be NULL if elem_size
 * is 0.
 */
void go_send(go_chan *, const void *elem);
/* Blocks. False: closed and drained, *elem zeroed. elem may be NULL to discard. */
bool go_recv(go_chan *, void *elem);
int go_try_send(go_chan *, const void *elem); /* 1 sent, 0 would wait */
int go_try_recv(go_chan *, void *elem);       /* 1 got one, 0 would wait, -1 closed and drained */
/* Panics "close of closed channel", "close of nil channel". */
void go_close(go_chan *);
size_t go_chan_len(const go_chan *); /* elements in the buffer; stale as soon as it is read. NULL: 0 */
size_t go_chan_cap(const go_chan *); /* NULL: 0 */

enum { GO_SEND = 1, GO_RECV = 2 };

struct go_case {
	int op;      /* GO_SEND, GO_RECV; 0: never ready. Another panics, unless ch is NULL */
	go_chan *ch; /* NULL: never ready */
	void *elem;
	bool ok;     /* set if this one is carried out: by a receive, as go_recv answers */
};

/*
 * Carries out one ready case, chosen at random and evenly among those ready, and answers its
 * index. Blocks while none is. -1 when the deadline passes first; GO_NOW is Go's default clause.
 * A closed channel is ready: sending to it panics. 0 to 65,536 cases; another n panics. Allocates
 * nothing: each case takes 8 bytes of this goroutine's stack, and, if none is ready at the first look,
 * 56 more, with GO_NOW, too. A stack of the default size so has room for some 4,000.
 */
int go_select(struct go_case *cases, int n, int64_t deadline);

/* ---- Sync ---- */

typedef struct go_mutex {
	GO_ATOMIC_(uint32_t) state_, sema_;
} go_mutex;
/* Blocks. Someone who has waited for over 1 ms gets it next, in order (Go's starvation mode). */
void go_mutex_lock(go_mutex *);
/* By any goroutine; panics "unlock of unlocked mutex". Whoever has the mutex next may free it. */
void go_mutex_unlock(go_mutex *);
bool go_mutex_try_lock(go_mutex *); /* false: another has it. Does not block */

typedef struct go_rwmutex {
	go_mutex writer_;
	GO_ATOMIC_(uint32_t) writer_sema_, reader_sema_;
	GO_ATOMIC_(int32_t) readers_, departing_;
} go_rwmutex;
void go_rwmutex_rlock(go_rwmutex *); /* blocks while a writer holds it or waits */
void go_rwmutex_runlock(go_rwmutex *); /* panics "runlock of unlocked rwmutex" */
void go_rwmutex_lock(go_rwmutex *); /* blocks while readers or a writer hold it */
/* Panics "unlock of unlocked rwmutex". Readers get in before it returns: by then they may not free it. */
void go_rwmutex_unlock(go_rwmutex *);

typedef struct go_cond {
	GO_ATOMIC_(uint32_t) lock_;
	void *head_, *tail_;
} go_cond;
/* Unlocks, blocks until signalled, locks again. In order of arrival. Panics if the mutex is not locked. */
void go_cond_wait(go_cond *, go_mutex *);
void go_cond_signal(go_cond *);    /* lets the first that waits go on, if one does */
void go_cond_broadcast(go_cond *); /* lets all that wait now go on. The mutex need not be held for either */

typedef struct go_waitgroup {
	GO_ATOMIC_(uint64_t) state_;
	GO_ATOMIC_(uint32_t) sema_;
} go_waitgroup;
/*
 * Panics "negative WaitGroup counter". While somebody waits, a counter of 0 may not be added to: to use it
 * again, add when all waits have returned, as in Go.
 */
void go_waitgroup_add(go_waitgroup *, int delta);
void go_waitgroup_done(go_waitgroup *); /* add -1 */
void go_waitgroup_wait(go_waitgroup *); /* blocks until the counter is 0 */

typedef struct go_once {
	GO_ATOMIC_(uint32_t) done_;
	go_mutex mutex_;
} go_once;
/* Calls fn(arg) the first time; every call returns after that one has finished, be it by a panic. */
void go_once_do(go_once *, void (*fn)(void *), void *arg);

typedef struct go_sem {
	GO_ATOMIC_(uint32_t) lock_;
	uint32_t count_;
	void *head_, *tail_;
} go_sem;
void go_sem_init(go_sem *, unsigned count); /* zeroed: 0 permits */
void go_sem_acquire(go_sem *);              /* blocks; first come, first served */
bool go_sem_try_acquire(go_sem *);          /* false: no permit is there. Does not block */
/* One permit more, or the first that waits gets it. Panics if there are UINT32_MAX. */
void go_sem_release(go_sem *);

/* ---- Memory ---- */

/*
 * Who has the machine's memory, in bytes: `total` is the sum of those after it, but for heap_used,
 * which is a part of heap. Exact when nothing else runs. Hosted, the machine is the host: total and
 * free are the host's, heap is what malloc has from it, and tables, which are not known, are 0.
 */
struct go_memory {
	size_t total;
	size_t free;       /* pages that nobody has */
	size_t heap;       /* malloc's, without goroutines' structures */
	/* of it what the program and gump have allocated, each rounded up as malloc does */
	size_t heap_used;
	size_t goroutines; /* their structures, and those of dead ones that are kept for the next */
	size_t stacks;     /* pages of their stacks */
	size_t tables;     /* page tables */
	size_t image;      /* code and data */
	size_t other;      /* firmware, devices, the network, harts, what describes the pages */
};
void go_memory(struct go_memory *);

/* ---- Statistics ---- */

enum { GO_PROCS_MAX = 16 };

struct go_proc_stats {
	size_t runq;          /* goroutines in its own queue */
	uint64_t steals;      /* how often it took others' goroutines, since the start */
	/* how often one was stopped: at its slice's end, for a stop of the world, or as memory was short */
	uint64_t preemptions;
};

/* How the scheduler stands. Read while others run on: the numbers are of slightly different times. */
struct go_stats {
	int harts;      /* go_harts() */
	int procs;      /* go_maxprocs(0) */
	int idle_procs; /* of them, those that have nothing to run */
	int goroutines; /* go_count() */
	size_t runq;    /* goroutines in the global queue */
	struct go_proc_stats proc[GO_PROCS_MAX]; /* of P number 0 .. harts - 1 */
};
void go_stats(struct go_stats *);

/* ---- Panic, defer ---- */

/*
 * Ends the enclosing go_call, or, if there is none, prints the message and the goroutine's
 * backtrace and ends the machine with status 2. Deferred calls run first. A message is cut at
 * 255 bytes. (A deadlock, the overflow of a stack and a fault of the processor end the machine with
 * status 2, too, and nothing runs first.)
 */
__attribute__((__noreturn__, __format__(__printf__, 1, 2))) void go_panic(const char *fmt, ...);
/*
 * Last in, first out, at the end of the enclosing go_call or of the goroutine. Panics if fn is NULL, or when
 * out of memory.
 */
void go_defer(void (*fn)(void *), void *arg);
/*
 * NULL, or the message of the panic that ended fn (valid until the next go_call here). fn may not be left by
 * longjmp.
 */
const char *go_call(void (*fn)(void *), void *arg);

#ifdef __cplusplus
}
#endif

#endif
