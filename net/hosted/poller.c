/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The netpoller of the hosted build: a thread that is no hart waits in epoll for all sockets, and is to
 * the harts what the network card is on a machine. It notes what came (bits in the socket, the socket in
 * a list without a lock) and raises an interrupt; the next scheduling point calls the poll function,
 * which wakes whoever waits.
 *
 * The two other ways: an idle hart could wait in epoll, as Go's Ms do. Then a hart sleeps in two ways, a kick
 * has to end either, and while all harts are busy nobody hears of anything, so somebody must ask again and
 * again. Or sockets could signal (an epoll descriptor cannot): a signal for each packet, to a hart that runs
 * something else. The thread's price is one more switch of threads when everything was idle; a process whose
 * sockets are idle has no wake-up at all.
 *
 * Events are edges, so each comes once and nothing needs to be masked or armed anew. An edge that comes while
 * nobody waits is kept in `ready`, which whoever tries clears before, and looks at before it parks, both
 * under the socket's lock.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "hosted.h"
#include "kernel/atomic.h"
#include "kernel/layout.h"
#include "net/keepalive.h"
#include "socket.h"

#define BATCH 128

static int epoll;
static _Atomic(struct source *) came; /* last first; pushed by threads, taken whole by the poll function */

/* ---- The threads' side: nothing here may ask which hart this is ---- */

/* True: the list was empty, so an interrupt has to tell of it. */
static bool push(struct source *source, uint32_t events)
{
	/* Who finds bits there already leaves the source where it is: in the list, or about
	   to be put there. */
	if (atomic_fetch_or_explicit(&source->events, events, memory_order_acq_rel) != 0)
		return false;
	struct source *first = load_relaxed(&came);
	do
		source->next = first;
	/* Release: pairs with the acquire in poll(). */
	while (!atomic_compare_exchange_weak_explicit(&came, &first, source, memory_order_release,
						      memory_order_relaxed));
	return first == NULL;
}

void source_event(struct source *source, uint32_t events)
{
	if (push(source, events))
		device_interrupt();
}

static uint32_t bits_of(uint32_t events)
{
	uint32_t ended = EPOLLHUP | EPOLLERR;

	return (events & (EPOLLIN | EPOLLRDHUP | ended) ? 1u << NETPOLL_READ : 0) |
	       (events & (EPOLLOUT | ended) ? 1u << NETPOLL_WRITE : 0);
}

static noreturn void *poller(void *unused)
{
	static struct epoll_event events[BATCH];

	(void)unused;
	for (;;) {
		int n = epoll_wait(epoll, events, BATCH, -1);
		bool first = false;
		while (n-- > 0) /* so that the first comes out of the list first */
			first |= push(events[n].data.ptr, bits_of(events[n].events));
		if (first)
			device_interrupt();
	}
}

/* ---- The goroutines' side ---- */

bool poller_add(struct socket *s)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = s };

	return epoll_ctl(epoll, EPOLL_CTL_ADD, s->fd, &event) == 0;
}

void poller_remove(struct socket *s)
{
	epoll_ctl(epoll, EPOLL_CTL_DEL, s->fd, NULL);
}

/* Later, because a socket can be written to at first, and that would be an event for each. */
void poller_watch_write(struct socket *s)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = s };

	epoll_ctl(epoll, EPOLL_CTL_MOD, s->fd, &event); /* tells of what holds already */
}

void source_wake(struct source *source, enum netpoll_mode mode, struct glist *ready)
{
	source->ready[mode] = true;
	netpoll_wake(&source->desc, mode, ready);
}

static void handle(struct source *source, struct glist *ready)
{
	/* Before the bits go: from then on it may be put into the list again. Acquire: with push(). */
	uint32_t events = atomic_exchange_explicit(&source->events, 0, memory_order_acq_rel);

	spin_lock(&source->lock);
	for (enum netpoll_mode mode = NETPOLL_READ; mode <= NETPOLL_WRITE; mode++)
		if (events >> mode & 1)
			source_wake(source, mode, ready);
	spin_unlock(&source->lock);
	if (source->handled != NULL)
		source->handled(source);
}

static void poll(struct glist *ready)
{
	struct source *next, *source = atomic_exchange_explicit(&came, NULL, memory_order_acquire);

	for (; source != NULL; source = next) {
		next = source->next;
		handle(source, ready);
	}
}

/* ---- At the start, if the program uses the network ---- */

/* A connection is a descriptor; the usual limit, 1024, is for programs that use select(). */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void start(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all;

	raise_limit();
	keepalive_init();
	epoll = epoll_create1(EPOLL_CLOEXEC);
	device_attach(sched_netpoll_ready);
	netpoll_register(poll);
	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setsigmask_np(&attr, &all); /* signals are the harts' */
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (epoll < 0 || pthread_create(&thread, &attr, poller, NULL) != 0)
		hart_fatal("the network does not start: no epoll descriptor, or no thread");
	pthread_attr_destroy(&attr);
}
KERNEL_INIT(start);
