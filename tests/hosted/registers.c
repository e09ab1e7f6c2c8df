/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registers of a process on x86_64 are those of the machine.
 *
 * @test timeout=60
 */
#include "../x86_64/registers.c"
