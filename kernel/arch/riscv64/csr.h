/* SPDX-License-Identifier: BSD-2-Clause */
/* Supervisor CSRs, by the names and numbers of the privileged specification. */
#ifndef RISCV64_CSR_H
#define RISCV64_CSR_H

#define SSTATUS_SIE 0x2
#define SSTATUS_SPIE 0x20
#define SSTATUS_SPP 0x100
#define SSTATUS_FS 0x6000
#define SSTATUS_VS 0x600

#define SIE_SSIE 0x2
#define SIE_STIE 0x20
#define SIE_SEIE 0x200

#define CAUSE_ILLEGAL_INSTRUCTION 2
#define CAUSE_LOAD_PAGE_FAULT 13
#define CAUSE_STORE_PAGE_FAULT 15
#define CAUSE_INTERRUPT (1ull << 63)
#define IRQ_SOFTWARE 1
#define IRQ_TIMER 5
#define IRQ_EXTERNAL 9

#define CSR_STIMECMP 0x14d /* by number: older assemblers have no name for it */

#ifndef __ASSEMBLER__

#include <stdint.h>

#define csr_read(name)                                                        \
	({                                                                    \
		uint64_t value_;                                              \
		__asm__ volatile("csrr %0, " name : "=r"(value_)::"memory");  \
		value_;                                                       \
	})
#define csr_write(name, value) \
	__asm__ volatile("csrw " name ", %0" ::"rK"((uint64_t)(value)) : "memory")
#define csr_set(name, bits) \
	__asm__ volatile("csrs " name ", %0" ::"rK"((uint64_t)(bits)) : "memory")
#define csr_clear(name, bits) \
	__asm__ volatile("csrc " name ", %0" ::"rK"((uint64_t)(bits)) : "memory")

#endif
#endif
