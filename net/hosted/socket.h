/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of connections, listeners and UDP ports of the hosted build: a socket of the host, and the
 * goroutines that wait for it. For net/hosted/ only.
 */
#ifndef NET_HOSTED_SOCKET_H
#define NET_HOSTED_SOCKET_H

#include <stdatomic.h>
#include <sys/types.h>

#include "address.h"
#include "gump.h"
#include "kernel/hart.h"
#include "net/handle.h"
#include "sched/netpoll.h"

/* What a thread that is no hart tells goroutines something through: poller.c. */
struct source {
	/* bits by enum netpoll_mode; not 0: it is in the list of those that came */
	_Atomic(uint32_t) events;
	struct source *next;           /* there */
	struct spinlock lock;          /* LOCK_NET; the net lock of `desc`, as sched/netpoll.h has it */
	struct netpoll_desc desc;      /* under `lock` */
	bool ready[2];                 /* under `lock`: something came since somebody last tried */
	void (*handled)(struct source *); /* the poll function is done with it; NULL: it stays for ever */
};

/*
 * Its memory is never given back, only used for another socket: the poller may have been told of an event
 * just before the socket was closed. Whoever then has the memory tries once more than it need.
 *
 * The last reference (net/handle.h) gives the descriptor's number back. So no call uses a number that has
 * become another socket's.
 */
struct socket {
	struct source source;          /* first */
	void *handle;                  /* constant, as the next four: a go_conn, go_listener or go_udp */
	int fd;
	int type;                      /* SOCK_STREAM, SOCK_DGRAM */
	sa_family_t family;            /* of the host's socket */
	/* of a connection the peer, else its own as asked for; ports.c may give it a port */
	union endpoint end;
	/* under source.lock */
	bool closed;
	bool write_finished;           /* go_shutdown was called */
	int error;                     /* errno that ended it, or 0 */
	int64_t deadline[2];           /* by enum netpoll_mode */

	bool peer_finished;            /* its end was read; by whose turn that is */
	go_mutex turn[2];              /* one reader and one writer at a time; before source.lock */
	/* the poller hears when there is room to write; by whose turn that is */
	bool watches_write;
	struct socket *next_free;
	/* ports.c */
	struct socket *next_bound;
	uint16_t host_port;
};

/* poller.c */
void source_wake(struct source *source, enum netpoll_mode mode, struct glist *ready); /* under its lock */
void source_event(struct source *source, uint32_t events);  /* from a thread that is no hart's */
bool poller_add(struct socket *s);
void poller_remove(struct socket *s);
void poller_watch_write(struct socket *s);

/* socket.c. NULL with errno ENOMEM; the descriptor is the caller's still. */
struct socket *socket_new(int fd, sa_family_t family, int type, const union endpoint *end);
int socket_fd(sa_family_t family, int type); /* -1 and errno */
/* One at an address of the program's own. NULL and errno. */
struct socket *socket_open(const char *addr, int type);
struct socket *socket_enter(const void *handle, enum netpoll_mode mode); /* NULL with EBADF: it was closed */
void socket_leave(struct socket *s, enum netpoll_mode mode);
/*
 * Around each attempt of a call that has its turn: whether it may be made (0 or an errno), and, when there
 * was nothing (EAGAIN), the wait until there may be.
 */
int socket_before(struct socket *s, enum netpoll_mode mode);
void socket_wait(struct socket *s, enum netpoll_mode mode);
/* What a failed attempt means for the program; one that ends a connection is remembered. */
int socket_failed(struct socket *s, int error);
int socket_error(struct socket *s);
void socket_set_deadline(struct socket *s, int64_t read, int64_t write);
void socket_release(struct socket *s);      /* what handle_enter() gave */
int socket_close(const void *handle);       /* 0, or -1 with EBADF */

void conn_options(int fd); /* conn.c: of a connection, or a listener, whose connections inherit them */
int net_errno(int error); /* one of those that gump/net.h names, as far as there is one */
int net_errno_of_way(int error); /* the same, of a call that names where to */
int net_fail(int error);  /* errno = error; answers -1 */

/* ports.c: which address of the host stands for one of the program's. 0 or an errno. */
/* where to open, in place of what was asked for */
int ports_own(union endpoint *own, int type);
int ports_bind(struct socket *s, const union endpoint *host); /* there */
void ports_release(struct socket *s);
int ports_to(union endpoint *to, int type);                   /* ECONNREFUSED: nobody is there */
void ports_from(union endpoint *from, int type);
bool ports_closed(void);                                      /* there is no network but one's own loopback */

/* stats.c */
void count_accepted(void);
void count_dialled(void);
void count_closed(void);

/* resolve.c: fills in address->to where the host is a name. 0 or an errno. */
int net_resolve(struct address *address, int64_t deadline);

#endif
