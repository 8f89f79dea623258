// SPDX-License-Identifier: MIT
/* Right commands, as far as the input has it. */
#include "tests/fuzz/nic_cmd.h"

static void queue_of(struct guest *g, uint8_t *x, mlx5_field log_page, mlx5_field off, unsigned n)
{
	uint8_t odd = cmd_u8(g);

	if (odd > 240)
		mlx5_set(x, log_page, odd & 31);
	if (odd > 230)
		mlx5_set(x, off, odd & 63);
	cmd_pages(g, PAS, n, 0);
}

static void build_eq(struct guest *g)
{
	static const uint64_t masks[] = { 0, 1u << 0xa, 1u << 0xc, 1u << 0xb, 0x1f03ff, 0x70200 };
	uint8_t *x = g->cmd + 0x10;
	unsigned log = cmd_u8(g) % 9;

	mlx5_set(x, MLX5_EQC_LOG_EQ_SIZE, log);
	mlx5_set(x, MLX5_EQC_UAR_PAGE, cmd_pick(g, UAR));
	mlx5_set(x, MLX5_EQC_INTR, cmd_u8(g) % 65);
	mlx5_set64(g->cmd, 0x58, masks[cmd_u8(g) % 6]);
	queue_of(g, x, MLX5_EQC_LOG_PAGE_SIZE, MLX5_EQC_PAGE_OFFSET, log > 6 ? 4 : 1);
}

static void umem_words(struct guest *g, uint32_t off, uint32_t id)
{
	mlx5_set64(g->cmd, off, (uint64_t)(cmd_u8(g) & 15) << 6);
	mlx5_set32(g->cmd, id, cmd_pick(g, UMEM));
}

void cmd_build_cq(struct guest *g)
{
	uint8_t *x = g->cmd + 0x10, how = cmd_u8(g);
	unsigned log = cmd_u8(g) % 8;

	mlx5_set(x, MLX5_CQC_LOG_CQ_SIZE, log);
	mlx5_set(x, MLX5_CQC_CQE_SZ, how & 1);
	mlx5_set(x, MLX5_CQC_OI, how >> 1 & 1);
	mlx5_set(x, MLX5_CQC_UAR_PAGE, cmd_pick(g, UAR));
	mlx5_set(x, MLX5_CQC_EQN, cmd_pick(g, EQ));
	mlx5_set(x, MLX5_CQC_DBR_ADDR, cmd_page(g) + (cmd_u8(g) & 31) * 8);
	if (how & 4) {
		mlx5_set(x, MLX5_CQC_CQ_PERIOD, cmd_u8(g));
		mlx5_set(x, MLX5_CQC_CQ_MAX_COUNT, cmd_u8(g) & 7);
	}
	queue_of(g, x, MLX5_CQC_LOG_PAGE_SIZE, MLX5_CQC_PAGE_OFFSET, 4);
	if (how > 200) {
		mlx5_set(g->cmd, MLX5_CREATE_CQ_IN_CQ_UMEM_VALID, 1);
		umem_words(g, 0x50, 0x58);
	}
	if (how > 220) {
		mlx5_set(x, MLX5_CQC_DBR_UMEM_VALID, 1);
		mlx5_set64(x, 0x38, (cmd_u8(g) & 63) * 8);
		mlx5_set32(x, 0x30, cmd_pick(g, UMEM));
	}
}

static void build_srq(struct guest *g)
{
	uint8_t *x = g->cmd + 0x10;

	mlx5_set(x, MLX5_SRQC_LOG_SRQ_SIZE, cmd_u8(g) % 6);
	mlx5_set(x, MLX5_SRQC_LOG_RQ_STRIDE, cmd_u8(g) % 8);
	mlx5_set(x, MLX5_SRQC_PD, cmd_pick(g, PD));
	mlx5_set(x, MLX5_SRQC_LWM, cmd_u8(g) & 3);
	mlx5_set(x, MLX5_SRQC_DBR_ADDR, cmd_page(g) + (cmd_u8(g) & 31) * 8);
	queue_of(g, x, MLX5_SRQC_LOG_PAGE_SIZE, MLX5_SRQC_PAGE_OFFSET, 4);
}

static void build_xsrq(struct guest *g)
{
	uint8_t *x = g->cmd + 0x10, how = cmd_u8(g);

	mlx5_set(x, MLX5_XRCSRQC_LOG_XRC_SRQ_SIZE, cmd_u8(g) % 6);
	mlx5_set(x, MLX5_XRCSRQC_LOG_RQ_STRIDE, cmd_u8(g) % 8);
	mlx5_set(x, MLX5_XRCSRQC_PD, cmd_pick(g, PD));
	mlx5_set(x, MLX5_XRCSRQC_XRCD, cmd_pick(g, XRCD));
	mlx5_set(x, MLX5_XRCSRQC_CQN, cmd_pick(g, CQ));
	mlx5_set(x, MLX5_XRCSRQC_LWM, cmd_u8(g) & 3);
	mlx5_set(x, MLX5_XRCSRQC_BASIC_CYCLIC_RCV_WQE, how & 1);
	mlx5_set(x, MLX5_XRCSRQC_DBR_ADDR, cmd_page(g) + (cmd_u8(g) & 31) * 8);
	queue_of(g, x, MLX5_XRCSRQC_LOG_PAGE_SIZE, MLX5_XRCSRQC_PAGE_OFFSET, 4);
	if (how > 220) {
		mlx5_set(g->cmd, MLX5_CREATE_XRC_SRQ_IN_XRC_SRQ_UMEM_VALID, 1);
		umem_words(g, 0x50, 0x58);
	}
}

static void build_rmp(struct guest *g)
{
	uint8_t *x = g->cmd + 0x20 + MLX5_RMPC_WQ_OFF, how = cmd_u8(g);

	mlx5_set(g->cmd + 0x20, MLX5_RMPC_STATE, 1);
	mlx5_set(x, MLX5_WQ_WQ_TYPE, how & 1);
	mlx5_set(x, MLX5_WQ_LOG_WQ_SZ, cmd_u8(g) % 6);
	mlx5_set(x, MLX5_WQ_LOG_WQ_STRIDE, 4 + cmd_u8(g) % 8);
	mlx5_set(x, MLX5_WQ_PD, cmd_pick(g, PD));
	mlx5_set(x, MLX5_WQ_LWM, cmd_u8(g) & 3);
	mlx5_set(x, MLX5_WQ_DBR_ADDR, cmd_page(g) + (cmd_u8(g) & 31) * 8);
	queue_of(g, x, MLX5_WQ_LOG_WQ_PG_SZ, MLX5_WQ_PAGE_OFFSET, 4);
	if (how > 200) {
		mlx5_set(x, MLX5_WQ_WQ_UMEM_VALID, 1);
		mlx5_set(x, MLX5_WQ_WQ_UMEM_ID, cmd_pick(g, UMEM));
		mlx5_set(x, MLX5_WQ_WQ_UMEM_OFFSET, (cmd_u8(g) & 15) * 64);
		mlx5_set(x, MLX5_WQ_DBR_UMEM_VALID, how & 1);
		mlx5_set(x, MLX5_WQ_DBR_UMEM_ID, cmd_pick(g, UMEM));
	}
}

static void build_qp(struct guest *g)
{
	static const uint8_t types[] = { 0, 0, 0, 1, 2, 2, 3, 3, 7, 8, 12, 5 };
	static const uint8_t rqs[] = { 0, 0, 1, 3 };
	uint8_t *x = g->cmd + 0x18, how = cmd_u8(g), rq = rqs[cmd_u8(g) & 3];

	mlx5_set(x, MLX5_QPC_ST, types[cmd_u8(g) % sizeof(types)]);
	mlx5_set(x, MLX5_QPC_PD, cmd_pick(g, PD));
	mlx5_set(x, MLX5_QPC_LOG_RQ_SIZE, cmd_u8(g) % 5);
	mlx5_set(x, MLX5_QPC_LOG_RQ_STRIDE, cmd_u8(g) % 5);
	mlx5_set(x, MLX5_QPC_LOG_SQ_SIZE, cmd_u8(g) % 7);
	mlx5_set(x, MLX5_QPC_NO_SQ, how > 230);
	mlx5_set(x, MLX5_QPC_RLKY, how == 229);
	mlx5_set(x, MLX5_QPC_UAR_PAGE, cmd_pick(g, UAR));
	mlx5_set(x, MLX5_QPC_CQN_SND, cmd_pick(g, CQ));
	mlx5_set(x, MLX5_QPC_CQN_RCV, cmd_pick(g, CQ));
	mlx5_set(x, MLX5_QPC_RQ_TYPE, rq);
	mlx5_set(x, MLX5_QPC_SRQN_RMPN_XRQN, rq == 1 ? cmd_pick(g, how & 1 ? SRQ : XSRQ) : 0);
	mlx5_set(x, MLX5_QPC_XRCD, cmd_pick(g, XRCD));
	mlx5_set(x, MLX5_QPC_LOG_RRA_MAX, how & 3);
	mlx5_set(x, MLX5_QPC_DBR_ADDR, cmd_page(g) + (cmd_u8(g) & 31) * 8);
	queue_of(g, x, MLX5_QPC_LOG_PAGE_SIZE, MLX5_QPC_PAGE_OFFSET, 4);
	if (how > 210 && how < 229) {
		mlx5_set(g->cmd, MLX5_CREATE_QP_IN_WQ_UMEM_VALID, 1);
		mlx5_set(g->cmd, MLX5_CREATE_QP_IN_WQ_UMEM_ID, cmd_pick(g, UMEM));
		mlx5_set(x, MLX5_QPC_DBR_UMEM_VALID, how & 1);
		mlx5_set32(x, 0xd4, cmd_pick(g, UMEM));
	}
}

static void key_list(struct guest *g, unsigned mode, unsigned n)
{
	unsigned i;

	if (mode == NIC_MKEY_MTT) {
		cmd_pages(g, PAS, 2 * n, cmd_u8(g) & 3);
		return;
	}
	for (i = 0; i < n; i++) {
		mlx5_set32(g->cmd, PAS + 16 * i, (uint32_t)g_odd(&g->in));
		mlx5_set32(g->cmd, PAS + 16 * i + 4, cmd_pick(g, MKEY) << 8);
		mlx5_set64(g->cmd, PAS + 16 * i + 8, g_odd(&g->in));
	}
	g->in_len = PAS + 16 * n;
}

static void build_mkey(struct guest *g)
{
	static const uint8_t modes[] = { 1, 1, 1, 1, 2, 2, 3, 3, 0, 5, 4 };
	uint8_t *x = g->cmd + 0x10, how = cmd_u8(g), mode = modes[cmd_u8(g) % sizeof(modes)];
	unsigned n = cmd_u8(g) % 8, room = cmd_u8(g) % 16;

	/* Keys of all memory blunt what is watched: few inputs shall make them. */
	if (!mode && how % 16)
		mode = 1;
	mlx5_set(x, MLX5_MKC_ACCESS_MODE_1_0, mode & 3);
	mlx5_set(x, MLX5_MKC_ACCESS_MODE_4_2, mode >> 2);
	mlx5_set32(x, 0, mlx5_get32(x, 0) | (uint32_t)(cmd_u8(g) & 31) << 10);
	mlx5_set(x, MLX5_MKC_FREE, how > 220);
	mlx5_set(x, MLX5_MKC_UMR_EN, how & 1);
	mlx5_set(x, MLX5_MKC_EN_RINVAL, how >> 1 & 1);
	mlx5_set(x, MLX5_MKC_LENGTH64, how > 250);
	mlx5_set(x, MLX5_MKC_QPN, how >> 2 & 1 && how & 8 ? cmd_pick(g, QP) : 0xffffff);
	mlx5_set(x, MLX5_MKC_PD, cmd_pick(g, PD));
	mlx5_set(x, MLX5_MKC_START_ADDR, g_odd(&g->in));
	mlx5_set(x, MLX5_MKC_LEN, g_odd(&g->in));
	mlx5_set(x, MLX5_MKC_LOG_PAGE_SIZE, 12);
	mlx5_set(x, MLX5_MKC_TRANSLATIONS_OCTWORD_SIZE, n > room ? n : room);
	mlx5_set32(g->cmd, 0x60, n);
	mlx5_set(g->cmd, MLX5_CREATE_MKEY_IN_PG_ACCESS, how >> 4 & 1);
	key_list(g, mode, n);
	if (how > 200 && how < 216) {
		mlx5_set(g->cmd, MLX5_CREATE_MKEY_IN_MKEY_UMEM_VALID, 1);
		mlx5_set32(g->cmd, 0x64, cmd_pick(g, UMEM));
		if (how & 1)
			g->in_len = PAS;
	}
}

static void build_umem(struct guest *g)
{
	uint8_t *x = g->cmd + 0x10, odd = cmd_u8(g);
	unsigned n = cmd_u8(g) % 6 + 1;

	mlx5_set(x, MLX5_UMEM_NUM_OF_MTT, n);
	mlx5_set(x, MLX5_UMEM_LOG_PAGE_SIZE, odd > 240 ? odd & 31 : 0);
	mlx5_set(x, MLX5_UMEM_PAGE_OFFSET, odd > 200 ? (uint32_t)g_odd(&g->in) : 0);
	cmd_pages(g, 0x30, n, 0);
}

static void build_psv(struct guest *g)
{
	mlx5_set(g->cmd, MLX5_CREATE_PSV_IN_NUM_PSV, cmd_u8(g) % 6);
	mlx5_set(g->cmd, MLX5_CREATE_PSV_IN_PD, cmd_pick(g, PD));
}

static void build_dct(struct guest *g)
{
	uint8_t *x = g->cmd + 0x10, how = cmd_u8(g);

	mlx5_set(x, MLX5_DCTC_CQN, cmd_pick(g, CQ));
	mlx5_set(x, MLX5_DCTC_SRQN_XRQN, cmd_pick(g, how & 64 ? RMP : SRQ));
	mlx5_set(x, MLX5_DCTC_PD, cmd_pick(g, PD));
	mlx5_set32(x, 0xc, (uint32_t)(how & 7) << 17);
	mlx5_set(x, MLX5_DCTC_DC_ACCESS_KEY, how >> 7);
	mlx5_set(x, MLX5_DCTC_MTU, how % 8 ? how % 5 + 1 : 0);
	mlx5_set(x, MLX5_DCTC_PORT, 1);
}

/* A reserved number of a queue pair, or an address vector of one. */
static void build_general(struct guest *g)
{
	uint8_t how = cmd_u8(g);

	mlx5_set32(g->cmd, 4, how & 1 ? 0x2c : 0x3a);
	mlx5_set32(g->cmd, 0x1c, cmd_pick(g, QP));
	g->in_len = 0x50;
}

static void (*const builders[KINDS])(struct guest *g) = {
	[EQ] = build_eq,   [CQ] = cmd_build_cq, [SRQ] = build_srq,	   [XSRQ] = build_xsrq,
	[RMP] = build_rmp, [QP] = build_qp,	[MKEY] = build_mkey,	   [UMEM] = build_umem,
	[PSV] = build_psv, [DCT] = build_dct,	[GENERAL] = build_general,
};

static void created(struct guest *g, enum kind kind)
{
	uint32_t id = mlx5_get32(g->out, kind == PSV ? 0x10 : 8) & 0xffffff;

	if (kind == EQ)
		id &= 0xff;
	/* A reserved number is of another table. */
	fuzz_promise(kind == GENERAL || nic_table_find(&g_nic->table[cmd_kinds[kind].table], id),
		     "what was made is there");
	cmd_remember(g, kind, id);
}

void cmd_create(struct guest *g, enum kind kind)
{
	cmd_begin(g, cmd_kinds[kind].create);
	if (builders[kind])
		builders[kind](g);
	if (!cmd_spoil_and_send(g) && mlx5_get32(g->cmd, 0) >> 16 == cmd_kinds[kind].create)
		created(g, kind);
}
