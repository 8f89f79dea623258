// SPDX-License-Identifier: MIT
/*
 * A client's stream of bytes and descriptors into a real server over its socket. Input: a byte of
 * options, then records of a kind and its arguments:
 *
 *   0       n, then n bytes as they are
 *   1       cmd, flags, n, then n bytes: a message with a right header and no descriptor
 *   2       cmd, flags, kinds, n, then n bytes: the same with a descriptor for each bit of kinds
 *   3       n: as 0, but with a sealed file
 *
 * Option bit 0: begin with a good handshake. Bit 1: go without shutting down the writing side.
 * The server closes when it has seen the end, so an input has no effect on the next one.
 */
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "models/common/device.h"
#include "models/common/log.h"
#include "models/common/node.h"

#define VECTORS 9u
#define VRAM	65536u
#define KINDS	6

static char dir[] = "/tmp/pdma-fuzz-XXXXXX", path[64];
static uint8_t regs[4096];
static int kinds[KINDS];

static void f_read(struct mdl_device *dev, unsigned bar, uint64_t off, void *buf, size_t len)
{
	/* Out of range would be the common code's fault; a sanitizer sees it. */
	memcpy(buf, regs + off, len);
}

static void f_write(struct mdl_device *dev, unsigned bar, uint64_t off, const void *buf, size_t len)
{
	memcpy(regs + off, buf, len);
	mdl_irq_raise(dev, regs[0]);
}

static const struct mdl_device_ops ops = { .bar_read = f_read, .bar_write = f_write };

static int memfd(const char *name, int seals, off_t size)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, size) || fcntl(fd, F_ADD_SEALS, seals))
		abort();
	return fd;
}

static void make_kinds(void)
{
	int p[2];

	kinds[0] = memfd("sealed", F_SEAL_SHRINK, 1 << 20);
	kinds[1] = memfd("soft", 0, 8192);
	kinds[2] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	kinds[3] = memfd("empty", F_SEAL_SHRINK, 0);
	kinds[4] = memfd("read", F_SEAL_SHRINK | F_SEAL_WRITE, 4096);
	if (pipe2(p, O_CLOEXEC))
		abort();
	close(p[0]);
	kinds[5] = p[1];
}

static struct mdl_device *dev;
static struct mdl_node *node;

static void finish(void)
{
	mdl_device_destroy(dev);
	mdl_node_destroy(node);
	rmdir(dir);
}

static void start(void)
{
	struct mdl_node_cfg cfg = { .name = "fuzz", .host_bridge_p2p = true };
	struct mdl_device_desc d = { .model = "fuzz",
				     .ops = &ops,
				     .n_vectors = VECTORS,
				     .msix_bar = 4,
				     .msix_pba_off = 0x800,
				     .local_size = VRAM };

	mdl_log_set_level(MDL_ERROR);
	make_kinds();
	if (!mkdtemp(dir) || mdl_node_create(&cfg, &node) ||
	    mdl_mem_create("vram", VRAM, &d.bars[2].fd, &d.bars[2].mem))
		abort();
	d.bars[0] = (struct mdl_bar){ .size = 4096, .fd = -1 };
	d.bars[2].size = VRAM;
	d.bars[2].is_64bit = true;
	d.bars[4] = (struct mdl_bar){ .size = 4096, .fd = -1 };
	d.local_mem = d.bars[2].mem;
	snprintf(path, sizeof(path), "%s/dev", dir);
	if (mdl_device_create(node, "dev", &d, NULL, &dev) || mdl_device_listen(dev, path))
		abort();
	atexit(finish);
}

static int connected(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(sa.sun_path, path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		abort();
	return fd;
}

/* Throw away what has come. Return: false when the server has closed. */
static int drain(int fd, int flags)
{
	static uint8_t sink[65536];
	ssize_t n;

	do
		n = recv(fd, sink, sizeof(sink), flags);
	while (n > 0);
	return n < 0 && flags;
}

static int put(int fd, const void *buf, size_t len, const int *fds, unsigned n_fds)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(KINDS * sizeof(int))];
	} ctl = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)buf, .iov_len = len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n_fds) {
		m.msg_control = &ctl;
		m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		ctl.align.cmsg_level = SOL_SOCKET;
		ctl.align.cmsg_type = SCM_RIGHTS;
		ctl.align.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&ctl.align), fds, n_fds * sizeof(int));
	}
	/* Less than the socket holds, and the server reads: this does not wait for long. */
	return len && sendmsg(fd, &m, MSG_NOSIGNAL) == (ssize_t)len && drain(fd, MSG_DONTWAIT);
}

static int put_message(int fd, uint8_t cmd, uint8_t flags, unsigned bits, const uint8_t *p,
		       uint32_t n)
{
	struct {
		uint16_t id, cmd;
		uint32_t size, flags, error;
		uint8_t data[256];
	} m = { .cmd = cmd, .size = 16 + n, .flags = flags };
	unsigned i, n_fds = 0;
	int fds[KINDS];

	memcpy(m.data, p, n);
	for (i = 0; i < KINDS; i++)
		if (bits >> i & 1)
			fds[n_fds++] = kinds[i];
	return put(fd, &m, 16 + n, fds, n_fds);
}

/* One record. Return: what is left behind it, or NULL at the end. */
static const uint8_t *record(int fd, const uint8_t *p, const uint8_t *end)
{
	static const unsigned head[4] = { 2, 4, 5, 2 };
	unsigned kind, n;
	int ok;

	if (p == end)
		return NULL;
	kind = p[0] & 3;
	if ((size_t)(end - p) < head[kind])
		return NULL;
	n = p[head[kind] - 1];
	if ((size_t)(end - p) - head[kind] < n)
		n = (unsigned)((size_t)(end - p) - head[kind]);
	if (kind == 1 || kind == 2)
		ok = put_message(fd, p[1], p[2], kind == 2 ? p[3] : 0, p + head[kind], n);
	else
		ok = put(fd, p + 2, n, kinds, kind == 3);
	return ok ? p + head[kind] + n : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *p = data, *end = data + size;
	uint8_t options;
	int fd;

	if (!dev)
		start();
	if (!size)
		return 0;
	options = *p++;
	memset(regs, 0, sizeof(regs));
	fd = connected();
	if (options & 1)
		put_message(fd, 1, 0, 0, (const uint8_t *)"\0\0\1", 4);
	while (p)
		p = record(fd, p, end);
	if (!(options & 2)) {
		shutdown(fd, SHUT_WR);
		drain(fd, 0);
	}
	close(fd);
	return 0;
}
