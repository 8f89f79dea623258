// SPDX-License-Identifier: GPL-2.0-only
/* The module and its device file. */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/rcupdate.h>

#include <uapi/peerdma/ioctl.h>

#include "accounts.h"
#include "peerdma.h"

static_assert(sizeof(struct peerdma_path) == PEERDMA_PATH_SIZE_V1);
static_assert(sizeof(struct peerdma_list) == PEERDMA_LIST_SIZE_V1);
static_assert(sizeof(struct peerdma_provider_row) == PEERDMA_PROVIDER_ROW_SIZE_V1);
static_assert(sizeof(struct peerdma_pin_row) == PEERDMA_PIN_ROW_SIZE_V1);
static_assert(sizeof(struct peerdma_limit) == PEERDMA_LIMIT_SIZE_V1);
static_assert(sizeof(struct peerdma_listen) == PEERDMA_LISTEN_SIZE_V1);
static_assert(sizeof(struct peerdma_where) == PEERDMA_WHERE_SIZE_V1);

static int pdk_open(struct inode *inode, struct file *file)
{
	/* A file of a misc device comes with a pointer to that. */
	file->private_data = NULL;
	return 0;
}

static int pdk_release(struct inode *inode, struct file *file)
{
	pdk_events_close(file);
	return 0;
}

static long pdk_ioctl(struct file *file, unsigned int cmd, unsigned long address)
{
	void __user *arg = (void __user *)address;

	switch (cmd) {
	case PEERDMA_IOC_PATH:
		return peerdma_ioctl_path(arg);
	case PEERDMA_IOC_PROVIDERS:
		return pdk_ioctl_providers(arg);
	case PEERDMA_IOC_PINS:
		return pdk_ioctl_pins(arg);
	case PEERDMA_IOC_LIMITS:
		return pdk_ioctl_limits(arg);
	case PEERDMA_IOC_LIMIT_SET:
		return pdk_ioctl_limit_set(arg);
	case PEERDMA_IOC_LIMIT_GET:
		return pdk_ioctl_limit_get(arg);
	case PEERDMA_IOC_LIMIT_CLEAR:
		return pdk_ioctl_limit_clear(arg);
	case PEERDMA_IOC_LISTEN:
		return pdk_ioctl_listen(file, arg);
	case PEERDMA_IOC_WHERE:
		return pdk_ioctl_where(arg);
	default:
		return -ENOTTY;
	}
}

static const struct file_operations pdk_fops = {
	.owner = THIS_MODULE,
	.open = pdk_open,
	.release = pdk_release,
	.unlocked_ioctl = pdk_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.read = pdk_events_read,
	.poll = pdk_events_poll,
};

/* Everybody may ask for what is his own. */
static struct miscdevice pdk_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "peerdma",
	.fops = &pdk_fops,
	.mode = 0666,
};

static int __init pdk_init(void)
{
	return misc_register(&pdk_misc);
}

/* Drivers that use our symbols are gone, and so are files that are open. */
static void __exit pdk_exit(void)
{
	misc_deregister(&pdk_misc);
	pdk_limit_clear_all();
	/* Freeing what readers may have seen is code of ours. */
	rcu_barrier();
}

module_init(pdk_init);
module_exit(pdk_exit);

MODULE_DESCRIPTION("Peer-to-peer DMA: what the kernel decides, and who uses which memory");
MODULE_LICENSE("GPL");
MODULE_VERSION(PEERDMA_VERSION);
MODULE_IMPORT_NS("DMA_BUF");
