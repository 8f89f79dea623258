// SPDX-License-Identifier: MIT
#include "tests/proto/vfu_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

int c_connect(struct client *c, const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = 20 };
	int err;

	memset(c, 0, sizeof(*c));
	strncpy(sa.sun_path, path, sizeof(sa.sun_path) - 1);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return -errno;
	if (setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
	    connect(c->fd, (struct sockaddr *)&sa, sizeof(sa))) {
		err = -errno;
		close(c->fd);
		return err;
	}
	return 0;
}

void c_close(struct client *c)
{
	close(c->fd);
	c->fd = -1;
}

int c_send_bytes(struct client *c, const void *buf, size_t len, const int *fds, unsigned n_fds)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(64 * sizeof(int))];
	} ctl = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)buf, .iov_len = len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (n_fds) {
		m.msg_control = &ctl;
		m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		ctl.align.cmsg_level = SOL_SOCKET;
		ctl.align.cmsg_type = SCM_RIGHTS;
		ctl.align.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&ctl.align), fds, n_fds * sizeof(int));
	}
	while (iov.iov_len) {
		n = sendmsg(c->fd, &m, MSG_NOSIGNAL);
		if (n < 0)
			return -errno;
		m.msg_control = NULL;
		m.msg_controllen = 0;
		iov.iov_base = (char *)iov.iov_base + n;
		iov.iov_len -= (size_t)n;
	}
	return 0;
}

static int send_header(struct client *c, const struct c_header *h, const void *payload, size_t len,
		       const int *fds, unsigned n_fds)
{
	uint8_t *msg = malloc(sizeof(*h) + len);
	int err;

	if (!msg)
		return -ENOMEM;
	memcpy(msg, h, sizeof(*h));
	if (len)
		memcpy(msg + sizeof(*h), payload, len);
	err = c_send_bytes(c, msg, sizeof(*h) + len, fds, n_fds);
	free(msg);
	return err;
}

int c_send(struct client *c, uint16_t cmd, uint32_t flags, const void *payload, size_t len,
	   const int *fds, unsigned n_fds)
{
	struct c_header h = {
		.id = c->next_id++, .cmd = cmd, .size = (uint32_t)(sizeof(h) + len), .flags = flags
	};
	int err = send_header(c, &h, payload, len, fds, n_fds);

	return err ? err : h.id;
}

static void take_fds(struct reply *r, struct msghdr *m)
{
	struct cmsghdr *cm = CMSG_FIRSTHDR(m);

	if (!cm)
		return;
	r->n_fds = (unsigned)((cm->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	memcpy(r->fds, CMSG_DATA(cm), r->n_fds * sizeof(int));
}

static int receive_all(struct client *c, void *buf, size_t len, struct reply *r)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(16 * sizeof(int))];
	} ctl;
	struct iovec iov = { .iov_base = buf, .iov_len = len };
	ssize_t n;

	while (iov.iov_len) {
		struct msghdr m = { .msg_iov = &iov,
				    .msg_iovlen = 1,
				    .msg_control = &ctl,
				    .msg_controllen = sizeof(ctl) };

		n = recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC);
		if (n <= 0)
			return n ? -errno : -EPIPE;
		take_fds(r, &m);
		iov.iov_base = (char *)iov.iov_base + n;
		iov.iov_len -= (size_t)n;
	}
	return 0;
}

int c_receive(struct client *c, struct reply *r)
{
	int err;

	r->n_fds = 0;
	r->len = 0;
	err = receive_all(c, &r->h, sizeof(r->h), r);
	if (err)
		return err;
	if (r->h.size < sizeof(r->h) || r->h.size > C_MAX_MSG)
		return -EBADMSG;
	r->len = r->h.size - sizeof(r->h);
	return receive_all(c, r->data, r->len, r);
}

static int answer(struct client *c, const struct c_header *req, const uint8_t *payload)
{
	struct c_memory *m = c->memory;
	struct c_header h = { .id = req->id, .cmd = req->cmd, .flags = C_REPLY };
	uint8_t *out;
	uint64_t a[2];
	size_t len;
	int err;

	memcpy(a, payload, sizeof(a));
	if (!m || m->refuse || a[0] < m->base || a[0] - m->base > m->len ||
	    a[1] > m->len - (a[0] - m->base)) {
		h.flags |= C_ERROR;
		h.error = ENODEV;
		h.size = sizeof(h);
		return send_header(c, &h, NULL, 0, NULL, 0);
	}
	len = req->cmd == C_DMA_READ ? a[1] : 0;
	out = malloc(16 + len);
	memcpy(out, a, 16);
	if (len)
		memcpy(out + 16, m->mem + (a[0] - m->base), len);
	h.size = (uint32_t)(sizeof(h) + 16 + len);
	err = send_header(c, &h, out, 16 + len, NULL, 0);
	free(out);
	return err;
}

static int serve(struct client *c, const struct reply *r)
{
	struct c_memory *m = c->memory;
	uint64_t a[2];

	if ((r->h.flags & 15) || r->len < 16)
		return -EBADMSG;
	memcpy(a, r->data, sizeof(a));
	if (m && r->h.cmd == C_DMA_READ)
		m->reads++;
	if (m && r->h.cmd == C_DMA_WRITE) {
		m->writes++;
		if (r->len != 16 + a[1])
			return -EBADMSG;
		if (!m->silent && a[0] >= m->base && a[1] <= m->len - (a[0] - m->base))
			memcpy(m->mem + (a[0] - m->base), r->data + 16, a[1]);
	}
	if (m && m->silent) {
		m->held = r->h;
		memcpy(m->held_payload, r->data, 16);
		return 0;
	}
	return answer(c, &r->h, r->data);
}

int c_answer_held(struct client *c)
{
	return answer(c, &c->memory->held, c->memory->held_payload);
}

int c_await(struct client *c, int id, struct reply *r)
{
	int err;

	while (!(err = c_receive(c, r))) {
		if ((r->h.flags & 15) == C_REPLY)
			return r->h.id == id ? 0 : -EBADMSG;
		err = serve(c, r);
		if (err)
			return err;
	}
	return err;
}

int c_serve_one(struct client *c)
{
	struct reply *r = malloc(sizeof(*r));
	int err = c_receive(c, r);

	if (!err)
		err = serve(c, r);
	free(r);
	return err;
}

int c_call(struct client *c, uint16_t cmd, const void *payload, size_t len, const int *fds,
	   unsigned n_fds, struct reply *r)
{
	struct reply *own = r ? NULL : malloc(sizeof(*own));
	int err = c_send(c, cmd, 0, payload, len, fds, n_fds);

	if (own)
		r = own;
	if (err >= 0)
		err = c_await(c, err, r);
	if (!err && r->h.flags & C_ERROR)
		err = (int)r->h.error;
	free(own);
	return err;
}

bool c_at_end(struct client *c)
{
	struct reply *r = malloc(sizeof(*r));
	int err;

	do
		err = c_receive(c, r);
	while (!err);
	free(r);
	return err == -EPIPE || err == -ECONNRESET;
}

int c_hello(struct client *c)
{
	static const char msg[] = "\0\0\1\0{\"capabilities\":{\"max_msg_fds\":8}}";

	return c_call(c, C_VERSION, msg, sizeof(msg), NULL, 0, NULL);
}

int c_get_info(struct client *c)
{
	uint32_t info[4] = { 16 };

	return c_call(c, C_GET_INFO, info, sizeof(info), NULL, 0, NULL);
}

int c_map(struct client *c, uint64_t addr, uint64_t size, uint32_t prot, int fd, uint64_t off)
{
	struct {
		uint32_t argsz, flags;
		uint64_t offset, addr, size;
	} m = { 32, prot, off, addr, size };

	return c_call(c, C_DMA_MAP, &m, sizeof(m), &fd, fd >= 0, NULL);
}

int c_unmap(struct client *c, uint64_t addr, uint64_t size)
{
	struct {
		uint32_t argsz, flags;
		uint64_t addr, size;
	} m = { 24, 0, addr, size };

	return c_call(c, C_DMA_UNMAP, &m, sizeof(m), NULL, 0, NULL);
}

struct access {
	uint64_t off;
	uint32_t region, count;
	uint8_t data[4096];
};

int c_read(struct client *c, uint32_t region, uint64_t off, void *buf, uint32_t len)
{
	struct reply *r = malloc(sizeof(*r));
	struct access a = { .off = off, .region = region, .count = len };
	int err = c_call(c, C_REGION_READ, &a, 16, NULL, 0, r);

	if (!err && (r->len != 16 + len || memcmp(r->data, &a, 16)))
		err = -EBADMSG;
	if (!err)
		memcpy(buf, r->data + 16, len);
	free(r);
	return err;
}

int c_write(struct client *c, uint32_t region, uint64_t off, const void *buf, uint32_t len)
{
	struct access a = { .off = off, .region = region, .count = len };

	memcpy(a.data, buf, len);
	return c_call(c, C_REGION_WRITE, &a, 16 + len, NULL, 0, NULL);
}

int c_post(struct client *c, uint32_t region, uint64_t off, const void *buf, uint32_t len)
{
	struct access a = { .off = off, .region = region, .count = len };
	int id;

	memcpy(a.data, buf, len);
	id = c_send(c, C_REGION_WRITE, C_NO_REPLY, &a, 16 + len, NULL, 0);
	return id < 0 ? id : 0;
}

uint64_t c_read64(struct client *c, uint32_t region, uint64_t off)
{
	uint64_t val = 0;

	return c_read(c, region, off, &val, 8) ? UINT64_C(0xdeaddeaddeaddead) : val;
}

uint32_t c_read32(struct client *c, uint32_t region, uint64_t off)
{
	uint32_t val = 0;

	return c_read(c, region, off, &val, 4) ? 0xdeaddead : val;
}

int c_write64(struct client *c, uint32_t region, uint64_t off, uint64_t val)
{
	return c_write(c, region, off, &val, 8);
}

int c_write16(struct client *c, uint32_t region, uint64_t off, uint16_t val)
{
	return c_write(c, region, off, &val, 2);
}

int c_set_irqs(struct client *c, uint32_t data, uint32_t index, uint32_t start, uint32_t count,
	       const int *fds, unsigned n_fds)
{
	uint32_t m[5] = { 20, data | 0x20, index, start, count };

	return c_call(c, C_SET_IRQS, m, sizeof(m), fds, n_fds, NULL);
}

int c_memfd(uint64_t size, bool sealed)
{
	int fd = memfd_create("client", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) || (sealed && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK))) {
		close(fd);
		return -EINVAL;
	}
	return fd;
}
