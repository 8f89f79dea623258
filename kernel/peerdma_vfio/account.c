// SPDX-License-Identifier: GPL-2.0-only
/*
 * What peerdma.ko is told: that there is memory, who has pages of it mapped, and which pages are
 * held. What is said of dma-bufs is in export.c, of revocations in revoke.c.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/slab.h>

#include "peerdma_vfio.h"

/* A page of a BAR. */
struct place {
	struct pdv_bar *b;
	unsigned long i;
};

/* By somebody else than us and page tables. */
static bool is_held(const struct place *at)
{
	struct page *page = pfn_to_page(at->b->pfn + at->i);

	return page_ref_count(page) > 1 + folio_mapcount(page_folio(page));
}

/* Return: pages that are held, and any of them. */
static u64 count_held(struct pdv_bar *b, struct place *ret_at)
{
	struct place at = { .b = b };
	unsigned long looked = 0;
	u64 n = 0;

	for_each_set_bit(at.i, b->touched, b->n_pages) {
		if (is_held(&at)) {
			*ret_at = at;
			n++;
		}
		if (!(++looked % SZ_64K))
			cond_resched();
	}
	return n;
}

static u64 count_all_held(struct pdv_device *d, struct place *ret_at)
{
	u64 n = 0;

	for (unsigned int i = 0; i < d->n_bars; i++)
		n += count_held(&d->bars[i], ret_at);
	return n;
}

static bool covers(const struct pdv_mapping *m, const struct place *at)
{
	return m->b == at->b && at->i >= m->first && at->i - m->first < m->n_pages;
}

/* Who got the page most lately by a mapping that still exists. */
static struct peerdma_pin *find_holder(struct pdv_device *d, const struct place *at)
{
	struct peerdma_pin *pin = NULL;
	struct pdv_mapping *m;

	spin_lock(&d->mappings_lock);
	list_for_each_entry_reverse(m, &d->mappings, entry) {
		if (!covers(m, at))
			continue;
		pin = peerdma_pin_get(m->pin);
		break;
	}
	spin_unlock(&d->mappings_lock);
	return pin;
}

/*
 * A page table that is being filled or emptied has a reference more than it counts, for a moment.
 * So what is seen only once does not count.
 */
static void held(void *priv, struct peerdma_held *ret)
{
	struct pdv_device *d = priv;
	struct place at;
	u64 n = count_all_held(d, &at);

	if (!n)
		return;
	usleep_range(1000, 2000);
	n = min(n, count_all_held(d, &at));
	if (!n)
		return;
	ret->bytes = n << PAGE_SHIFT;
	ret->owner_ref = find_holder(d, &at);
}

static const struct peerdma_provider_ops ops = {
	.held = held,
};

static u64 count_bytes(struct pdv_device *d)
{
	u64 n = 0;

	for (unsigned int i = 0; i < d->n_bars; i++)
		n += (u64)d->bars[i].n_pages << PAGE_SHIFT;
	return n;
}

int pdv_account_init(struct pdv_device *d)
{
	const struct peerdma_provider_info info = { .name = "peerdma_vfio",
						    .pdev = d->core.pdev,
						    .bytes = count_bytes(d),
						    .ops = &ops,
						    .priv = d };
	struct peerdma_provider *p = peerdma_provider_register(&info);

	if (IS_ERR(p))
		return PTR_ERR(p);
	d->provider = p;
	return 0;
}

void pdv_account_exit(struct pdv_device *d)
{
	peerdma_provider_unregister(d->provider);
	d->provider = NULL;
}

struct pdv_mapping *pdv_mapping_begin(struct pdv_device *d, struct pdv_bar *b, unsigned long first,
				      unsigned long n_pages)
{
	const struct peerdma_charge c = { .kind = PEERDMA_PIN_CPU_MAPPING,
					  .flags = PEERDMA_CHARGE_REVOCABLE,
					  .bytes = (u64)n_pages << PAGE_SHIFT };
	struct pdv_mapping *m = kzalloc(sizeof(*m), GFP_KERNEL_ACCOUNT);
	struct peerdma_pin *pin;

	if (!m)
		return ERR_PTR(-ENOMEM);
	pin = peerdma_charge(d->provider, &c);
	if (IS_ERR(pin)) {
		kfree(m);
		return ERR_CAST(pin);
	}
	refcount_set(&m->refs, 1);
	m->d = d;
	m->b = b;
	m->first = first;
	m->n_pages = n_pages;
	m->pin = pin;
	spin_lock(&d->mappings_lock);
	list_add_tail(&m->entry, &d->mappings);
	spin_unlock(&d->mappings_lock);
	return m;
}

void pdv_mapping_get(struct pdv_mapping *m)
{
	refcount_inc(&m->refs);
}

void pdv_mapping_put(struct pdv_mapping *m)
{
	if (!refcount_dec_and_test(&m->refs))
		return;
	spin_lock(&m->d->mappings_lock);
	list_del(&m->entry);
	spin_unlock(&m->d->mappings_lock);
	peerdma_uncharge(m->pin);
	kfree(m);
}
