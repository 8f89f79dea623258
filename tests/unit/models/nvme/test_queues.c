// SPDX-License-Identifier: MIT
/* Queues and doorbells: SPEC.rst 3. */
#include "tests/unit/models/nvme/rig.h"

static void create_completion_queue(void **state)
{
	struct rig *g = *state;
	struct nvme_sqe s = sqe_admin(NVME_CREATE_CQ, 7 << 16 | 2);

	s.cdw11 = 2 << 16 | 3;
	s.prp1 = BUS(RIG_CQ(2));
#define SPOILT(field, val, want)           \
	do {                               \
		struct nvme_sqe t = s;     \
		t.field = (val);           \
		assert_bad(g, 0, t, want); \
	} while (0)
	SPOILT(cdw10, 7 << 16, NVME_SC_BAD_QID);
	SPOILT(cdw10, 7 << 16 | 33, NVME_SC_BAD_QID);
	SPOILT(cdw10, 7 << 16 | 1, NVME_SC_BAD_QID); /* taken */
	SPOILT(cdw10, 2, NVME_SC_BAD_QSIZE);
	SPOILT(cdw10, 1024u << 16 | 2, NVME_SC_BAD_QSIZE);
	SPOILT(cdw11, 2 << 16 | 2, NVME_SC_BAD_FIELD); /* not contiguous */
	SPOILT(cdw11, 33 << 16 | 3, NVME_SC_BAD_VECTOR);
	SPOILT(prp1, s.prp1 + 4, NVME_SC_PRP_OFFSET);
	SPOILT(prp1, s.prp1 + 2048, NVME_SC_PRP_OFFSET);
	SPOILT(flags, 0x40, NVME_SC_BAD_FIELD);
	SPOILT(flags, 1, NVME_SC_BAD_FIELD); /* fused */
	assert_sc(g, 0, s, 0);
	assert_bad(g, 0, s, NVME_SC_BAD_QID);
}

static void create_submission_queue(void **state)
{
	struct rig *g = *state;
	struct nvme_sqe s = sqe_admin(NVME_CREATE_SQ, 7 << 16 | 2);

	s.cdw11 = 1 << 16 | 1;
	s.prp1 = BUS(RIG_SQ(2));
	SPOILT(cdw10, 7 << 16 | 1, NVME_SC_BAD_QID);
	SPOILT(cdw11, 1, NVME_SC_BAD_QID); /* the admin completion queue */
	SPOILT(cdw11, 40 << 16 | 1, NVME_SC_BAD_QID);
	SPOILT(cdw11, 5 << 16 | 1, NVME_SC_CQ_INVALID);
	SPOILT(cdw11, 1 << 16, NVME_SC_BAD_FIELD);
	SPOILT(prp1, s.prp1 + 8, NVME_SC_PRP_OFFSET);
	assert_sc(g, 0, s, 0);
}

static void deletion(void **state)
{
	struct rig *g = *state;

	assert_bad(g, 0, sqe_admin(NVME_DELETE_SQ, 0), NVME_SC_BAD_QID);
	assert_bad(g, 0, sqe_admin(NVME_DELETE_SQ, 2), NVME_SC_BAD_QID);
	assert_bad(g, 0, sqe_admin(NVME_DELETE_CQ, 2), NVME_SC_BAD_QID);
	assert_bad(g, 0, sqe_admin(NVME_DELETE_CQ, 1), NVME_SC_QUEUE_DELETION);
	assert_sc(g, 0, sqe_admin(NVME_DELETE_SQ, 1), 0);
	assert_sc(g, 0, sqe_admin(NVME_DELETE_CQ, 1), 0);
	/* Nothing rings there any more. */
	fake_w32(g->dev, NVME_DB_SQ(1), 1);
	assert_int_equal(fake_counter(g->dev, "db.bad"), 1);
	rig_pair(g, 1);
	assert_sc(g, 1, FLUSH, 0);
}

/* Several times round both queues: phase, heads, interrupts. */
static void wrap(void **state)
{
	struct rig *g = *state;
	unsigned i;

	for (i = 0; i < 40; i++)
		assert_sc(g, 1, sqe_rw(NVME_VERIFY, i, 1), 0);
	assert_int_equal(fake_irqs(g->dev, 1), 40);
	assert_int_equal(fake_irqs(g->dev, 2), 0);
}

/* More commands than room for completions: it waits, and loses none. */
static void full_completion_queue(void **state)
{
	struct rig *g = *state;
	struct nvme_cqe e = { 0 }, next;
	unsigned i, n;

	assert_int_equal(rig_create_cq(g, 2, 4, 2, BUS(RIG_CQ(2))), 0);
	assert_int_equal(rig_create_sq(g, 2, 16, 2, BUS(RIG_SQ(2))), 0);
	g->size[2] = 16;
	g->tail[2] = 0;
	for (i = 0; i < 10; i++)
		rig_push(g, 2, sqe_rw(NVME_VERIFY, i, 1));
	rig_bell(g, 2);
	g->size[2] = 4;
	g->head[2] = 0;
	g->phase[2] = true;
	for (n = 0; n < 10; n += i) {
		rig_run(g);
		for (i = 0; i < 3 && rig_peek(g, 2, &next); i++)
			e = rig_take(g, 2);
		assert_in_range(i, 1, 3);
	}
	assert_int_equal(n, 10);
	assert_int_equal(e.sqhd, 10);
}

/* Flushes are done asynchronously: they too wait for room. */
static void full_for_flushes(void **state)
{
	struct rig *g = *state;
	struct nvme_cqe e;
	unsigned i, n;

	assert_int_equal(rig_create_cq(g, 2, 2, 2, BUS(RIG_CQ(2))), 0);
	assert_int_equal(rig_create_sq(g, 2, 8, 2, BUS(RIG_SQ(2))), 0);
	g->size[2] = 8;
	for (i = 0; i < 6; i++)
		rig_push(g, 2, FLUSH);
	rig_bell(g, 2);
	g->size[2] = 2;
	g->phase[2] = true;
	for (n = 0; n < 6; n++) {
		rig_run(g);
		e = rig_take(g, 2);
		assert_int_equal(e.status >> 1, 0);
	}
	rig_run(g);
	rig_none(g, 2);
}

static struct nvme_sqe get_log(unsigned lid, bool retain)
{
	return sqe_admin(NVME_GET_LOG, lid | (retain ? 1u << 15 : 0) | 127 << 16);
}

static void bad_doorbells_are_events(void **state)
{
	struct rig *g = *state;
	struct nvme_cqe e;
	uint16_t cid;

	cid = rig_push(g, 0, sqe_admin(NVME_ASYNC_EVENT, 0));
	rig_bell(g, 0);
	rig_run(g);
	rig_none(g, 0);
	fake_w32(g->dev, NVME_DB_SQ(9), 1);
	rig_run(g);
	e = rig_take(g, 0);
	assert_int_equal(e.cid, cid);
	assert_int_equal(e.dw0, NVME_LOG_ERROR << 16 | NVME_ERROR_BAD_DB << 8 | NVME_EVENT_ERROR);
	/* The next is reported when the log has been read. */
	rig_push(g, 0, sqe_admin(NVME_ASYNC_EVENT, 0));
	rig_bell(g, 0);
	fake_w32(g->dev, NVME_DB_SQ(1), 8);
	rig_run(g);
	rig_none(g, 0);
	assert_sc(g, 0, get_log(NVME_LOG_ERROR, true), 0);
	rig_none(g, 0);
	rig_push(g, 0, get_log(NVME_LOG_ERROR, false));
	rig_bell(g, 0);
	rig_run(g);
	rig_take(g, 0);
	e = rig_take(g, 0);
	assert_int_equal(e.dw0,
			 NVME_LOG_ERROR << 16 | NVME_ERROR_BAD_VALUE << 8 | NVME_EVENT_ERROR);
	/* A head beyond what was posted. */
	fake_w32(g->dev, NVME_DB_CQ(1), 3);
	fake_w32(g->dev, NVME_DB_CQ(1), 8);
	fake_w32(g->dev, NVME_DB_CQ(40), 0);
	assert_int_equal(fake_counter(g->dev, "db.bad"), 5);
	assert_sc(g, 1, FLUSH, 0);
}

static void events_have_a_limit_and_can_be_aborted(void **state)
{
	struct rig *g = *state;
	struct nvme_cqe e;
	uint16_t cid[4];
	uint32_t dw0;
	unsigned i;

	for (i = 0; i < 4; i++)
		cid[i] = rig_push(g, 0, sqe_admin(NVME_ASYNC_EVENT, 0));
	assert_bad(g, 0, sqe_admin(NVME_ASYNC_EVENT, 0), NVME_SC_AER_LIMIT);
	rig_push(g, 0, sqe_admin(NVME_ABORT, (uint32_t)cid[1] << 16));
	rig_bell(g, 0);
	rig_run(g);
	e = rig_take(g, 0);
	assert_int_equal(e.cid, cid[1]);
	assert_int_equal(e.status >> 1, NVME_SC_ABORTED);
	e = rig_take(g, 0);
	assert_int_equal(e.dw0, 0);
	assert_int_equal(rig_do(g, 0, sqe_admin(NVME_ABORT, (uint32_t)cid[1] << 16), &dw0), 0);
	assert_int_equal(dw0, 1);
	assert_int_equal(rig_do(g, 0, sqe_admin(NVME_ABORT, 0x12340001), &dw0), 0);
	assert_int_equal(dw0, 1);
	assert_bad(g, 0, sqe_admin(NVME_ABORT, 7), NVME_SC_BAD_FIELD);
}

/* A queue that cannot be reached is the end of the controller, not of the process. */
static void unreachable_queues(void **state)
{
	struct rig *g = *state;

	assert_int_equal(rig_create_cq(g, 2, 8, 2, UINT64_C(0x700000000)), 0);
	assert_int_equal(rig_create_sq(g, 2, 8, 2, BUS(RIG_SQ(2))), 0);
	g->size[2] = 8;
	rig_push(g, 2, FLUSH);
	rig_bell(g, 2);
	rig_run(g);
	assert_int_equal(rig_csts(g), NVME_CSTS_RDY | NVME_CSTS_CFS);
	fake_w32(g->dev, NVME_CC, 0);
	rig_run(g);
	assert_int_equal(rig_csts(g), 0);
	rig_enable(g, 16);
	assert_int_equal(rig_create_cq(g, 2, 8, 2, BUS(RIG_CQ(2))), 0);
	assert_int_equal(rig_create_sq(g, 2, 128, 2, UINT64_C(0xfffffffffffff000)),
			 0x4000 | 0x2000 | 4);
	assert_int_equal(rig_create_sq(g, 2, 8, 2, UINT64_C(0x700000000)), 0);
	fake_w32(g->dev, NVME_DB_SQ(2), 1);
	rig_run(g);
	assert_int_equal(rig_csts(g), NVME_CSTS_RDY | NVME_CSTS_CFS);
}

static void queues_in_the_memory_buffer(void **state)
{
	struct rig *g = *state;
	struct nvme_sqe s = sqe_rw(NVME_VERIFY, 0, 1);
	struct nvme_cqe e;

	assert_int_equal(rig_create_cq(g, 2, 8, 2, RIG_CMB_BASE + 0x1000), 0);
	assert_int_equal(rig_create_sq(g, 2, 8, 2, RIG_CMB_BASE), 0);
	s.cid = 0xabcd;
	memcpy(g->cmb, &s, sizeof(s));
	fake_w32(g->dev, NVME_DB_SQ(2), 1);
	rig_run(g);
	memcpy(&e, g->cmb + 0x1000, sizeof(e));
	assert_int_equal(e.cid, 0xabcd);
	assert_int_equal(e.status, 1);
	assert_int_equal(fake_counter(g->dev, "queue.sq_in_cmb"), 1);
	/* Partly in it is not in it. */
	assert_int_equal(rig_create_cq(g, 3, 512, 2, RIG_CMB_BASE + RIG_CMB - 4096) & 0x7ff,
			 NVME_SC_BAD_CMB);
	assert_int_equal(rig_create_cq(g, 3, 512, 2, RIG_CMB_BASE - 4096) & 0x7ff, NVME_SC_BAD_CMB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(create_completion_queue),
		rig_test(create_submission_queue),
		rig_test(deletion),
		rig_test(wrap),
		rig_test(full_completion_queue),
		rig_test(full_for_flushes),
		rig_test(bad_doorbells_are_events),
		rig_test(events_have_a_limit_and_can_be_aborted),
		rig_test(unreachable_queues),
		rig_test(queues_in_the_memory_buffer),
	};

	return cmocka_run_group_tests_name("nvme_queues", tests, NULL, NULL);
}
