// SPDX-License-Identifier: MIT
/* Queues given to another machine: what is registered for it, and how that ends. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/nvme/ctrl.h"
#include "lib/reg/mr.h"
#include "peerdma/registration.h"

static void close_part(struct pdmai_backing *b)
{
	pdmai_device_put(b->device);
}

/* Queues and doorbells: registered, never mapped by their region or opened by a URI. */
static const struct pdmai_kind_ops part_ops = {
	.close = close_part,
	.map = pdmai_bar_map,
	.dmabuf = pdmai_bar_dmabuf,
	.check = pdmai_bar_check,
};

/* len bytes at off of a BAR of the controller, without events of its own. */
static int part_of_bar(struct pdma_nvme *nvme, unsigned bar, uint64_t off, uint64_t len,
		       struct pdma_region **ret_region)
{
	struct pdmai_device *d;
	struct pdmai_backing *b;
	struct pdmai_piece piece;
	char uri[80];
	int ret = pdmai_backing_create(nvme->ctx, &part_ops, &b);

	if (ret)
		return ret;
	ret = pdmai_bar_init(b, nvme->device, (int)bar);
	ret = ret ? ret : pdmai_device_get(nvme->ctx, &nvme->device->dev->bdf, true, &d);
	if (ret) {
		free(b);
		return ret;
	}
	b->kind = PDMA_KIND_VFIO;
	snprintf(uri, sizeof(uri), "vfio:%s/bar%u+0x%" PRIx64 ":0x%" PRIx64, b->bdf, bar, off, len);
	piece = (struct pdmai_piece){ b, off, len };
	ret = pdmai_region_create(nvme->ctx, &piece, 1, uri, NULL, ret_region);
	pdmai_backing_put(b);
	if (!ret)
		(*ret_region)->quiet = true;
	return ret;
}

/* The data's address in commands. Return: 0; -EINVAL: it is not the controller's CMB. */
static int find_data(const struct pdma_nvme *nvme, const struct pdma_region *data,
		     uint64_t *ret_bus)
{
	const struct pdmai_nvme_cmb *cmb = &pdmai_nvme_get_info(nvme->core)->cmb;
	const struct pdmai_piece *p = &data->pieces[0];
	uint64_t off = p->backing->dev_off + p->off;

	if (data->n_pieces != 1 || p->backing->device != nvme->device ||
	    (unsigned)p->backing->bar != cmb->bar || off < cmb->off || off - cmb->off > cmb->len ||
	    p->len > cmb->len - (off - cmb->off))
		return pdmai_fail(EINVAL, "%s is not one piece of the CMB of %s", data->uri,
				  nvme->device->dev->bdf.text);
	if ((cmb->flags & PDMAI_NVME_CMB_DATA) != PDMAI_NVME_CMB_DATA)
		return pdmai_fail(EOPNOTSUPP, "the CMB of %s is not for data",
				  nvme->device->dev->bdf.text);
	*ret_bus = cmb->addr + (off - cmb->off);
	return 0;
}

static int make_regions(struct pdma_nvme_queue *q, struct pdma_region *data,
			const struct pdmai_nvme_queue_place *w)
{
	unsigned bar = pdmai_nvme_get_info(q->nvme->core)->cmb.bar;
	int ret;

	ret = part_of_bar(q->nvme, bar, w->sq_off, w->sq_len, &q->regions[PDMAI_GRANT_SQ]);
	ret = ret ? ret :
		    part_of_bar(q->nvme, bar, w->cq_off, w->cq_len, &q->regions[PDMAI_GRANT_CQ]);
	/* From the one doorbell to the end of the other: with a stride of 4, eight bytes. */
	ret = ret ? ret :
		    part_of_bar(q->nvme, 0, w->sq_bell, w->cq_bell + 4 - w->sq_bell,
				&q->regions[PDMAI_GRANT_BELLS]);
	ret = ret ? ret :
		    pdma_region_slice(data, 0, data->len, NULL, &q->regions[PDMAI_GRANT_DATA]);
	if (!ret)
		q->regions[PDMAI_GRANT_DATA]->quiet = true;
	return ret;
}

static int register_all(struct pdma_nvme_queue *q, struct ibv_pd *pd)
{
	static const int access[PDMAI_GRANTS] = {
		[PDMAI_GRANT_SQ] = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE,
		[PDMAI_GRANT_CQ] = IBV_ACCESS_REMOTE_READ,
		[PDMAI_GRANT_BELLS] = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE,
		[PDMAI_GRANT_DATA] =
			IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ,
	};
	int ret = 0;

	for (unsigned i = 0; i < PDMAI_GRANTS && !ret; i++)
		ret = pdma_reg_mr(q->regions[i], pd, access[i], NULL, &q->mrs[i]);
	return ret;
}

static void fill(const struct pdma_nvme_queue *q, const struct pdmai_nvme_queue_place *w,
		 const struct pdmai_nvme_ns *ns, uint64_t bus, struct pdma_nvme_grant *g)
{
	const struct pdmai_nvme_info *info = pdmai_nvme_get_info(q->nvme->core);
	struct pdma_mr *const *mr = q->mrs;

	*g = (struct pdma_nvme_grant){
		.magic = PDMA_NVME_GRANT_MAGIC,
		.nsid = ns->nsid,
		.block = ns->block,
		.entries = w->entries,
		.blocks = ns->blocks,
		.sq_addr = mr[PDMAI_GRANT_SQ]->addr,
		.sq_rkey = mr[PDMAI_GRANT_SQ]->rkey,
		.cq_addr = mr[PDMAI_GRANT_CQ]->addr,
		.cq_rkey = mr[PDMAI_GRANT_CQ]->rkey,
		.bell_addr = mr[PDMAI_GRANT_BELLS]->addr,
		.bell_rkey = mr[PDMAI_GRANT_BELLS]->rkey,
		.data_addr = mr[PDMAI_GRANT_DATA]->addr,
		.data_rkey = mr[PDMAI_GRANT_DATA]->rkey,
		.data_len = q->regions[PDMAI_GRANT_DATA]->len,
		.data_bus = bus,
		.list_off = w->list_off,
		.list_bus = w->list_bus,
		.qid = w->qid,
		.bell_stride = (uint32_t)(w->cq_bell - w->sq_bell),
		.len_max = info->len_max,
	};
}

static int grant_locked(struct pdma_nvme_queue *q, struct ibv_pd *pd, struct pdma_region *data,
			const struct pdmai_nvme_ns *ns, struct pdma_nvme_grant *ret_grant)
{
	struct pdmai_nvme_queue_place where;
	uint64_t bus = 0;
	int ret;

	ret = pdmai_region_gate(data);
	ret = ret ? ret : find_data(q->nvme, data, &bus);
	if (ret)
		return ret;
	pdmai_nvme_queue_where(q->core, &where);
	ret = make_regions(q, data, &where);
	ret = ret ? ret : register_all(q, pd);
	if (ret)
		pdmai_nvme_grant_end(q);
	else
		fill(q, &where, ns, bus, ret_grant);
	return ret;
}

int pdma_nvme_grant(struct pdma_nvme_queue *q, struct ibv_pd *pd, struct pdma_region *data,
		    uint32_t nsid, struct pdma_nvme_grant *ret_grant)
{
	const struct pdmai_nvme_ns *ns = pdmai_nvme_find_ns(q->nvme->core, nsid);
	int ret;

	if (!q->remote)
		return pdmai_fail(EINVAL, "the queue was not made for another machine");
	if (!ns || !ns->block)
		return pdmai_fail(ENOENT, "%s has no namespace %u that can be used",
				  q->nvme->device->dev->bdf.text, nsid);
	pdmai_ctx_lock(q->nvme->ctx);
	if (q->mrs[0])
		ret = pdmai_fail(EBUSY, "the queue is granted already");
	else
		ret = grant_locked(q, pd, data, ns, ret_grant);
	pdmai_ctx_unlock(q->nvme->ctx);
	return ret;
}

int pdma_nvme_revoke(struct pdma_nvme_queue *q, const char *why)
{
	int ret = 0, one;

	pdmai_ctx_lock(q->nvme->ctx);
	/* The doorbells first: nothing new is executed from then on. */
	for (unsigned i = PDMAI_GRANTS; i--;) {
		struct pdma_mr *mr = q->mrs[(i + PDMAI_GRANT_BELLS + 1) % PDMAI_GRANTS];

		one = mr ? pdma_mr_revoke(mr, why ? why : "revoked by its owner") : 0;
		ret = one ? one : ret;
	}
	pdmai_ctx_unlock(q->nvme->ctx);
	return ret;
}

void pdmai_nvme_grant_end(struct pdma_nvme_queue *q)
{
	for (unsigned i = 0; i < PDMAI_GRANTS; i++) {
		/* One with a memory window bound to it is not deregistered: then it is leaked. */
		if (q->mrs[i] && pdma_dereg_mr(q->mrs[i]))
			continue;
		q->mrs[i] = NULL;
		pdma_region_close(q->regions[i]);
		q->regions[i] = NULL;
	}
}
