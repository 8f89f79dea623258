// SPDX-License-Identifier: MIT
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "tests/unit/lib/serve_fake.h"

const struct serve_memory *serve_dmabuf_memory;
uint64_t serve_dmabuf_off;

static void close_memory(struct pdmai_backing *b)
{
}

static void *base_memory(struct pdmai_backing *b)
{
	return ((struct serve_memory *)b->priv)->base;
}

static int dmabuf_memory(struct pdmai_backing *b, const struct pdmai_span *spans, unsigned n,
			 int *ret_fd, uint64_t *ret_off)
{
	assert(n == 1);
	serve_dmabuf_memory = b->priv;
	serve_dmabuf_off = spans[0].off;
	*ret_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	*ret_off = 0;
	return *ret_fd < 0 ? pdmai_fail_errno(errno, "no descriptor") : 0;
}

static int check_memory(struct pdmai_backing *b)
{
	int err = ((struct serve_memory *)b->priv)->check_err;

	return err ? pdmai_fail(-err, "the memory went away") : 0;
}

static const struct pdmai_kind_ops pointer_ops = {
	.close = close_memory,
	.base = base_memory,
	.check = check_memory,
};

static const struct pdmai_kind_ops dmabuf_ops = {
	.close = close_memory,
	.dmabuf = dmabuf_memory,
	.check = check_memory,
};

struct pdma_region *serve_region(struct pdma_ctx *ctx, struct serve_memory *m, uint64_t len,
				 bool by_pointer)
{
	struct pdma_region *r = NULL;
	struct pdmai_backing *b;
	struct pdmai_piece piece;

	*m = (struct serve_memory){ .len = len };
	if (by_pointer) {
		m->base = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert(m->base != MAP_FAILED);
	}
	if (pdmai_backing_create(ctx, by_pointer ? &pointer_ops : &dmabuf_ops, &b))
		return NULL;
	b->kind = by_pointer ? PDMA_KIND_HOST : PDMA_KIND_VFIO;
	b->len = len;
	b->flags = by_pointer ? PDMA_REGION_MAP | PDMA_REGION_RAM : PDMA_REGION_DMABUF;
	b->priv = m;
	piece = (struct pdmai_piece){ b, 0, len };
	pdmai_ctx_lock(ctx);
	pdmai_region_create(ctx, &piece, 1, "fake:", NULL, &r);
	pdmai_backing_put(b);
	pdmai_ctx_unlock(ctx);
	return r;
}

void serve_memory_free(struct serve_memory *m)
{
	if (m->base)
		munmap(m->base, m->len);
}
