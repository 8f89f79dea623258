/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERDMA_KERNEL_PEERDMA_H
#define PEERDMA_KERNEL_PEERDMA_H

#include <linux/types.h>

/* PEERDMA_IOC_PATH. Return: 0 or -errno as its header says. */
int peerdma_ioctl_path(void __user *arg);

#endif
