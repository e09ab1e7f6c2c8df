/* SPDX-License-Identifier: BSD-2-Clause */
/* What lwIP must know of compiler, library and machine. */
#ifndef LWIP_ARCH_CC_H
#define LWIP_ARCH_CC_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>
#include <sys/types.h>

#ifndef SSIZE_MAX
#define SSIZE_MAX LONG_MAX /* else lwIP has a ssize_t of its own */
#endif

#define LWIP_NO_UNISTD_H 1
#define LWIP_ERRNO_STDINCLUDE 1
#define LWIP_SKIP_PACKING_CHECK 1

/*
 * lwIP's headers are structures of fields that are aligned as long as IP headers are, which
 * ETH_PAD_SIZE sees to. Packed, each of their fields would be read in single bytes on riscv64.
 */
#define PACK_STRUCT_BEGIN
#define PACK_STRUCT_STRUCT
#define PACK_STRUCT_END

noreturn void net_assert_failed(const char *message, const char *file, int line);
#define LWIP_PLATFORM_ASSERT(message) net_assert_failed(message, __FILE__, __LINE__)
void net_assert_locked(void);
#define LWIP_ASSERT_CORE_LOCKED() net_assert_locked()
#define LWIP_PLATFORM_DIAG(message)

uint32_t net_random(void);
#define LWIP_RAND() net_random()

uint16_t net_checksum(const void *data, int length);
void *net_malloc(size_t size);
void *net_calloc(size_t count, size_t size);
void net_free(void *memory);

#endif
