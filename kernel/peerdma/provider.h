/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For drivers that give out memory of their device ("providers"): say so, and account for every
 * mapping and pin of it. Exported GPL-only by peerdma.ko.
 *
 * All of it is called by processes (no interrupts) and may sleep, unless said otherwise. It takes
 * no lock that is held while a callback runs, except peerdma_provider_unregister(); so it may be
 * called under mmap_lock and under a dma-buf's reservation lock.
 */
#ifndef PEERDMA_KERNEL_PROVIDER_H
#define PEERDMA_KERNEL_PROVIDER_H

#include <linux/types.h>

#include <uapi/peerdma/ioctl.h>

struct pci_dev;
struct peerdma_pin;
struct peerdma_provider;

/* What is held now, beyond that which was charged. */
struct peerdma_held {
	u64 bytes; /* of pages with references that are neither the provider's nor page tables' */
	/* NULL, or a pin of the most likely holder, by peerdma_pin_get(): given away. */
	struct peerdma_pin *owner_ref;
};

struct peerdma_provider_ops {
	/*
	 * Fill *ret, which is zero. Called when somebody asks, between register and the return of
	 * unregister, and by several at once. It may sleep shortly; it must take neither mmap_lock
	 * nor a reservation lock, and call nothing of this file but peerdma_pin_get(). Optional.
	 */
	void (*held)(void *priv, struct peerdma_held *ret);
};

struct peerdma_provider_info {
	const char *name;			/* of the driver; at most 15 bytes are kept */
	struct pci_dev *pdev;			/* whose memory it is; not kept */
	u64 bytes;				/* of memory that can be given out */
	const struct peerdma_provider_ops *ops; /* NULL or valid until unregister returns */
	void *priv;
};

/* Return: the provider, or -EINVAL (no name or function), -ENOMEM. */
struct peerdma_provider *peerdma_provider_register(const struct peerdma_provider_info *info);
/*
 * No callback runs afterwards; the caller holds no lock that a callback takes. What is still
 * charged stays visible, marked, until it is uncharged, and must still be uncharged. NULL is taken.
 */
void peerdma_provider_unregister(struct peerdma_provider *p);

/*
 * The memory is being taken away from its users, or was, with 0, -ETIMEDOUT (somebody did not let
 * go in time) or another error. For those who listen; nothing is done.
 */
void peerdma_provider_revoke_begin(struct peerdma_provider *p);
void peerdma_provider_revoke_end(struct peerdma_provider *p, int result);

/* The caller cannot be refused: no limit counts, memory is waited for, a valid one succeeds. */
#define PEERDMA_CHARGE_FORCE (1u << 0)
/* It ends when the exporter wants, without help of the owner. */
#define PEERDMA_CHARGE_REVOCABLE (1u << 1)

struct peerdma_charge {
	enum peerdma_pin_kind kind; /* not PEERDMA_PIN_HELD */
	u32 flags;		    /* PEERDMA_CHARGE_... */
	u64 bytes;
	const char *importer; /* name of the device that will access, NULL: processors; copied */
	struct peerdma_pin *parent; /* NULL, or whose owner is the owner of this one too */
};

/*
 * One mapping or pin begins. Its owner is the calling process, unless parent is given: a driver's
 * worker acts for somebody else. Counts against the limits of the owner's user and control groups,
 * all but PEERDMA_PIN_ATTACHMENT.
 * Return: the pin, with one holder; -EDQUOT: a limit is reached; -EINVAL; -ENOMEM.
 */
struct peerdma_pin *peerdma_charge(struct peerdma_provider *p, const struct peerdma_charge *c);
/* One holder more: a mapping that was forked or split. Does not sleep. Return: pin. */
struct peerdma_pin *peerdma_pin_get(struct peerdma_pin *pin);
/* One holder less. With the last the pin is gone, and its bytes are free for others. NULL is taken;
 * does not sleep. */
void peerdma_uncharge(struct peerdma_pin *pin);

#endif
