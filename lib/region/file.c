// SPDX-License-Identifier: MIT
/* file:PATH - a file or a block device. Offsets are those of the file. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/region/kinds.h"

struct file {
	int fd;	       /* through the page cache */
	int direct;    /* O_DIRECT, -1 where the file system has none */
	uint64_t need; /* the file must stay that long */
	char *path;
};

static void close_file(struct pdmai_backing *b)
{
	struct file *f = b->priv;

	if (f->fd >= 0)
		close(f->fd);
	if (f->direct >= 0)
		close(f->direct);
	free(f->path);
	free(f);
}

static int size_of(const struct file *f, uint64_t *ret_size)
{
	struct stat st;
	off_t end;

	if (fstat(f->fd, &st) < 0)
		return pdmai_fail_errno(errno, "%s", f->path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return pdmai_fail(EINVAL, "%s is neither a file nor a block device", f->path);
	end = S_ISBLK(st.st_mode) ? lseek(f->fd, 0, SEEK_END) : st.st_size;
	if (end < 0)
		return pdmai_fail_errno(errno, "%s has no size", f->path);
	*ret_size = (uint64_t)end;
	return 0;
}

/* A new file is as long as the URI says. */
static int grow(struct file *f, const struct pdmai_span *range, uint64_t *size)
{
	uint64_t end;

	if (range->len == PDMAI_TO_THE_END)
		return 0;
	end = range->off + range->len;
	if (end <= *size)
		return 0;
	if (end > INT64_MAX)
		return pdmai_fail(EFBIG, "%s can't become %" PRIu64 " bytes long", f->path, end);
	if (ftruncate(f->fd, (off_t)end) < 0)
		return pdmai_fail_errno(errno, "%s can't become %" PRIu64 " bytes long", f->path,
					end);
	*size = end;
	return 0;
}

static int open_fds(struct file *f, unsigned flags)
{
	int mode = flags & PDMA_OPEN_READONLY ? O_RDONLY : O_RDWR;

	if (flags & PDMA_OPEN_CREATE)
		mode |= O_CREAT;
	f->fd = open(f->path, mode | O_CLOEXEC, 0666);
	if (f->fd < 0)
		return pdmai_fail_errno(errno, "cannot open %s", f->path);
	f->direct = open(f->path, (mode & ~O_CREAT) | O_DIRECT | O_CLOEXEC);
	return 0;
}

static int set_up(struct pdmai_backing *b, struct file *f, const struct pdmai_span *range,
		  unsigned flags)
{
	uint64_t size;
	int ret;

	ret = open_fds(f, flags);
	ret = ret ? ret : size_of(f, &size);
	if (!ret && flags & PDMA_OPEN_CREATE)
		ret = grow(f, range, &size);
	if (ret)
		return ret;
	if (!size)
		return pdmai_fail(ERANGE, "%s is empty", f->path);
	b->len = size;
	f->need = range->len == PDMAI_TO_THE_END ? size : range->off + range->len;
	b->flags = PDMA_REGION_MAP | PDMA_REGION_PAGES | PDMA_REGION_FILE;
	return 0;
}

static int open_file(struct pdmai_backing *b, const struct pdmai_uri *uri,
		     const struct pdma_region_options *opt)
{
	struct file *f = calloc(1, sizeof(*f));
	int ret;

	if (!f)
		return pdmai_fail(ENOMEM, "no memory for a file");
	f->fd = f->direct = -1;
	f->path = strdup(uri->name);
	b->priv = f;
	ret = f->path ? set_up(b, f, &uri->ranges[0], opt->flags) :
			pdmai_fail(ENOMEM, "no memory for a file");
	if (ret)
		close_file(b);
	return ret;
}

static int map_file(struct pdmai_backing *b, uint64_t off, uint64_t len, void *addr, bool write)
{
	struct file *f = b->priv;
	void *mem = mmap(addr, len, PROT_READ | (write ? PROT_WRITE : 0), MAP_SHARED | MAP_FIXED,
			 f->fd, (off_t)off);

	if (mem == MAP_FAILED)
		return pdmai_fail_errno(errno, "cannot map %s", f->path);
	return 0;
}

static ssize_t io_once(int fd, void *buf, uint64_t len, uint64_t off, bool write)
{
	return write ? pwrite(fd, buf, len, (off_t)off) : pread(fd, buf, len, (off_t)off);
}

static int io_file(struct pdmai_backing *b, uint64_t off, void *buf, uint64_t len, bool write)
{
	struct file *f = b->priv;
	char *at = buf;
	ssize_t n;

	while (len) {
		n = io_once(f->fd, at, len, off, write);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return pdmai_fail_errno(errno, "%s of %s", write ? "writing" : "reading",
						f->path);
		if (!n)
			return pdmai_fail(EIO, "%s ends at %" PRIu64, f->path, off);
		at += n;
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

static int check_file(struct pdmai_backing *b)
{
	struct file *f = b->priv;
	uint64_t size;
	int ret = size_of(f, &size);

	if (!ret && size < f->need)
		ret = pdmai_fail(ERANGE, "%s became shorter", f->path);
	return ret;
}

static int fd_of_file(struct pdmai_backing *b, bool direct, int *ret_fd)
{
	struct file *f = b->priv;

	if (direct && f->direct < 0)
		return pdmai_fail(EOPNOTSUPP, "the file system of %s has no direct I/O", f->path);
	*ret_fd = direct ? f->direct : f->fd;
	return 0;
}

const struct pdmai_kind_ops pdmai_kind_file = {
	.open = open_file,
	.close = close_file,
	.map = map_file,
	.io = io_file,
	.check = check_file,
	.file = fd_of_file,
};
