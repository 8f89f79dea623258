// SPDX-License-Identifier: MIT
/*
 * Commands of a hostile driver: the whole command interface of the NIC model, through queue and
 * mailboxes, with doorbells, work requests, resets and time in between. The machine and what it
 * watches: nic_guest.h.
 *
 * The input is a program: an operation byte (modulo the number of operations) and its arguments.
 * Commands are built to be right, from objects that exist, and then, as often as the input says,
 * spoiled; that is how sequences get deep. Promises after each command: it was answered, with a
 * status that exists; if it failed nothing changed; if it made an object the object is there.
 */
#include "tests/fuzz/fuzz.h"

#include "tests/fuzz/nic_cmd.h"

/* ---- operations: objects ---- */

/* Of the first kinds as often as of the last. */
static enum kind some_kind(struct guest *g)
{
	uint8_t k = cmd_u8(g);

	return (enum kind)(k < 224 ? k % DCT : DCT + k % (KINDS - DCT));
}

static void op_create(struct guest *g)
{
	cmd_create(g, some_kind(g));
}

static void op_create_queue(struct guest *g)
{
	static const uint8_t of[] = { QP, QP, CQ, MKEY, MKEY, SRQ, XSRQ, RMP };

	cmd_create(g, (enum kind)of[cmd_u8(g) % sizeof(of)]);
}

static void op_destroy(struct guest *g)
{
	enum kind kind = some_kind(g);
	uint32_t id = cmd_pick(g, kind);

	cmd_begin_on(g, cmd_kinds[kind].destroy, id);
	if (kind == GENERAL)
		mlx5_set32(g->cmd, 4, cmd_u8(g) & 1 ? 0x2c : 0x3a);
	if (!cmd_spoil_and_send(g) && mlx5_get32(g->cmd, 0) >> 16 == cmd_kinds[kind].destroy)
		cmd_forget(g, kind, mlx5_get32(g->cmd, 8) & 0xffffff);
}

static void op_query(struct guest *g)
{
	static const uint16_t more[] = { 0x100, 0x101, 0x107, 0x10a, 0x203, 0x750,
					 0x762, 0x764, 0x765, 0x770, 0x805 };
	unsigned what = cmd_u8(g) % (DCT + 1 + sizeof(more) / sizeof(more[0]));

	if (what > DCT) {
		cmd_begin(g, more[what - DCT - 1]);
		mlx5_set32(g->cmd, 4, cmd_u8(g) & (what % 2 ? 3 : 0x7f));
		g->cmd[0xf] = cmd_u8(g) % 5;
		g->out_len += 512;
	} else if (cmd_kinds[what].query) {
		cmd_begin_on(g, cmd_kinds[what].query, cmd_pick(g, (enum kind)what));
	} else {
		return;
	}
	cmd_spoil_and_send(g);
}

static void transition(struct guest *g, uint16_t opcode, uint32_t qpn, uint32_t peer)
{
	uint8_t *x = g->cmd + 0x18, how = cmd_u8(g), *path = x + MLX5_QPC_PATH_OFF;

	cmd_begin_on(g, opcode, qpn);
	if (how > 128)
		mlx5_set32(g->cmd, 0x10, fuzz_u32(&g->in));
	g->in_len = 272;
	mlx5_set(x, MLX5_QPC_MTU, how % 8 ? how % 5 + 1 : cmd_u8(g));
	mlx5_set(x, MLX5_QPC_LOG_MSG_MAX, 30);
	mlx5_set(x, MLX5_QPC_REMOTE_QPN, peer);
	mlx5_set(path, MLX5_ADS_RLID, 2);
	mlx5_set(path, MLX5_ADS_ACK_TIMEOUT, how & 31);
	mlx5_set(path, MLX5_ADS_VHCA_PORT_NUM, 1);
	mlx5_set32(x, 0x90, 0xe000);
	mlx5_set(x, MLX5_QPC_RETRY_COUNT, how & 7);
	mlx5_set(x, MLX5_QPC_RNR_RETRY, how >> 3 & 7);
	mlx5_set(x, MLX5_QPC_MIN_RNR_NAK, 1);
	mlx5_set(x, MLX5_QPC_Q_KEY, 0x1234);
}

static void op_modify_qp(struct guest *g)
{
	static const uint16_t ops[] = { 0x502, 0x503, 0x504, 0x505, 0x506,
					0x507, 0x50a, 0x50c, 0x50e };

	transition(g, ops[cmd_u8(g) % 9], cmd_pick(g, QP), cmd_pick(g, QP));
	cmd_spoil_and_send(g);
}

static void up(struct guest *g, uint32_t qpn, uint32_t peer)
{
	static const uint16_t ops[] = { 0x50a, 0x502, 0x503, 0x504 };
	unsigned i;

	for (i = 0; i < 4; i++) {
		transition(g, ops[i], qpn, peer);
		cmd_send(g);
	}
}

static void op_connect(struct guest *g)
{
	uint32_t a = cmd_pick(g, QP), b = cmd_pick(g, QP);

	up(g, a, b);
	if (a != b)
		up(g, b, a);
}

static void op_modify_cq(struct guest *g)
{
	uint8_t how = cmd_u8(g);
	uint32_t cqn = cmd_pick(g, CQ);

	cmd_begin_on(g, 0x403, cqn);
	cmd_build_cq(g);
	mlx5_set32(g->cmd, 8, cqn);
	mlx5_set32(g->cmd, 4, how & 1);
	mlx5_set32(g->cmd, 12, how >> 1 & 15);
	cmd_spoil_and_send(g);
}

static void op_arm(struct guest *g)
{
	static const uint16_t ops[] = { 0x703, 0x708, 0x90d };
	unsigned i = cmd_u8(g) % 3;

	cmd_begin_on(g, ops[i], cmd_pick(g, (enum kind)(SRQ + i)));
	mlx5_set32(g->cmd, 12, cmd_u8(g) & 15);
	if (i == 2) {
		mlx5_set32(g->cmd, 0x14, 1);
		mlx5_set(g->cmd + 0x20 + MLX5_RMPC_WQ_OFF, MLX5_WQ_LWM, cmd_u8(g) & 15);
	}
	cmd_spoil_and_send(g);
}

static void op_mcg(struct guest *g)
{
	uint8_t how = cmd_u8(g);

	cmd_begin_on(g, how & 1 ? 0x806 : 0x807, cmd_pick(g, QP));
	memset(g->cmd + 0x10, 0xff, 4);
	g->cmd[0x1f] = how >> 6;
	cmd_spoil_and_send(g);
}

static void op_memic(struct guest *g)
{
	uint8_t how = cmd_u8(g);
	uint64_t at = 0x1000000u + (how >> 1 & 3) * 0x1000u;

	cmd_begin(g, how & 1 ? 0x205 : 0x206);
	mlx5_set64(g->cmd, 0x10, at);
	mlx5_set32(g->cmd, 0x18, 0x1000);
	mlx5_set32(g->cmd, 0x1c, (cmd_u8(g) + 1) * 4);
	if (how > 200) {
		/* An operation of that memory: made, or given back. */
		mlx5_set32(g->cmd, 0, 0x207u << 16 | g->uid);
		mlx5_set32(g->cmd, 4, how >> 1 & 1);
		g->cmd[0xf] = cmd_u8(g) & 3;
		g->in_len = g->out_len = 64;
	}
	cmd_spoil_and_send(g);
}

static void op_pages(struct guest *g)
{
	unsigned n = cmd_u8(g) % 32;

	cmd_begin(g, 0x108);
	if (cmd_u8(g) & 1) {
		mlx5_set32(g->cmd, 4, 1);
		cmd_pages(g, 0x10, n, 0);
	} else {
		mlx5_set32(g->cmd, 4, cmd_u8(g) & 3);
		g->out_len = 16 + n * 8;
	}
	mlx5_set32(g->cmd, 12, n);
	cmd_spoil_and_send(g);
}

static void op_life(struct guest *g)
{
	static const uint16_t ops[] = { 0x102, 0x103, 0x104, 0x105, 0x10b, 0x10d, 0x109, 0x80d };
	uint16_t op = ops[cmd_u8(g) % 8];

	cmd_begin(g, op);
	if (op == 0x10b)
		mlx5_set32(g->cmd, 8, cmd_u8(g) & 3);
	if (!cmd_spoil_and_send(g) && op == 0x103)
		g->n_objs = 0;
}

static void op_event(struct guest *g)
{
	uint8_t how = cmd_u8(g);

	if (how & 1) {
		cmd_begin_on(g, 0x304, cmd_pick(g, EQ));
		g->cmd[0x11] = cmd_u8(g);
	} else {
		cmd_begin(g, 0x204);
		mlx5_set32(g->cmd, 8, how & 2 ? 1u << 31 : 0);
		mlx5_set32(g->cmd, 12, fuzz_u32(&g->in) << 24 | cmd_pick(g, QP));
	}
	cmd_spoil_and_send(g);
}

static void op_mad(struct guest *g)
{
	static const uint16_t attr[] = { 0x10, 0x11, 0x12, 0x14, 0x15, 0x16, 0x20, 0xff90 };
	uint8_t *m = g->cmd + 0x10, how = cmd_u8(g);

	cmd_begin(g, 0x50d);
	g->cmd[0xb] = 1;
	m[0] = 1;
	m[1] = how & 1 ? 0x81 : how & 2 ? 4 : 1;
	m[2] = 1;
	m[3] = how & 4 ? 2 : 1;
	mlx5_set32(m, 16, (uint32_t)attr[cmd_u8(g) % 8] << 16);
	cmd_spoil_and_send(g);
}

static void op_register(struct guest *g)
{
	static const uint16_t regs[] = { 0x5003, 0x5004, 0x5006, 0x5008,
					 0x500f, 0x6001, 0x7004, 0x5005 };
	unsigned i, n = cmd_u8(g) % 16;

	cmd_begin_on(g, 0x805, regs[cmd_u8(g) & 7]);
	mlx5_set32(g->cmd, 4, cmd_u8(g) & 1);
	for (i = 0; i < n; i++)
		g->cmd[0x10 + fuzz_u8(&g->in)] = cmd_u8(g);
	g->in_len = g->out_len = 16 + 256;
	cmd_spoil_and_send(g);
}

static void op_uid(struct guest *g)
{
	g->uid = cmd_u8(g) & 1 ? (uint16_t)cmd_pick(g, UCTX) : 0;
}

/* Any command, any bytes. */
static void op_raw(struct guest *g)
{
	const struct nic_cmd_row *row = &nic_cmd_rows[cmd_u8(g) % nic_n_cmd_rows];
	unsigned n = cmd_u8(g) % 32, off;

	cmd_begin(g, cmd_u8(g) > 230 ? fuzz_u16(&g->in) : row->opcode);
	mlx5_set32(g->cmd, 4, cmd_u8(g) & 7);
	mlx5_set32(g->cmd, 8, (uint32_t)g_odd(&g->in));
	for (; n; n--) {
		off = cmd_u8(g) * 4u;
		mlx5_set32(g->cmd, off, fuzz_u32(&g->in));
	}
	if (cmd_u8(g) > 128)
		g->in_len += (uint32_t)(int32_t)(int8_t)cmd_u8(g);
	if (cmd_u8(g) > 128)
		g->out_len += (uint32_t)(int32_t)(int8_t)cmd_u8(g);
	if (!cmd_spoil_and_send(g) && g_nic->hca_state != NIC_HCA_INIT)
		g->n_objs = 0;
}

/* ---- operations: delivery ---- */

static void harm_boxes(struct guest *g, uint8_t how)
{
	uint8_t *box = &g_mem[QUEUE][how & 1 ? IN_BOX(how >> 1 & 1) : OUT_BOX(how >> 1 & 1)];

	switch (how >> 5) {
	case 0:
		box[0x23d]++;
		break;
	case 1:
		box[0x23b] ^= cmd_u8(g);
		break;
	case 2:
		mlx5_set64(box, 0x230, g_odd(&g->in));
		break;
	case 3:
		mlx5_set64(box, 0x230, G_BUS(QUEUE, IN_BOX(0)));
		break;
	case 4:
		mlx5_set64(box, 0x230, G_BUS(QUEUE, G_BLOCK_SIZE - 0x200));
		break;
	default:
		box[cmd_u8(g) * 2u] = cmd_u8(g);
	}
}

static void op_delivery(struct guest *g)
{
	unsigned i = cmd_u8(g) % 32;
	uint8_t how = cmd_u8(g), *slot;

	cmd_begin(g, 0x100);
	g->in_len = 16 + fuzz_u16(&g->in) % (MAX_LEN - 16);
	g->out_len = 16 + fuzz_u16(&g->in) % (MAX_LEN - 16);
	if (g->n_cmds++ >= MAX_CMDS || !g_read32(0x14))
		return;
	g->token = cmd_u8(g);
	cmd_write_boxes(g);
	slot = cmd_write_slot(g, i);
	if (how & 0x10)
		slot[cmd_u8(g) % 64] = cmd_u8(g);
	else
		harm_boxes(g, how);
	cmd_ring(g, i);
}

/* The queue moves, or commands are rung for in slots nobody filled. */
static void op_queue(struct guest *g)
{
	uint8_t at[8];

	if (cmd_u8(g) & 1) {
		g_write32(0x18, fuzz_u32(&g->in));
		g_run(64);
		return;
	}
	mlx5_set64(at, 0, g_odd(&g->in));
	g_scan(at, 8);
	g_write32(0x10, mlx5_get32(at, 0));
	g_write32(0x14, mlx5_get32(at, 4));
	g_write32(0x18, fuzz_u32(&g->in));
	g_run(64);
	g_write64(0x10, G_BUS(QUEUE, 0));
}

/* ---- operations: the rest of the device ---- */

static uint64_t request_at(const struct nic_qp *qp, unsigned i)
{
	return nic_buf_addr(&qp->buf, qp->sq.off + (i & ((1u << qp->sq.log_size) - 1)) * 64u);
}

static void guest_store(uint64_t addr, const void *p, uint32_t len)
{
	uint64_t block = (addr >> G_SHIFT) - 1, off = addr & ((1ull << G_SHIFT) - 1);

	if (block >= G_BLOCKS || off > G_BLOCK_SIZE - len)
		return;
	memcpy(&g_mem[block][off], p, len);
	g_scan(p, len);
}

/* A request of one block, and its doorbell. */
static void op_work(struct guest *g)
{
	static const uint8_t ops[] = { 0x0a, 0x08, 0x09, 0x10, 0x11, 0x12, 0x0b, 0x01, 0x25, 0x00 };
	struct nic_qp *qp = nic_find_qp(g_nic, cmd_pick(g, QP));
	uint8_t w[64] = { 0 }, rec[4] = { 0 }, op = ops[cmd_u8(g) % sizeof(ops)];
	unsigned at = 16;

	if (!qp || qp->no_sq || !qp->buf.size)
		return;
	mlx5_set32(w, 0, op);
	mlx5_set32(w, 4, qp->obj.id << 8 | 3);
	w[11] = 8;
	mlx5_set32(w, 12, cmd_pick(g, MKEY) << 8);
	if (op != 0x0a && op != 0x0b && op != 0x01) {
		mlx5_set64(w, 16, g_odd(&g->in));
		mlx5_set32(w, 24, cmd_pick(g, MKEY) << 8);
		at = 32;
		w[7] = 4 - 1;
	}
	mlx5_set32(w, at, cmd_u8(g));
	mlx5_set32(w, at + 4, cmd_pick(g, MKEY) << 8);
	mlx5_set64(w, at + 8, g_odd(&g->in));
	w[7] = (uint8_t)(at / 16 + 1);
	if (cmd_u8(g) > 200)
		w[cmd_u8(g) % 64] = cmd_u8(g);
	guest_store(request_at(qp, qp->req.sq_pi), w, 64);
	mlx5_set32(rec, 0, (uint32_t)(uint16_t)(qp->req.sq_pi + 1));
	guest_store(qp->db_addr + 4, rec, 4);
	g_write64((uint64_t)qp->uar * 0x1000 + 0x800, (uint64_t)(qp->obj.id << 8) | 0xa00000000ull);
	g_run(cmd_u8(g) % 8);
}

/* A receive entry in every slot of a queue's ring and as many of them posted. */
static void op_receive(struct guest *g)
{
	struct nic_qp *qp = nic_find_qp(g_nic, cmd_pick(g, QP));
	uint8_t e[16], rec[4];
	unsigned i;

	if (!qp || !qp->buf.size || qp->rq_kind != NIC_RQ_OWN)
		return;
	mlx5_set32(e, 0, cmd_u8(g));
	mlx5_set32(e, 4, cmd_pick(g, MKEY) << 8);
	mlx5_set64(e, 8, g_odd(&g->in));
	for (i = 0; i < 1u << qp->rq.log_size; i++)
		guest_store(nic_buf_addr(&qp->buf, qp->rq.off + (i << qp->rq.log_stride)), e, 16);
	mlx5_set32(rec, 0, (uint32_t)(qp->rsp.rq_ci + i));
	guest_store(qp->db_addr, rec, 4);
}

static void op_bell(struct guest *g)
{
	static const uint16_t at[] = { 0x20, 0x40, 0x48, 0x800, 0x900, 0xff8, 0x28 };
	uint64_t off = (uint64_t)cmd_pick(g, UAR) * 0x1000 + at[cmd_u8(g) % 7];
	uint8_t how = cmd_u8(g);
	uint32_t num = cmd_pick(g, how & 1 ? CQ : QP);

	if (off >= 32u << 20)
		return;
	if (how & 2)
		g_write32(off, fuzz_u32(&g->in));
	else if (how & 4)
		g_write32(off, cmd_pick(g, EQ) << 24 | cmd_u8(g));
	else
		g_write64(off, (uint64_t)fuzz_u32(&g->in) << 32 | (how & 1 ? num : num << 8));
	g_run(cmd_u8(g) % 4);
}

static void op_mmio(struct guest *g)
{
	uint8_t buf[16] = { 0 }, how = cmd_u8(g);
	uint64_t off = how & 1 ? g_odd(&g->in) % (32u << 20) : fuzz_u16(&g->in) % 0x1200;
	size_t n = how % 16 + 1, i;

	for (i = 0; i < n; i++)
		buf[i] = cmd_u8(g);
	if (off == 0x10 || off == 0x14 || off == 0x18)
		return;
	if (how & 2)
		g_write(off, buf, n > 8 ? 8 : n);
	else
		g_read32(off);
	g_run(4);
}

static void op_poke(struct guest *g)
{
	uint64_t addr = cmd_page(g) + fuzz_u16(&g->in) % 0x1000;
	uint8_t b[32];
	unsigned n = cmd_u8(g) % 32, i;

	for (i = 0; i < n; i++)
		b[i] = cmd_u8(g);
	guest_store(addr, b, n);
}

static void op_run(struct guest *g)
{
	g_run(cmd_u8(g) % 32);
}

static void op_time(struct guest *g)
{
	g_pass(g_odd(&g->in) & 0xfffffffff);
	g_run(16);
}

static void op_fault(struct guest *g)
{
	uint8_t what = cmd_u8(g);

	g_fault(what & 1, (enum mdl_fault_action)(what >> 1 & 7), cmd_u8(g), cmd_u8(g) & 7);
}

static void op_link(struct guest *g)
{
	g_link(cmd_u8(g) & 1);
	g_run(16);
}

static void bring_up(struct guest *g)
{
	static const uint16_t ops[] = { 0x104, 0x10b, 0x102 };
	unsigned i;

	g->uid = 0;
	g->n_objs = 0;
	g_write64(0x10, G_BUS(QUEUE, 0));
	for (i = 0; i < 3; i++) {
		cmd_begin(g, ops[i]);
		cmd_send(g);
	}
}

static void op_reset(struct guest *g)
{
	uint8_t how = cmd_u8(g);

	g_reset((enum mdl_reset)(how % 5));
	if (how & 0x80)
		g_run(64);
	bring_up(g);
}

static void (*const ops[])(struct guest *g) = {
	op_create, op_create_queue, op_destroy,	 op_query, op_modify_qp, op_connect, op_modify_cq,
	op_arm,	   op_mcg,	    op_memic,	 op_pages, op_life,	 op_event,   op_mad,
	op_uid,	   op_raw,	    op_delivery, op_queue, op_work,	 op_receive, op_bell,
	op_mmio,   op_poke,	    op_run,	 op_time,  op_fault,	 op_link,    op_reset,
	op_create, op_create_queue, op_register, op_work,
};

/* ---- what is there before the input begins ---- */

/* One of each thing others need; the arguments are what its builder reads, then zeroes. */
static void furnish(struct guest *g)
{
	static const struct {
		uint8_t kind, n, args[17];
	} rows[] = {
		{ PD, 0, { 0 } },
		{ UAR, 0, { 0 } },
		{ XRCD, 0, { 0 } },
		/* 64 entries, many events */
		{ EQ, 6, { 6, 0, 0, 4, 0, 0x01 } },
		{ EQ, 6, { 6, 0, 1, 0, 0, 0x0c } },
		/* 64 entries of 64 bytes */
		{ CQ, 11, { 0, 6, 0, 0, 0x02, 0, 0, 0x03, 0x13, 0x23, 0x33 } },
		/* 16 KiB from address 0 on, all rights */
		{ MKEY, 15, { 1, 0, 2, 2, 31, 0, 0, 200, 0, 0x40, 3, 0x04, 0x15, 0x26, 0x37 } },
		/* 16 entries of 64 bytes */
		{ SRQ, 8, { 4, 2, 0, 0, 0x05, 0, 0, 0x06 } },
		{ XSRQ, 11, { 0, 4, 2, 0, 0, 0, 0, 0x05, 1, 0, 0x07 } },
		/* two RC, one UD: 8 entries of 64 bytes, 16 blocks, rings on 4 pages */
		{ QP, 17, { 0, 0, 0, 0, 3, 2, 4, 0, 0, 0, 0, 0x08, 0, 0, 0x09, 0x19, 0x29 } },
		{ QP, 17, { 0, 0, 0, 0, 3, 2, 4, 0, 0, 0, 0, 0x08, 1, 0, 0x0a, 0x1a, 0x2a } },
		{ QP, 17, { 0, 0, 4, 0, 3, 2, 4, 0, 0, 0, 0, 0x08, 2, 0, 0x0b, 0x1b, 0x2b } },
	};
	struct fuzz_input rest = g->in;
	unsigned i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		g->in = (struct fuzz_input){ rows[i].args, rows[i].n };
		cmd_create(g, (enum kind)rows[i].kind);
		fuzz_promise(!g->out[0], "a right command succeeds");
	}
	g->in = rest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct guest g;

	memset(&g, 0, sizeof(g));
	g.in = (struct fuzz_input){ data, size };
	g_begin();
	g_give(QUEUE, 0, G_BLOCK_SIZE, G_CTRL);
	bring_up(&g);
	furnish(&g);
	g.n_cmds = 0;
	while (g.in.left)
		ops[cmd_u8(&g) % (sizeof(ops) / sizeof(ops[0]))](&g);
	g_run(64);
	g_end();
	return 0;
}
