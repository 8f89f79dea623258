// SPDX-License-Identifier: MIT
/*
 * host:LEN - zeroed memory of the machine.
 * udmabuf:LEN - the same, and the kernel makes dma-bufs of it.
 *
 * Both are a memfd, so that pieces of several can be mapped side by side.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/udmabuf.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "lib/region/kinds.h"

static int fd_of(const struct pdmai_backing *b)
{
	return (int)(intptr_t)b->priv;
}

/* A memfd promises any size; running out later is a signal to whoever touches it. */
static int check_size(uint64_t len)
{
	struct sysinfo info;

	if (sysinfo(&info) || len / info.mem_unit < info.totalram)
		return 0;
	return pdmai_fail(ENOMEM, "this machine has no %" PRIu64 " bytes of memory", len);
}

static int open_memfd(struct pdmai_backing *b, uint64_t len)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	int ret, fd;

	ret = check_size(len);
	if (ret)
		return ret;
	fd = memfd_create("peerdma", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return pdmai_fail_errno(errno, "no memory file");
	/* A dma-buf needs a file that can't shrink, of whole pages. */
	if (ftruncate(fd, (off_t)((len + (page - 1)) & ~(page - 1))) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0) {
		ret = pdmai_fail_errno(errno, "no %" PRIu64 " bytes of memory", len);
		close(fd);
		return ret;
	}
	b->priv = (void *)(intptr_t)fd;
	b->len = len;
	b->flags = PDMA_REGION_MAP | PDMA_REGION_PAGES | PDMA_REGION_RAM;
	return 0;
}

static int open_host(struct pdmai_backing *b, const struct pdmai_uri *uri,
		     const struct pdma_region_options *opt)
{
	return open_memfd(b, uri->len);
}

static void close_host(struct pdmai_backing *b)
{
	close(fd_of(b));
}

static int map_host(struct pdmai_backing *b, uint64_t off, uint64_t len, void *addr, bool write)
{
	void *mem = mmap(addr, len, PROT_READ | (write ? PROT_WRITE : 0), MAP_SHARED | MAP_FIXED,
			 fd_of(b), (off_t)off);

	if (mem == MAP_FAILED)
		return pdmai_fail_errno(errno, "cannot map %" PRIu64 " bytes of memory", len);
	return 0;
}

static int open_udmabuf(struct pdmai_backing *b, const struct pdmai_uri *uri,
			const struct pdma_region_options *opt)
{
	int ret;

	if (access("/dev/udmabuf", R_OK | W_OK))
		return pdmai_fail_errno(errno == ENOENT ? EOPNOTSUPP : errno,
					"cannot use /dev/udmabuf");
	ret = open_memfd(b, uri->len);
	if (!ret)
		b->flags |= PDMA_REGION_DMABUF;
	return ret;
}

static struct udmabuf_create_list *make_list(int memfd, const struct pdmai_span *spans, unsigned n)
{
	struct udmabuf_create_list *list = calloc(1, sizeof(*list) + n * sizeof(list->list[0]));

	if (!list)
		return NULL;
	list->flags = UDMABUF_FLAGS_CLOEXEC;
	list->count = n;
	for (unsigned i = 0; i < n; i++)
		list->list[i] = (struct udmabuf_create_item){ .memfd = (__u32)memfd,
							      .offset = spans[i].off,
							      .size = spans[i].len };
	return list;
}

static int dmabuf_udmabuf(struct pdmai_backing *b, const struct pdmai_span *spans, unsigned n,
			  int *ret_fd, uint64_t *ret_off)
{
	struct udmabuf_create_list *list;
	int dev, fd, err;

	dev = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	if (dev < 0)
		return pdmai_fail_errno(errno, "cannot open /dev/udmabuf");
	list = make_list(fd_of(b), spans, n);
	if (!list) {
		close(dev);
		return pdmai_fail(ENOMEM, "no memory for %u ranges", n);
	}
	fd = ioctl(dev, UDMABUF_CREATE_LIST, list);
	err = errno;
	free(list);
	close(dev);
	if (fd < 0)
		return pdmai_fail_errno(err, "udmabuf makes no buffer (its module parameters "
					     "size_limit_mb and list_limit bound it)");
	*ret_fd = fd;
	*ret_off = 0;
	return 0;
}

const struct pdmai_kind_ops pdmai_kind_host = {
	.open = open_host,
	.close = close_host,
	.map = map_host,
};

const struct pdmai_kind_ops pdmai_kind_udmabuf = {
	.open = open_udmabuf,
	.close = close_host,
	.map = map_host,
	.dmabuf = dmabuf_udmabuf,
};
