// SPDX-License-Identifier: MIT
#include "tests/fuzz/nic_wqe.h"

#include <string.h>

uint8_t wqe_u8(struct guest *g)
{
	return fuzz_u8(&g->in);
}

/* ---- commands ---- */

uint8_t *wqe_begin(struct guest *g, uint16_t opcode, uint32_t id)
{
	memset(g->cmd, 0, 0x180);
	mlx5_set32(g->cmd, 0, (uint32_t)opcode << 16);
	mlx5_set32(g->cmd, 8, id);
	return g->cmd;
}

uint8_t wqe_run(struct guest *g, uint32_t len)
{
	return g_exec(g->cmd, len, g->out, 512);
}

/* Return: the number of what was made. */
static uint32_t make(struct guest *g, uint32_t len)
{
	fuzz_promise(!wqe_run(g, len), "a right command succeeds");
	return mlx5_get32(g->out, 8) & 0xffffff;
}

static uint32_t plain(struct guest *g, uint16_t opcode)
{
	wqe_begin(g, opcode, 0);
	return make(g, 16);
}

static void pas(struct guest *g, unsigned block, uint32_t off, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		mlx5_set64(g->cmd, 0x110 + i * 8, G_BUS(block, off + i * 0x1000u));
}

static void make_eq(struct guest *g)
{
	uint8_t *x = wqe_begin(g, 0x301, 0) + 0x10;

	mlx5_set(x, MLX5_EQC_LOG_EQ_SIZE, 6);
	mlx5_set(x, MLX5_EQC_UAR_PAGE, g->uar);
	mlx5_set64(g->cmd, 0x58, 0x1f10fe);
	pas(g, SYSTEM, EQ_AT, 1);
	g->eqn = make(g, 0x118);
	g_give(SYSTEM, EQ_AT, 0x1000, G_CTRL);
}

static void make_cq(struct guest *g, unsigned i, bool lax)
{
	uint8_t *x = wqe_begin(g, 0x400, 0) + 0x10;

	mlx5_set(x, MLX5_CQC_LOG_CQ_SIZE, LOG_CQ);
	mlx5_set(x, MLX5_CQC_OI, lax);
	mlx5_set(x, MLX5_CQC_UAR_PAGE, g->uar);
	mlx5_set(x, MLX5_CQC_EQN, g->eqn);
	mlx5_set(x, MLX5_CQC_DBR_ADDR, G_BUS(SYSTEM, DB_AT(i)));
	pas(g, SYSTEM, CQ_AT(i), 1);
	g->cqn[i] = make(g, 0x118);
	g_give(SYSTEM, CQ_AT(i), 64u << LOG_CQ, G_CTRL);
	g_give(SYSTEM, DB_AT(i), 8, G_CTRL);
}

static void make_srqs(struct guest *g)
{
	uint8_t *x = wqe_begin(g, 0x700, 0) + 0x10;

	mlx5_set(x, MLX5_SRQC_LOG_SRQ_SIZE, LOG_SRQ);
	mlx5_set(x, MLX5_SRQC_LOG_RQ_STRIDE, 2);
	mlx5_set(x, MLX5_SRQC_PD, g->pd);
	mlx5_set(x, MLX5_SRQC_DBR_ADDR, G_BUS(SYSTEM, DB_AT(8)));
	pas(g, RING_U, SRQ_AT, 1);
	g->srqn = make(g, 0x118);
	x = wqe_begin(g, 0x705, 0) + 0x10;
	mlx5_set(x, MLX5_XRCSRQC_LOG_XRC_SRQ_SIZE, LOG_SRQ);
	mlx5_set(x, MLX5_XRCSRQC_LOG_RQ_STRIDE, 2);
	mlx5_set(x, MLX5_XRCSRQC_PD, g->pd);
	mlx5_set(x, MLX5_XRCSRQC_XRCD, g->xrcd);
	mlx5_set(x, MLX5_XRCSRQC_CQN, g->cqn[1]);
	mlx5_set(x, MLX5_XRCSRQC_DBR_ADDR, G_BUS(SYSTEM, DB_AT(9)));
	pas(g, RING_U, XSRQ_AT, 1);
	g->xsrqn = make(g, 0x118);
	g_give(RING_U, SRQ_AT, 64u << LOG_SRQ, G_CTRL);
	g_give(RING_U, XSRQ_AT, 64u << LOG_SRQ, G_CTRL);
	g_give(SYSTEM, DB_AT(8), 8, G_CTRL);
	g_give(SYSTEM, DB_AT(9), 8, G_CTRL);
}

static void make_qp(struct guest *g, unsigned i, uint8_t type, uint8_t rq)
{
	uint8_t *x = wqe_begin(g, 0x500, 0) + 0x18;
	uint32_t bytes = rq ? 0 : RQ_ENTRIES << (g->log_stride + 4);

	mlx5_set(x, MLX5_QPC_ST, type);
	mlx5_set(x, MLX5_QPC_PD, i == U ? 0 : g->pd);
	mlx5_set(x, MLX5_QPC_LOG_RQ_SIZE, 3);
	mlx5_set(x, MLX5_QPC_LOG_RQ_STRIDE, g->log_stride);
	mlx5_set(x, MLX5_QPC_LOG_SQ_SIZE, g->log_sq);
	mlx5_set(x, MLX5_QPC_UAR_PAGE, g->uar);
	mlx5_set(x, MLX5_QPC_USER_INDEX, 0x100 + i);
	mlx5_set(x, MLX5_QPC_CQN_SND, g->cqn[0]);
	mlx5_set(x, MLX5_QPC_CQN_RCV, g->cqn[1]);
	mlx5_set(x, MLX5_QPC_RQ_TYPE, rq);
	mlx5_set(x, MLX5_QPC_SRQN_RMPN_XRQN, rq == 1 ? type == NIC_QP_XRC ? g->xsrqn : g->srqn : 0);
	mlx5_set(x, MLX5_QPC_XRCD, g->xrcd);
	mlx5_set(x, MLX5_QPC_DBR_ADDR, G_BUS(SYSTEM, DB_AT(2 + i)));
	pas(g, RING_A + i, 0, i == U ? 2 : 4);
	g->qpn[i] = make(g, 0x110 + (i == U ? 2 : 4) * 8);
	g_give(RING_A + i, 0, bytes + (64u << g->log_sq), G_CTRL);
	g_give(SYSTEM, DB_AT(2 + i), 8, G_CTRL);
	g->sq_pi[i] = g->rq_pi[i] = 0;
}

/* The receiving end of dynamically connected transport */
static void make_dct(struct guest *g, unsigned i)
{
	uint8_t *x = wqe_begin(g, 0x710, 0) + 0x10;

	mlx5_set(x, MLX5_DCTC_CQN, g->cqn[1]);
	mlx5_set(x, MLX5_DCTC_RRE, 1);
	mlx5_set(x, MLX5_DCTC_RWE, 1);
	mlx5_set(x, MLX5_DCTC_RAE, 1);
	mlx5_set(x, MLX5_DCTC_MIN_RNR_NAK, 1);
	mlx5_set(x, MLX5_DCTC_SRQN_XRQN, g->srqn);
	mlx5_set(x, MLX5_DCTC_PD, g->pd);
	mlx5_set(x, MLX5_DCTC_DC_ACCESS_KEY, DC_KEY);
	mlx5_set(x, MLX5_DCTC_MTU, g->mtu);
	mlx5_set(x, MLX5_DCTC_PORT, 1);
	g->qpn[i] = make(g, 272);
}

void wqe_transition(struct guest *g, uint16_t opcode, unsigned i, uint32_t peer)
{
	uint8_t *x = wqe_begin(g, opcode, g->qpn[i]) + 0x18, *path = x + MLX5_QPC_PATH_OFF;

	mlx5_set(x, MLX5_QPC_MTU, g->mtu);
	mlx5_set(x, MLX5_QPC_LOG_MSG_MAX, 20);
	mlx5_set(x, MLX5_QPC_REMOTE_QPN, peer);
	mlx5_set(path, MLX5_ADS_RLID, 2);
	mlx5_set(path, MLX5_ADS_ACK_TIMEOUT, g->qp_how & 15);
	mlx5_set(x, MLX5_QPC_RETRY_COUNT, g->qp_how >> 4 & 3);
	mlx5_set(x, MLX5_QPC_RNR_RETRY, g->qp_how >> 6);
	mlx5_set(x, MLX5_QPC_MIN_RNR_NAK, 1);
	mlx5_set32(x, 0x90, 0x60e000);
	mlx5_set(x, MLX5_QPC_NEXT_RCV_PSN, 0xfffff0);
	mlx5_set(x, MLX5_QPC_NEXT_SEND_PSN, 0xfffff0);
	mlx5_set(x, MLX5_QPC_Q_KEY, 0x1234);
	wqe_run(g, 272);
}

void wqe_up(struct guest *g, unsigned i, uint32_t peer)
{
	wqe_transition(g, 0x502, i, peer);
	wqe_transition(g, 0x503, i, peer);
	wqe_transition(g, 0x504, i, peer);
}

static void connect(struct guest *g)
{
	bool self = g->qp_how == 0xff;

	wqe_up(g, A, self ? g->qpn[A] : g->qpn[B]);
	if (g->type != NIC_QP_DCI)
		wqe_up(g, B, g->qpn[A]);
	wqe_up(g, U, 0);
}

/* ---- keys ---- */

/* Rights: bits 0 to 4 local read and write, remote read and write, atomic. */
static uint8_t *key_begin(struct guest *g, unsigned mode, uint32_t pd, unsigned rights)
{
	uint8_t *x = wqe_begin(g, 0x200, 0) + 0x10;

	mlx5_set(x, MLX5_MKC_ACCESS_MODE_1_0, mode & 3);
	mlx5_set(x, MLX5_MKC_ACCESS_MODE_4_2, mode >> 2);
	mlx5_set32(x, 0, mlx5_get32(x, 0) | rights << 10);
	mlx5_set(x, MLX5_MKC_UMR_EN, 1);
	mlx5_set(x, MLX5_MKC_EN_RINVAL, 1);
	mlx5_set(x, MLX5_MKC_QPN, 0xffffff);
	mlx5_set(x, MLX5_MKC_PD, pd);
	mlx5_set(x, MLX5_MKC_LOG_PAGE_SIZE, 12);
	mlx5_set(x, MLX5_MKC_TRANSLATIONS_OCTWORD_SIZE, 4);
	return x;
}

static void key_end(struct guest *g, enum key k, uint64_t start, uint64_t len, unsigned octo)
{
	mlx5_set(g->cmd + 0x10, MLX5_MKC_START_ADDR, start);
	mlx5_set(g->cmd + 0x10, MLX5_MKC_LEN, len);
	mlx5_set32(g->cmd, 0x60, octo);
	g->key[k] = make(g, 0x110 + octo * 16) << 8;
}

static void key_of_block(struct guest *g, enum key k, unsigned block, uint32_t pd, unsigned rights,
			 uint32_t off, uint32_t len)
{
	unsigned i;

	key_begin(g, NIC_MKEY_MTT, pd, rights);
	/* A page fault needs access bits; rights are the key's affair. */
	mlx5_set(g->cmd, MLX5_CREATE_MKEY_IN_PG_ACCESS, k == K_DEMAND);
	for (i = 0; i < 4; i++)
		mlx5_set64(g->cmd, 0x110 + i * 8,
			   k == K_DEMAND && i > 1 ? 0 : G_BUS(block, i * 0x1000u) | 3);
	key_end(g, k, VA(block) + off, len, 2);
}

struct range {
	uint32_t len;
	enum key key;
	uint64_t va;
};

static void key_of_ranges(struct guest *g, enum key k, unsigned mode, const struct range *r,
			  unsigned n, uint64_t len)
{
	unsigned i;

	key_begin(g, mode, g->pd, 31);
	for (i = 0; i < n; i++) {
		mlx5_set32(g->cmd, 0x110 + i * 16, r[i].len);
		mlx5_set32(g->cmd, 0x114 + i * 16, g->key[r[i].key]);
		mlx5_set64(g->cmd, 0x118 + i * 16, r[i].va);
	}
	key_end(g, k, 0, len, n);
}

static void make_indirect(struct guest *g)
{
	const struct range ranges[] = { { 0x40, K_ALL, VA(ALL) + EDGE },
					{ 0x1001, K_READ, VA(READABLE) + 5 },
					{ 0, K_ALL, 0 },
					{ 0x800, K_WRITE, VA(WRITABLE) } };
	const struct range blocks[] = { { 0x1000, K_ALL, VA(ALL) + 0x1000 },
					{ 0x1000, K_FOREIGN, VA(FOREIGN) },
					{ 0x1000, K_WRITE, VA(WRITABLE) } };
	const struct range nested[] = { { 0x1000, K_RANGES, 0x20 }, { 0x2000, K_BLOCKS, 0x10 } };
	const struct range cycle[] = { { 0x30, K_ALL, VA(ALL) + EDGE }, { 0x1000, K_CYCLE, 0 } };

	key_of_ranges(g, K_RANGES, NIC_MKEY_KLM, ranges, 4, 0x1841);
	key_of_ranges(g, K_BLOCKS, NIC_MKEY_KSM, blocks, 3, 0x3000);
	key_of_ranges(g, K_NESTED, NIC_MKEY_KLM, nested, 2, 0x3000);
	/* Numbers go up by one: the next key's is known, so it can name itself. */
	g->key[K_CYCLE] = g->key[K_NESTED] + 0x100;
	key_of_ranges(g, K_CYCLE, NIC_MKEY_KLM, cycle, 2, 0x1030);
}

static void make_keys(struct guest *g)
{
	key_of_block(g, K_ALL, ALL, g->pd, 31, EDGE, ALL_LEN);
	key_of_block(g, K_READ, READABLE, g->pd, 5, 0, G_BLOCK_SIZE);
	key_of_block(g, K_FOREIGN, FOREIGN, g->other_pd, 31, 0, G_BLOCK_SIZE);
	key_of_block(g, K_WRITE, WRITABLE, g->pd, 10, 0, 0x2fff);
	key_of_block(g, K_DEMAND, DEMAND, g->pd, 31, 0, G_BLOCK_SIZE);
	key_of_block(g, K_PAGES, PAGES, g->pd, 31, 0, G_BLOCK_SIZE);
	key_of_block(g, K_LIST, LIST, g->pd, 1, 0, G_BLOCK_SIZE);
	g_give(ALL, EDGE, ALL_LEN, G_READ | G_WRITE);
	g_give(READABLE, 0, G_BLOCK_SIZE, G_READ);
	g_give(WRITABLE, 0, 0x2fff, G_WRITE);
	g_give(DEMAND, 0, G_BLOCK_SIZE, G_READ | G_WRITE);
	g_give(PAGES, 0, G_BLOCK_SIZE, G_READ | G_WRITE);
	g_give(LIST, 0, G_BLOCK_SIZE, G_READ);
	make_indirect(g);
	mlx5_set(key_begin(g, NIC_MKEY_KLM, g->pd, 0), MLX5_MKC_FREE, 1);
	key_end(g, K_WINDOW, 0, 0, 0);
	mlx5_set(key_begin(g, NIC_MKEY_KLM, g->pd, 31), MLX5_MKC_QPN, g->qpn[A]);
	mlx5_set32(g->cmd, 0x110, 0x100);
	mlx5_set32(g->cmd, 0x114, g->key[K_ALL]);
	mlx5_set64(g->cmd, 0x118, VA(ALL) + EDGE);
	key_end(g, K_BOUND, 0, 0x100, 1);
	wqe_begin(g, 0x205, 0);
	mlx5_set64(g->cmd, 0x10, 0x1000000);
	mlx5_set32(g->cmd, 0x18, 0x1000);
	mlx5_set32(g->cmd, 0x1c, 0x1000);
	make(g, 32);
	key_begin(g, NIC_MKEY_MEMIC, g->pd, 31);
	key_end(g, K_DEVICE, 0x1000000, 0x1000, 0);
}

/* ---- set-up ---- */

static void services(struct guest *g)
{
	/* service, receive kinds of A and B: 0 own, 1 shared, 3 none */
	static const uint8_t rows[][3] = { { NIC_QP_RC, 0, 0 },	 { NIC_QP_RC, 0, 1 },
					   { NIC_QP_UC, 0, 0 },	 { NIC_QP_UD, 0, 0 },
					   { NIC_QP_XRC, 3, 1 }, { NIC_QP_UC, 0, 1 },
					   { NIC_QP_UD, 0, 1 },	 { NIC_QP_XRC, 3, 3 },
					   { NIC_QP_DCI, 3, 1 } };
	const uint8_t *r = rows[wqe_u8(g) % 9];
	uint8_t shape = wqe_u8(g);

	g->type = r[0];
	g->shared = r[2] == 1;
	g->log_stride = shape & 3;
	g->log_sq = 3 + (shape >> 2 & 3);
	g->mtu = shape >> 4 & 1 ? 1 : 3;
	g->qp_how = wqe_u8(g);
	make_qp(g, A, r[0], r[1]);
	if (g->type == NIC_QP_DCI)
		make_dct(g, B);
	else
		make_qp(g, B, r[0], r[2]);
	make_qp(g, U, NIC_QP_REG_UMR, 3);
}

void wqe_set_up(struct guest *g)
{
	wqe_begin(g, 0x104, 0);
	wqe_run(g, 16);
	wqe_begin(g, 0x102, 0);
	wqe_run(g, 16);
	g->pd = plain(g, 0x800);
	g->other_pd = plain(g, 0x800);
	g->uar = plain(g, 0x802);
	g->xrcd = plain(g, 0x80e);
	make_eq(g);
	make_cq(g, 0, false);
	make_cq(g, 1, true);
	make_srqs(g);
	services(g);
	make_keys(g);
	connect(g);
	g_run(64);
}
