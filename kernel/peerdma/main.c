// SPDX-License-Identifier: GPL-2.0-only
/* The module and its device file. */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

#include <uapi/peerdma/ioctl.h>

#include "peerdma.h"

static long peerdma_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case PEERDMA_IOC_PATH:
		return capable(CAP_SYS_ADMIN) ? peerdma_ioctl_path((void __user *)arg) : -EPERM;
	default:
		return -ENOTTY;
	}
}

static const struct file_operations peerdma_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = peerdma_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice peerdma_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "peerdma",
	.fops = &peerdma_fops,
	.mode = 0600,
};
module_misc_device(peerdma_misc);

MODULE_DESCRIPTION("Peer-to-peer DMA: what the kernel decides, and why");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
