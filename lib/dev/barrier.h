/* SPDX-License-Identifier: MIT */
/* Orders between memory and device registers, by intent. */
#ifndef PEERDMA_LIB_DEV_BARRIER_H
#define PEERDMA_LIB_DEV_BARRIER_H

/*
 * What this CPU wrote to memory, also to write-combining memory, before a register write after it.
 */
static inline void pdmai_wmb_before_doorbell(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__asm__ volatile("sfence" ::: "memory");
#elif defined(__aarch64__)
	__asm__ volatile("dsb st" ::: "memory");
#else
	__sync_synchronize();
#endif
}

/* A flag a device wrote was seen: what it wrote before is read afterwards. */
static inline void pdmai_rmb_after_flag(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__asm__ volatile("" ::: "memory");
#elif defined(__aarch64__)
	__asm__ volatile("dsb ld" ::: "memory");
#else
	__sync_synchronize();
#endif
}

static inline void pdmai_cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__asm__ volatile("pause");
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#endif
