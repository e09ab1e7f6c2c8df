/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * C11's quick_exit(): a second, shorter list of what to call last. picolibc declares it and leaves it out. A
 * host's ends the process past the _exit() here, and what goroutines have begun to print is lost with it.
 */
#include <stdlib.h>
#include <unistd.h>

#include "kernel/hart.h"

#define CALLS_MAX 32 /* the least that C asks for */

static struct spinlock lock = SPINLOCK(LOCK_LIBC);
static void (*calls[CALLS_MAX])(void);
static unsigned count;

int at_quick_exit(void (*fn)(void))
{
	spin_lock(&lock);
	bool room = count < CALLS_MAX;
	if (room)
		calls[count++] = fn;
	spin_unlock(&lock);
	return room ? 0 : -1;
}

/* Last in, first out; each is taken off before it runs, so that two who end the machine share them. */
static void (*next_call(void))(void)
{
	spin_lock(&lock);
	void (*fn)(void) = count != 0 ? calls[--count] : NULL;
	spin_unlock(&lock);
	return fn;
}

void quick_exit(int status)
{
	for (void (*fn)(void); (fn = next_call()) != NULL;)
		fn();
	_exit(status);
}
