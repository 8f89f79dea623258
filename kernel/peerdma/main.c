// SPDX-License-Identifier: GPL-2.0-only
/* The module and its device file. */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/rcupdate.h>

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

static int __init peerdma_init(void)
{
	return misc_register(&peerdma_misc);
}

static void __exit peerdma_exit(void)
{
	misc_deregister(&peerdma_misc);
	/* Freeing what readers may have seen is code of ours. */
	rcu_barrier();
}

module_init(peerdma_init);
module_exit(peerdma_exit);

MODULE_DESCRIPTION("Peer-to-peer DMA: what the kernel decides, and why");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
