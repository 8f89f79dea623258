// SPDX-License-Identifier: MIT
/* Start, stop and reset of a controller: Base 3.5 to 3.7, PCIe 3.3. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/core/error.h"
#include "lib/nvme/private.h"
#include "util/clock.h"

#define CC_SHN_NORMAL (1u << 14)
#define CC_START      (NVME_CC_EN | NVME_SQE_LOG2 << 16 | NVME_CQE_LOG2 << 20)
#define CSTS_SHST     (3u << 2)
/* Some controllers say 0 for "at once", which an emulated machine is not. */
#define TIMEOUT_MIN_MS 2000u

static int gone(const struct pdmai_nvme *n)
{
	return pdmai_fail(ENODEV, "%s does not answer", n->dev->bdf.text);
}

/* Until the masked status has the value; CFS ends it where the value is not that of a stop. */
static int wait_status(struct pdmai_nvme *n, uint32_t mask, uint32_t value, const char *what)
{
	int64_t end = util_now_ns() + n->info.timeout_ms * 1000000ll;
	const struct timespec pause = { .tv_nsec = 50000 };

	for (;;) {
		bool late = util_now_ns() > end;
		uint32_t now = pdmai_nvme_read32(n, NVME_CSTS);

		if (now == UINT32_MAX)
			return gone(n);
		/* Also beside RDY. */
		if (value && now & NVME_CSTS_CFS)
			return pdmai_fail(EIO, "%s reports a fatal status (CSTS.CFS)",
					  n->dev->bdf.text);
		if ((now & mask) == value)
			return 0;
		if (late)
			return pdmai_fail(ETIMEDOUT, "%s does not %s within %u ms (CSTS 0x%x)",
					  n->dev->bdf.text, what, n->info.timeout_ms, now);
		nanosleep(&pause, NULL);
	}
}

int pdmai_nvme_check(struct pdmai_nvme *n)
{
	uint32_t now = pdmai_nvme_read32(n, NVME_CSTS);

	if (now == UINT32_MAX)
		return gone(n);
	if (now & NVME_CSTS_CFS)
		return pdmai_fail(EIO, "%s reports a fatal status (CSTS.CFS)", n->dev->bdf.text);
	if (!n->running || !(now & NVME_CSTS_RDY))
		return pdmai_fail(ECONNRESET, "%s was reset", n->dev->bdf.text);
	return 0;
}

static int disable(struct pdmai_nvme *n)
{
	uint32_t cc = pdmai_nvme_read32(n, NVME_CC);

	if (cc == UINT32_MAX)
		return gone(n);
	if (cc & NVME_CC_EN)
		pdmai_nvme_write32(n, NVME_CC, cc & ~NVME_CC_EN);
	return wait_status(n, NVME_CSTS_RDY, 0, "stop");
}

int pdmai_nvme_stop(struct pdmai_nvme *n)
{
	int ret = disable(n);

	n->running = false;
	n->generation++;
	/* What does not stop must not write into memory that others get next. */
	if (ret == -ETIMEDOUT)
		pdmai_dev_enable(n->dev, true, false);
	return ret;
}

static int read_cap(struct pdmai_nvme *n)
{
	uint64_t cap = pdmai_dev_read64(n->dev, 0, NVME_CAP);
	struct pdmai_nvme_info *i = &n->info;

	i->version = pdmai_nvme_read32(n, NVME_VS);
	if (cap == UINT64_MAX || i->version == UINT32_MAX)
		return gone(n);
	i->entries_max = (unsigned)(cap & 0xffff) + 1;
	i->stride = 4u << (cap >> 32 & 15);
	i->timeout_ms = (unsigned)(cap >> 24 & 0xff) * 500;
	if (i->timeout_ms < TIMEOUT_MIN_MS)
		i->timeout_ms = TIMEOUT_MIN_MS;
	if (!(i->version >> 16) || i->entries_max < 2)
		return pdmai_fail(ENODEV, "%s is no NVMe controller (version 0x%x)",
				  n->dev->bdf.text, i->version);
	if (!(cap & NVME_CAP_CSS_NVM))
		return pdmai_fail(EOPNOTSUPP, "%s has no NVM command set", n->dev->bdf.text);
	if (cap >> 48 & 15)
		return pdmai_fail(EOPNOTSUPP, "%s has no pages of 4 KiB", n->dev->bdf.text);
	/* The admin queue's doorbells at least. */
	if (n->dev->bars[0].len < NVME_REGS_END ||
	    n->dev->bars[0].len - NVME_REGS_END < 2ull * i->stride)
		return pdmai_fail(ENODEV, "%s: BAR 0 is too small for an NVMe controller",
				  n->dev->bdf.text);
	return 0;
}

static void write64(struct pdmai_nvme *n, uint64_t off, uint64_t val)
{
	pdmai_nvme_write32(n, off, (uint32_t)val);
	pdmai_nvme_write32(n, off + 4, (uint32_t)(val >> 32));
}

static int enable(struct pdmai_nvme *n)
{
	n->generation++;
	n->running = true;
	pdmai_nvme_queue_clear(&n->admin);
	pdmai_nvme_write32(n, NVME_AQA, (ADMIN_ENTRIES - 1) << 16 | (ADMIN_ENTRIES - 1));
	write64(n, NVME_ASQ, n->admin.sq.addr);
	write64(n, NVME_ACQ, n->admin.cq.addr);
	pdmai_nvme_write32(n, NVME_CC, CC_START);
	return wait_status(n, NVME_CSTS_RDY, NVME_CSTS_RDY, "become ready");
}

/* After the CMB was found: the queue may lie there. */
static int alloc_admin(struct pdmai_nvme *n)
{
	int ret = 0;

	if (n->data.len)
		return 0;
	if (!n->dev->ops->dma_map)
		ret = pdmai_nvme_cmb_need(n, PDMAI_NVME_CMB_ALL);
	n->admin.nvme = n;
	n->admin.entries = ADMIN_ENTRIES;
	ret = ret ? ret :
		    pdmai_nvme_ring_alloc(n, PDMAI_NVME_IN_HOST,
					  ADMIN_ENTRIES * sizeof(struct nvme_sqe), &n->admin.sq);
	ret = ret ? ret :
		    pdmai_nvme_ring_alloc(n, PDMAI_NVME_IN_HOST,
					  ADMIN_ENTRIES * sizeof(struct nvme_cqe), &n->admin.cq);
	return ret ? ret : pdmai_nvme_ring_alloc(n, PDMAI_NVME_IN_HOST, PDMAI_NVME_PAGE, &n->data);
}

static int start(struct pdmai_nvme *n)
{
	int ret = read_cap(n);

	ret = ret ? ret : disable(n);
	ret = ret ? ret : pdmai_nvme_cmb_start(n);
	ret = ret ? ret : alloc_admin(n);
	ret = ret ? ret : enable(n);
	ret = ret ? ret : pdmai_nvme_discover(n);
	if (ret && n->running) {
		/* The sentence of what went wrong first is the one to keep. */
		pdmai_nvme_write32(n, NVME_CC, 0);
		n->running = false;
	}
	return ret;
}

static void free_all(struct pdmai_nvme *n)
{
	pdmai_nvme_ring_free(n, &n->admin.sq);
	pdmai_nvme_ring_free(n, &n->admin.cq);
	pdmai_nvme_ring_free(n, &n->data);
	pdmai_ranges_clear(&n->cmb_free);
	free(n);
}

int pdmai_nvme_open(struct pdmai_dev *dev, struct pdmai_nvme **ret_nvme)
{
	struct pdmai_nvme *n = calloc(1, sizeof(*n));
	void *regs;
	int ret;

	if (!n)
		return pdmai_fail(ENOMEM, "no memory for a controller");
	n->dev = dev;
	ret = pdmai_dev_bar(dev, 0, &regs);
	if (!ret && dev->bars[0].len < NVME_REGS_END)
		ret = pdmai_fail(ENODEV, "%s: BAR 0 is too small for an NVMe controller",
				 dev->bdf.text);
	ret = ret ? ret : start(n);
	if (ret) {
		free_all(n);
		return ret;
	}
	*ret_nvme = n;
	return 0;
}

static void shut_down(struct pdmai_nvme *n)
{
	uint32_t cc = pdmai_nvme_read32(n, NVME_CC);

	if (cc == UINT32_MAX || !(cc & NVME_CC_EN))
		return;
	pdmai_nvme_write32(n, NVME_CC, (cc & ~(3u << 14)) | CC_SHN_NORMAL);
	/* A controller that takes its time is stopped all the same. */
	wait_status(n, CSTS_SHST, NVME_CSTS_SHST_DONE, "shut down");
}

void pdmai_nvme_close(struct pdmai_nvme *n)
{
	if (!n)
		return;
	for (unsigned i = 1; i <= PDMAI_NVME_QUEUES_MAX; i++)
		pdmai_nvme_queue_destroy(n->queues[i]);
	if (n->running)
		shut_down(n);
	pdmai_nvme_stop(n);
	free_all(n);
}

int pdmai_nvme_reset(struct pdmai_nvme *n)
{
	/* Whoever reset it may have switched bus mastering off. */
	int ret = pdmai_dev_enable(n->dev, true, true);

	if (ret)
		return ret;
	ret = pdmai_nvme_stop(n);
	return ret ? ret : start(n);
}

const struct pdmai_nvme_info *pdmai_nvme_get_info(const struct pdmai_nvme *n)
{
	return &n->info;
}

const struct pdmai_nvme_ns *pdmai_nvme_find_ns(const struct pdmai_nvme *n, uint32_t nsid)
{
	for (unsigned i = 0; i < n->info.n_ns; i++)
		if (n->info.ns[i].nsid == nsid)
			return &n->info.ns[i];
	return NULL;
}
