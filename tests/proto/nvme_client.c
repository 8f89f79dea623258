// SPDX-License-Identifier: MIT
#include "tests/proto/nvme_client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/clock.h"

#define CC   0x14u
#define CSTS 0x1cu
#define AQA  0x24u
#define ASQ  0x28u
#define ACQ  0x30u
#define DB   0x1000u
#define EN   (1u | 6u << 16 | 4u << 20)
#define RDY  1u
#define CFS  2u
#define SQ   0x20000u /* of the admin queues; 0 is no address for a queue */
#define CQ   0x28000u

_Static_assert(sizeof(struct n_sqe) == 64, "3.1");
_Static_assert(sizeof(struct n_cqe) == 16, "3.2");

static int put32(struct disk *d, uint32_t region, uint64_t off, uint32_t val)
{
	return c_write(&d->c, region, off, &val, 4);
}

static int map_cmb(struct disk *d)
{
	static struct reply r;
	uint32_t ask[8] = { 64, 0, 2 };
	uint64_t size;
	void *mem;
	int err = c_call(&d->c, C_REGION_INFO, ask, sizeof(ask), NULL, 0, &r);

	if (err)
		return err;
	memcpy(&size, r.data + 0x10, sizeof(size));
	if (r.n_fds != 1 || size != N_CMB)
		return -EBADMSG;
	mem = mmap(NULL, N_CMB, PROT_READ | PROT_WRITE, MAP_SHARED, r.fds[0], 0);
	close(r.fds[0]);
	if (mem == MAP_FAILED)
		return -errno;
	d->cmb = mem;
	return 0;
}

static int map_ram(struct disk *d)
{
	void *mem;

	d->ram_fd = c_memfd(N_RAM, true);
	if (d->ram_fd < 0)
		return d->ram_fd;
	mem = mmap(NULL, N_RAM, PROT_READ | PROT_WRITE, MAP_SHARED, d->ram_fd, 0);
	if (mem == MAP_FAILED)
		return -errno;
	d->ram = mem;
	return c_map(&d->c, 0, N_RAM, 3, d->ram_fd, 0);
}

int n_open(struct disk *d, const char *path, uint64_t bar0, uint64_t bar2)
{
	int err;

	*d = (struct disk){ .ram_fd = -1 };
	err = c_connect(&d->c, path);
	if (err) {
		d->c.fd = -1;
		return err;
	}
	err = c_hello(&d->c);
	if (!err)
		err = map_ram(d);
	if (!err)
		err = c_get_info(&d->c);
	if (!err)
		err = map_cmb(d);
	if (!err)
		err = put32(d, C_CONFIG, 0x10, (uint32_t)bar0);
	if (!err)
		err = put32(d, C_CONFIG, 0x14, (uint32_t)(bar0 >> 32));
	if (!err)
		err = put32(d, C_CONFIG, 0x18, (uint32_t)bar2);
	if (!err)
		err = put32(d, C_CONFIG, 0x1c, (uint32_t)(bar2 >> 32));
	return err;
}

void n_close(struct disk *d)
{
	if (d->ram)
		munmap(d->ram, N_RAM);
	if (d->cmb)
		munmap(d->cmb, N_CMB);
	if (d->ram_fd >= 0)
		close(d->ram_fd);
	if (d->c.fd >= 0)
		c_close(&d->c);
	d->ram = d->cmb = NULL;
}

int n_command(struct disk *d, uint16_t command)
{
	return c_write16(&d->c, C_CONFIG, 4, command);
}

/* Until RDY is as wanted; CFS goes with it. */
static int await_ready(struct disk *d, uint32_t want)
{
	int64_t end = util_now_ms() + N_WAIT_MS;
	uint32_t csts;

	for (;;) {
		csts = c_read32(&d->c, 0, CSTS);
		if (want && csts & CFS)
			return -EIO;
		if ((csts & (RDY | CFS)) == want)
			return 0;
		if (util_now_ms() > end)
			return -ETIMEDOUT;
		poll(NULL, 0, 1);
	}
}

static void fresh(struct n_queue *q, uint8_t *sq, uint8_t *cq)
{
	*q = (struct n_queue){ .sq = sq, .cq = cq, .phase = true };
	memset(cq, 0, N_ENTRIES * sizeof(struct n_cqe));
}

int n_enable(struct disk *d)
{
	fresh(&d->q[0], d->ram + SQ, d->ram + CQ);
	if (put32(d, 0, AQA, (N_ENTRIES - 1) << 16 | (N_ENTRIES - 1)) ||
	    c_write64(&d->c, 0, ASQ, SQ) || c_write64(&d->c, 0, ACQ, CQ) || put32(d, 0, CC, EN))
		return -EIO;
	return await_ready(d, RDY);
}

int n_disable(struct disk *d)
{
	return put32(d, 0, CC, EN & ~1u) ? -EIO : await_ready(d, 0);
}

unsigned n_pair(struct disk *d, uint64_t at, uint8_t *mem)
{
	struct n_sqe s = { .opc = 5, .prp1 = at + 0x8000, .dw10 = (N_ENTRIES - 1) << 16 | 1 };
	unsigned status;

	s.dw11 = 1 << 16 | 3;
	fresh(&d->q[1], mem, mem + 0x8000);
	status = n_run(d, 0, s, NULL);
	if (status)
		return status;
	s.opc = 1;
	s.prp1 = at;
	s.dw11 = 1 << 16 | 1;
	return n_run(d, 0, s, NULL);
}

uint32_t n_put(struct disk *d, unsigned q, struct n_sqe s)
{
	struct n_queue *n = &d->q[q];

	s.cid = ++d->cid;
	memcpy(n->sq + n->tail * sizeof(s), &s, sizeof(s));
	/* Not __atomic_thread_fence: ThreadSanitizer does not know it. */
	__asm__ volatile("mfence" ::: "memory");
	n->tail = (n->tail + 1) % N_ENTRIES;
	return n->tail;
}

int n_ring(struct disk *d, unsigned q)
{
	return put32(d, 0, DB + 8 * q, d->q[q].tail);
}

/* The half with the phase comes in one store; with it seen, the rest is there. */
int n_await(struct disk *d, unsigned q, struct n_cqe *ret)
{
	struct n_queue *n = &d->q[q];
	const uint8_t *slot = n->cq + n->head * sizeof(*ret);
	const uint64_t *last = (const uint64_t *)(const void *)(slot + 8);
	int64_t end = util_now_ms() + N_WAIT_MS;

	while ((__atomic_load_n(last, __ATOMIC_ACQUIRE) >> 48 & 1) != n->phase) {
		if (util_now_ms() > end)
			return -ETIMEDOUT;
		poll(NULL, 0, 1);
	}
	memcpy(ret, slot, sizeof(*ret));
	n->head = (n->head + 1) % N_ENTRIES;
	n->phase = n->head ? n->phase : !n->phase;
	return put32(d, 0, DB + 8 * q + 4, n->head);
}

unsigned n_run(struct disk *d, unsigned q, struct n_sqe s, struct n_cqe *ret)
{
	struct n_cqe e;

	n_put(d, q, s);
	if (n_ring(d, q) || n_await(d, q, &e) || e.cid != d->cid)
		return 0xffff;
	if (ret)
		*ret = e;
	return e.status >> 1;
}

unsigned n_rw(struct disk *d, uint8_t opc, uint64_t slba, uint32_t blocks, uint64_t prp1,
	      uint64_t prp2)
{
	struct n_sqe s = { .opc = opc,
			   .nsid = 1,
			   .prp1 = prp1,
			   .prp2 = prp2,
			   .dw10 = (uint32_t)slba,
			   .dw12 = blocks - 1 };

	return n_run(d, 1, s, NULL);
}

unsigned n_flush(struct disk *d)
{
	return n_run(d, 1, (struct n_sqe){ .nsid = 1 }, NULL);
}
