/* SPDX-License-Identifier: MIT */
/* Device memory: a part of BAR0 that is memory, given out in pieces by ALLOC_MEMIC. */
#ifndef PEERDMA_MODELS_NIC_MEMIC_H
#define PEERDMA_MODELS_NIC_MEMIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nic;

#define NIC_MEMIC_OFF  (16u << 20) /* in BAR0; UARs end below it */
#define NIC_MEMIC_SIZE (1u << 20)

/* CPU access to the memory through BAR0; off within the BAR. MMIO lock. */
static inline bool nic_is_memic(uint64_t off)
{
	return off >= NIC_MEMIC_OFF && off - NIC_MEMIC_OFF < NIC_MEMIC_SIZE;
}

#endif
