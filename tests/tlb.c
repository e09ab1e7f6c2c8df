/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each hart that interrupts come to flushes its TLB now and then, so that QEMU gives it the size that it needs.
 *
 * @test machines=virt,q35,microvm harts=1,2
 */
#include "kernel/hart.h"
#include "test.h"

static int64_t refreshed(void)
{
	hart_lock();
	int64_t at = hart_self()->arch.vm_refreshed;
	hart_unlock();
	return at;
}

static void flushed_ten_times_a_second(void)
{
	go_lock_hart();
	for (int i = 0; i < 3; i++) {
		int64_t before = refreshed(), end = go_now() + 5 * SECOND;
		while (refreshed() == before && go_now() < end)
			go_sleep(1 * MS);
		CHECK(refreshed() - before >= 100 * MS);
		CHECK(refreshed() <= go_now());
	}
	go_unlock_hart();
}

int main(int argc, char **argv)
{
	TESTS(TEST(flushed_ten_times_a_second));
	return test_main(argc, argv, tests);
}
