/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What connections, listeners and UDP ports have in common: how a call tries, waits, and tries again, and how
 * it ends when another goroutine closes.
 *
 * Close takes effect at once, even while other calls are in the kernel with the descriptor: a
 * socket that leads nowhere takes the place of the real one under the same number, until the last
 * of those calls has left.
 */
#include "socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct spinlock free_lock = SPINLOCK(LOCK_NET);
static struct socket *free_sockets;

int net_fail(int error)
{
	errno = error;
	return -1;
}

int net_errno(int error)
{
	switch (error) {
	case EADDRNOTAVAIL: return EADDRINUSE; /* no port is left */
	case EMFILE:
	case ENFILE:
	case ENOBUFS: return ENOMEM;
	case ENETUNREACH:
	case EHOSTDOWN: return EHOSTUNREACH;
	case EPIPE: return ECONNRESET; /* the reset that did it was told before */
	default: return error;
	}
}

int net_errno_of_way(int error)
{
	/* What leads nowhere is invalid to the kernel if it is from one's own loopback, or to an address
	   of a link that does not say of which. */
	return error == EINVAL ? EHOSTUNREACH : net_errno(error);
}

/* ---- Making and freeing ---- */

int socket_fd(sa_family_t family, int type)
{
	return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static struct socket *take_free(void)
{
	spin_lock(&free_lock);
	struct socket *s = free_sockets;
	if (s != NULL)
		free_sockets = s->next_free;
	spin_unlock(&free_lock);
	if (s == NULL && (s = calloc(1, sizeof(*s))) != NULL)
		lockrank_set(&s->source.lock, LOCK_NET);
	return s;
}

void *handle_memory(size_t size)
{
	return calloc(1, size);
}

static void put_free(struct socket *s)
{
	spin_lock(&free_lock);
	s->next_free = free_sockets;
	free_sockets = s;
	spin_unlock(&free_lock);
}

struct socket *socket_new(int fd, sa_family_t family, int type, const union endpoint *end)
{
	struct socket *s = take_free();

	if (s != NULL) {
		s->fd = fd;
		s->family = family;
		s->type = type;
		s->end = *end;
		spin_lock(&s->source.lock); /* against an event of its predecessor's */
		s->closed = s->write_finished = s->peer_finished = s->watches_write = false;
		s->source.ready[NETPOLL_READ] = s->source.ready[NETPOLL_WRITE] = false;
		s->error = 0;
		s->deadline[NETPOLL_READ] = s->deadline[NETPOLL_WRITE] = GO_FOREVER;
		spin_unlock(&s->source.lock);
		s->handle = handle_new(s);
		if (s->handle != NULL && poller_add(s))
			return s;
		if (s->handle != NULL) {
			handle_close(s->handle);
			handle_leave(s->handle);
		}
		put_free(s);
	}
	errno = ENOMEM;
	return NULL;
}

void socket_release(struct socket *s)
{
	if (!handle_leave(s->handle))
		return;
	close(s->fd);
	put_free(s);
}

/* ---- A call ---- */

struct socket *socket_enter(const void *handle, enum netpoll_mode mode)
{
	struct socket *s = handle_enter(handle);

	if (s != NULL)
		go_mutex_lock(&s->turn[mode]);
	return s;
}

void socket_leave(struct socket *s, enum netpoll_mode mode)
{
	go_mutex_unlock(&s->turn[mode]);
	socket_release(s);
}

static bool passed(int64_t deadline)
{
	return deadline != GO_FOREVER && hart_now() >= deadline;
}

int socket_before(struct socket *s, enum netpoll_mode mode)
{
	int error = 0;

	spin_lock(&s->source.lock);
	s->source.ready[mode] = false;
	if (s->closed)
		error = EBADF;
	else if (passed(s->deadline[mode]))
		error = ETIMEDOUT;
	else if (mode == NETPOLL_WRITE) /* what came before the end can still be read */
		error = s->error != 0 ? s->error : s->write_finished ? EPIPE : 0;
	spin_unlock(&s->source.lock);
	return error;
}

/* On g0, for a goroutine that has parked. */
static void unlock_parked(void *lock)
{
	spin_release(lock);
}

void socket_wait(struct socket *s, enum netpoll_mode mode)
{
	if (mode == NETPOLL_WRITE && !s->watches_write) { /* whose turn it is writes this */
		s->watches_write = true;
		poller_watch_write(s);
	}
	spin_lock(&s->source.lock);
	if (s->closed || s->source.ready[mode] || passed(s->deadline[mode]))
		spin_unlock(&s->source.lock);
	else
		netpoll_wait(&s->source.desc, mode, s->deadline[mode], unlock_parked, &s->source.lock);
}

int socket_failed(struct socket *s, int error)
{
	spin_lock(&s->source.lock);
	if (s->closed)
		error = EBADF;
	else if (error == EPIPE && s->write_finished)
		error = EPIPE;
	else if (s->error != 0)
		error = s->error;
	else
		s->error = error = net_errno(error);
	spin_unlock(&s->source.lock);
	return error;
}

int socket_error(struct socket *s)
{
	spin_lock(&s->source.lock);
	int error = s->error;
	spin_unlock(&s->source.lock);
	return error;
}

void socket_set_deadline(struct socket *s, int64_t read, int64_t write)
{
	struct glist ready = { 0 };

	spin_lock(&s->source.lock);
	s->deadline[NETPOLL_READ] = read;
	s->deadline[NETPOLL_WRITE] = write;
	source_wake(&s->source, NETPOLL_READ, &ready); /* who waits looks at the new ones */
	source_wake(&s->source, NETPOLL_WRITE, &ready);
	spin_unlock(&s->source.lock);
	netpoll_inject(&ready);
}

/* Takes the socket from under calls that are under way; they find it closed. */
static void disconnect(struct socket *s)
{
	int nowhere = socket_fd(AF_INET, SOCK_STREAM);

	if (nowhere < 0) { /* no descriptor is left: the peer hears of it, a listener's port is free */
		shutdown(s->fd, SHUT_RDWR);
		return;
	}
	dup3(nowhere, s->fd, O_CLOEXEC);
	close(nowhere);
}

int socket_close(const void *handle)
{
	struct socket *s = handle_close(handle);
	struct glist ready = { 0 };

	if (s == NULL)
		return -1;
	spin_lock(&s->source.lock);
	s->closed = true;
	source_wake(&s->source, NETPOLL_READ, &ready);
	source_wake(&s->source, NETPOLL_WRITE, &ready);
	spin_unlock(&s->source.lock);
	ports_release(s);
	/* The poller may hold the socket for a moment, and its port: not any more after this. */
	poller_remove(s);
	if (handle_shared(handle))
		disconnect(s);
	netpoll_inject(&ready);
	socket_release(s);
	return 0;
}
