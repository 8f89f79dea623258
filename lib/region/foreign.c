// SPDX-License-Identifier: MIT
/* Memory somebody else made: a mapping of the caller, a dma-buf of another exporter. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/region/kinds.h"
#include "lib/region/region.h"

static void close_pointer(struct pdmai_backing *b)
{
}

static void *base_pointer(struct pdmai_backing *b)
{
	return b->priv;
}

static const struct pdmai_kind_ops pointer_ops = {
	.close = close_pointer,
	.base = base_pointer,
};

static int fd_of(const struct pdmai_backing *b)
{
	return (int)(intptr_t)b->priv;
}

static void close_dmabuf(struct pdmai_backing *b)
{
	close(fd_of(b));
}

static int map_dmabuf(struct pdmai_backing *b, uint64_t off, uint64_t len, void *addr, bool write)
{
	void *mem = mmap(addr, len, PROT_READ | (write ? PROT_WRITE : 0), MAP_SHARED | MAP_FIXED,
			 fd_of(b), (off_t)off);

	if (mem == MAP_FAILED)
		return pdmai_fail_errno(errno, "the exporter of the dma-buf does not map it");
	return 0;
}

/* The descriptor stands for all of it; the importer takes the part. */
static int dmabuf_dmabuf(struct pdmai_backing *b, const struct pdmai_span *spans, unsigned n,
			 int *ret_fd, uint64_t *ret_off)
{
	int fd;

	if (n != 1)
		return pdmai_fail(EOPNOTSUPP, "ranges of a foreign dma-buf can't be joined");
	fd = fcntl(fd_of(b), F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return pdmai_fail_errno(errno, "no file descriptor");
	*ret_fd = fd;
	*ret_off = spans[0].off;
	return 0;
}

static const struct pdmai_kind_ops dmabuf_ops = {
	.close = close_dmabuf,
	.map = map_dmabuf,
	.dmabuf = dmabuf_dmabuf,
};

/* One piece; the backing's reference is given up in any case. */
static int finish(struct pdma_ctx *ctx, struct pdmai_backing *b, struct pdmai_span span,
		  const char *name, const struct pdma_region_options *opt,
		  struct pdma_region **ret_region)
{
	struct pdmai_piece piece = { b, span.off, span.len };
	int ret;

	pdmai_ctx_lock(ctx);
	ret = pdmai_region_create(ctx, &piece, 1, name, opt->cookie, ret_region);
	pdmai_backing_put(b);
	pdmai_ctx_unlock(ctx);
	return ret;
}

int pdma_region_from_pointer(struct pdma_ctx *ctx, void *vaddr, uint64_t len, unsigned flags,
			     const struct pdma_region_options *opt, struct pdma_region **ret_region)
{
	const unsigned allowed = PDMA_REGION_RAM | PDMA_REGION_PAGES | PDMA_REGION_READONLY;
	struct pdma_region_options o;
	struct pdmai_backing *b;
	char name[64];
	int ret;

	ret = pdmai_options_copy(&o, sizeof(o), opt, sizeof(o));
	if (ret)
		return ret;
	if (!vaddr || !len || len > UINTPTR_MAX - (uintptr_t)vaddr || flags & ~allowed)
		return pdmai_fail(EINVAL, "%" PRIu64 " bytes at %p with flags 0x%x are no memory",
				  len, vaddr, flags);
	ret = pdmai_backing_create(ctx, &pointer_ops, &b);
	if (ret)
		return ret;
	b->kind = PDMA_KIND_POINTER;
	b->priv = vaddr;
	b->len = len;
	b->flags = flags | PDMA_REGION_MAP | (flags & PDMA_REGION_RAM ? PDMA_REGION_PAGES : 0);
	b->slow = !(flags & PDMA_REGION_RAM);
	snprintf(name, sizeof(name), "pointer:%p", vaddr);
	return finish(ctx, b, (struct pdmai_span){ 0, len }, name, &o, ret_region);
}

static int size_of_dmabuf(int fd, uint64_t *ret_size)
{
	off_t end = lseek(fd, 0, SEEK_END);

	if (end < 0)
		return pdmai_fail(errno == EBADF ? EBADF : EINVAL, "descriptor %d is no dma-buf",
				  fd);
	*ret_size = (uint64_t)end;
	return 0;
}

static int adopt_dmabuf(struct pdma_ctx *ctx, int fd, uint64_t size, struct pdmai_backing **ret_b)
{
	struct pdmai_backing *b;
	int ret, own = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (own < 0)
		return pdmai_fail_errno(errno, "no file descriptor");
	ret = pdmai_backing_create(ctx, &dmabuf_ops, &b);
	if (ret) {
		close(own);
		return ret;
	}
	b->kind = PDMA_KIND_DMABUF;
	b->priv = (void *)(intptr_t)own;
	b->len = size;
	b->slow = true;
	/* Whether it can be mapped its exporter says when it is tried. */
	b->flags = PDMA_REGION_MAP | PDMA_REGION_DMABUF;
	*ret_b = b;
	return 0;
}

int pdma_region_from_dmabuf(struct pdma_ctx *ctx, int fd, uint64_t off, uint64_t len,
			    const struct pdma_region_options *opt, struct pdma_region **ret_region)
{
	struct pdma_region_options o;
	struct pdmai_backing *b = NULL;
	uint64_t size = 0;
	char name[64];
	int ret;

	ret = pdmai_options_copy(&o, sizeof(o), opt, sizeof(o));
	ret = ret ? ret : size_of_dmabuf(fd, &size);
	if (ret)
		return ret;
	if (off >= size || len > size - off)
		return pdmai_fail(ERANGE, "the dma-buf has %" PRIu64 " bytes", size);
	ret = adopt_dmabuf(ctx, fd, size, &b);
	if (ret)
		return ret;
	snprintf(name, sizeof(name), "dmabuf:%d", fd);
	return finish(ctx, b, (struct pdmai_span){ off, len ? len : size - off }, name, &o,
		      ret_region);
}
