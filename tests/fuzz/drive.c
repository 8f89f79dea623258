// SPDX-License-Identifier: MIT
#include "tests/fuzz/drive.h"

#include <errno.h>
#include <string.h>

#define BAR0_LEN  0x2000u
#define CMB_LEN	  0x40000u
#define SMALL_LEN 0x3000u
#define CMB_BUS	  UINT64_C(0x200000000)
#define SMALL_BUS UINT64_C(0xffffffffffffd000)

static struct drive *self(struct pdmai_dev *dev)
{
	return (struct drive *)dev;
}

/* ---- memory ---- */

static uint8_t *in_bar(struct drive *d, unsigned bar, uint64_t addr, uint64_t len)
{
	const struct pdmai_pci_bar *b = &d->dev.bars[bar];
	uint64_t off = addr - b->bus_addr;

	return d->mem[bar] && off <= b->len && len <= b->len - off ? d->mem[bar] + off : NULL;
}

/* What the library mapped for the drive, or its own memory buffer; NULL: neither. */
static uint8_t *reach(struct drive *d, uint64_t addr, uint64_t len)
{
	uint8_t *at = in_bar(d, 2, addr, len);
	uint64_t off;
	unsigned i;

	at = at ? at : in_bar(d, 4, addr, len);
	for (i = 0; !at && i < d->n_maps; i++) {
		off = addr - (uintptr_t)d->map[i].vaddr;
		if (off <= d->map[i].len && len <= d->map[i].len - off)
			at = d->map[i].vaddr + off;
	}
	return at;
}

static int dma_map(struct pdmai_dev *dev, void *vaddr, uint64_t len, unsigned prot, uint64_t *iova)
{
	struct drive *d = self(dev);

	if (d->n_maps == DRIVE_MAPS)
		return -ENOSPC;
	d->map[d->n_maps].vaddr = vaddr;
	d->map[d->n_maps++].len = len;
	*iova = (uintptr_t)vaddr;
	return 0;
}

static int dma_unmap(struct pdmai_dev *dev, uint64_t iova, uint64_t len)
{
	struct drive *d = self(dev);
	unsigned i;

	for (i = 0; i < d->n_maps; i++)
		if ((uintptr_t)d->map[i].vaddr == iova && d->map[i].len == len)
			break;
	fuzz_promise(i < d->n_maps, "what is unmapped was mapped");
	d->map[i] = d->map[--d->n_maps];
	return 0;
}

/* ---- completions ---- */

static void spoil(struct drive *d, struct nvme_cqe *e)
{
	unsigned i;

	for (i = 0; i < DRIVE_SPOILS; i++) {
		struct drive_spoil *s = &d->spoil[i];

		if (s->val && !s->after--) {
			((uint8_t *)e)[s->word % sizeof(*e)] ^= s->val;
			s->val = 0;
		}
	}
}

static void complete(struct drive *d, unsigned qid, uint16_t cid, uint16_t status, uint32_t dw0)
{
	struct drive_queue *q = &d->q[qid];
	struct nvme_cqe e = {
		.dw0 = dw0, .sqhd = (uint16_t)q->head, .sqid = (uint16_t)qid, .cid = cid
	};
	uint8_t *to = reach(d, q->cq_addr + q->posted % q->size * sizeof(e), sizeof(e));

	e.status = (uint16_t)(status << 1 | !(q->posted / q->size % 2));
	spoil(d, &e);
	q->posted++;
	if (to)
		memcpy(to, &e, sizeof(e));
}

static void identify(struct drive *d, const struct nvme_sqe *s)
{
	const void *from = s->cdw10 == NVME_CNS_CTRL ? (const void *)&d->ctrl :
			   s->cdw10 == NVME_CNS_NS   ? (const void *)&d->ns :
						       (const void *)d->list;
	uint8_t *to = reach(d, s->prp1, 4096);

	fuzz_promise(to, "answers go to memory of the library's");
	memcpy(to, from, 4096);
}

static void create(struct drive *d, const struct nvme_sqe *s, bool cq)
{
	unsigned qid = s->cdw10 & 0xffff;
	uint32_t size = (s->cdw10 >> 16) + 1;
	struct drive_queue *q = &d->q[qid % DRIVE_QUEUES];

	fuzz_promise(qid && qid < DRIVE_QUEUES, "queue numbers are known ones");
	fuzz_promise(reach(d, s->prp1, (uint64_t)size * (cq ? 16 : 64)), "queues lie in memory");
	if (cq) {
		*q = (struct drive_queue){ .cq = true, .cq_addr = s->prp1, .size = size };
		return;
	}
	fuzz_promise(q->cq && q->size == size, "the completion queue comes first");
	q->sq = true;
	q->sq_addr = s->prp1;
}

static uint16_t admin(struct drive *d, const struct nvme_sqe *s, uint32_t *dw0)
{
	unsigned qid = (s->cdw10 & 0xffff) % DRIVE_QUEUES;

	switch (s->opc) {
	case NVME_IDENTIFY:
		identify(d, s);
		return 0;
	case NVME_SET_FEATURES:
		*dw0 = d->queues_granted;
		return 0;
	case NVME_CREATE_CQ:
	case NVME_CREATE_SQ:
		if (d->refuses)
			return NVME_SC_BAD_QSIZE;
		create(d, s, s->opc == NVME_CREATE_CQ);
		return 0;
	case NVME_DELETE_SQ:
		d->q[qid].sq = false;
		return 0;
	case NVME_DELETE_CQ:
		d->q[qid] = (struct drive_queue){ 0 };
		return 0;
	}
	fuzz_promise(false, "admin commands are known ones");
	return 0;
}

static void execute(struct drive *d, unsigned qid)
{
	struct drive_queue *q = &d->q[qid];
	struct nvme_sqe s;
	uint16_t status = 0;
	uint32_t dw0 = 0;
	uint8_t *from = reach(d, q->sq_addr + q->head * sizeof(s), sizeof(s));

	fuzz_promise(from, "submission queues stay mapped while they are used");
	memcpy(&s, from, sizeof(s));
	q->head = (q->head + 1) % q->size;
	if (!qid)
		status = admin(d, &s, &dw0);
	complete(d, qid, s.cid, status, dw0);
}

static void work(struct drive *d, unsigned qid, unsigned max)
{
	struct drive_queue *q = &d->q[qid];

	while (max-- && q->sq && q->head != q->tail)
		execute(d, qid);
}

/* ---- registers ---- */

static void configure(struct drive *d, uint32_t cc)
{
	unsigned i;

	d->csts = cc & NVME_CC_EN && !d->stuck ? NVME_CSTS_RDY : 0;
	d->csts |= NVME_CC_SHN(cc) ? NVME_CSTS_SHST_DONE : 0;
	if (cc & NVME_CC_EN && !(d->cc & NVME_CC_EN)) {
		for (i = 1; i < DRIVE_QUEUES; i++)
			d->q[i] = (struct drive_queue){ 0 };
		d->q[0] = (struct drive_queue){ true, true, d->asq, d->acq, 0, 0, 0, 0 };
		d->q[0].size = NVME_AQA_SQ(d->aqa) + 1;
	}
	if (!(cc & NVME_CC_EN))
		memset(d->q, 0, sizeof(d->q));
	d->cc = cc;
}

static void trap(struct drive *d)
{
	if (!d->trap_pass || --d->trap_pass)
		return;
	switch (d->trap_what % 8) {
	case 0:
		d->gone = true;
		break;
	case 1:
		d->csts_or ^= d->trap_what >> 3;
		break;
	case 2:
		configure(d, 0);
		break;
	case 3:
		d->stuck = !d->stuck;
		break;
	case 4:
		drive_change(d);
		break;
	case 5:
		d->lazy = !d->lazy;
		break;
	case 6:
		d->refuses = !d->refuses;
		break;
	default:
		drive_forge(d);
	}
}

static uint64_t reg(const struct drive *d, uint64_t off)
{
	switch (off) {
	case NVME_CAP:
		return d->cap;
	case NVME_CAP + 4:
		return d->cap >> 32;
	case NVME_VS:
		return d->vs;
	case NVME_CC:
		return d->cc;
	case NVME_CSTS:
		return d->csts ^ d->csts_or;
	case NVME_CMBLOC:
		return d->cmbloc;
	case NVME_CMBSZ:
		return d->cmbsz;
	case NVME_CMBSTS:
		return d->cmbsts;
	default:
		return 0;
	}
}

static void check_access(const struct drive *d, unsigned bar, uint64_t off, unsigned size)
{
	fuzz_promise(bar == 0 && off <= d->dev.bars[0].len && size <= d->dev.bars[0].len - off,
		     "registers are in their BAR");
}

static uint64_t reg_read(struct pdmai_dev *dev, unsigned bar, uint64_t off, unsigned size)
{
	struct drive *d = self(dev);

	check_access(d, bar, off, size);
	trap(d);
	if (d->gone)
		return size == 8 ? UINT64_MAX : UINT32_MAX;
	return size == 8 ? reg(d, off) : (uint32_t)reg(d, off);
}

static void ring(struct drive *d, uint64_t off, uint32_t val)
{
	uint64_t stride = 4u << (d->cap >> 32 & 15), n = off / stride;
	struct drive_queue *q = &d->q[n / 2 % DRIVE_QUEUES];

	/* A stride that changed under the library's feet hits no doorbell. */
	if (off % stride || n / 2 >= DRIVE_QUEUES || n % 2 || !q->sq || val >= q->size)
		return;
	q->tail = val;
	if (!d->lazy)
		work(d, (unsigned)(n / 2), UINT32_MAX);
}

static void set_half(uint64_t *reg, bool high, uint32_t val)
{
	*reg = high ? (*reg & UINT32_MAX) | (uint64_t)val << 32 :
		      (*reg & ~UINT64_C(0xffffffff)) | val;
}

static void reg_write(struct pdmai_dev *dev, unsigned bar, uint64_t off, uint64_t val,
		      unsigned size)
{
	struct drive *d = self(dev);

	check_access(d, bar, off, size);
	trap(d);
	if (d->gone)
		return;
	if (off >= NVME_REGS_END)
		ring(d, off - NVME_REGS_END, (uint32_t)val);
	else if (off == NVME_CC)
		configure(d, (uint32_t)val);
	else if (off == NVME_AQA)
		d->aqa = (uint32_t)val;
	else if (off == NVME_ASQ || off == NVME_ASQ + 4)
		set_half(&d->asq, off % 8, (uint32_t)val);
	else if (off == NVME_ACQ || off == NVME_ACQ + 4)
		set_half(&d->acq, off % 8, (uint32_t)val);
}

static int bar_map(struct pdmai_dev *dev, unsigned bar, void **ret_mem)
{
	static char registers[1]; /* no access goes there */
	struct drive *d = self(dev);

	*ret_mem = bar ? (void *)d->mem[bar] : registers;
	return *ret_mem ? 0 : -ENODEV;
}

static int config_read(struct pdmai_dev *dev, unsigned off, void *buf, size_t len)
{
	memset(buf, 0, len);
	memcpy(buf, &self(dev)->command, len < 2 ? len : 2);
	return 0;
}

static int config_write(struct pdmai_dev *dev, unsigned off, const void *buf, size_t len)
{
	memcpy(&self(dev)->command, buf, len < 2 ? len : 2);
	return 0;
}

static const struct pdmai_dev_ops ops = {
	.name = "drive",
	.config_read = config_read,
	.config_write = config_write,
	.bar_map = bar_map,
	.dma_map = dma_map,
	.dma_unmap = dma_unmap,
	.reg_read = reg_read,
	.reg_write = reg_write,
};

/* ---- what the input asks for ---- */

/* One byte of what is said to the library, another value. */
void drive_change(struct drive *d)
{
	uint8_t what = fuzz_u8(d->in), val = fuzz_u8(d->in), *at;
	uint16_t off = fuzz_u16(d->in);
	struct {
		void *at;
		size_t len;
	} const parts[] = {
		{ &d->cap, 8 },
		{ &d->cmbloc, 4 },
		{ &d->cmbsz, 4 },
		{ &d->queues_granted, 4 },
		{ &d->ns, sizeof(d->ns) },
		{ (uint8_t *)&d->ns + 24, 6 }, /* NSFEAT to DPS */
		{ d->ns.lbaf, 64 },
		{ d->list, 64 },
		{ &d->ctrl, sizeof(d->ctrl) },
		{ &d->ctrl.sqes, 2 },
		{ &d->ctrl.mdts, 1 },
		{ d->ctrl.sn, 68 },
		{ &d->vs, 4 },
		{ &d->cmbsts, 4 },
		{ d->list, sizeof(d->list) },
		{ &d->cap, 8 },
	};

	at = parts[what & 15].at;
	at += off % parts[what & 15].len;
	*at = what & 16 ? *at ^ val : val;
}

void drive_spoil(struct drive *d)
{
	uint8_t which = fuzz_u8(d->in);

	d->spoil[which % DRIVE_SPOILS] = (struct drive_spoil){
		.after = which >> 4,
		.word = (uint8_t)(which & 4 ? fuzz_u8(d->in) : 8 + fuzz_u8(d->in) % 8),
		.val = fuzz_u8(d->in),
	};
}

void drive_trap(struct drive *d)
{
	d->trap_pass = fuzz_u8(d->in);
	d->trap_what = fuzz_u8(d->in);
}

void drive_work(struct drive *d)
{
	uint8_t which = fuzz_u8(d->in);

	if (!d->gone)
		work(d, which % 8, (which >> 3) + 1u);
}

/* The library's commands: a drive that spoils them has only itself to blame for what they say. */
static bool in_sq(const struct drive *d, const uint8_t *at)
{
	unsigned i;

	for (i = 0; i < DRIVE_QUEUES; i++)
		if (d->q[i].sq && (uintptr_t)at - d->q[i].sq_addr < d->q[i].size * UINT64_C(64))
			return true;
	return false;
}

/* Into memory it may write to: a completion, well formed but for one byte, or any bytes. */
void drive_forge(struct drive *d)
{
	uint8_t how = fuzz_u8(d->in), *at;
	struct drive_queue *q = &d->q[how % 4];
	uint64_t bytes;
	uint32_t off;

	if (d->gone)
		return;
	if (how & 0x80 && q->cq) {
		d->spoil[0] =
			(struct drive_spoil){ 0, (uint8_t)(8 + (how >> 4 & 7)), fuzz_u8(d->in) };
		complete(d, how % 4, fuzz_u8(d->in), fuzz_u8(d->in), 0);
		return;
	}
	if (!d->n_maps)
		return;
	off = fuzz_u16(d->in);
	at = d->map[how % d->n_maps].vaddr + (off * 8u) % d->map[how % d->n_maps].len;
	bytes = fuzz_u64(d->in);
	if (!in_sq(d, at))
		memcpy(at, &bytes, sizeof(bytes));
}

static void answers(struct drive *d)
{
	d->cap = NVME_CAP_MQES(1023) | NVME_CAP_TO(4) | NVME_CAP_CSS_NVM | NVME_CAP_CMBS;
	d->vs = 0x20000;
	d->cmbloc = 2;
	d->cmbsz = NVME_CMBSZ_ALL | NVME_CMBSZ_SZ(CMB_LEN >> 12);
	d->cmbsts = 0;
	d->queues_granted = 3 << 16 | 3;
	memset(&d->ctrl, 0, sizeof(d->ctrl));
	memset(&d->ns, 0, sizeof(d->ns));
	memset(d->list, 0, sizeof(d->list));
	memset(d->ctrl.sn, 'x', sizeof(d->ctrl.sn));
	d->ctrl.sqes = 0x66;
	d->ctrl.cqes = 0x44;
	d->ctrl.mdts = 5;
	d->ns.nsze = 1000;
	d->ns.lbaf[0] = NVME_LBAF(9);
	d->ns.lbaf[1] = NVME_LBAF(12);
	d->ns.nlbaf = 1;
	d->list[0] = 1;
	d->list[1] = 2;
}

void drive_create(struct drive *d, struct fuzz_input *in)
{
	d->dev.ops = &ops;
	d->in = in;
	strcpy(d->dev.bdf.text, "0000:01:00.0");
	/* The second place for a buffer ends at the end of the address space. */
	d->mem[2] = calloc(1, CMB_LEN);
	d->mem[4] = calloc(1, SMALL_LEN);
	d->dev.bars[0] = (struct pdmai_pci_bar){ 0xf0000000, BAR0_LEN, true };
	d->dev.bars[2] = (struct pdmai_pci_bar){ CMB_BUS, CMB_LEN, true };
	d->dev.bars[4] = (struct pdmai_pci_bar){ SMALL_BUS, SMALL_LEN, true };
	d->dev.bars[5] = (struct pdmai_pci_bar){ 0x1000, 0x100, false };
	answers(d);
}

void drive_destroy(struct drive *d)
{
	free(d->mem[2]);
	free(d->mem[4]);
}

void drive_mend(struct drive *d)
{
	/* It comes back as it is after power was gone. */
	if (d->gone)
		configure(d, 0);
	d->gone = d->stuck = d->lazy = d->refuses = false;
	d->csts_or = 0;
	d->trap_pass = 0;
	memset(d->spoil, 0, sizeof(d->spoil));
	answers(d);
}
