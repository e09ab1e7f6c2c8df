/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The last instructions of preempt_entry, which no trap may interrupt: a page of the stack may be hidden at any
 * time (tests/hidden.c), so none of them reads or writes there. The stress of that test meets a load there once
 * in a hundred thousand flushes; so this looks at the code.
 *
 * @test harts=1
 */
#include "test.h"

#define SP 2
#define SRET 0x10200073

extern const uint16_t preempt_entry[];

static bool is_write_of_sepc(uint32_t code)
{
	return (code & 0xfff07fff) == 0x14101073; /* csrrw zero, sepc */
}

static bool is_access_by_sp(uint32_t code)
{
	unsigned opcode = code & 0x7f, compressed = code >> 13 & 7;
	if ((code & 3) == 2) /* the compressed ones by sp: all but slli, jr and add */
		return compressed != 0 && compressed != 4;
	bool access = opcode == 0x03 || opcode == 0x07 || opcode == 0x23 || opcode == 0x27 || opcode == 0x2f;
	return access && (code >> 15 & 31) == SP;
}

static void the_way_back_needs_no_stack(void)
{
	bool written = false;
	uint32_t code = 0;
	for (const uint16_t *at = preempt_entry; code != SRET; at += (code & 3) == 3 ? 2 : 1) {
		code = (*at & 3) == 3 ? (uint32_t)at[1] << 16 | *at : *at;
		written |= is_write_of_sepc(code);
		if (written && is_access_by_sp(code))
			test_failed(__FILE__, __LINE__, "preempt_entry+%#zx, behind the write of sepc, needs the stack",
				    (size_t)(at - preempt_entry) * 2);
	}
	CHECK(written);
}

int main(int argc, char **argv)
{
	TESTS(TEST(the_way_back_needs_no_stack));
	return test_main(argc, argv, tests);
}
