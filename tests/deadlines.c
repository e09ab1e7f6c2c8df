/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A deadline at every point of the way into a hart's sleep: for tests/test_idle.py, which boots this with
 * time that counts instructions.
 *
 * A timer whose message nobody receives wakes the hart and makes no goroutine ready, so the hart looks for
 * work and sleeps again. On the way it looks what is due, and then arms its timer for what is to come:
 * another timer, which becomes due between the two and is in neither, would never be run, and the machine
 * would sleep for good.
 *
 * With the argument `locked` the goroutine is tied to its hart, which sleeps in a way of its own, and the
 * other hart stays in a blocking section, so that only the first can see to timers.
 */
#include "kernel/hart.h"
#include "test.h"

static void block(void *unused)
{
	go_block_enter();
	for (;;)
		hart_idle(); /* takes none of the time that instructions are */
}

int main(int argc, char **argv)
{
	go_chan *full = go_chan_make(sizeof(int64_t), 1);
	go_timer timer = { 0 };

	go_send(full, &(int64_t){ 0 });
	if (argc > 1) {
		go_lock_hart();
		go(block, NULL);
	}
	for (int64_t between = 0; between < 6 * US; between++) {
		int64_t when = go_now() + 20 * US;
		go_timer_send(&timer, when, 0, full);
		go_sleep_until(when + between);
	}
	printf("PASS\n");
	return 0;
}
