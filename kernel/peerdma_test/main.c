// SPDX-License-Identifier: GPL-2.0-only
/*
 * peerdma_test: a provider without memory, driven by tests of peerdma.ko, and what else they need
 * of a kernel. Never for use.
 *
 * What a file of /dev/peerdma_test made is found by handles, and goes when the file is closed.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/xarray.h>

#include "../peerdma/provider.h"
#include "test.h"

enum test_op {
	OP_ADD = 1,  /* a provider; function, bytes; out: handle */
	OP_REMOVE,   /* handle */
	OP_CHARGE,   /* provider, kind, flags, bytes, importer, parent or 0; out: handle */
	OP_GET,	     /* handle of a pin */
	OP_UNCHARGE, /* handle of a pin */
	OP_HELD,     /* handle of a provider, bytes, parent: the pin whose owner holds, or 0 */
	OP_REVOKE,   /* provider: begin */
	OP_REVOKED,  /* provider, result: end */
	/* The gate is where "held" and mmap() of this file wait. */
	OP_GATE_CLOSE,
	OP_GATE_OPEN,
	OP_GATE_WAIT, /* until somebody waits there */
	/* Allocations of a module, for the calling thread. Both end when any file is closed. */
	OP_FAIL_BEGIN, /* importer: its name; bytes: how many succeed, then one fails */
	OP_FAIL_END,   /* out: result: whether one failed */
};

struct test_request {
	__u32 op;
	__u32 handle;
	__u32 provider;
	__u32 parent;
	__u32 kind;
	__u32 flags;
	__s32 result;
	__u32 reserved;
	__u64 bytes;
	struct peerdma_pci function;
	char importer[32];
};

#define TEST_IOC _IOWR(0xb6, 0, struct test_request)

struct test_object {
	struct peerdma_provider *provider;
	struct peerdma_pin *pin;
	unsigned int refs; /* of the pin */
	bool is_holder;	   /* some held_by may be this pin */
	struct mutex mutex;
	u64 held_bytes;
	struct test_object *held_by;
};

struct test_file {
	struct mutex mutex;
	struct xarray objects;
};

static void held(void *priv, struct peerdma_held *ret)
{
	struct test_object *o = priv;

	pdt_gate_pass(false);
	mutex_lock(&o->mutex);
	ret->bytes = o->held_bytes;
	if (o->held_by)
		ret->owner_ref = peerdma_pin_get(o->held_by->pin);
	mutex_unlock(&o->mutex);
}

static const struct peerdma_provider_ops ops = { .held = held };

static struct test_object *find(struct test_file *f, u32 handle, bool is_pin)
{
	struct test_object *o = xa_load(&f->objects, handle);

	return o && !o->pin == !is_pin ? o : NULL;
}

static int keep(struct test_file *f, struct test_object *o, struct test_request *r)
{
	return xa_alloc(&f->objects, &r->handle, o, XA_LIMIT(1, 1000000), GFP_KERNEL);
}

static int add_with(struct test_file *f, struct test_object *o, struct pci_dev *pdev,
		    struct test_request *r)
{
	const struct peerdma_provider_info info = {
		.name = "peerdma_test", .pdev = pdev, .bytes = r->bytes, .ops = &ops, .priv = o
	};
	int ret;

	o->provider = peerdma_provider_register(&info);
	if (IS_ERR(o->provider))
		return PTR_ERR(o->provider);
	ret = keep(f, o, r);
	if (ret)
		peerdma_provider_unregister(o->provider);
	return ret;
}

static int add(struct test_file *f, struct test_request *r)
{
	struct pci_dev *pdev =
		pci_get_domain_bus_and_slot(r->function.domain, r->function.bus, r->function.devfn);
	struct test_object *o = kzalloc(sizeof(*o), GFP_KERNEL);
	int ret = -ENOMEM;

	if (o) {
		mutex_init(&o->mutex);
		ret = pdev ? add_with(f, o, pdev, r) : -ENODEV;
	}
	pci_dev_put(pdev);
	if (ret)
		kfree(o);
	return ret;
}

static int remove(struct test_file *f, u32 handle)
{
	struct test_object *o = find(f, handle, false);

	if (!o)
		return -ENOENT;
	xa_erase(&f->objects, handle);
	peerdma_provider_unregister(o->provider);
	kfree(o);
	return 0;
}

static int charge(struct test_file *f, struct test_request *r)
{
	struct test_object *provider = find(f, r->provider, false);
	struct test_object *parent = find(f, r->parent, true);
	const struct peerdma_charge c = { .kind = r->kind,
					  .flags = r->flags,
					  .bytes = r->bytes,
					  .importer = *r->importer ? r->importer : NULL,
					  .parent = parent ? parent->pin : NULL };
	struct test_object *o;
	int ret;

	if (!provider || (r->parent && !parent))
		return -ENOENT;
	o = kzalloc(sizeof(*o), GFP_KERNEL);
	if (!o)
		return -ENOMEM;
	o->refs = 1;
	o->pin = peerdma_charge(provider->provider, &c);
	ret = PTR_ERR_OR_ZERO(o->pin);
	if (ret)
		goto err_free;
	ret = keep(f, o, r);
	if (!ret)
		return 0;
	peerdma_uncharge(o->pin);
err_free:
	kfree(o);
	return ret;
}

/* It can't be the answer of a callback any more. */
static void forget_holder(struct test_file *f, struct test_object *pin)
{
	struct test_object *o;
	unsigned long handle;

	xa_for_each(&f->objects, handle, o) {
		if (o->pin)
			continue;
		mutex_lock(&o->mutex);
		if (o->held_by == pin)
			o->held_by = NULL;
		mutex_unlock(&o->mutex);
	}
}

static int uncharge(struct test_file *f, u32 handle)
{
	struct test_object *o = find(f, handle, true);
	struct peerdma_pin *pin;

	if (!o)
		return -ENOENT;
	pin = o->pin;
	if (!--o->refs) {
		if (o->is_holder)
			forget_holder(f, o);
		xa_erase(&f->objects, handle);
		kfree(o);
	}
	peerdma_uncharge(pin);
	return 0;
}

static int get(struct test_file *f, u32 handle)
{
	struct test_object *o = find(f, handle, true);

	if (!o)
		return -ENOENT;
	peerdma_pin_get(o->pin);
	o->refs++;
	return 0;
}

static int set_held(struct test_file *f, const struct test_request *r)
{
	struct test_object *o = find(f, r->handle, false);
	struct test_object *by = find(f, r->parent, true);

	if (!o || (r->parent && !by))
		return -ENOENT;
	mutex_lock(&o->mutex);
	o->held_bytes = r->bytes;
	o->held_by = by;
	if (by)
		by->is_holder = true;
	mutex_unlock(&o->mutex);
	return 0;
}

static int revoke(struct test_file *f, const struct test_request *r)
{
	struct test_object *o = find(f, r->provider, false);

	if (!o)
		return -ENOENT;
	if (r->op == OP_REVOKE)
		peerdma_provider_revoke_begin(o->provider);
	else
		peerdma_provider_revoke_end(o->provider, r->result);
	return 0;
}

/* The gate, and allocations that fail. */
static int act_apart(struct test_request *r)
{
	switch (r->op) {
	case OP_GATE_CLOSE:
		pdt_gate_close();
		return 0;
	case OP_GATE_OPEN:
		pdt_gate_open();
		return 0;
	case OP_GATE_WAIT:
		return pdt_gate_wait();
	case OP_FAIL_BEGIN:
		return pdt_fail_begin(r->importer, r->bytes);
	case OP_FAIL_END:
		r->result = pdt_fail_end();
		return 0;
	default:
		return -ENOTTY;
	}
}

static int act(struct test_file *f, struct test_request *r)
{
	switch (r->op) {
	case OP_ADD:
		return add(f, r);
	case OP_REMOVE:
		return remove(f, r->handle);
	case OP_CHARGE:
		return charge(f, r);
	case OP_GET:
		return get(f, r->handle);
	case OP_UNCHARGE:
		return uncharge(f, r->handle);
	case OP_HELD:
		return set_held(f, r);
	case OP_REVOKE:
	case OP_REVOKED:
		return revoke(f, r);
	default:
		return act_apart(r);
	}
}

static long test_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct test_file *f = file->private_data;
	struct test_request r;
	int ret;

	if (cmd != TEST_IOC)
		return -ENOTTY;
	if (copy_from_user(&r, (void __user *)arg, sizeof(r)))
		return -EFAULT;
	r.importer[sizeof(r.importer) - 1] = 0;
	mutex_lock(&f->mutex);
	ret = act(f, &r);
	mutex_unlock(&f->mutex);
	if (!ret && copy_to_user((void __user *)arg, &r, sizeof(r)))
		return -EFAULT;
	return ret;
}

static int test_open(struct inode *inode, struct file *file)
{
	struct test_file *f = kzalloc(sizeof(*f), GFP_KERNEL);

	if (!f)
		return -ENOMEM;
	mutex_init(&f->mutex);
	xa_init_flags(&f->objects, XA_FLAGS_ALLOC1);
	file->private_data = f;
	return 0;
}

/* Providers first: what was charged to them outlives them, as it may in a driver. */
static int test_release(struct inode *inode, struct file *file)
{
	struct test_file *f = file->private_data;
	struct test_object *o;
	unsigned long handle;

	pdt_gate_open();
	pdt_fail_end();
	xa_for_each(&f->objects, handle, o)
		if (!o->pin)
			remove(f, handle);
	xa_for_each(&f->objects, handle, o)
		for (unsigned int n = o->refs; n; n--)
			uncharge(f, handle);
	xa_destroy(&f->objects);
	kfree(f);
	return 0;
}

/* There is nothing to map: it only takes long, with the lock of the address space held. */
static int test_mmap(struct file *file, struct vm_area_struct *vma)
{
	return pdt_gate_pass(true) ?: -ENODEV;
}

static const struct file_operations test_fops = {
	.owner = THIS_MODULE,
	.open = test_open,
	.release = test_release,
	.mmap = test_mmap,
	.unlocked_ioctl = test_ioctl,
};

static struct miscdevice test_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "peerdma_test",
	.fops = &test_fops,
	.mode = 0600,
};

static int __init test_init(void)
{
	int ret = misc_register(&test_misc);

	if (ret)
		return ret;
	ret = misc_register(&pdt_import_misc);
	if (ret)
		misc_deregister(&test_misc);
	return ret;
}

static void __exit test_exit(void)
{
	misc_deregister(&pdt_import_misc);
	misc_deregister(&test_misc);
}

module_init(test_init);
module_exit(test_exit);

MODULE_DESCRIPTION("A provider and an importer without a device, for tests of peerdma");
MODULE_LICENSE("GPL");
