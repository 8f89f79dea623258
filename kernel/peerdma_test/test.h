/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERDMA_KERNEL_TEST_H
#define PEERDMA_KERNEL_TEST_H

#include <linux/types.h>

struct miscdevice;

/* /dev/peerdma_import */
extern struct miscdevice pdt_import_misc;

/*
 * A place where others wait as long as it is closed, so that a test can tell that they are there.
 * One for the whole module; open at first.
 */
void pdt_gate_close(void);
void pdt_gate_open(void);
/* Return: 0: somebody waits there; -EINTR; -ETIMEDOUT: nobody came in 30 s. */
int pdt_gate_wait(void);
/* Wait there. killable: return -EINTR when the caller is being killed. */
int pdt_gate_pass(bool killable);

/*
 * Of the allocations that code of this module makes for the calling thread, skip some, and let the
 * next one fail. Return: 0; -EBUSY: another thread asked; another error.
 */
int pdt_fail_begin(const char *module, unsigned int skip);
/* No more, whoever asked. Return: whether one failed. */
bool pdt_fail_end(void);

#endif
