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

/* Operations on it: each has a window as large as the memory, behind it. */
enum nic_memic_op { NIC_MEMIC_ADD, NIC_MEMIC_TEST_SET, NIC_MEMIC_OPS };
#define NIC_MEMIC_PAGE 4096u

/* CPU access to the memory through BAR0; off within the BAR. MMIO lock. */
static inline bool nic_is_memic(uint64_t off)
{
	return off >= NIC_MEMIC_OFF && off - NIC_MEMIC_OFF < NIC_MEMIC_SIZE;
}

/* Is it in a window of an operation? */
static inline bool nic_is_memic_op(uint64_t off)
{
	return off >= NIC_MEMIC_OFF + NIC_MEMIC_SIZE &&
	       off - (NIC_MEMIC_OFF + NIC_MEMIC_SIZE) < NIC_MEMIC_OPS * NIC_MEMIC_SIZE;
}

/*
 * CPU access to such a window. A write adds, a read gives what was there and sets to one, in 1, 2,
 * 4 or 8 bytes, little endian, each as one step; other accesses are counted and do nothing.
 */
void nic_memic_op_write(struct nic *nic, uint64_t off, const void *buf, size_t len);
void nic_memic_op_read(struct nic *nic, uint64_t off, void *buf, size_t len);

#endif
