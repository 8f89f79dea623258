// SPDX-License-Identifier: MIT
/* A host that takes away what is in use, leads in circles, rings everywhere: SPEC.rst 3, 5. */
#include "tests/unit/models/nvme/rig.h"

#define PAGE   4096u
#define ROUNDS 70 /* more than commands can wait for the medium at once */

/* Until queue q has a completion, and not a step more. */
static void step_until(struct rig *g, unsigned q)
{
	struct nvme_cqe e;
	unsigned i;

	for (i = 0; i < 1000 && !rig_peek(g, q, &e); i++)
		fake_step(g->dev);
	assert_true(i < 1000);
}

static bool all(const uint8_t *p, size_t len, uint8_t val)
{
	return *p == val && !memcmp(p, p + 1, len - 1);
}

/* The deletion of queue q is complete; what comes later finds the memory as it was left here. */
static void delete_it(struct rig *g, unsigned q)
{
	struct nvme_cqe e;

	rig_push(g, 0, sqe_admin(NVME_DELETE_SQ, q));
	rig_bell(g, 0);
	step_until(g, 0);
	e = rig_take(g, 0);
	assert_int_equal(e.status >> 1, 0);
}

/* Flushes, of which each takes several rounds of the worker. */
static void deleted_while_flushes_wait(void **state)
{
	struct rig *g = *state;
	unsigned i, k;

	for (k = 0; k < ROUNDS; k++) {
		for (i = 0; i < 3; i++)
			rig_write(g, i * 2048, 8, k + i);
		rig_push(g, 1, FLUSH);
		rig_push(g, 1, FLUSH);
		rig_bell(g, 1);
		fake_step(g->dev);
		rig_none(g, 1);
		delete_it(g, 1);
		memset(g->host + RIG_CQ(1), 0xaa, 8 * sizeof(struct nvme_cqe));
		rig_run(g);
		assert_true(all(g->host + RIG_CQ(1), 8 * sizeof(struct nvme_cqe), 0xaa));
		assert_sc(g, 0, sqe_admin(NVME_DELETE_CQ, 1), 0);
		rig_pair(g, 1);
		/* Nothing of the old queue shows up in the new one of its number. */
		rig_run(g);
		rig_none(g, 1);
	}
	assert_sc(g, 1, FLUSH, 0);
	rig_expect(g, 0, 8, ROUNDS - 1);
}

/* A durable write waits for the disk of the host when its queue goes. */
static void deleted_while_a_durable_write_waits(void **state)
{
	struct rig *g = *state;
	struct nvme_sqe s = sqe_rw(NVME_WRITE, 0, 8);

	s.cdw12 |= NVME_RW_FUA;
	rig_pattern(g->data, 4096, 9);
	rig_push(g, 1, s);
	rig_push(g, 0, sqe_admin(NVME_DELETE_SQ, 1));
	rig_bell(g, 1);
	rig_bell(g, 0);
	rig_run(g);
	assert_int_equal(rig_take(g, 0).status >> 1, 0);
	assert_sc(g, 0, sqe_admin(NVME_DELETE_CQ, 1), 0);
	rig_pair(g, 1);
	assert_sc(g, 1, FLUSH, 0);
}

static void deleted_before_its_commands_are_fetched(void **state)
{
	struct rig *g = *state;
	unsigned i;

	for (i = 0; i < 7; i++)
		rig_push(g, 1, sqe_rw(NVME_VERIFY, i, 1));
	rig_bell(g, 1);
	delete_it(g, 1);
	memset(g->host + RIG_CQ(1), 0xaa, 8 * sizeof(struct nvme_cqe));
	rig_bell(g, 1);
	rig_run(g);
	assert_true(all(g->host + RIG_CQ(1), 8 * sizeof(struct nvme_cqe), 0xaa));
	assert_int_equal(fake_counter(g->dev, "db.bad"), 1);
	assert_sc(g, 0, sqe_admin(NVME_DELETE_CQ, 1), 0);
	rig_pair(g, 1);
	assert_sc(g, 1, FLUSH, 0);
}

/* ---- queues in the memory buffer ---- */

static void pair_in_the_buffer(struct rig *g)
{
	memset(g->cmb, 0, 2 * PAGE);
	assert_int_equal(rig_create_cq(g, 2, 32, 2, RIG_CMB_BASE + PAGE), 0);
	assert_int_equal(rig_create_sq(g, 2, 32, 2, RIG_CMB_BASE), 0);
}

static void put_in_the_buffer(struct rig *g, unsigned n)
{
	struct nvme_sqe s = sqe_rw(NVME_READ, 0, 8);
	unsigned i;

	for (i = 0; i < n; i++) {
		s.cid = (uint16_t)i;
		memcpy(g->cmb + i * sizeof(s), &s, sizeof(s));
	}
	fake_w32(g->dev, NVME_DB_SQ(2), n);
}

static bool done_in_the_buffer(const struct rig *g, unsigned n)
{
	struct nvme_cqe e;

	memcpy(&e, g->cmb + PAGE + n * sizeof(e), sizeof(e));
	return e.status == 1 && e.cid == n;
}

static void a_queue_in_the_buffer_deleted_in_use(void **state)
{
	struct rig *g = *state;

	pair_in_the_buffer(g);
	put_in_the_buffer(g, 24);
	fake_step(g->dev);
	assert_true(done_in_the_buffer(g, 0));
	assert_false(done_in_the_buffer(g, 23));
	delete_it(g, 2);
	memset(g->cmb, 0xaa, RIG_CMB);
	rig_run(g);
	assert_true(all(g->cmb, RIG_CMB, 0xaa));
	assert_sc(g, 0, sqe_admin(NVME_DELETE_CQ, 2), 0);
	pair_in_the_buffer(g);
	put_in_the_buffer(g, 2);
	rig_run(g);
	assert_true(done_in_the_buffer(g, 1));
}

/* Switched off, or moved: queues stay where they were made, data is looked for where it is now. */
static void the_buffer_goes_from_under_its_queues(void **state)
{
	struct rig *g = *state;
	struct nvme_sqe s = sqe_rw(NVME_READ, 0, 8);

	pair_in_the_buffer(g);
	fake_w64(g->dev, NVME_CMBMSC, 0);
	put_in_the_buffer(g, 2);
	rig_run(g);
	assert_true(done_in_the_buffer(g, 1));
	s.prp1 = RIG_CMB_BASE + 4 * PAGE;
	assert_bad(g, 1, s, NVME_SC_DATA_TRANSFER);
	fake_w64(g->dev, NVME_CMBMSC,
		 (RIG_CMB_BASE + RIG_CMB) | NVME_CMBMSC_CRE | NVME_CMBMSC_CMSE);
	put_in_the_buffer(g, 3);
	rig_run(g);
	assert_true(done_in_the_buffer(g, 2));
	assert_bad(g, 1, s, NVME_SC_DATA_TRANSFER);
	assert_sc(g, 0, sqe_admin(NVME_DELETE_SQ, 2), 0);
	assert_sc(g, 0, sqe_admin(NVME_DELETE_CQ, 2), 0);
}

/* A reset takes the queues in the buffer with it; the buffer itself is the host's. */
static void a_reset_with_queues_in_the_buffer(void **state)
{
	struct rig *g = *state;

	pair_in_the_buffer(g);
	put_in_the_buffer(g, 24);
	fake_step(g->dev);
	fake_reset(g->dev, MDL_RESET_FLR);
	memset(g->cmb, 0xaa, RIG_CMB);
	rig_run(g);
	assert_true(all(g->cmb, RIG_CMB, 0xaa));
	rig_enable(g, 16);
	rig_pair(g, 1);
	fake_w32(g->dev, NVME_DB_SQ(2), 1);
	assert_int_equal(fake_counter(g->dev, "db.bad"), 1);
	assert_sc(g, 1, FLUSH, 0);
}

/* ---- lists ---- */

static uint64_t *list(struct rig *g, unsigned off)
{
	return (uint64_t *)(void *)(g->host + RIG_LIST + off);
}

/* A list that begins two entries before the end of its page and goes on at that page's start. */
static void a_prp_list_that_leads_to_its_own_page(void **state)
{
	struct rig *g = *state;
	struct nvme_sqe s = sqe_rw(NVME_READ, 0, 40);
	unsigned i;

	rig_write(g, 0, 40, 4);
	memset(g->data, 0, 8 * PAGE);
	s.prp2 = BUS(RIG_LIST + PAGE - 16);
	list(g, PAGE - 16)[0] = DATA(PAGE);
	list(g, PAGE - 16)[1] = BUS(RIG_LIST);
	for (i = 0; i < 3; i++)
		list(g, 0)[i] = DATA((i + 2) * PAGE);
	assert_sc(g, 1, s, 0);
	assert_pattern(g->data, 5 * PAGE, 4);
	/* The data goes over the list itself: it was read before. */
	list(g, 0)[0] = BUS(RIG_LIST);
	assert_sc(g, 1, s, 0);
	assert_memory_equal(g->host + RIG_LIST, g->data + 2 * PAGE, PAGE);
}

/* Each further page of entries has to be whole, so a circle of them is not possible. */
static void prp_lists_in_a_circle(void **state)
{
	struct rig *g = *state;
	struct nvme_sqe s = sqe_rw(NVME_READ, 0, 2048);
	unsigned i;

	rig_write(g, 0, 8, 4);
	for (i = 0; i < 512; i++)
		list(g, 0)[i] = BUS(RIG_LIST);
	s.prp2 = BUS(RIG_LIST + PAGE - 8);
	assert_sc(g, 1, s, 0);
	/* Into the middle of a page, its own or another's. */
	list(g, 0)[511] = BUS(RIG_LIST + PAGE - 8);
	assert_bad(g, 1, s, NVME_SC_PRP_OFFSET);
	list(g, 0)[511] = BUS(RIG_LIST + 3 * PAGE - 8);
	assert_bad(g, 1, s, NVME_SC_PRP_OFFSET);
	rig_expect(g, 0, 8, 4);
}

static void put(struct rig *g, unsigned off, uint8_t type, uint64_t addr, uint32_t len)
{
	struct nvme_sgl d = { .addr = addr, .len = len, .id = (uint8_t)(type << 4) };

	memcpy(g->host + RIG_LIST + off, &d, sizeof(d));
}

/* Three segments, the last of which leads to the first. */
static void sgl_segments_in_a_circle(void **state)
{
	struct nvme_sgl first = { BUS(RIG_LIST), 32, { 0 }, NVME_SGL_SEGMENT << 4 };
	struct nvme_sqe s = sqe_rw(NVME_READ, 0, 8);
	struct rig *g = *state;
	unsigned i;

	s.flags = 0x40;
	memcpy(&s.prp1, &first, sizeof(first));
	for (i = 0; i < 3; i++) {
		put(g, i * PAGE, NVME_SGL_DATA, DATA(0), 0);
		put(g, i * PAGE + 16, NVME_SGL_SEGMENT, BUS(RIG_LIST + (i + 1) % 3 * PAGE), 32);
	}
	assert_bad(g, 1, s, NVME_SC_SGL_COUNT);
	/* With data the circle is over when there is more of it than the command has. */
	for (i = 0; i < 3; i++)
		put(g, i * PAGE, NVME_SGL_DATA, DATA(i * PAGE), 100);
	assert_bad(g, 1, s, NVME_SC_SGL_LENGTH);
	rig_write(g, 0, 8, 4);
	rig_expect(g, 0, 8, 4);
}

/* ---- doorbells ---- */

static void doorbells_everywhere(void **state)
{
	static const uint32_t vals[] = { 0, 1, 7, 8, 1023, 0xffff, 0x10001, UINT32_MAX };
	struct rig *g = *state;
	unsigned i, n = 0;
	uint64_t off;

	/* Of queues that are not there, to the end of the BAR. */
	for (off = NVME_DB_SQ(2); off < 0x4000; off += 4)
		for (i = 0; i < 8; i++, n++)
			fake_w32(g->dev, off, vals[i]);
	/* One access, two doorbells. */
	fake_w64(g->dev, NVME_DB_SQ(2), UINT64_MAX);
	n += 2;
	/* Of one that is there, beyond its end; and of any length but that of doorbells. */
	for (i = 3; i < 6; i++, n += 2) {
		fake_w32(g->dev, NVME_DB_SQ(1), vals[i]);
		fake_w32(g->dev, NVME_DB_CQ(1), vals[i]);
	}
	fake_write(g->dev, NVME_DB_SQ(1), 1, 2);
	fake_write(g->dev, NVME_DB_SQ(1) + 2, 1, 4);
	rig_run(g);
	assert_int_equal(fake_counter(g->dev, "db.bad"), n);
	assert_int_equal(rig_csts(g), NVME_CSTS_RDY);
	rig_none(g, 0);
	rig_none(g, 1);
	assert_sc(g, 1, FLUSH, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(deleted_while_flushes_wait),
		rig_test(deleted_while_a_durable_write_waits),
		rig_test(deleted_before_its_commands_are_fetched),
		rig_test(a_queue_in_the_buffer_deleted_in_use),
		rig_test(the_buffer_goes_from_under_its_queues),
		rig_test(a_reset_with_queues_in_the_buffer),
		rig_test(a_prp_list_that_leads_to_its_own_page),
		rig_test(prp_lists_in_a_circle),
		rig_test(sgl_segments_in_a_circle),
		rig_test(doorbells_everywhere),
	};

	return cmocka_run_group_tests_name("nvme_hostile", tests, NULL, NULL);
}
