/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making a logical CPU into a hart: its block behind gs, descriptor tables, trap stacks, the
 * control bits for floating point and page protection.
 *
 * Until the kernel has memory for real blocks, the boot hart runs on boot_hart_early, so that
 * locks and trap reports work from the first line on.
 */
#include <stddef.h>

#include "asm.h"
#include "cpu.h"
#include "kernel/hart.h"
#include "kernel/vm.h"
#include "x86.h"

#define TRAP_STUB_SIZE 16
#define GATE_INTERRUPT 0x8e /* present, ring 0, interrupts off inside */
#define GDT_CODE 0x00af9a000000ffff
#define GDT_DATA 0x00cf92000000ffff
#define TSS_AVAILABLE 0x0000890000000000

_Static_assert(offsetof(struct hart, self) == HART_SELF, "gs:0 is hart_self()");
_Static_assert(offsetof(struct hart, g) == HART_G, "HART_G");
_Static_assert(offsetof(struct hart, g0_sp) == HART_G0_SP, "HART_G0_SP");
_Static_assert(offsetof(struct hart, mark) == HART_MARK, "HART_MARK");
_Static_assert(offsetof(struct hart, locks) == HART_LOCKS, "HART_LOCKS");
_Static_assert(offsetof(struct hart, preempt) == HART_PREEMPT, "HART_PREEMPT");
_Static_assert(offsetof(struct hart, heap) == HART_HEAP, "HART_HEAP");
_Static_assert(offsetof(struct hart, arch) == HART_ARCH, "HART_ARCH");

static char early_trap_stack[8192] __attribute__((aligned(16)));

static struct gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_middle;
	uint32_t offset_high, reserved;
} idt[VECTOR_COUNT] __attribute__((aligned(16)));

struct table_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

static unsigned vector_stack(unsigned vector)
{
	if (vector == 2 || vector == 8 || vector == 18) /* NMI, double fault, machine check */
		return IST_LAST;
	return vector < 32 ? IST_EXCEPTION : IST_INTERRUPT;
}

static void idt_fill(void)
{
	for (unsigned vector = 0; vector < VECTOR_COUNT; vector++) {
		uintptr_t stub = (uintptr_t)trap_vectors + vector * TRAP_STUB_SIZE;

		idt[vector] = (struct gate){
			.offset_low = stub & 0xffff,
			.selector = CODE_SELECTOR,
			.ist = vector_stack(vector),
			.type = GATE_INTERRUPT,
			.offset_middle = stub >> 16 & 0xffff,
			.offset_high = stub >> 32,
		};
	}
}

static void gdt_fill(struct arch_hart *arch)
{
	uint64_t tss = (uintptr_t)&arch->tss;

	arch->gdt[CODE_SELECTOR / 8] = GDT_CODE;
	arch->gdt[DATA_SELECTOR / 8] = GDT_DATA;
	arch->gdt[TSS_SELECTOR / 8] = TSS_AVAILABLE | (sizeof(struct tss) - 1) |
				      (tss & 0xffffff) << 16 | (tss >> 24 & 0xff) << 56;
	arch->gdt[TSS_SELECTOR / 8 + 1] = tss >> 32;
	arch->tss.io_map = sizeof(struct tss);
}

void cpu_install(struct hart *hart)
{
	struct arch_hart *arch = &hart->arch;
	struct table_register gdtr = { sizeof(arch->gdt) - 1, (uintptr_t)arch->gdt };
	struct table_register idtr = { sizeof(idt) - 1, (uintptr_t)idt };

	hart->self = hart;
	arch->deadline = INT64_MAX;
	gdt_fill(arch);
	__asm__ volatile("lgdt %0" : : "m"(gdtr));
	__asm__ volatile("mov %0, %%ss\n\tmov %0, %%ds\n\tmov %0, %%es\n\tmov %1, %%fs\n\tmov %1, %%gs"
			 : : "r"(DATA_SELECTOR), "r"(0) : "memory");
	wrmsr(MSR_GS_BASE, (uintptr_t)hart); /* after the selector, whose load clears the base */
	__asm__ volatile("ltr %w0" : : "r"(TSS_SELECTOR));
	__asm__ volatile("lidt %0" : : "m"(idtr));
}

/* XSAVE of what the CPU and we know: x87, SSE, AVX, AVX-512. Else FXSAVE. */
static void fpu_on(void)
{
	write_cr0((read_cr0() & ~(uint64_t)(CR0_EM | CR0_TS)) | CR0_MP | CR0_NE);
	write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT);
	if (!(cpuid(1, 0).ecx & CPUID_1_ECX_XSAVE)) {
		fpu_area_size = 512;
		return;
	}
	write_cr4(read_cr4() | CR4_OSXSAVE);
	fpu_mask = cpuid(0xd, 0).eax & 0xe7;
	__asm__ volatile("xsetbv" : : "c"(0), "a"((uint32_t)fpu_mask), "d"(0));
	fpu_area_size = (cpuid(0xd, 0).ebx + 63) & ~63u;
}

void cpu_features_on(void)
{
	fpu_on();
	write_cr0(read_cr0() | CR0_WP);
}

void cpu_install_early(void)
{
	uint64_t top = (uintptr_t)early_trap_stack + sizeof(early_trap_stack);

	for (unsigned i = 0; i < IST_COUNT; i++)
		boot_hart_early.arch.tss.ist[i] = top;
	idt_fill();
	cpu_features_on();
	cpu_install(&boot_hart_early);
}

void cpu_trap_stacks(struct hart *hart)
{
	uint64_t top[IST_COUNT];

	if (!vm_trap_stacks(hart->id, top))
		hart_fatal("no memory for the trap stacks of hart %u", (unsigned)hart->id);
	for (unsigned i = 0; i < IST_COUNT; i++)
		hart->arch.tss.ist[i] = top[i];
}

void cpu_hart_install(struct hart *hart)
{
	cpu_features_on();
	cpu_install(hart);
	lapic_install();
}

void arch_hart_install(struct hart *hart)
{
	cpu_trap_stacks(hart);
	cpu_hart_install(hart);
}
