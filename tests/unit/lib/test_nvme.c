// SPDX-License-Identifier: MIT
/*
 * lib/nvme over a controller made of a few registers, whose DMA is this process's memory. It
 * executes what it is given at the doorbell, and misbehaves when told.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/nvme/nvme.h"

#define BAR_LEN 0x2000
#define CMB_LEN (1u << 20)

struct fake {
	struct pdmai_dev dev; /* first */
	uint32_t regs[NVME_REGS_END / 4];
	uint64_t sq[3], cq[3]; /* addresses by queue */
	unsigned head[3], tail[3], at[3], size[3];
	struct nvme_ctrl_data ctrl;
	struct nvme_ns_data ns;
	uint32_t list[1024];
	char *cmb;
	unsigned commands;
	/* How it misbehaves. */
	bool gone, stuck, fatal, lazy, refuses;
	uint16_t cid_off, sqid_off, sqhd_off, status;
	uint8_t mistaken; /* the admin command that it answers as another */
};

static struct fake *self(struct pdmai_dev *dev)
{
	return (struct fake *)dev;
}

static uint16_t admin(struct fake *f, const struct nvme_sqe *s, uint32_t *dw0)
{
	unsigned qid = s->cdw10 & 0xffff;
	void *to = (void *)(uintptr_t)s->prp1;

	switch (s->opc) {
	case NVME_IDENTIFY:
		memcpy(to,
		       s->cdw10 == NVME_CNS_CTRL ? (void *)&f->ctrl :
		       s->cdw10 == NVME_CNS_NS	 ? (void *)&f->ns :
						   (void *)f->list,
		       4096);
		return 0;
	case NVME_SET_FEATURES:
		*dw0 = 1 << 16 | 1;
		return 0;
	case NVME_CREATE_CQ:
		f->cq[qid] = s->prp1;
		f->at[qid] = 0;
		return f->refuses ? NVME_SC_BAD_QSIZE : 0;
	case NVME_CREATE_SQ:
		f->sq[qid] = s->prp1;
		f->size[qid] = (s->cdw10 >> 16) + 1;
		f->head[qid] = 0;
		return 0;
	}
	return 0;
}

static void execute(struct fake *f, unsigned q)
{
	struct nvme_sqe s;
	struct nvme_cqe c = { 0 };

	memcpy(&s, (char *)(uintptr_t)f->sq[q] + f->head[q] * sizeof(s), sizeof(s));
	f->commands++;
	f->head[q] = (f->head[q] + 1) % f->size[q];
	c.status = q ? f->status : admin(f, &s, &c.dw0);
	c.cid = (uint16_t)(s.cid + (q ? f->cid_off : f->mistaken && s.opc == f->mistaken));
	c.sqid = (uint16_t)(q + (q ? f->sqid_off : 0));
	c.sqhd = (uint16_t)(f->head[q] + (q ? f->sqhd_off : 0));
	c.status = (uint16_t)(c.status << 1 | !(f->at[q] / f->size[q] % 2));
	memcpy((char *)(uintptr_t)f->cq[q] + f->at[q] % f->size[q] * sizeof(c), &c, sizeof(c));
	f->at[q]++;
}

static void ring(struct fake *f, uint64_t off, uint32_t val)
{
	unsigned q = (unsigned)(off - NVME_REGS_END) / 8;

	if (off % 8 || q > 2)
		return;
	f->tail[q] = val;
	while (!(f->lazy && q) && f->head[q] != f->tail[q])
		execute(f, q);
}

static void configure(struct fake *f, uint32_t cc)
{
	uint32_t *csts = &f->regs[NVME_CSTS / 4];

	f->regs[NVME_CC / 4] = cc;
	*csts = cc & NVME_CC_EN && !f->stuck ? NVME_CSTS_RDY : 0;
	*csts |= NVME_CC_SHN(cc) ? NVME_CSTS_SHST_DONE : 0;
	*csts |= f->fatal && cc & NVME_CC_EN ? NVME_CSTS_CFS : 0;
	memcpy(&f->sq[0], &f->regs[NVME_ASQ / 4], 8);
	memcpy(&f->cq[0], &f->regs[NVME_ACQ / 4], 8);
	f->size[0] = NVME_AQA_SQ(f->regs[NVME_AQA / 4]) + 1;
	f->head[0] = f->at[0] = 0;
}

static uint64_t reg_read(struct pdmai_dev *dev, unsigned bar, uint64_t off, unsigned size)
{
	uint64_t val = 0;

	if (self(dev)->gone)
		return UINT64_MAX;
	memcpy(&val, (char *)self(dev)->regs + off, size);
	return val;
}

static void reg_write(struct pdmai_dev *dev, unsigned bar, uint64_t off, uint64_t val,
		      unsigned size)
{
	struct fake *f = self(dev);

	if (off >= NVME_REGS_END)
		ring(f, off, (uint32_t)val);
	else if (off == NVME_CC)
		configure(f, (uint32_t)val);
	else
		memcpy((char *)f->regs + off, &val, size);
}

static int bar_map(struct pdmai_dev *dev, unsigned bar, void **ret_mem)
{
	*ret_mem = bar ? self(dev)->cmb : (char *)self(dev)->regs;
	return 0;
}

static int dma_map(struct pdmai_dev *dev, void *vaddr, uint64_t len, unsigned prot, uint64_t *iova)
{
	*iova = (uintptr_t)vaddr;
	return 0;
}

static int dma_unmap(struct pdmai_dev *dev, uint64_t iova, uint64_t len)
{
	return 0;
}

static int config(struct pdmai_dev *dev, unsigned off, void *buf, size_t len)
{
	memset(buf, 0, len);
	return 0;
}

static int config_write(struct pdmai_dev *dev, unsigned off, const void *buf, size_t len)
{
	return 0;
}

static const struct pdmai_dev_ops ops = {
	.name = "fake",
	.config_read = config,
	.config_write = config_write,
	.bar_map = bar_map,
	.dma_map = dma_map,
	.dma_unmap = dma_unmap,
	.reg_read = reg_read,
	.reg_write = reg_write,
};

static int setup(void **state)
{
	struct fake *f = calloc(1, sizeof(*f));
	uint64_t cap = NVME_CAP_MQES(63) | NVME_CAP_CSS_NVM;

	f->cmb = aligned_alloc(4096, CMB_LEN);
	f->dev.ops = &ops;
	strcpy(f->dev.bdf.text, "0000:01:00.0");
	f->dev.bars[0] = (struct pdmai_pci_bar){ 0xf0000000, BAR_LEN, true };
	f->dev.bars[2] = (struct pdmai_pci_bar){ (uintptr_t)f->cmb, CMB_LEN, true };
	memcpy(&f->regs[NVME_CAP / 4], &cap, 8);
	f->regs[NVME_VS / 4] = 0x10300;
	f->regs[NVME_CMBLOC / 4] = 2;
	f->regs[NVME_CMBSZ / 4] = NVME_CMBSZ_ALL | NVME_CMBSZ_SZ(CMB_LEN >> 12);
	f->ctrl.sqes = 0x66;
	f->ctrl.cqes = 0x44;
	f->ctrl.mdts = 5;
	f->ns.nsze = 1000;
	f->ns.lbaf[0] = NVME_LBAF(9);
	f->list[0] = 1;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fake *f = *state;

	free(f->cmb);
	free(f);
	return 0;
}

static struct pdmai_nvme *open_it(struct fake *f)
{
	struct pdmai_nvme *n = NULL;

	assert_int_equal(pdmai_nvme_open(&f->dev, &n), 0);
	return n;
}

static struct pdmai_nvme_queue *queue_of(struct pdmai_nvme *n, enum pdmai_nvme_place place)
{
	const struct pdmai_nvme_queue_config c = { .entries = 4, .sq = place, .cq = place };
	struct pdmai_nvme_queue *q = NULL;

	assert_int_equal(pdmai_nvme_queue_create(n, &c, &q), 0);
	return q;
}

static void opens_and_runs(void **state)
{
	struct pdmai_nvme_seg seg = { 0x10000, 512 };
	struct pdmai_nvme_cmd cmd = {
		.opc = NVME_READ, .nsid = 1, .blocks = 1, .seg = &seg, .n_seg = 1
	};
	struct pdmai_nvme *n = open_it(*state);
	struct pdmai_nvme_done done;

	assert_int_equal(pdmai_nvme_get_info(n)->len_max, 128 * 1024);
	assert_true(pdmai_nvme_get_info(n)->cmb.legacy);
	assert_int_equal(pdmai_nvme_find_ns(n, 1)->blocks, 1000);
	for (int place = 0; place < 2; place++) {
		struct pdmai_nvme_queue *q = queue_of(n, (enum pdmai_nvme_place)place);

		for (cmd.cookie = 1; cmd.cookie < 20; cmd.cookie++) {
			assert_int_equal(pdmai_nvme_submit(q, &cmd), 0);
			assert_int_equal(pdmai_nvme_poll(q, &done, 1), 1);
			assert_int_equal(done.cookie, cmd.cookie);
			assert_int_equal(done.err, 0);
			assert_int_equal(pdmai_nvme_poll(q, &done, 1), 0);
		}
		pdmai_nvme_queue_destroy(q);
	}
	pdmai_nvme_close(n);
}

static void refuses_to_open(struct fake *f, int err)
{
	struct pdmai_nvme *n;

	assert_int_equal(pdmai_nvme_open(&f->dev, &n), -err);
}

static void bad_controllers(void **state)
{
	struct fake *f = *state, good = *f;

#define BAD(change, err)                 \
	do {                             \
		*f = good;               \
		f->change;               \
		refuses_to_open(f, err); \
	} while (0)
	BAD(gone = true, ENODEV);
	BAD(stuck = true, ETIMEDOUT);
	BAD(fatal = true, EIO);
	BAD(regs[NVME_VS / 4] = 0, ENODEV);
	BAD(regs[NVME_CAP / 4] = 0, ENODEV);
	BAD(regs[NVME_CAP / 4 + 1] = 0, EOPNOTSUPP);
	BAD(regs[NVME_CAP / 4 + 1] |= 1 << 16, EOPNOTSUPP);
	BAD(dev.bars[0].len = 0x1000, ENODEV);
	BAD(ctrl.sqes = 0x77, EPROTO);
	BAD(ctrl.cqes = 0, EPROTO);
	BAD(ns.flbas = 3, EPROTO);
	BAD(ns.lbaf[0] = NVME_LBAF(8), EPROTO);
	BAD(ns.lbaf[0] = NVME_LBAF(31), EPROTO);
	BAD(ns.nsze = UINT64_MAX, EPROTO);
	BAD(list[1] = 1, EPROTO);
	BAD(list[0] = UINT32_MAX, EPROTO);
	BAD(regs[NVME_CMBLOC / 4] = 1, EPROTO);
	BAD(regs[NVME_CMBLOC / 4] = 7, EPROTO);
	BAD(regs[NVME_CMBLOC / 4] = 1 << 12 | 2, EPROTO);
	BAD(regs[NVME_CMBSZ / 4] |= 7 << 8, EPROTO);
	BAD(regs[NVME_CMBSZ / 4] = 0xfffff61f, EPROTO);
#undef BAD
	*f = good;
}

static void bad_completion(struct fake *f, int err)
{
	struct pdmai_nvme_cmd cmd = { .opc = NVME_FLUSH, .nsid = 1 };
	struct pdmai_nvme *n = open_it(f);
	struct pdmai_nvme_queue *q = queue_of(n, PDMAI_NVME_IN_HOST);
	struct pdmai_nvme_done done;

	assert_int_equal(pdmai_nvme_submit(q, &cmd), 0);
	assert_int_equal(pdmai_nvme_poll(q, &done, 1), err);
	/* Broken for good. */
	assert_int_equal(pdmai_nvme_submit(q, &cmd), err);
	assert_int_equal(pdmai_nvme_poll(q, &done, 1), err);
	pdmai_nvme_close(n);
}

static void bad_completions(void **state)
{
	struct fake *f = *state;

	f->cid_off = 1;
	bad_completion(f, -EPROTO);
	f->cid_off = 60000;
	bad_completion(f, -EPROTO);
	f->cid_off = 0;
	f->sqid_off = 1;
	bad_completion(f, -EPROTO);
	f->sqid_off = 0;
	f->sqhd_off = 1;
	bad_completion(f, -EPROTO);
	f->sqhd_off = 1000;
	bad_completion(f, -EPROTO);
}

static void full_reset_and_refused(void **state)
{
	const struct pdmai_nvme_queue_config config_of = { .entries = 4 };
	struct pdmai_nvme_cmd cmd = { .opc = NVME_FLUSH, .nsid = 1 };
	struct fake *f = *state;
	struct pdmai_nvme *n = open_it(f);
	struct pdmai_nvme_queue *q = queue_of(n, PDMAI_NVME_IN_HOST), *other = NULL;
	struct pdmai_nvme_done done;

	f->lazy = true;
	for (int i = 0; i < 3; i++)
		assert_int_equal(pdmai_nvme_submit(q, &cmd), 0);
	assert_int_equal(pdmai_nvme_submit(q, &cmd), -EAGAIN);
	assert_int_equal(pdmai_nvme_pending(q), 3);
	f->refuses = true;
	assert_int_equal(pdmai_nvme_queue_create(n, &config_of, &other), -EINVAL);
	assert_null(other);
	assert_int_equal(pdmai_nvme_reset(n), 0);
	assert_int_equal(pdmai_nvme_submit(q, &cmd), -ECONNRESET);
	assert_int_equal(pdmai_nvme_poll(q, &done, 1), -ECONNRESET);
	f->gone = true;
	assert_int_equal(pdmai_nvme_check(n), -ENODEV);
	pdmai_nvme_queue_destroy(q);
	pdmai_nvme_close(n);
}

/* What becomes of a creation that got no answer nobody knows: it must not come true later. */
static void unanswered_creations(void **state)
{
	static const uint8_t opcs[] = { NVME_CREATE_CQ, NVME_CREATE_SQ };
	const struct pdmai_nvme_queue_config config_of = { .entries = 4 };
	struct pdmai_nvme_queue *q = NULL;
	struct fake *f = *state;

	for (unsigned i = 0; i < 2; i++) {
		struct pdmai_nvme *n = open_it(f);

		f->mistaken = opcs[i];
		assert_int_equal(pdmai_nvme_queue_create(n, &config_of, &q), -EPROTO);
		assert_null(q);
		assert_int_equal(f->regs[NVME_CC / 4] & NVME_CC_EN, 0);
		f->mistaken = 0;
		assert_int_equal(pdmai_nvme_queue_create(n, &config_of, &q), -ECONNRESET);
		assert_int_equal(pdmai_nvme_reset(n), 0);
		assert_int_equal(pdmai_nvme_queue_create(n, &config_of, &q), 0);
		pdmai_nvme_close(n);
		q = NULL;
	}
}

/* ---- no memory of the host has an address for it ---- */

static const struct pdmai_dev_ops ops_without_iommu = {
	.name = "fake",
	.config_read = config,
	.config_write = config_write,
	.bar_map = bar_map,
	.reg_read = reg_read,
	.reg_write = reg_write,
};

static bool in_cmb(const struct fake *f, uint64_t addr)
{
	return addr - (uintptr_t)f->cmb < CMB_LEN;
}

static void without_iommu(void **state)
{
	struct pdmai_nvme_cmd cmd = { .opc = NVME_FLUSH, .nsid = 1 };
	struct fake *f = *state;
	struct pdmai_nvme_done done;
	struct pdmai_nvme *n;

	f->dev.ops = &ops_without_iommu;
	n = open_it(f);
	assert_true(in_cmb(f, f->sq[0]) && in_cmb(f, f->cq[0]));
	assert_int_equal(pdmai_nvme_find_ns(n, 1)->blocks, 1000);
	/* More often than there is room, if anything were not given back. */
	for (int i = 0; i < 300; i++) {
		struct pdmai_nvme_queue *q = queue_of(n, PDMAI_NVME_IN_HOST);

		assert_true(in_cmb(f, f->sq[1]) && in_cmb(f, f->cq[1]));
		assert_int_equal(pdmai_nvme_submit(q, &cmd), 0);
		assert_int_equal(pdmai_nvme_poll(q, &done, 1), 1);
		pdmai_nvme_queue_destroy(q);
		assert_int_equal(i % 100 ? 0 : pdmai_nvme_reset(n), 0);
	}
	pdmai_nvme_close(n);
}

static void without_iommu_and_cmb(void **state)
{
	struct fake *f = *state;
	struct pdmai_nvme *n = NULL;
	const uint32_t units = NVME_CMBSZ_SZ(CMB_LEN >> 12);

	f->dev.ops = &ops_without_iommu;
	f->regs[NVME_CMBSZ / 4] = 0;
	assert_int_equal(pdmai_nvme_open(&f->dev, &n), -EOPNOTSUPP);
	/* One use after the other it is not for. */
	for (uint32_t bit = 1; bit <= NVME_CMBSZ_ALL; bit <<= 1) {
		f->regs[NVME_CMBSZ / 4] = (NVME_CMBSZ_ALL & ~bit) | units;
		assert_int_equal(pdmai_nvme_open(&f->dev, &n), -EOPNOTSUPP);
	}
	/* Two pages do not hold two queues and an answer. */
	f->regs[NVME_CMBSZ / 4] = NVME_CMBSZ_ALL | NVME_CMBSZ_SZ(2);
	assert_int_equal(pdmai_nvme_open(&f->dev, &n), -ENOSPC);
	assert_null(n);
	f->regs[NVME_CMBSZ / 4] = NVME_CMBSZ_ALL | NVME_CMBSZ_SZ(3);
	n = open_it(f);
	assert_int_equal(
		pdmai_nvme_queue_create(n, &(struct pdmai_nvme_queue_config){ .entries = 4 }, NULL),
		-ENOSPC);
	pdmai_nvme_close(n);
}

static void statuses(void **state)
{
	assert_int_equal(pdmai_nvme_status_errno(0), 0);
	assert_int_equal(pdmai_nvme_status_errno(NVME_SC_DNR | NVME_SC_LBA_RANGE), -ERANGE);
	assert_int_equal(pdmai_nvme_status_errno(NVME_SC_COMPARE), -EBADMSG);
	assert_int_equal(pdmai_nvme_status_errno(0x7ff), -EREMOTEIO);
	assert_string_equal(pdmai_nvme_status_text(NVME_SC_COMPARE), "compare failure");
}

static void prps(void **state)
{
	struct pdmai_nvme_seg two[2] = { { 0x1800, 0x800 }, { 0x5000, 0x1000 } };
	struct pdmai_nvme_seg one = { 0x1004, 0x2000 };
	uint64_t list[PDMAI_NVME_LIST] = { 0 }, a, b;

	assert_int_equal(pdmai_nvme_prp(two, 2, list, 0x9000, &a, &b), 0);
	assert_int_equal(a, 0x1800);
	assert_int_equal(b, 0x5000);
	assert_int_equal(pdmai_nvme_prp(&one, 1, list, 0x9000, &a, &b), 0);
	assert_int_equal(a, 0x1004);
	assert_int_equal(b, 0x9000);
	assert_int_equal(list[0], 0x2000);
	assert_int_equal(list[1], 0x3000);
	assert_int_equal(list[2], 0);
	one = (struct pdmai_nvme_seg){ 0x1000, 513 * 4096 };
	assert_int_equal(pdmai_nvme_prp(&one, 1, list, 0x9000, &a, &b), 0);
	assert_int_equal(list[511], 0x1000 + 512 * 4096);
	one.len++;
	assert_int_equal(pdmai_nvme_prp(&one, 1, list, 0x9000, &a, &b), -E2BIG);
	one = (struct pdmai_nvme_seg){ 0x1002, 512 };
	assert_int_equal(pdmai_nvme_prp(&one, 1, list, 0x9000, &a, &b), -EINVAL);
	one = (struct pdmai_nvme_seg){ UINT64_MAX - 3, 512 };
	assert_int_equal(pdmai_nvme_prp(&one, 1, list, 0x9000, &a, &b), -EINVAL);
	two[1].addr = 0x5004;
	assert_int_equal(pdmai_nvme_prp(two, 2, list, 0x9000, &a, &b), -EINVAL);
	two[1].addr = 0x5000;
	two[0].len = 0x400;
	assert_int_equal(pdmai_nvme_prp(two, 2, list, 0x9000, &a, &b), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(opens_and_runs, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_controllers, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_completions, setup, teardown),
		cmocka_unit_test_setup_teardown(full_reset_and_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(unanswered_creations, setup, teardown),
		cmocka_unit_test_setup_teardown(without_iommu, setup, teardown),
		cmocka_unit_test_setup_teardown(without_iommu_and_cmb, setup, teardown),
		cmocka_unit_test(statuses),
		cmocka_unit_test(prps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
