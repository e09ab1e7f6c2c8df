/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time: the TSC is the clock, the local APIC's one-shot timer the alarm. Both rates are
 * measured once, against the PIT's channel 2 or, where there is none, the ACPI PM timer. Where that is not
 * there either (microvm without its PIT), the APIC's rate is taken for the one that QEMU's has.
 *
 * QEMU has neither an invariant TSC nor a TSC deadline to offer, but its TSC runs at one rate
 * and agrees between harts, and so does any x86 of the last fifteen years.
 */
#include "cpu.h"
#include "kernel/acpi.h"
#include "kernel/hart.h"
#include "x86.h"

#define PIT_HZ 1193182
#define PM_TIMER_HZ 3579545
#define NS 1000000000u
#define MEASURE_MS 2
#define SAMPLES 5
#define ATTEMPTS 20
#define PIT_OVER 0x20 /* in port 0x61: channel 2 has counted to the end */

/* Factors of 2^32, to multiply and shift. */
static uint64_t ns_per_tick, timer_per_ns;

struct sample {
	uint64_t tsc, window;
	uint32_t timer, reference; /* both count down */
};

static void pit_start(void)
{
	outb(0x61, (inb(0x61) & ~2) | 1); /* gate on, speaker off */
	outb(0x43, 0xb0);                 /* channel 2, mode 0 */
	outb(0x42, 0xff);
	outb(0x42, 0xff);
}

static uint32_t pit_read(void)
{
	outb(0x43, 0x80); /* latch channel 2 */
	uint32_t low = inb(0x42);
	return low | (uint32_t)inb(0x42) << 8;
}

static uint32_t pm_timer_read(void)
{
	return ~inl(acpi.pm_timer) & 0xffffff;
}

/* The sample of a few that was taken fastest: nothing came between its readings. */
static struct sample sample(uint32_t (*read)(void))
{
	struct sample best = { .window = UINT64_MAX };

	for (int i = 0; i < SAMPLES; i++) {
		uint64_t before = hart_ticks();
		uint32_t reference = read();
		uint32_t timer = lapic_timer_left();
		uint64_t after = hart_ticks();

		if (after - before < best.window)
			best = (struct sample){ after, after - before, timer, reference };
	}
	return best;
}

/* The reference advances at `hz` and wraps at mask + 1. False: it stands still. */
static bool measure(uint32_t (*read)(void), uint32_t hz, uint32_t mask, uint64_t *tsc_hz,
		    uint64_t *timer_hz)
{
	struct sample from = sample(read), to;
	uint32_t wanted = hz / 1000 * MEASURE_MS, elapsed = 0;

	for (unsigned polls = 0; elapsed < wanted; polls++) {
		if (polls == 1000 && elapsed == 0)
			return false;
		elapsed = (from.reference - read()) & mask;
	}
	to = sample(read);
	elapsed = (from.reference - to.reference) & mask;
	if (elapsed < wanted / 2)
		return false;
	*tsc_hz = (to.tsc - from.tsc) * hz / elapsed;
	*timer_hz = (uint64_t)(from.timer - to.timer) * hz / elapsed;
	return *tsc_hz != 0 && *timer_hz != 0;
}

/*
 * The PIT wraps after 55 ms, and a processor that is emulated may stand still for longer when its host has
 * much to do: 57 ms look like 2 then, and the clock would go at a 28th of its speed for ever. The end of
 * the count shows in port 0x61, where there is one.
 */
static bool measure_by_pit(uint64_t *tsc_hz, uint64_t *timer_hz)
{
	for (unsigned i = 0; i < ATTEMPTS; i++) {
		lapic_timer(UINT32_MAX);
		pit_start();
		bool shows = !(inb(0x61) & PIT_OVER);
		if (!shows && i + 1 < ATTEMPTS)
			continue;
		if (!measure(pit_read, PIT_HZ, 0xffff, tsc_hz, timer_hz))
			return false;
		if (!shows || !(inb(0x61) & PIT_OVER))
			return true;
	}
	return false;
}

/*
 * The APIC's clock is a round number where it is emulated. It is read to the nanosecond, and
 * the reference only to a microsecond: so the round number corrects both.
 */
static void round_rates(uint64_t *tsc_hz, uint64_t *timer_hz)
{
	uint64_t step = 100000000;
	uint64_t round = (*timer_hz + step / 2) / step * step;
	uint64_t off = round > *timer_hz ? round - *timer_hz : *timer_hz - round;

	if (round == 0 || off > *timer_hz / 200)
		return;
	*tsc_hz = (unsigned __int128)*tsc_hz * round / *timer_hz;
	*timer_hz = round;
}

void arch_clock_init(void)
{
	uint64_t tsc_hz, timer_hz;

	if (!measure_by_pit(&tsc_hz, &timer_hz) &&
	    !(acpi.pm_timer != 0 &&
	      measure(pm_timer_read, PM_TIMER_HZ, 0xffffff, &tsc_hz, &timer_hz))) {
		hart_print("clock: neither a PIT nor a PM timer: taking 1 GHz for the APIC's\n");
		lapic_timer(UINT32_MAX);
		if (!measure(lapic_timer_left, NS, UINT32_MAX, &tsc_hz, &timer_hz))
			tsc_hz = timer_hz = NS;
	}
	lapic_timer(0);
	round_rates(&tsc_hz, &timer_hz);
	ns_per_tick = ((uint64_t)NS << 32) / tsc_hz;
	timer_per_ns = (timer_hz << 32) / NS;
}

int64_t hart_ticks_to_ns(uint64_t ticks)
{
	return (unsigned __int128)ticks * ns_per_tick >> 32;
}

uint64_t hart_ns_to_ticks(int64_t ns)
{
	if (ns <= 0)
		return 0;
	/* Up, so that a tick that is reached is a deadline that has passed. */
	unsigned __int128 ticks = ((unsigned __int128)(uint64_t)ns << 32) / ns_per_tick + 1;
	return ns >= HART_NEVER || ticks > INT64_MAX ? INT64_MAX : (uint64_t)ticks;
}

int64_t hart_now(void)
{
	return hart_ticks_to_ns(hart_ticks());
}

/* A deadline further off than the counter reaches is set again on the way. */
static void timer_arm(int64_t deadline, int64_t now)
{
	uint64_t count = 1;

	if (deadline > now)
		count = ((unsigned __int128)(deadline - now) * timer_per_ns >> 32) + 1;
	lapic_timer(count > UINT32_MAX ? UINT32_MAX : count);
}

void hart_timer_set(int64_t deadline)
{
	struct arch_hart *arch = &hart_self()->arch;

	if (deadline == arch->deadline)
		return;
	arch->deadline = deadline;
	/* The old alarm may ring here: it finds the new deadline and sets that. */
	if (deadline == INT64_MAX)
		lapic_timer(0);
	else
		timer_arm(deadline, hart_now());
}

bool clock_timer_interrupt(void)
{
	struct arch_hart *arch = &hart_self()->arch;
	int64_t now = hart_now();

	if (arch->deadline == INT64_MAX) /* taken back when it rang already */
		return false;
	if (now < arch->deadline) {
		timer_arm(arch->deadline, now);
		return false;
	}
	arch->deadline = INT64_MAX;
	return true;
}

void clock_wait_us(unsigned us)
{
	int64_t end = hart_now() + (int64_t)us * 1000;

	while (hart_now() < end)
		hart_relax();
}
