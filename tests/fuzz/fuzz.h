/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the fuzzing targets share: the input, read from its beginning, and a kernel that prints nothing.
 *
 * A target is one file, and @with in its first comment names the folders whose sources are linked to it.
 * tests/fuzz/run builds it with clang's libFuzzer and the sanitizers. Code that gives up on bad input ends
 * the run by hart_poweroff() or hart_fatal(), which is no finding; fuzz_run() comes back then.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/hart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *fuzz_at, *fuzz_end;
static jmp_buf fuzz_over;

static inline size_t fuzz_left(void)
{
	return (size_t)(fuzz_end - fuzz_at);
}

/* The next byte of the input; 0 behind its end. */
static inline uint8_t fuzz_8(void)
{
	return fuzz_at < fuzz_end ? *fuzz_at++ : 0;
}

static inline uint16_t fuzz_16(void)
{
	uint16_t low = fuzz_8();
	return (uint16_t)(low | fuzz_8() << 8);
}

static inline uint32_t fuzz_32(void)
{
	uint32_t low = fuzz_16();
	return low | (uint32_t)fuzz_16() << 16;
}

/* Runs fn on the input, until it returns or the machine would end. */
static inline void fuzz_run(const uint8_t *data, size_t size, void (*fn)(void))
{
	fuzz_at = data;
	fuzz_end = data + size;
	if (setjmp(fuzz_over) == 0)
		fn();
}

/* What cannot be: libFuzzer keeps the input. */
#define FUZZ_CHECK(cond) \
	((cond) ? (void)0 : (fprintf(stderr, "%s:%d: %s is false\n", __FILE__, __LINE__, #cond), abort()))

void hart_print(const char *fmt, ...)
{
	char text[1024];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
}

noreturn void hart_poweroff(int status)
{
	longjmp(fuzz_over, 1);
}

#endif
