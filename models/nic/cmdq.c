// SPDX-License-Identifier: MIT
#include "models/nic/cmdq.h"

#include <errno.h>
#include <stdlib.h>

#include "models/nic/internal.h"

#define SLOTS	      32
#define SLOT_SIZE     64
#define BOX_DATA      512
#define BOX_SIZE      576
#define BOX_ALIGN     512u
#define INLINE	      16
#define MAX_LEN	      (64u << 20)
#define TYPE_PCIE     7
#define STALL_POLL_NS 1000000

#define SLOT_TYPE    MLX5_F(0x00, 31, 24)
#define SLOT_IN_LEN  MLX5_F(0x04, 31, 0)
#define SLOT_IN_BOX  MLX5_Q(0x08)
#define SLOT_IN	     0x10
#define SLOT_OUT     0x20
#define SLOT_OUT_BOX MLX5_Q(0x30)
#define SLOT_OUT_LEN MLX5_F(0x38, 31, 0)
#define SLOT_TOKEN   MLX5_F(0x3c, 31, 24)
#define SLOT_LAST    0x3c
#define SLOT_OWNER   MLX5_F(0x3c, 0, 0)

#define BOX_NEXT  MLX5_Q(0x230)
#define BOX_BLOCK MLX5_F(0x238, 31, 0)
#define BOX_TOKEN MLX5_F(0x23c, 23, 16)

enum delivery {
	D_OK = 0x0,
	D_TOKEN = 0x2,
	D_BLOCK = 0x3,
	D_OUT_ALIGN = 0x4,
	D_IN_ALIGN = 0x5,
	D_FW = 0x6,
	D_IN_LEN = 0x7,
	D_OUT_LEN = 0x8,
	D_DESCR = 0x10,
	D_DROP = 0x100, /* not a status: the slot could not be read or is not ours */
};

struct nic_cmdq {
	pthread_mutex_t lock; /* what the MMIO side leaves for the worker */
	uint64_t addr;
	bool disabled; /* reset under a driver: shown until one programs the address again */
	uint32_t rung;
	struct mdl_dma dma;
	/* worker only */
	uint32_t next; /* slot to look at first */
	uint32_t mine; /* slots taken over from rung */
	uint64_t base;
	struct mdl_dma my_dma;
	uint8_t slot[SLOT_SIZE];
};

int nic_cmdq_init(struct nic *nic)
{
	nic->cmdq = calloc(1, sizeof(*nic->cmdq));
	if (!nic->cmdq)
		return -ENOMEM;
	pthread_mutex_init(&nic->cmdq->lock, NULL);
	return 0;
}

void nic_cmdq_fini(struct nic *nic)
{
	if (!nic->cmdq)
		return;
	pthread_mutex_destroy(&nic->cmdq->lock);
	free(nic->cmdq);
	nic->cmdq = NULL;
}

uint64_t nic_cmdq_addr(struct nic *nic)
{
	return nic->cmdq->addr;
}

void nic_cmdq_set_high(struct nic *nic, uint32_t val)
{
	struct nic_cmdq *q = nic->cmdq;

	pthread_mutex_lock(&q->lock);
	q->addr = (uint64_t)val << 32 | (uint32_t)q->addr;
	pthread_mutex_unlock(&q->lock);
}

/* The low twelve bits tell sizes and interface; they are not part of the address. */
void nic_cmdq_set_low(struct nic *nic, uint32_t val)
{
	struct nic_cmdq *q = nic->cmdq;

	pthread_mutex_lock(&q->lock);
	q->addr = (q->addr >> 32) << 32 | (val & ~0xfffu);
	q->disabled = false;
	pthread_mutex_unlock(&q->lock);
}

void nic_cmdq_doorbell(struct nic *nic, uint32_t slots)
{
	struct nic_cmdq *q = nic->cmdq;

	pthread_mutex_lock(&q->lock);
	q->rung |= slots;
	mdl_dma_begin(&q->dma, nic->dev);
	pthread_mutex_unlock(&q->lock);
	mdl_worker_kick(nic->cmd_worker);
}

bool nic_cmdq_disabled(struct nic *nic)
{
	return nic->cmdq->disabled;
}

void nic_cmdq_reset(struct nic *nic, bool under_driver)
{
	struct nic_cmdq *q = nic->cmdq;

	pthread_mutex_lock(&q->lock);
	q->disabled = under_driver && q->addr;
	q->rung = 0;
	q->addr = 0;
	pthread_mutex_unlock(&q->lock);
}

void nic_cmdq_forget(struct nic *nic)
{
	nic->cmdq->mine = 0;
}

/* ---- mailboxes ---- */

/* Read one mailbox and check what must be right in it. */
static int box_read(struct nic_cmd *c, uint64_t addr, uint32_t n, uint8_t token, uint8_t *box)
{
	if (mdl_dma_read(&c->dma, MDL_SPACE_BUS, addr, box, BOX_SIZE, MDL_CTRL))
		return D_FW;
	if (mlx5_get(box, BOX_TOKEN) != token)
		return D_TOKEN;
	return mlx5_get(box, BOX_BLOCK) == n ? D_OK : D_BLOCK;
}

static int read_in(struct nic_cmd *c, const uint8_t *slot, uint8_t *in)
{
	uint64_t addr = mlx5_get(slot, SLOT_IN_BOX);
	uint8_t box[BOX_SIZE], token = (uint8_t)mlx5_get(slot, SLOT_TOKEN);
	uint32_t off, n, block = 0;
	int d;

	memcpy(in, slot + SLOT_IN, INLINE);
	for (off = INLINE; off < c->in_len; off += n, block++) {
		if (!addr || addr % BOX_ALIGN)
			return D_IN_ALIGN;
		d = box_read(c, addr, block, token, box);
		if (d)
			return d;
		n = c->in_len - off < BOX_DATA ? c->in_len - off : BOX_DATA;
		memcpy(in + off, box, n);
		addr = mlx5_get(box, BOX_NEXT);
	}
	return D_OK;
}

/* Before the command runs: is there room for the whole answer? A bad chain changes nothing. */
static int check_out(struct nic_cmd *c, const uint8_t *slot)
{
	uint64_t addr = mlx5_get(slot, SLOT_OUT_BOX);
	uint8_t box[BOX_SIZE], token = (uint8_t)mlx5_get(slot, SLOT_TOKEN);
	uint32_t off, block = 0;
	int d;

	for (off = INLINE; off < c->out_len; block++) {
		if (!addr || addr % BOX_ALIGN)
			return D_OUT_ALIGN;
		d = box_read(c, addr, block, token, box);
		if (d)
			return d;
		addr = mlx5_get(box, BOX_NEXT);
		off += c->out_len - off < BOX_DATA ? c->out_len - off : BOX_DATA;
	}
	return D_OK;
}

static int write_out(struct nic_cmd *c, const uint8_t *slot)
{
	uint64_t addr = mlx5_get(slot, SLOT_OUT_BOX);
	uint8_t box[BOX_SIZE];
	uint32_t off, n;

	for (off = INLINE; off < c->out_len; off += n) {
		n = c->out_len - off < BOX_DATA ? c->out_len - off : BOX_DATA;
		/* Only the data changes; the rest tells the next box. */
		if (mdl_dma_read(&c->dma, MDL_SPACE_BUS, addr, box, BOX_SIZE, MDL_CTRL) ||
		    mdl_dma_write(&c->dma, MDL_SPACE_BUS, addr, c->out + off, n, MDL_CTRL))
			return D_FW;
		addr = mlx5_get(box, BOX_NEXT);
	}
	return D_OK;
}

/* ---- one command ---- */

static int lengths(struct nic_cmd *c, const uint8_t *slot)
{
	if (mlx5_get(slot, SLOT_TYPE) != TYPE_PCIE)
		return D_DESCR;
	c->in_len = (uint32_t)mlx5_get(slot, SLOT_IN_LEN);
	c->out_len = (uint32_t)mlx5_get(slot, SLOT_OUT_LEN);
	if (c->in_len < 8 || c->in_len > MAX_LEN)
		return D_IN_LEN;
	return c->out_len < 8 || c->out_len > MAX_LEN ? D_OUT_LEN : D_OK;
}

static uint32_t padded(uint32_t len)
{
	return len < 64 ? 64 : len;
}

static int run(struct nic_cmd *c, const uint8_t *slot)
{
	uint8_t *in = NULL;
	int d = lengths(c, slot);

	if (d)
		return d;
	in = calloc(1, padded(c->in_len));
	c->out = calloc(1, padded(c->out_len));
	c->in = in;
	d = in && c->out ? read_in(c, slot, in) : D_FW;
	if (!d)
		d = check_out(c, slot);
	if (!d) {
		nic_cmd_execute(c);
		d = write_out(c, slot);
	}
	free(in);
	return d;
}

/* The answer goes out first, the word with the owner bit last. */
static void answer(struct nic_cmd *c, uint64_t addr, uint8_t *slot, int d)
{
	uint32_t last;

	if (c->out)
		memcpy(slot + SLOT_OUT, c->out, INLINE);
	mdl_dma_write(&c->dma, MDL_SPACE_BUS, addr + SLOT_OUT, slot + SLOT_OUT, INLINE, MDL_CTRL);
	slot[SLOT_LAST + 3] = (uint8_t)(d << 1);
	memcpy(&last, slot + SLOT_LAST, 4);
	mdl_dma_store(&c->dma, MDL_SPACE_BUS, addr + SLOT_LAST, 4, last);
}

static void completion_event(struct nic *nic, unsigned i)
{
	uint8_t data[28] = { 0 };

	mlx5_set32(data, 0, 1u << i);
	nic_event(nic, NIC_EV_CMD, 0, data);
}

static void run_slot(struct nic *nic, unsigned i)
{
	struct nic_cmdq *q = nic->cmdq;
	/* The queue the command itself makes is not told of it: the driver still polls then. */
	bool told = atomic_load(&nic->event_eq[NIC_EV_CMD]) != NULL;
	struct nic_cmd c = { .nic = nic, .dma = q->my_dma };
	uint64_t addr = q->base + i * SLOT_SIZE;
	int d;

	if (mdl_dma_read(&c.dma, MDL_SPACE_BUS, addr, q->slot, SLOT_SIZE, MDL_CTRL))
		return;
	if (!mlx5_get(q->slot, SLOT_OWNER))
		return;
	mdl_count(nic->dev, NIC_C_COMMANDS);
	d = run(&c, q->slot);
	answer(&c, addr, q->slot, d);
	free(c.out);
	if (d)
		mdl_log(nic->dev, MDL_DEBUG, "command slot %u: delivery status 0x%x", i, d);
	if (told)
		completion_event(nic, i);
}

/* A test may hold commands back, to look at a driver that waits. */
static bool held_back(struct nic *nic)
{
	struct mdl_fault_hit hit;

	if (!mdl_fault(nic->dev, NIC_F_CMD, &hit))
		return false;
	if (hit.action == MDL_FAULT_STALL)
		mdl_worker_after(nic->cmd_worker, STALL_POLL_NS);
	else if (hit.action == MDL_FAULT_DELAY)
		mdl_worker_after(nic->cmd_worker, hit.arg * 1000);
	return hit.action == MDL_FAULT_STALL || hit.action == MDL_FAULT_DELAY;
}

bool nic_cmdq_run(struct nic *nic)
{
	struct nic_cmdq *q = nic->cmdq;
	unsigned i;

	pthread_mutex_lock(&q->lock);
	q->mine |= q->rung;
	q->rung = 0;
	q->my_dma = q->dma;
	q->base = q->addr;
	pthread_mutex_unlock(&q->lock);
	if (q->mine && !mdl_dma_valid(&q->my_dma))
		q->mine = 0;
	if (!q->mine || held_back(nic))
		return false;
	for (i = q->next; !(q->mine >> i & 1); i = (i + 1) % SLOTS)
		;
	q->mine &= ~(1u << i);
	q->next = (i + 1) % SLOTS;
	run_slot(nic, i);
	return true;
}
