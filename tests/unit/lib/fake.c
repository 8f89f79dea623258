// SPDX-License-Identifier: MIT
#include "tests/unit/lib/fake.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct fake_verbs fake_verbs;
static struct ibv_context contexts[2];
struct ibv_pd fake_pds[2] = { { .context = &contexts[0] }, { .context = &contexts[1] } };

static void close_fake(struct pdmai_backing *b)
{
	((struct fake_memory *)b->priv)->closed++;
}

/* Another view of the same pages, as a device's BAR has. */
static int map_fake(struct pdmai_backing *b, uint64_t off, uint64_t len, void *addr, bool write)
{
	struct fake_memory *fm = b->priv;

	if (fm->map_err)
		return pdmai_fail(-fm->map_err, "the fake does not map");
	if (mremap(fm->mem + off, 0, len, MREMAP_MAYMOVE | MREMAP_FIXED, addr) == MAP_FAILED)
		return -errno;
	return 0;
}

static int dmabuf_fake(struct pdmai_backing *b, const struct pdmai_span *spans, unsigned n,
		       int *ret_fd, uint64_t *ret_off)
{
	struct fake_memory *fm = b->priv;

	if (fm->dmabuf_err)
		return pdmai_fail(-fm->dmabuf_err, "the fake does not export");
	fm->exported++;
	fm->n_spans = n < 8 ? n : 8;
	memcpy(fm->spans, spans, fm->n_spans * sizeof(*spans));
	*ret_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	*ret_off = 0;
	return *ret_fd < 0 ? -errno : 0;
}

static int check_fake(struct pdmai_backing *b)
{
	struct fake_memory *fm = b->priv;

	return fm->check_err ? pdmai_fail(-fm->check_err, "the fake went away") : 0;
}

static const struct pdmai_kind_ops ops = {
	.close = close_fake,
	.map = map_fake,
	.dmabuf = dmabuf_fake,
	.check = check_fake,
};

struct pdma_region *fake_region(struct pdma_ctx *ctx, struct fake_memory *fm, uint64_t len,
				unsigned flags)
{
	struct pdma_region *r = NULL;
	struct pdmai_backing *b;
	struct pdmai_piece piece;

	fm->len = len;
	fm->mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert(fm->mem != MAP_FAILED);
	if (pdmai_backing_create(ctx, &ops, &b))
		return NULL;
	fm->opened++;
	b->kind = PDMA_KIND_VFIO;
	b->len = len;
	b->flags = flags;
	b->slow = !(flags & PDMA_REGION_RAM);
	b->priv = fm;
	piece = (struct pdmai_piece){ b, 0, len };
	pdmai_ctx_lock(ctx);
	pdmai_region_create(ctx, &piece, 1, "fake:", fm, &r);
	pdmai_backing_put(b);
	pdmai_ctx_unlock(ctx);
	return r;
}

void fake_memory_free(struct fake_memory *fm)
{
	munmap(fm->mem, fm->len);
}

static struct ibv_mr *new_mr(struct ibv_pd *pd, int access)
{
	struct ibv_mr *mr = calloc(1, sizeof(*mr));

	assert(mr);
	fake_verbs.regs++;
	fake_verbs.access = access;
	mr->pd = pd;
	mr->context = pd->context;
	mr->lkey = fake_verbs.regs;
	mr->rkey = 1000 + fake_verbs.regs;
	return mr;
}

static struct ibv_mr *reg_mr(struct ibv_pd *pd, void *addr, size_t len, int access)
{
	errno = fake_verbs.reg_err;
	if (fake_verbs.reg_err)
		return NULL;
	fake_verbs.addr = addr;
	fake_verbs.len = len;
	return new_mr(pd, access);
}

static struct ibv_mr *reg_dmabuf_mr(struct ibv_pd *pd, uint64_t off, size_t len, uint64_t iova,
				    int fd, int access)
{
	errno = fake_verbs.dmabuf_err;
	if (fake_verbs.dmabuf_err)
		return NULL;
	fake_verbs.dmabufs++;
	fake_verbs.off = off;
	fake_verbs.iova = iova;
	fake_verbs.len = len;
	return new_mr(pd, access);
}

static int dereg_mr(struct ibv_mr *mr)
{
	if (fake_verbs.dereg_err)
		return fake_verbs.dereg_err;
	fake_verbs.deregs++;
	free(mr);
	return 0;
}

static int prefetch(struct ibv_pd *pd, bool write, struct ibv_sge *sge, unsigned n)
{
	fake_verbs.prefetches++;
	return fake_verbs.prefetch_err;
}

static bool has_odp(struct ibv_context *context)
{
	return fake_verbs.odp;
}

static void driver(struct ibv_context *context, char *buf, size_t size)
{
	snprintf(buf, size, "%s", fake_verbs.driver ? fake_verbs.driver : "");
}

static const struct pdmai_verbs fakes = {
	.reg_mr = reg_mr,
	.reg_dmabuf_mr = reg_dmabuf_mr,
	.dereg_mr = dereg_mr,
	.prefetch = prefetch,
	.has_odp = has_odp,
	.driver = driver,
};

void fake_verbs_use(void)
{
	memset(&fake_verbs, 0, sizeof(fake_verbs));
	pdmai_verbs = &fakes;
}

unsigned fake_verbs_live(void)
{
	return fake_verbs.regs - fake_verbs.deregs;
}
