/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's errno.h, but errno belongs to the goroutine, which may change its thread at any time. */
#include_next <errno.h>

#ifndef GUMP_HOSTED_ERRNO_H
#define GUMP_HOSTED_ERRNO_H

#ifdef __cplusplus
extern "C"
#endif
int *go_errno(void);

#undef errno
#define errno (*go_errno())

#endif
