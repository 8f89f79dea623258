// SPDX-License-Identifier: MIT
#include "frame.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static int wait_writable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	if (poll(&p, 1, -1) < 0 && errno != EINTR)
		return -errno;
	return 0;
}

static int write_all(int fd, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n > 0) {
			data += n;
			len -= (size_t)n;
			continue;
		}
		if (n < 0 && errno == EAGAIN) {
			int ret = wait_writable(fd);

			if (ret)
				return ret;
		} else if (n < 0 && errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

int frame_send(int fd, enum frame_type type, uint16_t job, const void *data, size_t len)
{
	uint8_t small[FRAME_HEADER_LEN + 4096];
	struct frame_header h = { .len = (uint32_t)len, .type = (uint16_t)type, .job = job };
	int ret;

	/*
	 * A write to the port is a message to the host and costs tens of microseconds: short frames
	 * go as one.
	 */
	if (len <= sizeof(small) - sizeof(h)) {
		memcpy(small, &h, sizeof(h));
		if (len)
			memcpy(small + sizeof(h), data, len);
		return write_all(fd, small, sizeof(h) + len);
	}
	ret = write_all(fd, (const uint8_t *)&h, sizeof(h));
	return ret ? ret : write_all(fd, data, len);
}

static size_t wanted(const struct frame_reader *r)
{
	return r->have < FRAME_HEADER_LEN ? FRAME_HEADER_LEN : FRAME_HEADER_LEN + r->header.len;
}

static uint8_t *destination(struct frame_reader *r)
{
	if (r->have < FRAME_HEADER_LEN)
		return (uint8_t *)&r->header + r->have;
	return r->payload + (r->have - FRAME_HEADER_LEN);
}

int frame_read(struct frame_reader *r)
{
	if (r->have >= FRAME_HEADER_LEN && r->have == wanted(r))
		r->have = 0;
	for (;;) {
		ssize_t n = read(r->fd, destination(r), wanted(r) - r->have);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		if (n == 0)
			return -EPIPE;
		r->have += (size_t)n;
		if (r->have < FRAME_HEADER_LEN)
			continue;
		if (r->header.len > FRAME_MAX)
			return -EPROTO;
		if (r->have == wanted(r)) {
			r->payload[r->header.len] = 0;
			return 1;
		}
	}
}
