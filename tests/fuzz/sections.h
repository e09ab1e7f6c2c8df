/* SPDX-License-Identifier: BSD-2-Clause */
/* Before each file of net/, the drivers and lwIP: where its variables go, so that net.h can set them back. */
#pragma clang section bss = "fuzz_bss" data = "fuzz_data"
