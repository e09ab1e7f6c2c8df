/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the program holds of a connection, a listener or a UDP port is not its address, but the number of a
 * slot and which use of the slot it means. So a call learns that another goroutine has closed what it is
 * called with, however long ago: no moment is too early for that or too late.
 *
 * A slot counts the references to the object: the program's own, until close, and one for each call under
 * way. The last one frees it.
 */
#ifndef NET_HANDLE_H
#define NET_HANDLE_H

#include <stdbool.h>
#include <stddef.h>

/* With one reference, the program's. NULL: no memory. */
void *handle_new(void *object);
/* The object, with one reference more; NULL with EBADF: it was closed, or was none. */
void *handle_enter(const void *handle);
/* The same, but nobody enters after it, and the program's reference is the caller's to leave. */
void *handle_close(const void *handle);
/* One more, by who has one. */
void handle_refer(const void *handle);
/* Whether anybody else has one, too; closed, it becomes false and stays so. */
bool handle_shared(const void *handle);
/* One less. True: it was the last one, and the object is the caller's to free. */
bool handle_leave(const void *handle);

/* Implemented beside: zeroed memory, which is not given back; NULL: there is none. */
void *handle_memory(size_t size);

#endif
