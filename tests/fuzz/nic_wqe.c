// SPDX-License-Identifier: MIT
/*
 * Work requests of a hostile program: two connected queue pairs of one service, a queue pair that
 * changes memory keys, shared receive queues, and keys of every sort; requests that are right, odd
 * or garbage, with doorbells, page faults, a bad cable and changes of state in between. The machine
 * and what it watches: nic_guest.h. Every byte of memory that a key does not grant for that access
 * is out of bounds, and so is memory no key ever had.
 *
 * The input: a byte for the service, a byte for the shape, then a program of operations.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "hw/mlx5_cmd.h"
#include "hw/mlx5_ctx.h"
#include "tests/fuzz/nic_guest.h"

/* Blocks of memory */
enum {
	SYSTEM,
	RING_A,
	RING_B,
	RING_U,
	ALL,
	READABLE,
	FOREIGN,
	WRITABLE,
	DEMAND,
	PAGES,
	NOBODY,
	LIST
};

#define EQ_AT	   0x0000u /* in SYSTEM */
#define CQ_AT(i)   (0x1000u + (i)*0x1000u)
#define DB_AT(i)   (0x3000u + (i)*0x40u)
#define LOG_CQ	   6
#define LOG_SRQ	   4
#define SRQ_AT	   0x2000u /* in RING_U */
#define XSRQ_AT	   0x3000u
#define RQ_ENTRIES 8u
#define VA(block)  (0x100000u * (block)) /* where a key shows its block */
#define EDGE	   0x123u		 /* the key of ALL begins and ends inside a page */
#define ALL_LEN	   0x3c00u

/* Keys, in the order they are made */
enum key {
	K_ALL,
	K_READ,
	K_FOREIGN,
	K_WRITE,
	K_DEMAND,
	K_PAGES,
	K_LIST,
	K_RANGES,
	K_BLOCKS,
	K_NESTED,
	K_CYCLE,
	K_WINDOW,
	K_BOUND,
	K_DEVICE,
	KEYS
};

enum { A, B, U, QPS };

struct post {
	uint8_t b[1024];
	uint32_t len;
};

struct guest {
	struct g_in in;
	uint32_t pd, other_pd, uar, eqn, cqn[2], srqn, xsrqn, xrcd;
	uint32_t key[KEYS], qpn[QPS];
	uint16_t sq_pi[QPS], rq_pi[QPS], srq_posted[2], srq_at[2];
	uint32_t cq_ci[2], eq_ci;
	uint8_t type, log_stride, log_sq, mtu, qp_how;
	bool shared;
	uint8_t cmd[1024], out[1024];
};

static uint8_t u8(struct guest *g)
{
	return g_u8(&g->in);
}

/* ---- commands ---- */

static uint8_t *begin(struct guest *g, uint16_t opcode, uint32_t id)
{
	memset(g->cmd, 0, 0x180);
	mlx5_set32(g->cmd, 0, (uint32_t)opcode << 16);
	mlx5_set32(g->cmd, 8, id);
	return g->cmd;
}

static uint8_t run(struct guest *g, uint32_t len)
{
	return g_exec(g->cmd, len, g->out, 512);
}

/* Return: the number of what was made. */
static uint32_t make(struct guest *g, uint32_t len)
{
	g_promise(!run(g, len), "a right command succeeds");
	return mlx5_get32(g->out, 8) & 0xffffff;
}

static uint32_t plain(struct guest *g, uint16_t opcode)
{
	begin(g, opcode, 0);
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
	uint8_t *x = begin(g, 0x301, 0) + 0x10;

	mlx5_set(x, MLX5_EQC_LOG_EQ_SIZE, 6);
	mlx5_set(x, MLX5_EQC_UAR_PAGE, g->uar);
	mlx5_set64(g->cmd, 0x58, 0x1f10fe);
	pas(g, SYSTEM, EQ_AT, 1);
	g->eqn = make(g, 0x118);
	g_give(SYSTEM, EQ_AT, 0x1000, G_CTRL);
}

static void make_cq(struct guest *g, unsigned i, bool lax)
{
	uint8_t *x = begin(g, 0x400, 0) + 0x10;

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
	uint8_t *x = begin(g, 0x700, 0) + 0x10;

	mlx5_set(x, MLX5_SRQC_LOG_SRQ_SIZE, LOG_SRQ);
	mlx5_set(x, MLX5_SRQC_LOG_RQ_STRIDE, 2);
	mlx5_set(x, MLX5_SRQC_PD, g->pd);
	mlx5_set(x, MLX5_SRQC_DBR_ADDR, G_BUS(SYSTEM, DB_AT(8)));
	pas(g, RING_U, SRQ_AT, 1);
	g->srqn = make(g, 0x118);
	x = begin(g, 0x705, 0) + 0x10;
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
	uint8_t *x = begin(g, 0x500, 0) + 0x18;
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

static void transition(struct guest *g, uint16_t opcode, unsigned i, uint32_t peer)
{
	uint8_t *x = begin(g, opcode, g->qpn[i]) + 0x18, *path = x + MLX5_QPC_PATH_OFF;

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
	run(g, 272);
}

static void up(struct guest *g, unsigned i, uint32_t peer)
{
	transition(g, 0x502, i, peer);
	transition(g, 0x503, i, peer);
	transition(g, 0x504, i, peer);
}

static void connect(struct guest *g)
{
	bool self = g->qp_how == 0xff;

	up(g, A, self ? g->qpn[A] : g->qpn[B]);
	up(g, B, g->qpn[A]);
	up(g, U, 0);
}

/* ---- keys ---- */

/* Rights: bits 0 to 4 local read and write, remote read and write, atomic. */
static uint8_t *key_begin(struct guest *g, unsigned mode, uint32_t pd, unsigned rights)
{
	uint8_t *x = begin(g, 0x200, 0) + 0x10;

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
	begin(g, 0x205, 0);
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
					   { NIC_QP_UD, 0, 1 },	 { NIC_QP_XRC, 3, 3 } };
	const uint8_t *r = rows[u8(g) & 7];
	uint8_t shape = u8(g);

	g->type = r[0];
	g->shared = r[2] == 1;
	g->log_stride = shape & 3;
	g->log_sq = 3 + (shape >> 2 & 3);
	g->mtu = shape >> 4 & 1 ? 1 : 3;
	g->qp_how = u8(g);
	make_qp(g, A, r[0], r[1]);
	make_qp(g, B, r[0], r[2]);
	make_qp(g, U, NIC_QP_REG_UMR, 3);
}

static void set_up(struct guest *g)
{
	begin(g, 0x104, 0);
	run(g, 16);
	begin(g, 0x102, 0);
	run(g, 16);
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

/* ---- requests ---- */

static void put(struct post *w, const void *p, uint32_t len)
{
	if (len > sizeof(w->b) - w->len)
		return;
	memcpy(w->b + w->len, p, len);
	w->len += len;
}

static uint32_t key(struct guest *g)
{
	uint8_t k = u8(g);

	if (k < 200)
		return g->key[k % KEYS];
	if (k < 215)
		return g->key[k % KEYS] + 1;
	if (k < 245)
		return 0x100u * (0x9 + k % 6); /* reserved ones and their neighbours */
	return g_u32(&g->in);
}

/* An address that makes sense for some key: often near its beginning or end. */
static uint64_t address(struct guest *g)
{
	static const uint32_t at[] = {
		VA(ALL) + EDGE,
		VA(ALL) + EDGE + ALL_LEN,
		VA(READABLE),
		VA(READABLE) + 0x4000,
		VA(FOREIGN),
		VA(WRITABLE),
		VA(WRITABLE) + 0x2fff,
		VA(DEMAND),
		VA(DEMAND) + 0x2000,
		VA(PAGES),
		VA(LIST),
		0,
		0x1000,
		0x1841,
		0x40,
		0x3000,
	};
	uint8_t how = u8(g);
	uint64_t a = at[how % 16];

	if (how & 0x80)
		return a + g_u16(&g->in) % 0x4000;
	return how & 0x40 ? a - g_u8(&g->in) : how & 0x20 ? g_odd(&g->in) : a + g_u8(&g->in);
}

/* A key with an address of its own, three times in four; else any two. */
static uint64_t place(struct guest *g, uint32_t *ret_key)
{
	static const uint32_t begins[KEYS] = { VA(ALL) + EDGE, VA(READABLE), VA(FOREIGN),
					       VA(WRITABLE),   VA(DEMAND),   VA(PAGES),
					       VA(LIST) };
	static const uint8_t mostly[] = { K_ALL,    K_ALL,    K_ALL,	K_ALL,	K_DEMAND, K_DEMAND,
					  K_PAGES,  K_READ,   K_WRITE,	K_LIST, K_RANGES, K_BLOCKS,
					  K_NESTED, K_DEVICE, K_WINDOW, K_BOUND };
	uint8_t how = u8(g), k = mostly[how & 15];

	if (how >= 192) {
		*ret_key = key(g);
		return address(g);
	}
	*ret_key = g->key[k];
	return begins[k] + (how & 16 ? g_u16(&g->in) % 0x3fffu : (u8(g) & 31) * 8u);
}

static void segment(struct guest *g, struct post *w)
{
	uint8_t s[16], how = u8(g);
	uint32_t len = how < 176 ? how :
		       how < 224 ? g_u16(&g->in) & 0x1fff :
				   (uint32_t)g_odd(&g->in);
	uint32_t k;

	mlx5_set32(s, 0, len & 0x7fffffff);
	mlx5_set64(s, 8, place(g, &k));
	mlx5_set32(s, 4, k);
	put(w, s, 16);
}

static void inline_data(struct guest *g, struct post *w)
{
	uint8_t s[160] = { 0 };
	uint32_t len = u8(g) % 140, claim = u8(g) > 230 ? g_u16(&g->in) : len;

	mlx5_set32(s, 0, 0x80000000u | claim);
	s[4] = u8(g);
	put(w, s, (4 + len + 15) / 16 * 16);
}

static void remote(struct guest *g, struct post *w, uint8_t op)
{
	uint8_t s[32] = { 0 };
	uint32_t k;
	uint64_t at = place(g, &k);

	mlx5_set64(s, 0, op > 0x10 && u8(g) < 240 ? (at + 7) & ~7ull : at);
	mlx5_set32(s, 8, k);
	mlx5_set64(s, 16, u8(g));
	mlx5_set64(s, 24, u8(g));
	put(w, s, op == 0x11 || op == 0x12 ? 32 : 16);
}

static void vector(struct guest *g, struct post *w)
{
	uint8_t s[48] = { 0 }, how = u8(g);
	uint32_t to = how & 1 ? g->qpn[A] : g->qpn[B];

	mlx5_set32(s, 0, how > 240 ? g_u32(&g->in) : 0x1234);
	mlx5_set32(s, 8, (how & 2 ? 1u << 31 : 0) | (how > 220 ? g_u32(&g->in) & 0xffffff : to));
	s[15] = how > 230 ? u8(g) : 2;
	s[14] = how > 250 ? 0xc0 : 0;
	s[28] = how & 4 ? 0x40 : 0;
	s[32] = 0xff;
	put(w, s, how & 2 ? 48 : 16);
}

static uint32_t ring_off(const struct guest *g, unsigned q)
{
	const struct nic_qp *qp = nic_find_qp(g_nic, g->qpn[q]);

	return qp ? qp->sq.off : 0;
}

/* The guest writes the doorbell record of a queue: half 0 receives, 1 sends. */
static void record(unsigned db, unsigned half, uint32_t val)
{
	mlx5_set32(g_mem[SYSTEM], DB_AT(db) + half * 4, val);
}

static void bell(struct guest *g, unsigned q)
{
	g_write64((uint64_t)g->uar * 0x1000 + 0x800, (uint64_t)g->qpn[q] << 8);
}

/* Into the ring, going round at its end, as a driver does; spoiled if the input says so. */
static void post(struct guest *g, unsigned q, struct post *w)
{
	uint32_t off = ring_off(g, q), mask = (1u << g->log_sq) - 1, i, nbb;
	uint8_t how = u8(g);

	w->b[1] = (uint8_t)(g->sq_pi[q] >> 8);
	w->b[2] = (uint8_t)g->sq_pi[q];
	mlx5_set32(w->b, 4, g->qpn[q] << 8 | w->len / 16);
	if (how > 230)
		w->b[u8(g) % w->len] = u8(g);
	g_saw_request(w->b[3]);
	nbb = (w->len + 63) / 64;
	/* Pages of whoever may name pages are the guest's to give. */
	if (q == U)
		g_scan(w->b, w->len);
	for (i = 0; i < nbb; i++)
		memcpy(&g_mem[RING_A + q][off + ((g->sq_pi[q] + i) & mask) * 64u], w->b + i * 64,
		       64);
	g->sq_pi[q] = (uint16_t)(g->sq_pi[q] + nbb);
	record(2 + q, 1, how > 250 ? u8(g) : g->sq_pi[q]);
	bell(g, q);
}

static void start(struct guest *g, struct post *w, uint8_t op, uint32_t imm)
{
	memset(w, 0, sizeof(*w));
	w->b[3] = op;
	w->b[11] = u8(g) & 2 ? 0x8 : 0xa;
	mlx5_set32(w->b, 12, imm);
	w->len = 16;
}

static void op_post(struct guest *g)
{
	static const uint8_t ops[] = { 0x0a, 0x0a, 0x0b, 0x01, 0x08, 0x08, 0x09, 0x10,
				       0x10, 0x11, 0x12, 0x00, 0x25, 0x0a, 0x09, 0x0c };
	uint8_t how = u8(g), op = ops[how & 15], s[16] = { 0 };
	struct post w;
	unsigned n;
	uint32_t k;

	start(g, &w, op, op == 0x01 ? key(g) : g_u8(&g->in));
	if (g->type == NIC_QP_XRC) {
		mlx5_set32(s, 0, how > 250 ? u8(g) : g->xsrqn);
		put(&w, s, 16);
	}
	if (g->type == NIC_QP_UD)
		vector(g, &w);
	if ((op >= 0x08 && op <= 0x09) || (op >= 0x10 && op <= 0x12))
		remote(g, &w, op);
	if (op == 0x11 || op == 0x12) {
		mlx5_set32(s, 0, how & 0x40 ? 8 : u8(g));
		mlx5_set64(s, 8, place(g, &k));
		mlx5_set32(s, 4, k);
		put(&w, s, 16);
	} else {
		for (n = u8(g) % 4; n; n--)
			segment(g, &w);
		if (how & 0x20)
			inline_data(g, &w);
	}
	post(g, how >> 4 & 1 ? B : A, &w);
}

/* Many segments: up to and over what a request holds. */
static void op_post_long(struct guest *g)
{
	struct post w;
	unsigned n = u8(g) % 66, i;
	uint8_t s[16];
	uint32_t k;

	start(g, &w, u8(g) & 1 ? 0x08 : 0x0a, 0);
	if (w.b[3] == 0x08)
		remote(g, &w, 0x08);
	mlx5_set32(s, 0, u8(g));
	mlx5_set64(s, 8, place(g, &k));
	mlx5_set32(s, 4, k);
	for (i = 0; i < n && w.len < 1008; i++)
		put(&w, s, 16);
	post(g, u8(g) & 1, &w);
}

static void umr_context(struct guest *g, uint8_t *m, uint8_t how)
{
	mlx5_set32(m, 0, (uint32_t)(u8(g) & 31) << 10 | (how & 1 ? 1u << 30 : 0));
	mlx5_set(m, MLX5_MKC_QPN, how & 2 ? g->qpn[A] : 0xffffff);
	mlx5_set(m, MLX5_MKC_MKEY_7_0, how & 4 ? u8(g) : 0);
	mlx5_set(m, MLX5_MKC_PD, g->pd);
	mlx5_set(m, MLX5_MKC_START_ADDR, address(g));
	mlx5_set(m, MLX5_MKC_LEN, g_odd(&g->in));
	mlx5_set(m, MLX5_MKC_LOG_PAGE_SIZE, 12);
}

/* A list for a key: pages of PAGES or DEMAND, or ranges of other keys. */
static void umr_list(struct guest *g, uint8_t *list, unsigned octo, bool of_pages)
{
	unsigned i;

	for (i = 0; i < octo; i++) {
		if (of_pages) {
			mlx5_set64(list, i * 16,
				   G_BUS(u8(g) & 1 ? PAGES : DEMAND, (u8(g) & 3) * 0x1000u) | 3);
			mlx5_set64(list, i * 16 + 8, u8(g) & 3 ? G_BUS(DEMAND, 0x3000) | 3 : 0);
		} else {
			mlx5_set32(list, i * 16, (uint32_t)g_odd(&g->in));
			mlx5_set32(list, i * 16 + 4, key(g));
			mlx5_set64(list, i * 16 + 8, address(g));
		}
	}
}

static bool lists_pages(const struct guest *g, uint32_t k)
{
	const struct nic_mkey *mk = nic_find_mkey(g_nic, k);

	return mk && mk->mode == NIC_MKEY_MTT;
}

static void op_umr(struct guest *g)
{
	static const uint8_t flags[] = { 0x80, 0x80, 0x00, 0xa0, 0xc0, 0x90, 0x10, 0x88 };
	static const uint32_t masks[] = {
		0, 0x1 | 0x40, 1u << 29, 0x3e0000, 0x2000, 0x4000, 0x180
	};
	uint8_t how = u8(g), ctrl[112] = { 0 }, list[128], s[16];
	uint32_t k = how & 0x80 ? g->key[K_WINDOW] : key(g), len;
	unsigned octo = u8(g) % 9;
	struct post w;

	start(g, &w, 0x25, k);
	ctrl[0] = flags[how & 7];
	mlx5_set32(ctrl, 4, octo << 16 | (how & 8 ? u8(g) & 7 : 0));
	mlx5_set64(ctrl, 8, masks[u8(g) % 7] | (how & 0x40 ? g_u32(&g->in) : 0));
	umr_context(g, ctrl + 48, u8(g));
	put(&w, ctrl, 112);
	umr_list(g, list, octo < 8 ? octo : 8, lists_pages(g, k));
	len = (octo < 8 ? octo : 8) * 16;
	if (ctrl[0] & 0x80) {
		put(&w, list, len);
	} else {
		g_scan(list, len);
		memcpy(&g_mem[LIST][(how & 0x30) * 16u], list, len);
		mlx5_set32(s, 0, u8(g) > 240 ? u8(g) : len);
		mlx5_set32(s, 4, how & 0x20 ? key(g) : g->key[K_LIST]);
		mlx5_set64(s, 8, VA(LIST) + (how & 0x30) * 16u);
		put(&w, s, 16);
	}
	post(g, how & 0x10 ? U : A, &w);
}

/* ---- receives ---- */

static void entry(struct guest *g, uint8_t *p, unsigned room)
{
	struct post w = { .len = 0 };
	unsigned n = u8(g) % 5;

	for (; n && w.len < room; n--)
		segment(g, &w);
	if (w.len < room) {
		mlx5_set32(w.b, w.len, 0);
		mlx5_set32(w.b, w.len + 4, 0x100);
	}
	memcpy(p, w.b, room);
}

static void op_receive(struct guest *g)
{
	unsigned q = u8(g) & 1, stride = 16u << g->log_stride;
	uint8_t n = u8(g) % 4 + 1;

	/* B may share; then its ring is all sends. */
	if (g->type == NIC_QP_XRC || (q == B && g->shared))
		return;
	while (n--)
		entry(g, &g_mem[RING_A + q][g->rq_pi[q]++ % RQ_ENTRIES * stride], stride);
	record(2 + q, 0, u8(g) > 250 ? u8(g) : g->rq_pi[q]);
}

static void op_share(struct guest *g)
{
	uint8_t how = u8(g), *p;
	unsigned x = g->type == NIC_QP_XRC, n = (how & 3) + 1;

	while (n--) {
		p = &g_mem[RING_U][(x ? XSRQ_AT : SRQ_AT) + g->srq_at[x] * 64u];
		memset(p, 0, 64);
		g->srq_at[x] = how > 240 ? u8(g) & 15 : (g->srq_at[x] + 1) & 15;
		p[3] = (uint8_t)g->srq_at[x];
		entry(g, p + 16, 48);
		g->srq_posted[x]++;
	}
	record(8 + x, 0, how == 0xff ? g_u16(&g->in) : g->srq_posted[x]);
}

/* ---- the rest ---- */

static void look_at(struct guest *g, unsigned i)
{
	const struct nic_cq *cq = nic_find_cq(g_nic, g->cqn[i]);
	const uint8_t *e;

	if (!cq)
		return;
	if (((cq->pi - g->cq_ci[i]) & 0xffffff) > 1u << LOG_CQ)
		g->cq_ci[i] = (cq->pi - (1u << LOG_CQ)) & 0xffffff;
	for (; g->cq_ci[i] != cq->pi; g->cq_ci[i] = (g->cq_ci[i] + 1) & 0xffffff) {
		e = &g_mem[SYSTEM][CQ_AT(i) + (g->cq_ci[i] & ((1u << LOG_CQ) - 1)) * 64u];
		g_promise((e[63] & 1) == (g->cq_ci[i] >> LOG_CQ & 1), "completions come in order");
		g_saw_completion(e[63] >> 4, e[63] >> 4 > 0xc ? e[55] : 0);
	}
}

static void step(struct guest *g, unsigned n)
{
	g_run(n);
	look_at(g, 0);
	look_at(g, 1);
}

static void op_run(struct guest *g)
{
	step(g, u8(g) % 16 + 1);
}

static void op_time(struct guest *g)
{
	g_pass(g_odd(&g->in) * 1000 & 0xffffffff);
	step(g, 8);
}

static void op_consume(struct guest *g)
{
	unsigned i = u8(g) & 1;

	record(i, 0, g->cq_ci[i]);
	g_write64((uint64_t)g->uar * 0x1000 + 0x20,
		  (uint64_t)(g->cq_ci[i] | (u8(g) & 1u) << 24) << 32 | g->cqn[i]);
	step(g, 2);
}

static void op_fault(struct guest *g)
{
	uint8_t how = u8(g);

	g_fault(how & 1, (enum mdl_fault_action)(how >> 1 & 7), u8(g) * 4u, u8(g) % 8);
}

/* Answer the page faults the device told of, well or not. */
static void op_resume(struct guest *g)
{
	const struct nic_eq *eq =
		(const struct nic_eq *)nic_table_find(&g_nic->table[NIC_T_EQ], g->eqn);
	uint8_t how = u8(g);
	const uint8_t *e;
	uint32_t token;

	for (; eq && g->eq_ci != eq->pi; g->eq_ci = (g->eq_ci + 1) & 0xffffff) {
		e = &g_mem[SYSTEM][EQ_AT + (g->eq_ci & 63) * 64u];
		if (e[1] != NIC_EV_PAGE_FAULT)
			continue;
		token = how & 0x80 ? g_u32(&g->in) : mlx5_get32(e, 0x28);
		begin(g, 0x204, how & 1 ? 1u << 31 : 0);
		mlx5_set32(g->cmd, 12, token);
		run(g, 16);
	}
	g_write32((uint64_t)g->uar * 0x1000 + 0x40, g->eqn << 24 | g->eq_ci);
	step(g, 4);
}

static void op_state(struct guest *g)
{
	static const uint16_t ops[] = { 0x507, 0x50a, 0x50c, 0x505, 0x50a, 0x50a };
	uint8_t how = u8(g);
	unsigned i = (how >> 4) % QPS, op = (how & 15) % 6;

	transition(g, ops[op], i, g->qpn[1 - (i & 1)]);
	if (op == 1 || op > 3) {
		/* From reset a queue pair begins anew. */
		g->sq_pi[i] = g->rq_pi[i] = 0;
		record(2 + i, 0, 0);
		record(2 + i, 1, 0);
		up(g, i, i == U ? 0 : g->qpn[1 - i]);
	}
	step(g, 4);
}

static void op_destroy(struct guest *g)
{
	uint8_t how = u8(g);

	if (how < 200) {
		begin(g, 0x202, g->key[how % KEYS] >> 8);
	} else if (how < 230) {
		begin(g, 0x706, g->xsrqn);
	} else {
		begin(g, 0x501, g->qpn[how & 1]);
	}
	run(g, 16);
	step(g, 2);
}

static void op_arm(struct guest *g)
{
	uint8_t how = u8(g);

	begin(g, how & 1 ? 0x703 : 0x708, how & 1 ? g->srqn : g->xsrqn);
	mlx5_set32(g->cmd, 12, how >> 1 & 15);
	run(g, 16);
}

/* Anything into a ring, and anything into its doorbell record. */
static void op_garbage(struct guest *g)
{
	uint8_t how = u8(g), b[64];
	unsigned q = how & 1, n = u8(g) % 64, i;
	uint32_t off = ring_off(g, q) + (g_u8(&g->in) & ((1u << g->log_sq) - 1)) * 64u;

	for (i = 0; i < n; i++)
		b[i] = u8(g);
	memcpy(&g_mem[RING_A + q][off], b, n);
	if (how & 2)
		record(2 + q, how >> 2 & 1, g_u16(&g->in));
	if (how & 8)
		g->sq_pi[q] = (uint16_t)(g->sq_pi[q] + (how >> 4));
	record(2 + q, 1, g->sq_pi[q]);
	bell(g, q);
}

static void op_link(struct guest *g)
{
	g_link(u8(g) & 1);
	step(g, 4);
}

static void (*const ops[])(struct guest *g) = {
	op_post,    op_receive, op_run,	   op_post, op_umr,	op_run,	   op_share,   op_consume,
	op_time,    op_fault,	op_resume, op_post, op_state,	op_run,	   op_destroy, op_arm,
	op_garbage, op_link,	op_post,   op_time, op_receive, op_resume, op_share,   op_post_long,
};

/* ---- what is promised ---- */

static void all_let_go(struct nic_table *t, bool (*free)(struct nic_obj *o), const char *what)
{
	uint32_t i, left = t->used;

	for (i = 0; i < t->cap && left; i++) {
		if (!t->own[i])
			continue;
		left--;
		g_promise(free(t->own[i]), what);
	}
}

static bool key_free(struct nic_obj *o)
{
	pthread_rwlock_t *l = &((struct nic_mkey *)o)->lock;

	return !pthread_rwlock_trywrlock(l) && !pthread_rwlock_unlock(l);
}

static bool qp_free(struct nic_obj *o)
{
	struct nic_qp *qp = (struct nic_qp *)o;

	return !pthread_mutex_trylock(&qp->req.lock) && !pthread_mutex_unlock(&qp->req.lock) &&
	       !pthread_mutex_trylock(&qp->rsp.lock) && !pthread_mutex_unlock(&qp->rsp.lock);
}

/* Between two slices nobody holds anything. */
static void check(void)
{
	all_let_go(&g_nic->table[NIC_T_MKEY], key_free, "keys are let go after use");
	all_let_go(&g_nic->table[NIC_T_QP], qp_free, "queue pairs are let go after use");
}

/* FUZZ_PLANT: take back memory a key has; right requests must then be found out. */
static void plant(void)
{
	if (getenv("FUZZ_PLANT"))
		g_give(ALL, EDGE + 8, 1, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct guest g;

	memset(&g, 0, sizeof(g));
	g.in = (struct g_in){ data, size };
	g_begin();
	set_up(&g);
	plant();
	while (g.in.left)
		ops[u8(&g) % (sizeof(ops) / sizeof(ops[0]))](&g);
	step(&g, 64);
	g_pass(1000000000);
	step(&g, 64);
	check();
	g_end();
	return 0;
}
