/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RISC-V's platform-level interrupt controller: 1023 lines, and for each context (a hart in a
 * mode) a threshold, enable bits, and a register to claim and complete interrupts. One
 * context is used here.
 *
 * Handlers are only ever added. The list is written under a lock, and published by its count, so
 * that the interrupt handler reads it without one.
 */
#include "drivers/plic.h"

#include "kernel/hart.h"
#include "kernel/irq.h"

#define HANDLERS_MAX 64

#define PRIORITY(source) ((size_t)(source) * 4)
#define ENABLE(context, source) (0x2000 + (size_t)(context) * 0x80 + (source) / 32 * 4)
#define THRESHOLD(context) (0x200000 + (size_t)(context) * 0x1000)
#define CLAIM(context) (THRESHOLD(context) + 4)

static uintptr_t base; /* 0: no controller */
static unsigned source_count, context;

static struct {
	unsigned source;
	irq_handler *handler;
	void *arg;
} handlers[HANDLERS_MAX];
static _Atomic(unsigned) handler_count; /* written under `lock` */
static struct spinlock lock = SPINLOCK(LOCK_DEVICE);

static volatile uint32_t *reg(size_t offset)
{
	return (volatile uint32_t *)(base + offset);
}

int plic_init(uintptr_t registers, size_t size, unsigned sources, int own_context)
{
	if (own_context < 0 || size < CLAIM(own_context) + 4)
		return -1;
	base = registers;
	source_count = sources;
	context = (unsigned)own_context;
	/* Firmware may have left something enabled. */
	for (unsigned source = 0; source <= sources; source += 32)
		*reg(ENABLE(context, source)) = 0;
	for (unsigned source = 1; source <= sources; source++)
		*reg(PRIORITY(source)) = 0;
	*reg(THRESHOLD(context)) = 0;
	return 0;
}

int irq_attach(unsigned line, irq_handler *handler, void *arg)
{
	if (base == 0)
		hart_print("plic: there is none; start QEMU's virt without aia=\n");
	if (base == 0 || line == 0 || line > source_count)
		return -1;
	spin_lock(&lock);
	unsigned count = load_relaxed(&handler_count);
	int result = -1;
	if (count < HANDLERS_MAX) {
		handlers[count].source = line;
		handlers[count].handler = handler;
		handlers[count].arg = arg;
		/* Release: pairs with the acquire in plic_interrupt. */
		atomic_store_explicit(&handler_count, count + 1, memory_order_release);
		*reg(ENABLE(context, line)) |= 1u << line % 32;
		*reg(PRIORITY(line)) = 1;
		result = 0;
	}
	spin_unlock(&lock);
	return result;
}

/* Plain PLICs know no messages. */
int irq_attach_message(irq_handler *handler, void *arg, struct irq_message *message)
{
	(void)handler;
	(void)arg;
	(void)message;
	return -1;
}

static void handle(unsigned source)
{
	unsigned count = load_acquire(&handler_count);
	bool known = false;

	for (unsigned i = 0; i < count; i++)
		if (handlers[i].source == source) {
			handlers[i].handler(handlers[i].arg);
			known = true;
		}
	/* A line that nobody quiets would come for ever. */
	if (!known && source <= source_count)
		*reg(PRIORITY(source)) = 0;
}

void plic_interrupt(void)
{
	unsigned source;

	while ((source = *reg(CLAIM(context))) != 0) {
		handle(source);
		*reg(CLAIM(context)) = source;
	}
}
