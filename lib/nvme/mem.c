// SPDX-License-Identifier: MIT
/* Regions as memory of commands. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/nvme/ctrl.h"

static int place_own(struct pdma_nvme_mem *mem, const struct pdmai_piece *p,
		     struct pdmai_nvme_spot *spot)
{
	const struct pdmai_nvme_cmb *cmb = &pdmai_nvme_get_info(mem->nvme->core)->cmb;
	uint64_t off = p->backing->dev_off + p->off;

	if (!cmb->len || (unsigned)p->backing->bar != cmb->bar || off < cmb->off ||
	    off - cmb->off > cmb->len || p->len > cmb->len - (off - cmb->off))
		return pdmai_fail(EINVAL, "%s can use its CMB as memory, not its registers",
				  mem->nvme->device->dev->bdf.text);
	if ((cmb->flags & PDMAI_NVME_CMB_DATA) != PDMAI_NVME_CMB_DATA)
		return pdmai_fail(EOPNOTSUPP, "the CMB of %s is not for data",
				  mem->nvme->device->dev->bdf.text);
	spot->seg = (struct pdmai_nvme_seg){ cmb->addr + (off - cmb->off), p->len };
	mem->open = true;
	return 0;
}

static int place(struct pdma_nvme_mem *mem, unsigned i, char *vaddr)
{
	const struct pdmai_piece *p = &mem->region->pieces[i];
	struct pdmai_nvme_spot *spot = &mem->spots[i];
	int ret;

	if (p->backing->device == mem->nvme->device)
		return place_own(mem, p, spot);
	ret = pdmai_reach_make(mem->nvme->device->dev, p, vaddr, &spot->reach);
	if (ret)
		return ret;
	spot->seg = (struct pdmai_nvme_seg){ spot->reach.addr, p->len };
	mem->open |= spot->reach.mapping != PDMA_MAP_IOVA;
	return 0;
}

static int place_all(struct pdma_nvme_mem *mem)
{
	struct pdma_region *r = mem->region;
	void *vaddr = NULL;
	uint64_t at = 0;
	int ret = 0;

	if (pdmai_reach_by_pointer(r)) {
		ret = pdma_region_map(r, &vaddr);
		mem->mapped = !ret;
	}
	for (unsigned i = 0; i < r->n_pieces && !ret; i++) {
		ret = place(mem, i, vaddr ? (char *)vaddr + at : NULL);
		at += r->pieces[i].len;
	}
	return ret;
}

static void displace(struct pdma_nvme_mem *mem)
{
	for (unsigned i = 0; i < mem->n_spots; i++)
		pdmai_reach_end(&mem->spots[i].reach);
}

/* Nothing the controller does to it lands any more when this returns. */
static void on_revoke(struct pdma_region *r)
{
	struct pdma_nvme_mem *mem = r->on_revoke_arg;

	pthread_rwlock_wrlock(&mem->nvme->device->busy);
	mem->revoked = true;
	if (mem->open && __atomic_load_n(&mem->pending, __ATOMIC_ACQUIRE))
		pdmai_nvme_stop(mem->nvme->core);
	displace(mem);
	pthread_rwlock_unlock(&mem->nvme->device->busy);
}

static void free_mem(struct pdma_nvme_mem *mem)
{
	displace(mem);
	mem->region->on_revoke = NULL;
	if (mem->mapped)
		pdma_region_unmap(mem->region);
	pdma_region_close(mem->region);
	free(mem->spots);
	free(mem);
}

static int map_locked(struct pdma_nvme *nvme, struct pdma_region *region,
		      struct pdma_nvme_mem **ret_mem)
{
	struct pdma_nvme_mem *mem = calloc(1, sizeof(*mem));
	int ret;

	if (!mem)
		return pdmai_fail(ENOMEM, "no memory for a mapping");
	mem->nvme = nvme;
	ret = pdma_region_slice(region, 0, region->len, NULL, &mem->region);
	if (ret) {
		free(mem);
		return ret;
	}
	mem->region->quiet = true;
	mem->n_spots = mem->region->n_pieces;
	mem->spots = calloc(mem->n_spots, sizeof(*mem->spots));
	if (!mem->spots) {
		mem->n_spots = 0;
		ret = pdmai_fail(ENOMEM, "no memory for a mapping");
	}
	ret = ret ? ret : place_all(mem);
	if (ret) {
		free_mem(mem);
		return ret;
	}
	mem->region->on_revoke = on_revoke;
	mem->region->on_revoke_arg = mem;
	*ret_mem = mem;
	return 0;
}

int pdma_nvme_map(struct pdma_nvme *nvme, struct pdma_region *region,
		  struct pdma_nvme_mem **ret_mem)
{
	int ret;

	if (region->ctx != nvme->ctx)
		return pdmai_fail(EINVAL, "%s is of another context", region->uri);
	pdmai_ctx_lock(nvme->ctx);
	ret = map_locked(nvme, region, ret_mem);
	pdmai_ctx_unlock(nvme->ctx);
	return ret;
}

int pdma_nvme_unmap(struct pdma_nvme_mem *mem)
{
	struct pdma_ctx *ctx;

	if (!mem)
		return 0;
	if (__atomic_load_n(&mem->pending, __ATOMIC_ACQUIRE))
		return pdmai_fail(EBUSY, "commands are under way on %s", mem->region->uri);
	ctx = mem->nvme->ctx;
	pdmai_ctx_lock(ctx);
	free_mem(mem);
	pdmai_ctx_unlock(ctx);
	return 0;
}

int pdma_nvme_mem_info(const struct pdma_nvme_mem *mem, struct pdma_nvme_mem_info *ret_info)
{
	const struct pdmai_nvme_spot *s = &mem->spots[0];
	struct pdma_nvme_mem_info info = { .mapping = s->reach.mapping, .addr = s->seg.addr };

	memcpy(info.detour, s->reach.detour, sizeof(info.detour));
	return pdmai_info_copy(ret_info, &info, sizeof(info));
}

int pdmai_nvme_mem_cut(const struct pdma_nvme_mem *mem, uint64_t off, uint64_t len,
		       struct pdmai_nvme_seg *segs, unsigned max)
{
	unsigned n = 0;

	for (unsigned i = 0; i < mem->n_spots && len; i++) {
		const struct pdmai_nvme_seg *s = &mem->spots[i].seg;
		uint64_t take;

		if (off >= s->len) {
			off -= s->len;
			continue;
		}
		take = s->len - off < len ? s->len - off : len;
		if (n == max)
			return pdmai_fail(E2BIG, "%s is too scattered for one command",
					  mem->region->uri);
		segs[n++] = (struct pdmai_nvme_seg){ s->addr + off, take };
		len -= take;
		off = 0;
	}
	return (int)n;
}
