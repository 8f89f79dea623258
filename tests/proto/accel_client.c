// SPDX-License-Identifier: MIT
#include "tests/proto/accel_client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/clock.h"

#define SQ 0x0u
#define CQ 0x400u

_Static_assert(sizeof(struct a_sqe) == 64, "4.1");
_Static_assert(sizeof(struct a_cqe) == 32, "4.4");

static int map_vram(struct acc *a)
{
	static struct reply r;
	uint32_t ask[8] = { 64, 0, 2 };
	uint64_t size;
	void *mem;
	int err = c_call(&a->c, C_REGION_INFO, ask, sizeof(ask), NULL, 0, &r);

	if (err)
		return err;
	memcpy(&size, r.data + 0x10, sizeof(size));
	if (r.n_fds != 1 || size != A_VRAM)
		return -EBADMSG;
	mem = mmap(NULL, A_VRAM, PROT_READ | PROT_WRITE, MAP_SHARED, r.fds[0], 0);
	close(r.fds[0]);
	if (mem == MAP_FAILED)
		return -errno;
	a->vram = mem;
	return 0;
}

static int put32(struct acc *a, uint32_t region, uint64_t off, uint32_t val)
{
	return c_write(&a->c, region, off, &val, 4);
}

int a_open(struct acc *a, const char *path, uint64_t bar0, uint64_t bar2)
{
	int err = c_connect(&a->c, path);

	a->vram = NULL;
	a->next = 0;
	if (err) {
		a->c.fd = -1;
		return err;
	}
	err = c_hello(&a->c);
	if (!err)
		err = c_get_info(&a->c);
	if (!err)
		err = map_vram(a);
	if (!err)
		err = put32(a, C_CONFIG, 0x10, (uint32_t)bar0);
	if (!err)
		err = put32(a, C_CONFIG, 0x18, (uint32_t)bar2);
	if (!err)
		err = put32(a, C_CONFIG, 0x1c, (uint32_t)(bar2 >> 32));
	return err;
}

void a_close(struct acc *a)
{
	if (a->vram)
		munmap(a->vram, A_VRAM);
	if (a->c.fd >= 0)
		c_close(&a->c);
	a->vram = NULL;
}

int a_command(struct acc *a, uint16_t command)
{
	return c_write16(&a->c, C_CONFIG, 4, command);
}

uint32_t a_ring_start(struct acc *a, uint32_t vector)
{
	memset(a->vram + CQ, 0, A_ENTRIES * sizeof(struct a_cqe));
	a->next = 0;
	if (put32(a, 0, 0x30, 1) || c_write64(&a->c, 0, 0x1000, SQ) ||
	    c_write64(&a->c, 0, 0x1008, CQ) || put32(a, 0, 0x1010, 4) ||
	    put32(a, 0, 0x1014, 0x11) || put32(a, 0, 0x1018, vector) || put32(a, 0, 0x1020, 1))
		return UINT32_MAX;
	return c_read32(&a->c, 0, 0x1024);
}

int a_ring_reset(struct acc *a)
{
	int64_t end = util_now_ms() + A_WAIT_MS;
	int err = put32(a, 0, 0x1020, 4);

	while (!err && c_read32(&a->c, 0, 0x1024)) {
		if (util_now_ms() > end)
			return -ETIMEDOUT;
		poll(NULL, 0, 1);
	}
	return err;
}

/* The last 8 bytes of a completion come in one store; with them seen, the rest is there. */
static int await(struct acc *a, uint32_t index, struct a_cqe *ret)
{
	const uint8_t *slot = a->vram + CQ + index % A_ENTRIES * sizeof(*ret);
	const uint64_t *last = (const uint64_t *)(const void *)(slot + 0x18);
	unsigned phase = 1 - index / A_ENTRIES % 2;
	int64_t end = util_now_ms() + A_WAIT_MS;

	while ((__atomic_load_n(last, __ATOMIC_ACQUIRE) >> 48 & 1) != phase) {
		if (util_now_ms() > end)
			return -ETIMEDOUT;
		poll(NULL, 0, 1);
	}
	memcpy(ret, slot, sizeof(*ret));
	return 0;
}

int a_run(struct acc *a, const struct a_sqe *s, struct a_cqe *ret)
{
	uint32_t index = a->next;
	int err;

	memcpy(a->vram + SQ + index % A_ENTRIES * sizeof(*s), s, sizeof(*s));
	/* Not __atomic_thread_fence: ThreadSanitizer does not know it. */
	__asm__ volatile("mfence" ::: "memory");
	err = put32(a, 0, 0x8000, index + 1);
	if (!err)
		err = await(a, index, ret);
	if (!err)
		err = put32(a, 0, 0x8004, index + 1);
	a->next = index + 1;
	return err;
}

unsigned a_move(struct acc *a, uint8_t opcode, uint8_t src_space, uint64_t src, uint8_t dst_space,
		uint64_t dst, uint64_t len, struct a_cqe *ret)
{
	struct a_sqe s = { .opcode = opcode,
			   .cmd_id = a->next ^ 0x5a5a0000,
			   .len = len,
			   .src = src,
			   .dst = dst,
			   .src_space = src_space,
			   .dst_space = dst_space };

	return a_run(a, &s, ret) || ret->cmd_id != s.cmd_id ? 0xffff : ret->status;
}
