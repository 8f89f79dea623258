// SPDX-License-Identifier: MIT
/* Where data is: PRPs and SGLs, good and bad: SPEC.rst 5. Namespace 1 holds a pattern. */
#include "tests/unit/models/nvme/rig.h"

#include <stdlib.h>

#define SEED 3
#define PAGE 4096u

static void fill(struct rig *g)
{
	unsigned i;

	for (i = 0; i < 4; i++)
		rig_write(g, i * 512, 512, SEED + i);
	memset(g->data, 0xee, 8 << 20);
}

static uint64_t *list(struct rig *g, unsigned off)
{
	return (uint64_t *)(void *)(g->host + RIG_LIST + off);
}

/* The first n bytes of the disk; they came to these places, in order. */
static void expect_at(struct rig *g, const uint32_t *off, const uint32_t *len, unsigned n)
{
	uint8_t want[512 * 512];
	uint32_t at = 0;
	unsigned i;

	rig_pattern(want, sizeof(want), SEED);
	for (i = 0; i < n; at += len[i], i++) {
		assert_memory_equal(g->data + off[i], want + at, len[i]);
		assert_int_equal(g->data[off[i] + len[i]], 0xee);
	}
}

static void prp_one_page(void **state)
{
	struct rig *g = *state;
	struct nvme_sqe s = sqe_rw(NVME_READ, 0, 8);

	fill(g);
	s.prp2 = 0xdeadbeef; /* not looked at */
	assert_sc(g, 1, s, 0);
	expect_at(g, (uint32_t[]){ 0 }, (uint32_t[]){ 4096 }, 1);
	s = sqe_rw(NVME_READ, 0, 1);
	s.prp1 = DATA(3 * PAGE + 3584); /* to the end of its page */
	assert_sc(g, 1, s, 0);
	expect_at(g, (uint32_t[]){ 3 * PAGE + 3584 }, (uint32_t[]){ 512 }, 1);
}

static void prp_two_pages(void **state)
{
	struct rig *g = *state;
	struct nvme_sqe s = sqe_rw(NVME_READ, 0, 8);

	fill(g);
	s.prp1 = DATA(PAGE + 1000);
	s.prp2 = DATA(8 * PAGE);
	assert_sc(g, 1, s, 0);
	expect_at(g, (uint32_t[]){ PAGE + 1000, 8 * PAGE }, (uint32_t[]){ 3096, 1000 }, 2);
	s.prp2 = DATA(8 * PAGE + 4);
	assert_bad(g, 1, s, NVME_SC_PRP_OFFSET);
	s = sqe_rw(NVME_READ, 0, 8);
	s.prp1 = DATA(2);
	assert_bad(g, 1, s, NVME_SC_PRP_OFFSET);
}

static void prp_list(void **state)
{
	struct rig *g = *state;
	struct nvme_sqe s = sqe_rw(NVME_READ, 0, 32);
	unsigned i;

	fill(g);
	s.prp1 = DATA(512);
	for (i = 0; i < 4; i++)
		list(g, 8)[i] = DATA((10 - 2 * i) * PAGE);
	s.prp2 = BUS(RIG_LIST + 8);
	assert_sc(g, 1, s, 0);
	expect_at(g, (uint32_t[]){ 512, 10 * PAGE, 8 * PAGE, 6 * PAGE, 4 * PAGE },
		  (uint32_t[]){ 3584, 4096, 4096, 4096, 512 }, 5);
	list(g, 8)[2] += 8;
	assert_bad(g, 1, s, NVME_SC_PRP_OFFSET);
	s.prp2 += 4;
	assert_bad(g, 1, s, NVME_SC_PRP_OFFSET);
	s.prp2 = UINT64_C(0x900000000);
	assert_bad(g, 1, s, NVME_SC_DATA_TRANSFER);
}

/* The list begins at the end of a page: the one entry there leads on. */
static void prp_list_of_lists(void **state)
{
	struct rig *g = *state;
	struct nvme_sqe s = sqe_rw(NVME_READ, 0, 32);
	unsigned i;

	fill(g);
	for (i = 0; i < 3; i++)
		list(g, 3 * PAGE)[i] = DATA((i + 1) * PAGE);
	list(g, PAGE - 8)[0] = BUS(RIG_LIST + 3 * PAGE);
	s.prp2 = BUS(RIG_LIST + PAGE - 8);
	assert_sc(g, 1, s, 0);
	expect_at(g, (uint32_t[]){ 0 }, (uint32_t[]){ 16384 }, 1);
	/* A list that leads to itself, or into the middle of a page. */
	list(g, PAGE - 8)[0] = BUS(RIG_LIST + PAGE - 8);
	assert_bad(g, 1, s, NVME_SC_PRP_OFFSET);
}

static void largest_transfer(void **state)
{
	struct rig *g = *state;
	struct nvme_sqe s = sqe_rw(NVME_READ, 0, 2048);
	uint8_t *want;
	unsigned i;

	fill(g);
	for (i = 0; i < 256; i++)
		list(g, 0)[i] = DATA(((i * 37) % 256 + 1) * PAGE);
	s.prp1 = DATA(4 << 20 | 512);
	assert_sc(g, 1, s, 0);
	want = malloc(1 << 20);
	for (i = 0; i < 4; i++)
		rig_pattern(want + i * 512 * 512, 512 * 512, SEED + i);
	for (i = 0; i < 256; i++)
		assert_memory_equal(g->data + ((i * 37) % 256 + 1) * PAGE, want + 3584 + i * PAGE,
				    i == 255 ? 512 : PAGE);
	free(want);
	s = sqe_rw(NVME_READ, 0, 2049);
	assert_bad(g, 1, s, NVME_SC_BAD_FIELD);
	s.nsid = 2;
	s.cdw12 = 256;
	assert_bad(g, 1, s, NVME_SC_BAD_FIELD);
}

/* CC.MPS 4: entries are pages of 64 KiB, a page of entries has 8192 of them. */
static void larger_pages(void **state)
{
	struct rig *g = *state;
	struct nvme_sqe s = sqe_rw(NVME_READ, 0, 512);
	unsigned i;

	fill(g);
	fake_w32(g->dev, NVME_CC, 0);
	rig_run(g);
	fake_w32(g->dev, NVME_CC, NVME_CC_EN | 4 << 7 | 6 << 16 | 4 << 20);
	rig_run(g);
	assert_int_equal(rig_csts(g), NVME_CSTS_RDY);
	g->tail[0] = g->head[0] = 0;
	g->phase[0] = true;
	memset(g->host + RIG_CQ(0), 0, 16 * sizeof(struct nvme_cqe));
	/* Queues begin at the start of such pages, too. */
	assert_int_equal(rig_create_cq(g, 1, 8, 1, BUS(0x21000)) & 0x7ff, NVME_SC_PRP_OFFSET);
	memset(g->host + RIG_CQ(1), 0, 8 * sizeof(struct nvme_cqe));
	g->size[1] = 8;
	g->tail[1] = g->head[1] = 0;
	g->phase[1] = true;
	assert_int_equal(rig_create_cq(g, 1, 8, 1, BUS(RIG_CQ(1))), 0);
	assert_int_equal(rig_create_sq(g, 1, 8, 1, BUS(RIG_SQ(1))), 0);
	for (i = 0; i < 4; i++)
		list(g, 0)[i] = DATA((8 - 2 * i) * 0x10000);
	s.prp1 = DATA(0xc000);
	assert_sc(g, 1, s, 0);
	expect_at(g, (uint32_t[]){ 0xc000, 0x80000, 0x60000, 0x40000, 0x20000 },
		  (uint32_t[]){ 0x4000, 0x10000, 0x10000, 0x10000, 0xc000 }, 5);
	list(g, 0)[1] += 4096;
	assert_bad(g, 1, s, NVME_SC_PRP_OFFSET);
}

/* ---- SGL ---- */

static struct nvme_sgl d(unsigned type, uint64_t addr, uint32_t len)
{
	return (struct nvme_sgl){ .addr = addr, .len = len, .id = (uint8_t)(type << 4) };
}
#define BLOCK(off, n) d(NVME_SGL_DATA, DATA(off), (n))
#define LINK(off, n)  d(NVME_SGL_SEGMENT, BUS(RIG_LIST + (off)), (n)*16)
#define LAST(off, n)  d(NVME_SGL_LAST, BUS(RIG_LIST + (off)), (n)*16)

static void put(struct rig *g, unsigned off, unsigned i, struct nvme_sgl e)
{
	memcpy(g->host + RIG_LIST + off + 16 * i, &e, 16);
}

static struct nvme_sqe sgl_read(struct nvme_sgl first, uint32_t n)
{
	struct nvme_sqe s = sqe_rw(NVME_READ, 0, n);

	s.flags = 0x40;
	memcpy(&s.prp1, &first, 16);
	return s;
}

static void sgl_one_block(void **state)
{
	struct rig *g = *state;
	struct nvme_sqe s = sgl_read(BLOCK(777, 4096), 8);

	fill(g);
	assert_sc(g, 1, s, 0);
	expect_at(g, (uint32_t[]){ 777 }, (uint32_t[]){ 4096 }, 1);
	s.flags = 0x80;
	assert_sc(g, 1, s, 0);
	s.flags = 0xc0;
	assert_bad(g, 1, s, NVME_SC_BAD_FIELD);
	assert_bad(g, 1, sgl_read(BLOCK(0, 4095), 8), NVME_SC_SGL_LENGTH);
	assert_bad(g, 1, sgl_read(BLOCK(0, 4097), 8), NVME_SC_SGL_LENGTH);
	assert_bad(g, 1, sgl_read(BLOCK(0, 0), 8), NVME_SC_SGL_LENGTH);
	assert_bad(g, 1, sgl_read(d(1, DATA(0), 4096), 8), NVME_SC_SGL_TYPE);
	assert_bad(g, 1, sgl_read(d(4, DATA(0), 4096), 8), NVME_SC_SGL_TYPE); /* keyed */
	assert_bad(g, 1, sgl_read(d(15, DATA(0), 4096), 8), NVME_SC_SGL_TYPE);
	s = sgl_read(BLOCK(0, 4096), 8);
	s.prp2 |= UINT64_C(1) << 56; /* subtype */
	assert_bad(g, 1, s, NVME_SC_SGL_TYPE);
	assert_bad(g, 1, sgl_read(d(0, UINT64_MAX - 100, 4096), 8), NVME_SC_DATA_TRANSFER);
	assert_bad(g, 1, sgl_read(d(0, UINT64_C(0x800000000), 4096), 8), NVME_SC_DATA_TRANSFER);
}

static void sgl_segments(void **state)
{
	struct rig *g = *state;

	fill(g);
	put(g, 0, 0, BLOCK(1, 1000));
	put(g, 0, 1, BLOCK(0, 0)); /* empty ones are allowed */
	put(g, 0, 2, BLOCK(5000, 96));
	put(g, 0, 3, LINK(512, 2));
	put(g, 512, 0, BLOCK(7000, 1000));
	put(g, 512, 1, LAST(1024, 1));
	put(g, 1024, 0, BLOCK(9000, 2000));
	assert_sc(g, 1, sgl_read(LINK(0, 4), 8), 0);
	expect_at(g, (uint32_t[]){ 1, 5000, 7000, 9000 }, (uint32_t[]){ 1000, 96, 1000, 2000 }, 4);
	/* A link that is not the last of its segment; one in a last segment. */
	put(g, 0, 1, LINK(512, 2));
	assert_bad(g, 1, sgl_read(LINK(0, 4), 8), NVME_SC_SGL_COUNT);
	assert_bad(g, 1, sgl_read(LAST(512, 2), 8), NVME_SC_SGL_SEGMENT);
	/* Lengths that cannot be. */
	assert_bad(g, 1, sgl_read(d(NVME_SGL_LAST, BUS(RIG_LIST), 0), 8), NVME_SC_SGL_SEGMENT);
	assert_bad(g, 1, sgl_read(d(NVME_SGL_LAST, BUS(RIG_LIST), 24), 8), NVME_SC_SGL_SEGMENT);
	assert_bad(g, 1, sgl_read(d(NVME_SGL_LAST, BUS(RIG_LIST) + 4, 16), 8), NVME_SC_SGL_SEGMENT);
	/* Too little data, too much. */
	assert_bad(g, 1, sgl_read(LAST(1024, 1), 8), NVME_SC_SGL_LENGTH);
	assert_bad(g, 1, sgl_read(LAST(1024, 1), 3), NVME_SC_SGL_LENGTH);
}

/* A segment that leads to itself makes no progress, and must come to an end. */
static void sgl_without_end(void **state)
{
	struct rig *g = *state;

	put(g, 0, 0, LINK(0, 1));
	assert_bad(g, 1, sgl_read(LINK(0, 1), 8), NVME_SC_SGL_COUNT);
	assert_bad(g, 1, sgl_read(d(NVME_SGL_LAST, BUS(RIG_LIST), 0xfffffff0), 8),
		   NVME_SC_SGL_COUNT);
}

/* ---- the memory buffer ---- */

static void data_and_lists_in_the_buffer(void **state)
{
	struct rig *g = *state;
	struct nvme_sqe s = sqe_rw(NVME_READ, 0, 32);
	uint64_t *prp = (uint64_t *)(void *)(g->cmb + 0x10000);
	unsigned i;

	fill(g);
	for (i = 0; i < 3; i++)
		prp[i] = RIG_CMB_BASE + 0x20000 + i * PAGE;
	s.prp2 = RIG_CMB_BASE + 0x10000;
	assert_sc(g, 1, s, 0);
	expect_at(g, (uint32_t[]){ 0 }, (uint32_t[]){ 4096 }, 1);
	memcpy(g->data + PAGE, g->cmb + 0x20000, 3 * PAGE);
	expect_at(g, (uint32_t[]){ 0 }, (uint32_t[]){ 16384 }, 1);
	/* Out of the buffer to the disk. */
	rig_pattern(g->cmb, 4096, 99);
	s = sqe_rw(NVME_WRITE, 100, 8);
	s.prp1 = RIG_CMB_BASE;
	assert_sc(g, 1, s, 0);
	rig_expect(g, 100, 8, 99);
	/* Its last byte, and one more. */
	s = sgl_read(d(NVME_SGL_DATA, RIG_CMB_BASE + RIG_CMB - 4096, 4096), 8);
	assert_sc(g, 1, s, 0);
	s = sgl_read(d(NVME_SGL_DATA, RIG_CMB_BASE + RIG_CMB - 4095, 4096), 8);
	assert_bad(g, 1, s, NVME_SC_BAD_CMB);
	s = sgl_read(d(NVME_SGL_DATA, RIG_CMB_BASE - 1, 4096), 8);
	assert_bad(g, 1, s, NVME_SC_BAD_CMB);
	/* Without CMSE nobody is there. */
	fake_w64(g->dev, NVME_CMBMSC, RIG_CMB_BASE | NVME_CMBMSC_CRE);
	s = sqe_rw(NVME_READ, 0, 8);
	s.prp1 = RIG_CMB_BASE;
	assert_bad(g, 1, s, NVME_SC_DATA_TRANSFER);
}

static void the_legacy_buffer_is_at_its_bar(void **state)
{
	struct rig *g = *state;
	struct nvme_sqe s = sqe_rw(NVME_READ, 0, 8);

	rig_enable(g, 16);
	rig_pair(g, 1);
	rig_write(g, 0, 8, 5);
	s.prp1 = RIG_CMB_BASE + PAGE;
	assert_bad(g, 1, s, NVME_SC_DATA_TRANSFER);
	fake_place_bar(g->dev, 2, RIG_CMB_BASE);
	assert_sc(g, 1, s, 0);
	assert_pattern(g->cmb + PAGE, 4096, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(prp_one_page),
		rig_test(prp_two_pages),
		rig_test(prp_list),
		rig_test(prp_list_of_lists),
		rig_test(largest_transfer),
		rig_test(larger_pages),
		rig_test(sgl_one_block),
		rig_test(sgl_segments),
		rig_test(sgl_without_end),
		rig_test(data_and_lists_in_the_buffer),
		legacy_test(the_legacy_buffer_is_at_its_bar),
	};

	return cmocka_run_group_tests_name("nvme_lists", tests, NULL, NULL);
}
