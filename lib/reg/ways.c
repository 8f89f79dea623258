// SPDX-License-Identifier: MIT
/* The ways to make an MR of a region, one function each. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/reg/mr.h"

#define WRITES (IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC)

/* Pages looked at to prove on-demand paging: the first of each piece, that many at most. */
#define PROBES 16

/*
 * How drivers attach a dma-buf (Linux 7.x). Those not named, and mlx5 devices without on-demand
 * paging, pin it; the kernel does not tell.
 */
static const struct {
	const char *driver;
	const char *pinned; /* what happens at a revoke; NULL: dynamic */
} attach_modes[] = {
	{ "mlx5_core", NULL },
	{ "irdma", "the exporter may revoke it" },
	{ "bnxt_en", "no revoke: exporters that need one refuse" },
	{ "mana", "no revoke: exporters that need one refuse" },
	{ "efa", "no revoke: exporters that need one refuse" },
};

struct attach {
	char driver[64];
	bool dynamic;
	const char *pinned;
};

static void find_attach(struct ibv_context *context, struct attach *a)
{
	*a = (struct attach){ .pinned = "whether it can be revoked is the driver's affair" };
	pdmai_verbs->driver(context, a->driver, sizeof(a->driver));
	for (size_t i = 0; i < sizeof(attach_modes) / sizeof(attach_modes[0]); i++) {
		if (strcmp(a->driver, attach_modes[i].driver))
			continue;
		a->dynamic = !attach_modes[i].pinned && pdmai_verbs->has_odp(context);
		if (attach_modes[i].pinned)
			a->pinned = attach_modes[i].pinned;
	}
	if (!a->driver[0])
		strcpy(a->driver, "the driver");
}

static void because(struct pdma_mr *mr, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void because(struct pdma_mr *mr, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(mr->why, sizeof(mr->why), format, ap);
	va_end(ap);
}

static void take(struct pdma_mr *mr, struct ibv_mr *verbs, uint64_t addr, enum pdma_way way)
{
	mr->mr = verbs;
	mr->lkey = verbs->lkey;
	mr->rkey = verbs->rkey;
	mr->addr = addr;
	mr->way = way;
}

/* Why the kernel refuses a dma-buf, as far as its errno tells. */
static int dmabuf_refused(int err, const char *driver, const char *uri)
{
	switch (err) {
	case EOPNOTSUPP:
		return pdmai_fail(err,
				  "%s takes no dma-buf, or attaches it in a way the exporter of %s "
				  "does not allow",
				  driver, uri);
	case EINVAL:
	case EREMOTEIO:
		return pdmai_fail(err,
				  "the exporter of %s sees no way for the NIC to reach it "
				  "(peerdma check tells more)",
				  uri);
	case ENODEV:
		return pdmai_fail(
			err, "the exporter of %s has it out of reach (memory decode off?)", uri);
	case EADDRINUSE:
		/* Linux 7.3 links every range of such a buffer to the first one's IOVA. */
		return pdmai_fail(err,
				  "this kernel can't map a dma-buf of several ranges through an "
				  "IOMMU (%s): register the ranges one by one",
				  uri);
	default:
		return pdmai_fail_errno(err, "%s does not register the dma-buf of %s", driver, uri);
	}
}

static int try_dmabuf(struct pdma_mr *mr, bool dynamic)
{
	struct pdma_region *r = mr->region;
	struct ibv_mr *verbs;
	struct attach a;
	uint64_t off;
	int ret, err, fd;

	find_attach(mr->pd->context, &a);
	if (dynamic && !a.dynamic)
		return pdmai_fail(EOPNOTSUPP, "%s attaches dma-bufs pinned", a.driver);
	if (!dynamic && a.dynamic)
		return pdmai_fail(EOPNOTSUPP, "%s attaches dma-bufs dynamically", a.driver);
	ret = pdmai_region_dmabuf_around(r, &fd, &off);
	if (ret)
		return ret;
	verbs = pdmai_verbs->reg_dmabuf_mr(mr->pd, off, r->len, off, fd, mr->access);
	err = errno;
	/* The MR holds the buffer. */
	close(fd);
	if (!verbs)
		return dmabuf_refused(err, a.driver, r->uri);
	take(mr, verbs, off, dynamic ? PDMA_WAY_DYNAMIC_DMABUF : PDMA_WAY_PINNED_DMABUF);
	if (dynamic)
		because(mr, "%s follows moves and revokes of the dma-buf", a.driver);
	else
		because(mr, "%s pins the dma-buf: %s", a.driver, a.pinned);
	return 0;
}

static int try_dynamic(struct pdma_mr *mr)
{
	return try_dmabuf(mr, true);
}

static int try_pinned(struct pdma_mr *mr)
{
	return try_dmabuf(mr, false);
}

static int map(struct pdma_mr *mr, void **ret_vaddr)
{
	int ret = pdma_region_map(mr->region, ret_vaddr);

	mr->mapped = !ret;
	return ret;
}

static void unmap(struct pdma_mr *mr)
{
	if (mr->mapped)
		pdma_region_unmap(mr->region);
	mr->mapped = false;
}

static int pointer_refused(const struct pdma_mr *mr, int err)
{
	const char *uri = mr->region->uri;

	switch (err) {
	case EREMOTEIO:
		return pdmai_fail(err,
				  "the kernel does not pin device memory such as %s for as long as "
				  "an MR lives: use on-demand paging (odp) or its dma-buf",
				  uri);
	case EFAULT:
		return pdmai_fail(
			err, "the kernel does not pin %s: its mapping has no pages for that", uri);
	case ENOMEM:
		return pdmai_fail(err,
				  "no memory, or above the limit of locked memory (ulimit -l)");
	default:
		return pdmai_fail_errno(err, "the NIC does not register the mapping of %s", uri);
	}
}

static int try_pointer(struct pdma_mr *mr)
{
	struct ibv_mr *verbs;
	void *vaddr;
	int ret, err;

	ret = map(mr, &vaddr);
	if (ret)
		return ret;
	verbs = pdmai_verbs->reg_mr(mr->pd, vaddr, mr->region->len, mr->access);
	if (!verbs) {
		err = errno;
		unmap(mr);
		return pointer_refused(mr, err);
	}
	take(mr, verbs, (uintptr_t)vaddr, PDMA_WAY_POINTER);
	because(mr, "%s, pinned by its address",
		mr->region->flags & PDMA_REGION_RAM ? "host memory" : "a mapping");
	return 0;
}

/*
 * Some drivers take any pointer and fail at the first access. So have the first page of each piece
 * brought in. Return: 0; -errno: it can't be; host memory passes where the driver has no prefetch.
 */
static int prove(struct pdma_mr *mr, struct ibv_mr *verbs, char *vaddr)
{
	struct ibv_sge sge[PROBES];
	unsigned n = 0;
	uint64_t at = 0;
	int err;

	for (unsigned i = 0; i < mr->region->n_pieces && n < PROBES; i++) {
		sge[n++] = (struct ibv_sge){ .addr = (uintptr_t)vaddr + at,
					     .length = 1,
					     .lkey = verbs->lkey };
		at += mr->region->pieces[i].len;
	}
	err = pdmai_verbs->prefetch(mr->pd, mr->access & WRITES, sge, n);
	if (err == EOPNOTSUPP && mr->region->flags & PDMA_REGION_RAM)
		return 0;
	if (err)
		return pdmai_fail(
			err,
			"the NIC accepts the pointer but can't fault pages of %s in (%s): "
			"its mapping has none the kernel would give to a device",
			mr->region->uri, strerror(err));
	return 0;
}

static int try_odp(struct pdma_mr *mr)
{
	struct ibv_mr *verbs;
	void *vaddr;
	int ret, err;

	if (!pdmai_verbs->has_odp(mr->pd->context))
		return pdmai_fail(EOPNOTSUPP, "the NIC has no on-demand paging");
	ret = map(mr, &vaddr);
	if (ret)
		return ret;
	verbs = pdmai_verbs->reg_mr(mr->pd, vaddr, mr->region->len,
				    mr->access | IBV_ACCESS_ON_DEMAND);
	err = errno;
	ret = verbs ? prove(mr, verbs, vaddr) : pointer_refused(mr, err);
	if (ret) {
		if (verbs)
			pdmai_verbs->dereg_mr(verbs);
		unmap(mr);
		return ret;
	}
	take(mr, verbs, (uintptr_t)vaddr, PDMA_WAY_ODP);
	because(mr, "on-demand paging of the mapping: nothing is pinned");
	return 0;
}

static int try_staged(struct pdma_mr *mr)
{
	struct ibv_mr *verbs;
	int err;

	mr->bounce = mmap(NULL, mr->region->len, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mr->bounce == MAP_FAILED) {
		mr->bounce = NULL;
		return pdmai_fail_errno(errno, "no memory for a bounce buffer");
	}
	verbs = pdmai_verbs->reg_mr(mr->pd, mr->bounce, mr->region->len, mr->access);
	if (!verbs) {
		err = errno;
		pdmai_way_release(mr);
		return pointer_refused(mr, err);
	}
	take(mr, verbs, (uintptr_t)mr->bounce, PDMA_WAY_STAGED);
	because(mr, "a bounce buffer in host memory: nothing direct was possible or allowed");
	return 0;
}

static int try_native(struct pdma_mr *mr)
{
	struct pdma_region *r = mr->region;
	struct pdmai_backing *b = pdmai_region_backing(r);
	struct ibv_mr *verbs;
	int ret;

	if (!b || r->n_pieces != 1 || !b->ops->reg)
		return pdmai_fail(EOPNOTSUPP, "%s is not memory of the NIC", r->uri);
	if (b->ops->verbs(b) != mr->pd->context)
		return pdmai_fail(EXDEV, "%s belongs to another verbs context than the PD", r->uri);
	ret = b->ops->reg(b, r->pieces[0].off, r->len, mr->pd, mr->access, &verbs);
	if (ret)
		return ret;
	take(mr, verbs, 0, PDMA_WAY_NATIVE);
	because(mr, "memory of the NIC itself");
	return 0;
}

void pdmai_way_release(struct pdma_mr *mr)
{
	unmap(mr);
	if (mr->bounce)
		munmap(mr->bounce, mr->region->len);
	mr->bounce = NULL;
}

int pdmai_way_try(struct pdma_mr *mr, enum pdma_way way)
{
	switch (way) {
	case PDMA_WAY_DYNAMIC_DMABUF:
		return try_dynamic(mr);
	case PDMA_WAY_PINNED_DMABUF:
		return try_pinned(mr);
	case PDMA_WAY_ODP:
		return try_odp(mr);
	case PDMA_WAY_POINTER:
		return try_pointer(mr);
	case PDMA_WAY_STAGED:
		return try_staged(mr);
	case PDMA_WAY_NATIVE:
		return try_native(mr);
	}
	return pdmai_fail(EINVAL, "there is no way 0x%x to register", way);
}

const enum pdma_way *pdmai_ways_for(const struct pdma_region *r)
{
	static const enum pdma_way usual[] = {
		PDMA_WAY_DYNAMIC_DMABUF, PDMA_WAY_PINNED_DMABUF, PDMA_WAY_ODP,
		PDMA_WAY_POINTER,	 PDMA_WAY_STAGED,	 0
	};
	/* Nothing moves host memory away, and a pinned MR never faults. */
	static const enum pdma_way host[] = { PDMA_WAY_POINTER,	       PDMA_WAY_ODP,
					      PDMA_WAY_DYNAMIC_DMABUF, PDMA_WAY_PINNED_DMABUF,
					      PDMA_WAY_STAGED,	       0 };
	static const enum pdma_way own[] = { PDMA_WAY_NATIVE, PDMA_WAY_DYNAMIC_DMABUF,
					     PDMA_WAY_PINNED_DMABUF, PDMA_WAY_STAGED, 0 };

	if (r->kind == PDMA_KIND_DM)
		return own;
	return r->flags & PDMA_REGION_RAM && !(r->flags & PDMA_REGION_DMABUF) ? host : usual;
}

const char *pdma_way_name(enum pdma_way way)
{
	switch (way) {
	case PDMA_WAY_DYNAMIC_DMABUF:
		return "dynamic-dmabuf";
	case PDMA_WAY_PINNED_DMABUF:
		return "pinned-dmabuf";
	case PDMA_WAY_ODP:
		return "odp";
	case PDMA_WAY_POINTER:
		return "pointer";
	case PDMA_WAY_STAGED:
		return "staged";
	case PDMA_WAY_NATIVE:
		return "native";
	}
	return "unknown";
}
