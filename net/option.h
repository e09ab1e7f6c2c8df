/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers in the options of the network, which are variables of the environment. */
#ifndef NET_OPTION_H
#define NET_OPTION_H

#include <stdbool.h>

/* A number from 1 to `most` that ends with `end`; moves *text behind that. False: it is none. */
bool option_number(const char **text, char end, unsigned most, unsigned *number);

#endif
