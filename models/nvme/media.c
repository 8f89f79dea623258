// SPDX-License-Identifier: MIT
/*
 * The medium: a file for each namespace, and before it the volatile write cache. The cache is
 * memory as large as the namespace, of which only chunks with newer blocks than the file's, and as
 * many others as the cache is large, are there. All by the worker; the door may call in here with
 * a pointer to guest memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "models/nvme/internal.h"

/* ---- opening ---- */

static void *sparse(uint64_t size)
{
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

static uint64_t ns_bytes(const struct nvme_ns *ns)
{
	return ns->blocks << ns->shift;
}

static int open_file(const struct nvme_ns_cfg *cfg, uint64_t *ret_size)
{
	int fd = open(cfg->path, O_RDWR | O_CLOEXEC | (cfg->size ? O_CREAT : 0), 0600), err;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		err = errno == EWOULDBLOCK ? -EBUSY : -errno;
		goto err_close;
	}
	if (fstat(fd, &st))
		goto err_errno;
	*ret_size = cfg->size ? cfg->size : (uint64_t)st.st_size;
	if ((uint64_t)st.st_size < *ret_size && ftruncate(fd, (off_t)*ret_size))
		goto err_errno;
	return fd;

err_errno:
	err = -errno;
err_close:
	close(fd);
	return err;
}

/* Identifiers that are the same in every run: of the serial number and the namespace's number. */
static void make_ids(struct nvme *c, struct nvme_ns *ns)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	const char *s;
	unsigned i;

	for (s = c->serial; *s; s++)
		h = (h ^ (uint8_t)*s) * UINT64_C(0x100000001b3);
	for (i = 0; i < 24; i++) {
		h = (h ^ (ns->id + i)) * UINT64_C(0x100000001b3);
		if (i < 16)
			ns->nguid[i] = (uint8_t)(h >> 32);
		else
			ns->eui64[i - 16] = (uint8_t)(h >> 32);
	}
	/* Locally administered, as the second lowest bit of the first byte says. */
	ns->eui64[0] = (ns->eui64[0] & ~1) | 2;
}

int nvme_ns_open(struct nvme *c, const struct nvme_ns_cfg *cfg)
{
	struct nvme_ns *ns = &c->ns[c->n_ns];
	uint64_t size = 0;

	if ((cfg->block != 512 && cfg->block != 4096) || !cfg->path || cfg->size > NVME_NS_MAX)
		return -EINVAL;
	ns->fd = open_file(cfg, &size);
	if (ns->fd < 0)
		return ns->fd;
	c->n_ns++;
	ns->id = c->n_ns;
	ns->shift = cfg->block == 512 ? 9 : 12;
	ns->blocks = size >> ns->shift;
	if (!ns->blocks || size > NVME_NS_MAX)
		return -EINVAL;
	ns->n_chunks = (ns_bytes(ns) + NVME_CHUNK - 1) / NVME_CHUNK;
	ns->map = sparse(ns->blocks);
	ns->cache = sparse(ns_bytes(ns));
	ns->dirty_in = sparse(ns->n_chunks * sizeof(*ns->dirty_in));
	ns->held = sparse(ns->n_chunks);
	ns->max_held = c->cache_limit / NVME_CHUNK;
	make_ids(c, ns);
	return ns->map && ns->cache && ns->dirty_in && ns->held ? 0 : -ENOMEM;
}

void nvme_ns_close(struct nvme_ns *ns)
{
	if (ns->map)
		munmap(ns->map, ns->blocks);
	if (ns->cache)
		munmap(ns->cache, ns_bytes(ns));
	if (ns->dirty_in)
		munmap(ns->dirty_in, ns->n_chunks * sizeof(*ns->dirty_in));
	if (ns->held)
		munmap(ns->held, ns->n_chunks);
	close(ns->fd);
}

/* ---- the file ---- */

/* flags: RWF_NOWAIT for an error instead of waiting for the disk. */
static ssize_t read_some(struct nvme_ns *ns, uint64_t pos, uint8_t *buf, size_t len, int flags)
{
	struct iovec iov = { .iov_base = buf, .iov_len = len };
	ssize_t n;

	n = preadv2(ns->fd, &iov, 1, (off_t)pos, ns->always_waits ? 0 : flags);
	if (n >= 0 || errno != EOPNOTSUPP || ns->always_waits)
		return n;
	ns->always_waits = true;
	return preadv2(ns->fd, &iov, 1, (off_t)pos, 0);
}

static int file_read(struct nvme_ns *ns, uint64_t pos, uint8_t *buf, size_t len, int flags)
{
	ssize_t n;

	for (; len; len -= (size_t)n, buf += n, pos += (uint64_t)n) {
		n = read_some(ns, pos, buf, len, flags);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return n ? -errno : -EIO;
	}
	return 0;
}

static int file_write(const struct nvme_ns *ns, uint64_t pos, const void *buf, size_t len)
{
	const uint8_t *p = buf;
	ssize_t n;

	for (; len; len -= (size_t)n, p += n, pos += (uint64_t)n) {
		n = pwrite(ns->fd, p, len, (off_t)pos);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return n ? -errno : -EIO;
	}
	return 0;
}

/* ---- blocks ---- */

bool nvme_media_bad(const struct nvme_ns *ns, uint64_t slba, uint64_t n)
{
	uint64_t i;

	for (i = 0; ns->bad && i < n; i++)
		if (ns->map[slba + i] & NVME_UNCORRECTABLE)
			return true;
	return false;
}

/* Blocks from b on, at most n, that are all in the cache or all not. */
static uint64_t run(const struct nvme_ns *ns, uint64_t b, uint64_t n, bool *ret_dirty)
{
	uint64_t i;

	*ret_dirty = ns->dirty && ns->map[b] & NVME_DIRTY;
	if (!ns->dirty)
		return n;
	for (i = 1; i < n && !(ns->map[b + i] & NVME_DIRTY) == !*ret_dirty; i++)
		;
	return i;
}

static int read_blocks(struct nvme_ns *ns, uint64_t pos, void *buf, size_t len, int flags)
{
	uint64_t block = 1ull << ns->shift, b, n;
	uint8_t *to = buf;
	bool dirty;
	int err = 0;

	for (; len && !err; len -= n, to += n, pos += n) {
		b = pos >> ns->shift;
		n = run(ns, b, (pos % block + len + block - 1) >> ns->shift, &dirty);
		n = (n << ns->shift) - pos % block;
		n = n < len ? n : len;
		if (dirty)
			memcpy(to, ns->cache + pos, n);
		else
			err = file_read(ns, pos, to, n, flags);
	}
	return err;
}

int nvme_media_read(struct nvme_ns *ns, uint64_t pos, void *buf, size_t len)
{
	return read_blocks(ns, pos, buf, len, 0);
}

int nvme_media_peek(struct nvme_ns *ns, uint64_t pos, void *buf, size_t len)
{
	return read_blocks(ns, pos, buf, len, RWF_NOWAIT);
}

void nvme_media_cache(struct nvme_ns *ns, uint64_t pos, const void *buf, size_t len)
{
	memcpy(ns->cache + pos, buf, len);
}

/* The end of the chunk that block b is in, or end. */
static uint64_t chunk_end(const struct nvme_ns *ns, uint64_t b, uint64_t end)
{
	uint64_t per = NVME_CHUNK >> ns->shift, e = (b / per + 1) * per;

	return e < end ? e : end;
}

static uint64_t count(const struct nvme_ns *ns, uint64_t b, uint64_t end, uint8_t flag)
{
	uint64_t n = 0;

	for (; b < end; b++)
		n += !!(ns->map[b] & flag);
	return n;
}

static void hold_chunk(struct nvme_ns *ns, uint64_t chunk)
{
	ns->n_held += !ns->held[chunk];
	ns->held[chunk] = 1;
}

/* A chunk without newer blocks needs no memory. It keeps it while there is no need elsewhere. */
static void forget_chunk(struct nvme_ns *ns, uint64_t chunk)
{
	uint64_t pos = chunk * NVME_CHUNK, left = ns_bytes(ns) - pos;

	if (ns->n_held <= ns->max_held || !ns->held[chunk])
		return;
	ns->held[chunk] = 0;
	ns->n_held--;
	madvise(ns->cache + pos, left < NVME_CHUNK ? left : NVME_CHUNK, MADV_DONTNEED);
}

/* Give blocks of [slba, slba + n) new flags, and keep account. */
static void mark(struct nvme_ns *ns, uint64_t slba, uint64_t n, uint8_t flags)
{
	uint64_t b, e, end = slba + n, was, is, chunk;

	for (b = slba; b < end; b = e) {
		e = chunk_end(ns, b, end);
		chunk = (b << ns->shift) / NVME_CHUNK;
		was = ns->dirty_in[chunk] ? count(ns, b, e, NVME_DIRTY) : 0;
		is = flags & NVME_DIRTY ? e - b : 0;
		ns->bad -= ns->bad ? count(ns, b, e, NVME_UNCORRECTABLE) : 0;
		ns->bad += flags & NVME_UNCORRECTABLE ? e - b : 0;
		memset(ns->map + b, flags, e - b);
		ns->dirty += is - was;
		ns->dirty_in[chunk] += (uint32_t)(is - was);
		if (is)
			hold_chunk(ns, chunk);
		else if (was && !ns->dirty_in[chunk])
			forget_chunk(ns, chunk);
	}
}

void nvme_media_cached(struct nvme_ns *ns, uint64_t slba, uint64_t n)
{
	mark(ns, slba, n, NVME_DIRTY);
}

void nvme_media_spoil(struct nvme_ns *ns, uint64_t slba, uint64_t n)
{
	mark(ns, slba, n, NVME_UNCORRECTABLE);
}

int nvme_media_zero(struct nvme_ns *ns, uint64_t slba, uint64_t n)
{
	if (n && fallocate(ns->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			   (off_t)(slba << ns->shift), (off_t)(n << ns->shift)))
		return -errno;
	mark(ns, slba, n, 0);
	return 0;
}

/* ---- writing back ---- */

int nvme_media_write_through(struct nvme *c, struct nvme_ns *ns, uint64_t slba, uint64_t n)
{
	uint64_t pos = slba << ns->shift, len = n << ns->shift;
	int err = file_write(ns, pos, ns->cache + pos, len);

	if (err)
		return err;
	mdl_count_add(c->dev, NVME_C_WRITTEN_BACK, len);
	mark(ns, slba, n, 0);
	return 0;
}

static int write_chunk_back(struct nvme *c, struct nvme_ns *ns, uint64_t chunk)
{
	uint64_t b = chunk * (NVME_CHUNK >> ns->shift), end = chunk_end(ns, b, ns->blocks), n;
	bool dirty;
	int err;

	for (; b < end; b += n) {
		n = run(ns, b, end - b, &dirty);
		if (!dirty)
			continue;
		err = nvme_media_write_through(c, ns, b, n);
		if (err)
			return err;
	}
	return 1;
}

int nvme_media_write_back(struct nvme *c, struct nvme_ns *ns, uint64_t *cursor)
{
	while (ns->dirty && *cursor < ns->n_chunks) {
		uint64_t chunk = (*cursor)++;

		if (ns->dirty_in[chunk])
			return write_chunk_back(c, ns, chunk);
	}
	return 0;
}

static uint64_t dirty_bytes(const struct nvme *c)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < c->n_ns; i++)
		sum += c->ns[i].dirty << c->ns[i].shift;
	return sum;
}

/* Chunks in turn, this namespace's first, so that each waits as long as any other. */
int nvme_media_make_room(struct nvme *c, struct nvme_ns *ns, uint64_t len)
{
	unsigned i, idle = 0;
	int ret;

	for (i = ns->id - 1; dirty_bytes(c) > c->cache_limit - len && idle <= 2 * c->n_ns;) {
		ret = nvme_media_write_back(c, &c->ns[i], &c->ns[i].evict);
		if (ret < 0)
			return ret;
		idle = ret ? 0 : idle + 1;
		if (ret)
			continue;
		c->ns[i].evict = 0;
		i = idle % 2 ? i : (i + 1) % c->n_ns;
	}
	return 0;
}

/* Power is gone: what only the cache had never was. */
uint64_t nvme_media_lose(struct nvme_ns *ns)
{
	uint64_t lost = ns->dirty << ns->shift, chunk, b, e;

	for (chunk = 0; ns->dirty && chunk < ns->n_chunks; chunk++) {
		if (!ns->dirty_in[chunk])
			continue;
		b = chunk * (NVME_CHUNK >> ns->shift);
		e = chunk_end(ns, b, ns->blocks);
		for (; b < e; b++)
			if (ns->map[b] & NVME_DIRTY)
				mark(ns, b, 1, 0);
	}
	return lost;
}
