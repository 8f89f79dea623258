/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERDMA_KERNEL_PEERDMA_H
#define PEERDMA_KERNEL_PEERDMA_H

#include <linux/types.h>

struct file;
struct poll_table_struct;

/* PEERDMA_IOC_... Return: 0 or -errno as their header says. */
int peerdma_ioctl_path(void __user *arg);
int pdk_ioctl_where(void __user *arg);
int pdk_ioctl_providers(void __user *arg);
int pdk_ioctl_pins(void __user *arg);
int pdk_ioctl_limits(void __user *arg);
int pdk_ioctl_limit_set(void __user *arg);
int pdk_ioctl_limit_get(void __user *arg);
int pdk_ioctl_limit_clear(void __user *arg);
int pdk_ioctl_listen(struct file *file, void __user *arg);
/* file->private_data is NULL or belongs to these. */
ssize_t pdk_events_read(struct file *file, char __user *buf, size_t len, loff_t *pos);
__poll_t pdk_events_poll(struct file *file, struct poll_table_struct *wait);
void pdk_events_close(struct file *file);

/*
 * Take a structure that begins with its size from user space. It has len bytes here, and had at
 * least min bytes in its first version. Return: 0; -EFAULT, -EINVAL, -E2BIG.
 */
int pdk_copy_in(void *to, size_t len, void __user *arg, size_t min);
/* Give it back; its first member is the caller's size. Return: 0; -EFAULT. */
int pdk_copy_out(void __user *arg, const void *from, size_t len);

#endif
