// SPDX-License-Identifier: MIT
#include "models/nic/wqe.h"

#include <errno.h>
#include <string.h>

#include "hw/mlx5_bits.h"
#include "models/nic/internal.h"
#include "models/nic/tm.h"

#define CTRL_OP	    MLX5_F(0, 7, 0)
#define CTRL_QPN    MLX5_F(4, 31, 8)
#define CTRL_DS	    MLX5_F(4, 5, 0)
#define CTRL_CE	    MLX5_F(8, 3, 2)
#define CTRL_SE	    MLX5_F(8, 1, 1)
#define CTRL_IMM    MLX5_F(12, 31, 0)
#define CE_ALWAYS   2
#define SEG	    16u
#define INLINE_FLAG 0x80000000u
#define INLINE_MASK 0x3ffu
#define AV_EXT	    0x80000000u
#define KEY_INVALID 0x100u
#define ZERO_LEN    (1u << 31) /* what a length of 0 in a data segment stands for */

int nic_wqe_fetch(const struct nic_qp *qp, uint16_t idx, unsigned n, uint8_t *buf)
{
	uint32_t size = 1u << qp->sq.log_size, i = idx & (size - 1), part;
	struct mdl_dma d = qp->dma;
	int err;

	if (qp->rndv) {
		nic_tm_fetch(qp->rndv, idx, n, buf);
		return 0;
	}
	part = n < size - i ? n : size - i;
	err = nic_buf_read(&qp->buf, &d, qp->sq.off + (uint64_t)i * NIC_BB, buf, part * NIC_BB);
	if (err || part == n)
		return err;
	return nic_buf_read(&qp->buf, &d, qp->sq.off, buf + part * NIC_BB, (n - part) * NIC_BB);
}

unsigned nic_wqe_blocks(const uint8_t *p)
{
	unsigned ds = (unsigned)mlx5_get(p, CTRL_DS);

	return ds ? (ds + 3) / 4 : 1;
}

/* How far parsing has come. */
struct cursor {
	const uint8_t *p, *end;
};

static const uint8_t *take(struct cursor *c, unsigned len)
{
	const uint8_t *p = c->p;

	if ((size_t)(c->end - p) < len)
		return NULL;
	c->p += len;
	return p;
}

static int parse_av(struct cursor *c, struct nic_av *av)
{
	const uint8_t *p = take(c, SEG);
	uint32_t dq;

	if (!p)
		return -EINVAL;
	*av = (struct nic_av){ .qkey = mlx5_get32(p, 0),
			       .dc_key = mlx5_get64(p, 0),
			       .rlid = (uint16_t)(p[14] << 8 | p[15]) };
	dq = mlx5_get32(p, 8);
	av->dqpn = dq & 0xffffff;
	av->sl = p[12] & 0xf;
	av->mlpath = p[13] & 0x7f;
	if (!(dq & AV_EXT))
		return 0;
	p = take(c, 2 * SEG);
	if (!p)
		return -EINVAL;
	av->tclass = p[10];
	av->hop_limit = p[11];
	av->grh = mlx5_get32(p, 12) >> 30 & 1;
	av->sgid_index = (uint8_t)(mlx5_get32(p, 12) >> 20);
	av->flow_label = mlx5_get32(p, 12) & 0xfffff;
	memcpy(av->rgid, p + 16, 16);
	return 0;
}

static int parse_remote(struct cursor *c, struct nic_swqe *w)
{
	const uint8_t *p = take(c, SEG);

	if (!p)
		return -EINVAL;
	w->raddr = mlx5_get64(p, 0);
	w->rkey = mlx5_get32(p, 8);
	if (w->opcode != NIC_OP_CAS && w->opcode != NIC_OP_FADD)
		return 0;
	p = take(c, SEG);
	if (!p)
		return -EINVAL;
	w->swap_add = mlx5_get64(p, 0);
	w->compare = mlx5_get64(p, 8);
	return 0;
}

static int parse_inline(struct cursor *c, struct nic_sge *s, uint32_t count)
{
	uint32_t len = count & INLINE_MASK;
	const uint8_t *p = take(c, (4 + len + SEG - 1) / SEG * SEG);

	if (!p)
		return -EINVAL;
	*s = (struct nic_sge){ .host = p + 4, .len = len };
	return 0;
}

static void parse_pointer(const uint8_t *p, struct nic_sge *s)
{
	s->len = mlx5_get32(p, 0);
	if (!s->len)
		s->len = ZERO_LEN;
	s->key = mlx5_get32(p, 4);
	s->addr = mlx5_get64(p, 8);
	s->host = NULL;
}

static int parse_data(struct cursor *c, struct nic_swqe *w)
{
	while (c->p < c->end) {
		struct nic_sge *s = &w->sge[w->n_sge];
		const uint8_t *p = c->p;

		if (w->n_sge == NIC_MAX_SGE)
			return -EINVAL;
		if (mlx5_get32(p, 0) & INLINE_FLAG) {
			if (parse_inline(c, s, mlx5_get32(p, 0)))
				return -EINVAL;
		} else {
			parse_pointer(p, s);
			c->p += SEG;
		}
		w->len += s->len;
		w->n_sge++;
	}
	return 0;
}

static int parse_op(const struct nic_qp *qp, struct cursor *c, struct nic_swqe *w)
{
	switch (w->opcode) {
	case NIC_OP_NOP:
		return 0;
	case NIC_OP_TAG_MATCHING:
	case NIC_OP_UMR:
	case NIC_OP_SET_PSV:
		w->umr = c->p;
		w->umr_len = (uint32_t)(c->end - c->p);
		return 0;
	case NIC_OP_WRITE:
	case NIC_OP_WRITE_IMM:
	case NIC_OP_READ:
	case NIC_OP_CAS:
	case NIC_OP_FADD:
		return parse_remote(c, w) ? -EINVAL : parse_data(c, w);
	case NIC_OP_SEND:
	case NIC_OP_SEND_IMM:
	case NIC_OP_SEND_INVAL:
		return parse_data(c, w);
	default:
		return -EINVAL;
	}
}

/* Does each request tell where it goes? */
static bool has_av(const struct nic_qp *qp)
{
	return qp->type == NIC_QP_UD || qp->type == NIC_QP_QP0 || qp->type == NIC_QP_QP1 ||
	       qp->type == NIC_QP_DCI;
}

/* Which opcodes a service type knows. */
static bool op_allowed(uint8_t type, uint8_t op)
{
	switch (op) {
	case NIC_OP_NOP:
		return true;
	case NIC_OP_UMR:
	case NIC_OP_SET_PSV:
		return type != NIC_QP_UD && type != NIC_QP_QP0 && type != NIC_QP_QP1;
	case NIC_OP_TAG_MATCHING:
		return type == NIC_QP_RC;
	case NIC_OP_SEND:
	case NIC_OP_SEND_IMM:
		return type != NIC_QP_REG_UMR;
	case NIC_OP_WRITE:
	case NIC_OP_WRITE_IMM:
		return type == NIC_QP_RC || type == NIC_QP_UC || type == NIC_QP_XRC ||
		       type == NIC_QP_DCI;
	default:
		return type == NIC_QP_RC || type == NIC_QP_XRC || type == NIC_QP_DCI;
	}
}

int nic_wqe_parse(const struct nic_qp *qp, const uint8_t *p, unsigned n, uint16_t idx,
		  struct nic_swqe *w)
{
	unsigned ds = (unsigned)mlx5_get(p, CTRL_DS);
	struct cursor c = { p + SEG, p + (size_t)ds * SEG };
	const uint8_t *x;

	w->idx = idx;
	w->nbb = (uint8_t)nic_wqe_blocks(p);
	w->opcode = (uint8_t)mlx5_get(p, CTRL_OP);
	w->signalled = mlx5_get(p, CTRL_CE) >= CE_ALWAYS;
	w->solicited = mlx5_get(p, CTRL_SE);
	w->imm = (uint32_t)mlx5_get(p, CTRL_IMM);
	w->len = 0;
	w->n_sge = 0;
	if (w->nbb > n)
		return -EAGAIN;
	if (!ds || mlx5_get(p, CTRL_QPN) != qp->obj.id || !op_allowed(qp->type, w->opcode))
		return -EINVAL;
	if (qp->type == NIC_QP_XRC && w->opcode != NIC_OP_NOP) {
		x = take(&c, SEG);
		if (!x)
			return -EINVAL;
		w->srqn = mlx5_get32(x, 0) & 0xffffff;
	}
	if (has_av(qp) && w->opcode != NIC_OP_NOP && w->opcode != NIC_OP_UMR &&
	    w->opcode != NIC_OP_SET_PSV && parse_av(&c, &w->av))
		return -EINVAL;
	return parse_op(qp, &c, w);
}

unsigned nic_wqe_parse_recv(const uint8_t *p, unsigned len, struct nic_sge *sge,
			    uint64_t *ret_total)
{
	unsigned n;

	*ret_total = 0;
	for (n = 0; n < NIC_MAX_RSGE && (n + 1) * SEG <= len; n++, p += SEG) {
		uint32_t key = mlx5_get32(p, 4);

		if (!mlx5_get32(p, 0) && (key == KEY_INVALID || key == NIC_KEY_TERMINATE))
			break;
		parse_pointer(p, &sge[n]);
		*ret_total += sge[n].len;
	}
	return n;
}
