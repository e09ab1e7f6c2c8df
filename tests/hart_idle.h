/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What hart_idle() promises (kernel/hart.h): whatever came before the call, since the last return,
 * ends it at once. The scheduler looks for work, then sleeps; an interrupt between the two that left
 * the hart asleep would be a wake-up lost. Here it comes for certain before the call. What both
 * machines share; tests/ARCH/hart_idle.c gives:
 *
 *   device_attach(handler)   of the serial port
 *   device_interrupt()       it interrupts when its transmitter is empty: now
 *   device_quiet()           from the handler
 */
#ifndef HART_IDLE_H
#define HART_IDLE_H

#include "kernel/hart.h"
#include "kernel/irq.h"
#include "test.h"

static void device_attach(irq_handler *handler);
static void device_interrupt(void);
static void device_quiet(void);

static _Atomic(int) handled;
static void (*bring)(void);
static int64_t slept_until, alarm_at;
static uintptr_t context;

static void handle(void *unused)
{
	device_quiet();
	handled++;
}

/* On g0, as m_park_until_p() calls it. The alarm is for a hart that would sleep for good. */
static noreturn void bring_and_idle(void *unused)
{
	alarm_at = hart_now() + 2 * SECOND;
	hart_timer_set(alarm_at);
	hart_self()->kicked = 0;
	bring();
	hart_idle();
	slept_until = hart_now();
	hart_timer_set(0); /* sysmon sets it anew */
	hart_gogo(context);
}

static void ends_idle(void (*what)(void))
{
	bring = what;
	hart_lock();
	hart_mcall(&context, bring_and_idle, NULL);
	hart_unlock();
	CHECK(slept_until < alarm_at);
}

static void wait_for_handler(void)
{
	int before = handled;
	device_interrupt();
	while (handled == before)
		hart_relax();
}

static void device(void)
{
	device_attach(handle);
	for (int i = 0; i < 10; i++)
		ends_idle(wait_for_handler);
}

static void kick_oneself(void)
{
	hart_kick(hart_self()->id);
	test_spin(MS); /* its interrupt has come, too */
}

static void kick(void)
{
	for (int i = 0; i < 10; i++)
		ends_idle(kick_oneself);
}

static void let_timer_fire(void)
{
	hart_timer_set(hart_now());
	while (!hart_self()->kicked && hart_now() < alarm_at) /* a busy host may take its time */
		hart_relax();
	hart_timer_set(alarm_at);
}

static void timer(void)
{
	for (int i = 0; i < 10; i++)
		ends_idle(let_timer_fire);
}

int main(int argc, char **argv)
{
	TESTS(TEST(kick), TEST(timer), TEST(device));
	return test_main(argc, argv, tests);
}

#endif
