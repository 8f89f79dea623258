// SPDX-License-Identifier: MIT
#include "tests/unit/models/nvme/rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "models/nvme/nvme.h"

int rig_in_page_cache = -1;

ssize_t __real_preadv64v2(int fd, const struct iovec *iov, int n, off_t pos, int flags);
ssize_t __wrap_preadv64v2(int fd, const struct iovec *iov, int n, off_t pos, int flags);

/* The model's reads come through here (--wrap). */
ssize_t __wrap_preadv64v2(int fd, const struct iovec *iov, int n, off_t pos, int flags)
{
	if (flags & RWF_NOWAIT && !rig_in_page_cache) {
		errno = EAGAIN;
		return -1;
	}
	rig_in_page_cache -= flags & RWF_NOWAIT && rig_in_page_cache > 0;
	return __real_preadv64v2(fd, iov, n, pos, flags & ~RWF_NOWAIT);
}

static int setup(void **state, bool legacy)
{
	struct nvme_cfg cfg = { .serial = "unit",
				.cmb_size = RIG_CMB,
				.cmb_legacy = legacy,
				.cache = RIG_CACHE,
				.n_ns = 2 };
	struct rig *g = calloc(1, sizeof(*g));
	char path[2][32];
	unsigned i;

	if (!g || posix_memalign((void **)&g->host, 65536, RIG_HOST_SIZE))
		return -1;
	memset(g->host, 0, RIG_HOST_SIZE);
	g->data = g->host + RIG_DATA;
	for (i = 0; i < 2; i++) {
		g->file[i] = memfd_create("ns", MFD_CLOEXEC);
		snprintf(path[i], sizeof(path[i]), "/proc/self/fd/%d", g->file[i]);
		cfg.ns[i].path = path[i];
		cfg.ns[i].size = i ? RIG_NS2 : RIG_NS1;
		cfg.ns[i].block = i ? 4096 : 512;
	}
	fake_visit_max = 1u << 20;
	if (nvme_create(NULL, "disk0", &cfg, &g->dev))
		return -1;
	g->cmb = fake_local(g->dev);
	fake_unmap_all();
	fake_map(RIG_HOST, g->host, RIG_HOST_SIZE, true, 0);
	*state = g;
	return 0;
}

int rig_setup_bare(void **state)
{
	return setup(state, false);
}

int rig_setup_legacy(void **state)
{
	return setup(state, true);
}

int rig_setup(void **state)
{
	struct rig *g;

	if (setup(state, false))
		return -1;
	g = *state;
	rig_cmb_on(g);
	rig_enable(g, 16);
	rig_pair(g, 1);
	return 0;
}

int rig_teardown(void **state)
{
	struct rig *g = *state;

	fake_hook = NULL;
	rig_in_page_cache = -1;
	mdl_device_destroy(g->dev);
	fake_unmap_all();
	close(g->file[0]);
	close(g->file[1]);
	free(g->host);
	free(g);
	return 0;
}

void rig_run(struct rig *g)
{
	assert_true(fake_run(g->dev, 10000) < 10000);
}

void rig_cmb_on(struct rig *g)
{
	fake_w64(g->dev, NVME_CMBMSC, NVME_CMBMSC_CRE);
	fake_w64(g->dev, NVME_CMBMSC, RIG_CMB_BASE | NVME_CMBMSC_CRE | NVME_CMBMSC_CMSE);
}

static void fresh(struct rig *g, unsigned q, uint32_t entries)
{
	g->size[q] = entries;
	g->tail[q] = g->head[q] = 0;
	g->phase[q] = true;
	memset(g->host + RIG_CQ(q), 0, entries * sizeof(struct nvme_cqe));
}

void rig_enable(struct rig *g, uint32_t entries)
{
	fresh(g, 0, entries);
	fake_w32(g->dev, NVME_AQA, (entries - 1) << 16 | (entries - 1));
	fake_w64(g->dev, NVME_ASQ, BUS(RIG_SQ(0)));
	fake_w64(g->dev, NVME_ACQ, BUS(RIG_CQ(0)));
	fake_w32(g->dev, NVME_CC, NVME_CC_EN | 6 << 16 | 4 << 20);
	assert_int_equal(rig_csts(g) & NVME_CSTS_RDY, 0);
	rig_run(g);
	assert_int_equal(rig_csts(g), NVME_CSTS_RDY);
}

static struct nvme_cqe *slot(struct rig *g, unsigned q)
{
	return (struct nvme_cqe *)(void *)(g->host + RIG_CQ(q)) + g->head[q];
}

bool rig_peek(struct rig *g, unsigned q, struct nvme_cqe *ret)
{
	*ret = *slot(g, q);
	return (ret->status & 1) == g->phase[q];
}

struct nvme_cqe rig_take(struct rig *g, unsigned q)
{
	struct nvme_cqe e;

	assert_true(rig_peek(g, q, &e));
	g->head[q]++;
	if (g->head[q] == g->size[q]) {
		g->head[q] = 0;
		g->phase[q] = !g->phase[q];
	}
	fake_w32(g->dev, NVME_DB_CQ(q), g->head[q]);
	return e;
}

void rig_none(struct rig *g, unsigned q)
{
	struct nvme_cqe e;

	assert_false(rig_peek(g, q, &e));
}

uint16_t rig_push(struct rig *g, unsigned q, struct nvme_sqe s)
{
	s.cid = ++g->cid;
	memcpy(g->host + RIG_SQ(q) + g->tail[q] * sizeof(s), &s, sizeof(s));
	g->tail[q] = (g->tail[q] + 1) % g->size[q];
	return s.cid;
}

void rig_bell(struct rig *g, unsigned q)
{
	fake_w32(g->dev, NVME_DB_SQ(q), g->tail[q]);
}

unsigned rig_do(struct rig *g, unsigned q, struct nvme_sqe s, uint32_t *ret_dw0)
{
	uint16_t cid = rig_push(g, q, s);
	struct nvme_cqe e;

	rig_bell(g, q);
	rig_run(g);
	e = rig_take(g, q);
	assert_int_equal(e.cid, cid);
	assert_int_equal(e.sqid, q);
	assert_int_equal(e.sqhd, g->tail[q]);
	if (ret_dw0)
		*ret_dw0 = e.dw0;
	return e.status >> 1;
}

unsigned rig_create_cq(struct rig *g, unsigned q, uint32_t entries, unsigned vector, uint64_t at)
{
	struct nvme_sqe s = sqe_admin(NVME_CREATE_CQ, (entries - 1) << 16 | q);

	s.prp1 = at;
	s.cdw11 = vector << 16 | 3;
	return rig_do(g, 0, s, NULL);
}

unsigned rig_create_sq(struct rig *g, unsigned q, uint32_t entries, unsigned cq, uint64_t at)
{
	struct nvme_sqe s = sqe_admin(NVME_CREATE_SQ, (entries - 1) << 16 | q);

	s.prp1 = at;
	s.cdw11 = cq << 16 | 1;
	return rig_do(g, 0, s, NULL);
}

void rig_pair(struct rig *g, unsigned q)
{
	fresh(g, q, 8);
	assert_int_equal(rig_create_cq(g, q, 8, q, BUS(RIG_CQ(q))), 0);
	assert_int_equal(rig_create_sq(g, q, 8, q, BUS(RIG_SQ(q))), 0);
}

struct nvme_sqe sqe_admin(uint8_t opc, uint32_t cdw10)
{
	return (struct nvme_sqe){ .opc = opc, .cdw10 = cdw10, .prp1 = DATA(0) };
}

struct nvme_sqe sqe_io(uint8_t opc)
{
	return (struct nvme_sqe){ .opc = opc, .nsid = 1 };
}

/* Data is contiguous, so that PRPs are easily made: a list on page RIG_LIST for what needs one. */
struct nvme_sqe sqe_rw(uint8_t opc, uint64_t slba, uint32_t n)
{
	return (struct nvme_sqe){ .opc = opc,
				  .nsid = 1,
				  .prp1 = DATA(0),
				  .prp2 = n <= 16 ? DATA(4096) : BUS(RIG_LIST),
				  .cdw10 = (uint32_t)slba,
				  .cdw11 = (uint32_t)(slba >> 32),
				  .cdw12 = n - 1 };
}

static void put_list(struct rig *g)
{
	uint64_t *list = (uint64_t *)(void *)(g->host + RIG_LIST);
	unsigned i;

	for (i = 0; i < 512; i++)
		list[i] = DATA(4096 * (i + 1));
}

void rig_pattern(void *buf, size_t len, uint32_t seed)
{
	uint8_t *p = buf;
	uint32_t x = seed * 2654435761u + 1;
	size_t i;

	for (i = 0; i < len; i++) {
		x = x * 1664525u + 1013904223u;
		p[i] = (uint8_t)(x >> 24);
	}
}

bool rig_is_pattern(const void *buf, size_t len, uint32_t seed)
{
	uint8_t *want = malloc(len);
	bool same;

	rig_pattern(want, len, seed);
	same = !memcmp(want, buf, len);
	free(want);
	return same;
}

void rig_file(struct rig *g, unsigned nsid, uint64_t off, void *buf, size_t len)
{
	assert_int_equal(pread(g->file[nsid - 1], buf, len, (off_t)off), len);
}

void rig_write(struct rig *g, uint64_t slba, uint32_t n, uint32_t seed)
{
	put_list(g);
	rig_pattern(g->data, n * 512u, seed);
	assert_sc(g, 1, sqe_rw(NVME_WRITE, slba, n), 0);
}

void rig_expect(struct rig *g, uint64_t slba, uint32_t n, uint32_t seed)
{
	put_list(g);
	memset(g->data, 0xee, n * 512u + 16);
	assert_sc(g, 1, sqe_rw(NVME_READ, slba, n), 0);
	assert_pattern(g->data, n * 512u, seed);
	assert_int_equal(g->data[n * 512u], 0xee);
}
