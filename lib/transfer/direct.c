// SPDX-License-Identifier: MIT
/*
 * O_DIRECT between a file and pages: the drive reads and writes the memory itself. The end of a
 * file that is not whole blocks goes through the page cache.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/transfer/transfer.h"

/* What every block device and file system of ours is content with. */
#define BLOCK 4096ull

struct direct {
	struct pdmai_backing *file;
	int fd;
	bool to_file;
	char *mem; /* of the other region */
	uint64_t file_off;
};

static int find_file(struct pdma_transfer *t, struct direct *d)
{
	bool from = t->src.region->flags & PDMA_REGION_FILE;
	bool to = t->dst.region->flags & PDMA_REGION_FILE;
	const struct pdmai_end *file = to ? &t->dst : &t->src;

	if (from == to)
		return pdmai_fail(EOPNOTSUPP, from ? "both ends are files" : "no end is a file");
	d->to_file = to;
	d->file = pdmai_region_backing(file->region);
	if (!d->file || file->region->n_pieces != 1)
		return pdmai_fail(EOPNOTSUPP, "the file is in several pieces");
	d->file_off = d->file->dev_off + file->region->pieces[0].off + file->off;
	return d->file->ops->file(d->file, true, &d->fd);
}

static int check_memory(const struct pdma_transfer *t, const struct direct *d)
{
	const struct pdma_region *r = d->to_file ? t->src.region : t->dst.region;

	if (r->flags & PDMA_REGION_PAGES && r->flags & PDMA_REGION_MAP)
		return 0;
	return pdmai_fail(EOPNOTSUPP, "the mapping of %s has no pages the block layer could use",
			  r->uri);
}

static const struct pdmai_end *memory(const struct pdma_transfer *t, const struct direct *d)
{
	return d->to_file ? &t->src : &t->dst;
}

/* Does this file system take blocks of ours? Some open with O_DIRECT and then refuse. */
static int try_block(const struct direct *d)
{
	void *buf = aligned_alloc(BLOCK, BLOCK);
	ssize_t n;
	int err;

	if (!buf)
		return pdmai_fail(ENOMEM, "no memory for a transfer");
	n = pread(d->fd, buf, BLOCK, (off_t)d->file_off);
	err = errno;
	free(buf);
	if (n < 0)
		return pdmai_fail_errno(err == EINVAL ? EOPNOTSUPP : err, "direct I/O on the file");
	return 0;
}

static int set_up(struct pdma_transfer *t, struct direct *d)
{
	void *vaddr;
	int ret;

	ret = find_file(t, d);
	ret = ret ? ret : check_memory(t, d);
	if (ret)
		return ret;
	if (d->file_off % BLOCK || t->opt.slice % BLOCK)
		return pdmai_fail(EOPNOTSUPP, "the place in the file is not at a block of 4096");
	ret = try_block(d);
	ret = ret ? ret : pdma_region_map(memory(t, d)->region, &vaddr);
	if (ret)
		return ret;
	d->mem = vaddr;
	if ((uintptr_t)(d->mem + memory(t, d)->off) % BLOCK) {
		pdma_region_unmap(memory(t, d)->region);
		return pdmai_fail(EOPNOTSUPP, "the memory does not begin at a block of 4096");
	}
	return 0;
}

static int open_direct(struct pdma_transfer *t)
{
	struct direct *d = calloc(1, sizeof(*d));
	int ret;

	if (!d)
		return pdmai_fail(ENOMEM, "no memory for a transfer");
	ret = set_up(t, d);
	if (ret) {
		free(d);
		return ret;
	}
	t->priv = d;
	snprintf(t->why, sizeof(t->why), "the drive does the DMA, past the page cache");
	return 0;
}

static void close_direct(struct pdma_transfer *t)
{
	struct direct *d = t->priv;

	pdma_region_unmap(memory(t, d)->region);
	free(d);
}

static int move(const struct direct *d, char *mem, uint64_t off, uint64_t len)
{
	ssize_t n;

	while (len) {
		n = d->to_file ? pwrite(d->fd, mem, len, (off_t)off) :
				 pread(d->fd, mem, len, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return pdmai_fail_errno(errno, "direct %s at %llu",
						d->to_file ? "write" : "read",
						(unsigned long long)off);
		if (!n || n % (ssize_t)BLOCK)
			return pdmai_fail(EIO, "the file ended at %llu",
					  (unsigned long long)off + (unsigned long long)n);
		mem += n;
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

static int submit_direct(struct pdma_transfer *t, uint64_t off, uint64_t len)
{
	struct direct *d = t->priv;
	char *mem = d->mem + pdmai_end_at(memory(t, d), off);
	uint64_t whole = len & ~(BLOCK - 1), in_file = d->file_off + off;
	int ret;

	ret = move(d, mem, in_file, whole);
	if (ret || whole == len)
		return ret;
	return d->file->ops->io(d->file, in_file + whole, mem + whole, len - whole, d->to_file);
}

const struct pdmai_engine_ops pdmai_engine_direct = {
	.id = PDMA_ENGINE_DIRECT,
	.depth = 1,
	.open = open_direct,
	.close = close_direct,
	.submit = submit_direct,
};
