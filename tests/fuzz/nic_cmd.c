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

#include <stdlib.h>

#include "hw/mlx5_cmd.h"
#include "hw/mlx5_ctx.h"
#include "models/nic/handlers.h"
#include "tests/fuzz/nic_guest.h"

#define QUEUE	   0u /* block of command queue and mailboxes */
#define IN_BOX(i)  (0x0800u + (i)*0x400u)
#define OUT_BOX(i) (0x2000u + (i)*0x400u)
#define BOXES	   6u
#define MAX_LEN	   (16u + BOXES * 512u)
#define PAS	   0x110u
#define MAX_OBJS   48u
#define MAX_CMDS   120u /* of one input */
#define SLOT_LAST  0x3cu

enum kind { PD, UAR, EQ, CQ, SRQ, XSRQ, RMP, QP, MKEY, UMEM, XRCD, TD, PSV, UCTX, KINDS };

struct object {
	uint8_t kind;
	uint32_t id;
};

struct guest {
	struct g_in in;
	struct object obj[MAX_OBJS];
	unsigned n_objs, n_cmds;
	uint16_t uid;
	uint8_t token;
	/* the command under construction */
	uint8_t cmd[MAX_LEN], out[MAX_LEN];
	uint32_t in_len, out_len;
	uint8_t delivery;
};

static const struct {
	uint16_t create, destroy, query;
	uint8_t table;
} kinds[KINDS] = {
	[PD] = { 0x800, 0x801, 0, NIC_T_PD },	      [UAR] = { 0x802, 0x803, 0, NIC_T_UAR },
	[EQ] = { 0x301, 0x302, 0x303, NIC_T_EQ },     [CQ] = { 0x400, 0x401, 0x402, NIC_T_CQ },
	[SRQ] = { 0x700, 0x701, 0x702, NIC_T_SRQ },   [XSRQ] = { 0x705, 0x706, 0x707, NIC_T_SRQ },
	[RMP] = { 0x90c, 0x90e, 0x90f, NIC_T_SRQ },   [QP] = { 0x500, 0x501, 0x50b, NIC_T_QP },
	[MKEY] = { 0x200, 0x202, 0x201, NIC_T_MKEY }, [UMEM] = { 0xa08, 0xa0a, 0, NIC_T_UMEM },
	[XRCD] = { 0x80e, 0x80f, 0, NIC_T_XRCD },     [TD] = { 0x816, 0x817, 0, NIC_T_TD },
	[PSV] = { 0x600, 0x601, 0, NIC_T_PSV },	      [UCTX] = { 0xa04, 0xa06, 0, NIC_T_UCTX },
};

static uint8_t u8(struct guest *g)
{
	return g_u8(&g->in);
}

/* ---- objects ---- */

/* Mostly the number of an object of that kind, sometimes any. */
static uint32_t pick(struct guest *g, enum kind kind)
{
	uint8_t want = u8(g);
	unsigned i, n = 0;

	if (want > 250)
		return (uint32_t)g_odd(&g->in);
	for (i = 0; i < g->n_objs; i++)
		n += g->obj[i].kind == kind;
	if (!n)
		return 0;
	want %= n;
	for (i = 0; i < g->n_objs; i++)
		if (g->obj[i].kind == kind && !want--)
			return g->obj[i].id;
	return 0;
}

static void remember(struct guest *g, enum kind kind, uint32_t id)
{
	if (g->n_objs < MAX_OBJS)
		g->obj[g->n_objs++] = (struct object){ (uint8_t)kind, id };
}

static void forget(struct guest *g, enum kind kind, uint32_t id)
{
	unsigned i;

	for (i = 0; i < g->n_objs; i++)
		if (g->obj[i].kind == kind && g->obj[i].id == id) {
			g->obj[i] = g->obj[--g->n_objs];
			return;
		}
}

static uint64_t page(struct guest *g)
{
	uint8_t b = u8(g);

	return G_BUS(1 + b % (G_BLOCKS - 1), (b >> 4 & 3) * 0x1000u);
}

/* ---- one command ---- */

static const struct nic_cmd_row *row_of(uint16_t opcode)
{
	unsigned i;

	for (i = 0; i < nic_n_cmd_rows; i++)
		if (nic_cmd_rows[i].opcode == opcode)
			return &nic_cmd_rows[i];
	return NULL;
}

static void begin(struct guest *g, uint16_t opcode)
{
	const struct nic_cmd_row *row = row_of(opcode);

	memset(g->cmd, 0, sizeof(g->cmd));
	mlx5_set32(g->cmd, 0, (uint32_t)opcode << 16 | g->uid);
	g->in_len = row ? row->in_min : 16;
	g->out_len = row ? row->out_min : 16;
}

static void begin_on(struct guest *g, uint16_t opcode, uint32_t id)
{
	begin(g, opcode);
	mlx5_set32(g->cmd, 8, id);
}

/* Pages of a list at off, and the length that goes with them. */
static void pages(struct guest *g, uint32_t off, unsigned n, uint64_t flags)
{
	unsigned i;

	for (i = 0; i < n && off + 8 * i + 8 <= MAX_LEN; i++)
		mlx5_set64(g->cmd, off + 8 * i, page(g) | flags);
	g->in_len = off + 8 * i;
}

static void spoil(struct guest *g)
{
	unsigned n = u8(g), width, off;

	if (n < 144)
		return;
	for (n = n % 3 + 1; n; n--) {
		off = g_u16(&g->in) % (g->in_len ? g->in_len : 1);
		width = 1u << (u8(g) & 3);
		if (off + width > MAX_LEN)
			continue;
		if (width == 8)
			mlx5_set64(g->cmd, off, g_odd(&g->in));
		else if (width == 4)
			mlx5_set32(g->cmd, off, (uint32_t)g_odd(&g->in));
		else
			g->cmd[off] = (uint8_t)g_odd(&g->in);
	}
	if (u8(g) > 220)
		g->in_len = (uint32_t)g_odd(&g->in);
	if (u8(g) > 220)
		g->out_len = (uint32_t)g_odd(&g->in);
}

static void write_box(struct guest *g, uint32_t at, const uint8_t *data, uint32_t len, uint32_t i,
		      uint64_t next)
{
	uint8_t *box = &g_mem[QUEUE][at];

	memset(box, 0, 576);
	if (data)
		memcpy(box, data, len);
	mlx5_set64(box, 0x230, next);
	mlx5_set32(box, 0x238, i);
	box[0x23d] = g->token;
}

static void write_boxes(struct guest *g)
{
	uint32_t i, off, n;

	for (i = 0; i < BOXES; i++) {
		off = 16 + i * 512;
		if (g->in_len <= off && g->out_len <= off)
			break;
		n = g->in_len > off ? g->in_len - off : 0;
		n = n < 512 ? n : 512;
		write_box(g, IN_BOX(i), g->cmd + off, n, i,
			  i + 1 < BOXES ? G_BUS(QUEUE, IN_BOX(i + 1)) : 0);
		write_box(g, OUT_BOX(i), NULL, 0, i,
			  i + 1 < BOXES ? G_BUS(QUEUE, OUT_BOX(i + 1)) : 0);
	}
}

static uint8_t *write_slot(struct guest *g, unsigned i)
{
	uint8_t *s = &g_mem[QUEUE][i * 64];

	memset(s, 0, 64);
	s[0] = 7;
	mlx5_set32(s, 4, g->in_len);
	memcpy(s + 0x10, g->cmd, 16);
	if (g->in_len > 16)
		mlx5_set64(s, 8, G_BUS(QUEUE, IN_BOX(0)));
	if (g->out_len > 16)
		mlx5_set64(s, 0x30, G_BUS(QUEUE, OUT_BOX(0)));
	mlx5_set32(s, 0x38, g->out_len);
	s[SLOT_LAST] = g->token;
	s[SLOT_LAST + 3] = 1;
	return s;
}

static void read_out(struct guest *g, const uint8_t *slot)
{
	uint32_t i, off, n;

	memcpy(g->out, slot + 0x20, 16);
	for (i = 0; i < BOXES; i++) {
		off = 16 + i * 512;
		n = g->out_len > off ? g->out_len - off : 0;
		memcpy(g->out + off, &g_mem[QUEUE][OUT_BOX(i)], n < 512 ? n : 512);
	}
}

struct census {
	uint32_t used[NIC_T_COUNT];
	uint64_t mem;
	uint8_t state;
};

static struct census census(void)
{
	struct census c = { .mem = g_nic->mem_used, .state = atomic_load(&g_nic->hca_state) };
	unsigned i;

	for (i = 0; i < NIC_T_COUNT; i++)
		c.used[i] = g_nic->table[i].used;
	return c;
}

static bool is_status(uint8_t st)
{
	static const uint8_t known[] = { 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x08,
					 0x09, 0x0a, 0x0f, 0x10, 0x30, 0x40, 0x50, 0x51 };

	return memchr(known, st, sizeof(known));
}

/* What this command, once done, lets the device reach. */
static void gave_much(const struct guest *g)
{
	uint16_t op = (uint16_t)(g->cmd[0] << 8 | g->cmd[1]);

	if (op == 0x200 && !mlx5_get(g->cmd + 0x10, MLX5_MKC_ACCESS_MODE_1_0) &&
	    !mlx5_get(g->cmd + 0x10, MLX5_MKC_ACCESS_MODE_4_2))
		g_give_all();
	if (op == 0x500 && mlx5_get(g->cmd + 0x18, MLX5_QPC_RLKY))
		g_give_all();
}

/* Ring, wait, look. Return: the status, or 0xff when it was not delivered. */
static uint8_t ring(struct guest *g, unsigned i)
{
	uint8_t *slot = &g_mem[QUEUE][i * 64], st;
	bool ours = slot[SLOT_LAST + 3] & 1;
	struct census before = census(), after;

	g_scan(g->cmd, g->in_len < MAX_LEN ? g->in_len : MAX_LEN);
	gave_much(g);
	g_write32(0x18, 1u << i);
	g_run(64);
	g_promise(!ours || !(slot[SLOT_LAST + 3] & 1), "every command is answered");
	after = census();
	g->delivery = slot[SLOT_LAST + 3] >> 1;
	if (!ours || g->delivery) {
		g_promise(!memcmp(&before, &after, sizeof(before)),
			  "a command not delivered changes nothing");
		return 0xff;
	}
	read_out(g, slot);
	st = g->out[0];
	g_saw_command((uint16_t)(g->cmd[0] << 8 | g->cmd[1]), st);
	g_promise(is_status(st), "statuses are of the specification");
	g_promise(!st || !memcmp(&before, &after, sizeof(before)),
		  "a failed command changes nothing");
	g_promise(!st == !mlx5_get32(g->out, 4), "a failure has a syndrome");
	return st;
}

static uint8_t send(struct guest *g)
{
	unsigned i = u8(g) % 32;

	if (g->n_cmds++ >= MAX_CMDS || !g_read32(0x14))
		return 0xff;
	g->token = (uint8_t)(i + 1);
	write_boxes(g);
	write_slot(g, i);
	return ring(g, i);
}

static uint8_t spoil_and_send(struct guest *g)
{
	spoil(g);
	return send(g);
}

static void created(struct guest *g, enum kind kind)
{
	uint32_t id = mlx5_get32(g->out, kind == PSV ? 0x10 : 8) & 0xffffff;

	if (kind == EQ)
		id &= 0xff;
	g_promise(nic_table_find(&g_nic->table[kinds[kind].table], id), "what was made is there");
	remember(g, kind, id);
}

/* ---- builders ---- */

static void queue_of(struct guest *g, uint8_t *x, mlx5_field log_page, mlx5_field off, unsigned n)
{
	uint8_t odd = u8(g);

	if (odd > 240)
		mlx5_set(x, log_page, odd & 31);
	if (odd > 230)
		mlx5_set(x, off, odd & 63);
	pages(g, PAS, n, 0);
}

static void build_eq(struct guest *g)
{
	static const uint64_t masks[] = { 0, 1u << 0xa, 1u << 0xc, 1u << 0xb, 0x1f03ff, 0x70200 };
	uint8_t *x = g->cmd + 0x10;
	unsigned log = u8(g) % 9;

	mlx5_set(x, MLX5_EQC_LOG_EQ_SIZE, log);
	mlx5_set(x, MLX5_EQC_UAR_PAGE, pick(g, UAR));
	mlx5_set(x, MLX5_EQC_INTR, u8(g) % 65);
	mlx5_set64(g->cmd, 0x58, masks[u8(g) % 6]);
	queue_of(g, x, MLX5_EQC_LOG_PAGE_SIZE, MLX5_EQC_PAGE_OFFSET, log > 6 ? 4 : 1);
}

static void umem_words(struct guest *g, uint32_t off, uint32_t id)
{
	mlx5_set64(g->cmd, off, (uint64_t)(u8(g) & 15) << 6);
	mlx5_set32(g->cmd, id, pick(g, UMEM));
}

static void build_cq(struct guest *g)
{
	uint8_t *x = g->cmd + 0x10, how = u8(g);
	unsigned log = u8(g) % 8;

	mlx5_set(x, MLX5_CQC_LOG_CQ_SIZE, log);
	mlx5_set(x, MLX5_CQC_CQE_SZ, how & 1);
	mlx5_set(x, MLX5_CQC_OI, how >> 1 & 1);
	mlx5_set(x, MLX5_CQC_UAR_PAGE, pick(g, UAR));
	mlx5_set(x, MLX5_CQC_EQN, pick(g, EQ));
	mlx5_set(x, MLX5_CQC_DBR_ADDR, page(g) + (u8(g) & 31) * 8);
	if (how & 4) {
		mlx5_set(x, MLX5_CQC_CQ_PERIOD, u8(g));
		mlx5_set(x, MLX5_CQC_CQ_MAX_COUNT, u8(g) & 7);
	}
	queue_of(g, x, MLX5_CQC_LOG_PAGE_SIZE, MLX5_CQC_PAGE_OFFSET, 4);
	if (how > 200) {
		mlx5_set(g->cmd, MLX5_CREATE_CQ_IN_CQ_UMEM_VALID, 1);
		umem_words(g, 0x50, 0x58);
	}
	if (how > 220) {
		mlx5_set(x, MLX5_CQC_DBR_UMEM_VALID, 1);
		mlx5_set64(x, 0x38, (u8(g) & 63) * 8);
		mlx5_set32(x, 0x30, pick(g, UMEM));
	}
}

static void build_srq(struct guest *g)
{
	uint8_t *x = g->cmd + 0x10;

	mlx5_set(x, MLX5_SRQC_LOG_SRQ_SIZE, u8(g) % 6);
	mlx5_set(x, MLX5_SRQC_LOG_RQ_STRIDE, u8(g) % 8);
	mlx5_set(x, MLX5_SRQC_PD, pick(g, PD));
	mlx5_set(x, MLX5_SRQC_LWM, u8(g) & 3);
	mlx5_set(x, MLX5_SRQC_DBR_ADDR, page(g) + (u8(g) & 31) * 8);
	queue_of(g, x, MLX5_SRQC_LOG_PAGE_SIZE, MLX5_SRQC_PAGE_OFFSET, 4);
}

static void build_xsrq(struct guest *g)
{
	uint8_t *x = g->cmd + 0x10, how = u8(g);

	mlx5_set(x, MLX5_XRCSRQC_LOG_XRC_SRQ_SIZE, u8(g) % 6);
	mlx5_set(x, MLX5_XRCSRQC_LOG_RQ_STRIDE, u8(g) % 8);
	mlx5_set(x, MLX5_XRCSRQC_PD, pick(g, PD));
	mlx5_set(x, MLX5_XRCSRQC_XRCD, pick(g, XRCD));
	mlx5_set(x, MLX5_XRCSRQC_CQN, pick(g, CQ));
	mlx5_set(x, MLX5_XRCSRQC_LWM, u8(g) & 3);
	mlx5_set(x, MLX5_XRCSRQC_BASIC_CYCLIC_RCV_WQE, how & 1);
	mlx5_set(x, MLX5_XRCSRQC_DBR_ADDR, page(g) + (u8(g) & 31) * 8);
	queue_of(g, x, MLX5_XRCSRQC_LOG_PAGE_SIZE, MLX5_XRCSRQC_PAGE_OFFSET, 4);
	if (how > 220) {
		mlx5_set(g->cmd, MLX5_CREATE_XRC_SRQ_IN_XRC_SRQ_UMEM_VALID, 1);
		umem_words(g, 0x50, 0x58);
	}
}

static void build_rmp(struct guest *g)
{
	uint8_t *x = g->cmd + 0x20 + MLX5_RMPC_WQ_OFF, how = u8(g);

	mlx5_set(g->cmd + 0x20, MLX5_RMPC_STATE, 1);
	mlx5_set(x, MLX5_WQ_WQ_TYPE, how & 1);
	mlx5_set(x, MLX5_WQ_LOG_WQ_SZ, u8(g) % 6);
	mlx5_set(x, MLX5_WQ_LOG_WQ_STRIDE, 4 + u8(g) % 8);
	mlx5_set(x, MLX5_WQ_PD, pick(g, PD));
	mlx5_set(x, MLX5_WQ_LWM, u8(g) & 3);
	mlx5_set(x, MLX5_WQ_DBR_ADDR, page(g) + (u8(g) & 31) * 8);
	queue_of(g, x, MLX5_WQ_LOG_WQ_PG_SZ, MLX5_WQ_PAGE_OFFSET, 4);
	if (how > 200) {
		mlx5_set(x, MLX5_WQ_WQ_UMEM_VALID, 1);
		mlx5_set(x, MLX5_WQ_WQ_UMEM_ID, pick(g, UMEM));
		mlx5_set(x, MLX5_WQ_WQ_UMEM_OFFSET, (u8(g) & 15) * 64);
		mlx5_set(x, MLX5_WQ_DBR_UMEM_VALID, how & 1);
		mlx5_set(x, MLX5_WQ_DBR_UMEM_ID, pick(g, UMEM));
	}
}

static void build_qp(struct guest *g)
{
	static const uint8_t types[] = { 0, 0, 0, 1, 2, 2, 3, 3, 7, 8, 12, 5 };
	static const uint8_t rqs[] = { 0, 0, 1, 3 };
	uint8_t *x = g->cmd + 0x18, how = u8(g), rq = rqs[u8(g) & 3];

	mlx5_set(x, MLX5_QPC_ST, types[u8(g) % sizeof(types)]);
	mlx5_set(x, MLX5_QPC_PD, pick(g, PD));
	mlx5_set(x, MLX5_QPC_LOG_RQ_SIZE, u8(g) % 5);
	mlx5_set(x, MLX5_QPC_LOG_RQ_STRIDE, u8(g) % 5);
	mlx5_set(x, MLX5_QPC_LOG_SQ_SIZE, u8(g) % 7);
	mlx5_set(x, MLX5_QPC_NO_SQ, how > 230);
	mlx5_set(x, MLX5_QPC_RLKY, how == 229);
	mlx5_set(x, MLX5_QPC_UAR_PAGE, pick(g, UAR));
	mlx5_set(x, MLX5_QPC_CQN_SND, pick(g, CQ));
	mlx5_set(x, MLX5_QPC_CQN_RCV, pick(g, CQ));
	mlx5_set(x, MLX5_QPC_RQ_TYPE, rq);
	mlx5_set(x, MLX5_QPC_SRQN_RMPN_XRQN, rq == 1 ? pick(g, how & 1 ? SRQ : XSRQ) : 0);
	mlx5_set(x, MLX5_QPC_XRCD, pick(g, XRCD));
	mlx5_set(x, MLX5_QPC_LOG_RRA_MAX, how & 3);
	mlx5_set(x, MLX5_QPC_DBR_ADDR, page(g) + (u8(g) & 31) * 8);
	queue_of(g, x, MLX5_QPC_LOG_PAGE_SIZE, MLX5_QPC_PAGE_OFFSET, 4);
	if (how > 210 && how < 229) {
		mlx5_set(g->cmd, MLX5_CREATE_QP_IN_WQ_UMEM_VALID, 1);
		mlx5_set(g->cmd, MLX5_CREATE_QP_IN_WQ_UMEM_ID, pick(g, UMEM));
		mlx5_set(x, MLX5_QPC_DBR_UMEM_VALID, how & 1);
		mlx5_set32(x, 0xd4, pick(g, UMEM));
	}
}

static void key_list(struct guest *g, unsigned mode, unsigned n)
{
	unsigned i;

	if (mode == NIC_MKEY_MTT) {
		pages(g, PAS, 2 * n, u8(g) & 3);
		return;
	}
	for (i = 0; i < n; i++) {
		mlx5_set32(g->cmd, PAS + 16 * i, (uint32_t)g_odd(&g->in));
		mlx5_set32(g->cmd, PAS + 16 * i + 4, pick(g, MKEY) << 8);
		mlx5_set64(g->cmd, PAS + 16 * i + 8, g_odd(&g->in));
	}
	g->in_len = PAS + 16 * n;
}

static void build_mkey(struct guest *g)
{
	static const uint8_t modes[] = { 1, 1, 1, 1, 2, 2, 3, 3, 0, 5, 4 };
	uint8_t *x = g->cmd + 0x10, how = u8(g), mode = modes[u8(g) % sizeof(modes)];
	unsigned n = u8(g) % 8, room = u8(g) % 16;

	/* Keys of all memory blunt what is watched: few inputs shall make them. */
	if (!mode && how % 16)
		mode = 1;
	mlx5_set(x, MLX5_MKC_ACCESS_MODE_1_0, mode & 3);
	mlx5_set(x, MLX5_MKC_ACCESS_MODE_4_2, mode >> 2);
	mlx5_set32(x, 0, mlx5_get32(x, 0) | (uint32_t)(u8(g) & 31) << 10);
	mlx5_set(x, MLX5_MKC_FREE, how > 220);
	mlx5_set(x, MLX5_MKC_UMR_EN, how & 1);
	mlx5_set(x, MLX5_MKC_EN_RINVAL, how >> 1 & 1);
	mlx5_set(x, MLX5_MKC_LENGTH64, how > 250);
	mlx5_set(x, MLX5_MKC_QPN, how >> 2 & 1 && how & 8 ? pick(g, QP) : 0xffffff);
	mlx5_set(x, MLX5_MKC_PD, pick(g, PD));
	mlx5_set(x, MLX5_MKC_START_ADDR, g_odd(&g->in));
	mlx5_set(x, MLX5_MKC_LEN, g_odd(&g->in));
	mlx5_set(x, MLX5_MKC_LOG_PAGE_SIZE, 12);
	mlx5_set(x, MLX5_MKC_TRANSLATIONS_OCTWORD_SIZE, n > room ? n : room);
	mlx5_set32(g->cmd, 0x60, n);
	mlx5_set(g->cmd, MLX5_CREATE_MKEY_IN_PG_ACCESS, how >> 4 & 1);
	key_list(g, mode, n);
	if (how > 200 && how < 216) {
		mlx5_set(g->cmd, MLX5_CREATE_MKEY_IN_MKEY_UMEM_VALID, 1);
		mlx5_set32(g->cmd, 0x64, pick(g, UMEM));
		if (how & 1)
			g->in_len = PAS;
	}
}

static void build_umem(struct guest *g)
{
	uint8_t *x = g->cmd + 0x10, odd = u8(g);
	unsigned n = u8(g) % 6 + 1;

	mlx5_set(x, MLX5_UMEM_NUM_OF_MTT, n);
	mlx5_set(x, MLX5_UMEM_LOG_PAGE_SIZE, odd > 240 ? odd & 31 : 0);
	mlx5_set(x, MLX5_UMEM_PAGE_OFFSET, odd > 200 ? (uint32_t)g_odd(&g->in) : 0);
	pages(g, 0x30, n, 0);
}

static void build_psv(struct guest *g)
{
	mlx5_set(g->cmd, MLX5_CREATE_PSV_IN_NUM_PSV, u8(g) % 6);
	mlx5_set(g->cmd, MLX5_CREATE_PSV_IN_PD, pick(g, PD));
}

static void (*const builders[KINDS])(struct guest *g) = {
	[EQ] = build_eq,     [CQ] = build_cq,	  [SRQ] = build_srq,
	[XSRQ] = build_xsrq, [RMP] = build_rmp,	  [QP] = build_qp,
	[MKEY] = build_mkey, [UMEM] = build_umem, [PSV] = build_psv,
};

/* ---- operations: objects ---- */

static void create(struct guest *g, enum kind kind)
{
	begin(g, kinds[kind].create);
	if (builders[kind])
		builders[kind](g);
	if (!spoil_and_send(g) && mlx5_get32(g->cmd, 0) >> 16 == kinds[kind].create)
		created(g, kind);
}

static void op_create(struct guest *g)
{
	create(g, (enum kind)(u8(g) % KINDS));
}

static void op_create_queue(struct guest *g)
{
	static const uint8_t of[] = { QP, QP, CQ, MKEY, MKEY, SRQ, XSRQ, RMP };

	create(g, (enum kind)of[u8(g) % sizeof(of)]);
}

static void op_destroy(struct guest *g)
{
	enum kind kind = (enum kind)(u8(g) % KINDS);
	uint32_t id = pick(g, kind);

	begin_on(g, kinds[kind].destroy, id);
	if (!spoil_and_send(g) && mlx5_get32(g->cmd, 0) >> 16 == kinds[kind].destroy)
		forget(g, kind, mlx5_get32(g->cmd, 8) & 0xffffff);
}

static void op_query(struct guest *g)
{
	static const uint16_t more[] = { 0x100, 0x101, 0x107, 0x10a, 0x203, 0x750,
					 0x762, 0x764, 0x765, 0x770, 0x805 };
	unsigned what = u8(g) % (KINDS + sizeof(more) / sizeof(more[0]));

	if (what >= KINDS) {
		begin(g, more[what - KINDS]);
		mlx5_set32(g->cmd, 4, u8(g) & (what % 2 ? 3 : 0x7f));
		g->cmd[0xf] = u8(g) % 5;
		g->out_len += 512;
	} else if (kinds[what].query) {
		begin_on(g, kinds[what].query, pick(g, (enum kind)what));
	} else {
		return;
	}
	spoil_and_send(g);
}

static void transition(struct guest *g, uint16_t opcode, uint32_t qpn, uint32_t peer)
{
	uint8_t *x = g->cmd + 0x18, how = u8(g), *path = x + MLX5_QPC_PATH_OFF;

	begin_on(g, opcode, qpn);
	if (how > 128)
		mlx5_set32(g->cmd, 0x10, g_u32(&g->in));
	g->in_len = 272;
	mlx5_set(x, MLX5_QPC_MTU, how % 8 ? how % 5 + 1 : u8(g));
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

	transition(g, ops[u8(g) % 9], pick(g, QP), pick(g, QP));
	spoil_and_send(g);
}

static void up(struct guest *g, uint32_t qpn, uint32_t peer)
{
	static const uint16_t ops[] = { 0x50a, 0x502, 0x503, 0x504 };
	unsigned i;

	for (i = 0; i < 4; i++) {
		transition(g, ops[i], qpn, peer);
		send(g);
	}
}

static void op_connect(struct guest *g)
{
	uint32_t a = pick(g, QP), b = pick(g, QP);

	up(g, a, b);
	if (a != b)
		up(g, b, a);
}

static void op_modify_cq(struct guest *g)
{
	uint8_t how = u8(g);
	uint32_t cqn = pick(g, CQ);

	begin_on(g, 0x403, cqn);
	build_cq(g);
	mlx5_set32(g->cmd, 8, cqn);
	mlx5_set32(g->cmd, 4, how & 1);
	mlx5_set32(g->cmd, 12, how >> 1 & 15);
	spoil_and_send(g);
}

static void op_arm(struct guest *g)
{
	static const uint16_t ops[] = { 0x703, 0x708, 0x90d };
	unsigned i = u8(g) % 3;

	begin_on(g, ops[i], pick(g, (enum kind)(SRQ + i)));
	mlx5_set32(g->cmd, 12, u8(g) & 15);
	if (i == 2) {
		mlx5_set32(g->cmd, 0x14, 1);
		mlx5_set(g->cmd + 0x20 + MLX5_RMPC_WQ_OFF, MLX5_WQ_LWM, u8(g) & 15);
	}
	spoil_and_send(g);
}

static void op_mcg(struct guest *g)
{
	uint8_t how = u8(g);

	begin_on(g, how & 1 ? 0x806 : 0x807, pick(g, QP));
	memset(g->cmd + 0x10, 0xff, 4);
	g->cmd[0x1f] = how >> 6;
	spoil_and_send(g);
}

static void op_memic(struct guest *g)
{
	uint8_t how = u8(g);
	uint64_t at = 0x1000000u + (how >> 1 & 3) * 0x1000u;

	begin(g, how & 1 ? 0x205 : 0x206);
	mlx5_set64(g->cmd, 0x10, at);
	mlx5_set32(g->cmd, 0x18, 0x1000);
	mlx5_set32(g->cmd, 0x1c, (u8(g) + 1) * 4);
	spoil_and_send(g);
}

static void op_pages(struct guest *g)
{
	unsigned n = u8(g) % 32;

	begin(g, 0x108);
	if (u8(g) & 1) {
		mlx5_set32(g->cmd, 4, 1);
		pages(g, 0x10, n, 0);
	} else {
		mlx5_set32(g->cmd, 4, u8(g) & 3);
		g->out_len = 16 + n * 8;
	}
	mlx5_set32(g->cmd, 12, n);
	spoil_and_send(g);
}

static void op_life(struct guest *g)
{
	static const uint16_t ops[] = { 0x102, 0x103, 0x104, 0x105, 0x10b, 0x10d, 0x109, 0x80d };
	uint16_t op = ops[u8(g) % 8];

	begin(g, op);
	if (op == 0x10b)
		mlx5_set32(g->cmd, 8, u8(g) & 3);
	if (!spoil_and_send(g) && op == 0x103)
		g->n_objs = 0;
}

static void op_event(struct guest *g)
{
	uint8_t how = u8(g);

	if (how & 1) {
		begin_on(g, 0x304, pick(g, EQ));
		g->cmd[0x11] = u8(g);
	} else {
		begin(g, 0x204);
		mlx5_set32(g->cmd, 8, how & 2 ? 1u << 31 : 0);
		mlx5_set32(g->cmd, 12, g_u32(&g->in) << 24 | pick(g, QP));
	}
	spoil_and_send(g);
}

static void op_mad(struct guest *g)
{
	static const uint16_t attr[] = { 0x10, 0x11, 0x12, 0x14, 0x15, 0x16, 0x20, 0xff90 };
	uint8_t *m = g->cmd + 0x10, how = u8(g);

	begin(g, 0x50d);
	g->cmd[0xb] = 1;
	m[0] = 1;
	m[1] = how & 1 ? 0x81 : how & 2 ? 4 : 1;
	m[2] = 1;
	m[3] = how & 4 ? 2 : 1;
	mlx5_set32(m, 16, (uint32_t)attr[u8(g) % 8] << 16);
	spoil_and_send(g);
}

static void op_register(struct guest *g)
{
	static const uint16_t regs[] = { 0x5003, 0x5004, 0x5006, 0x5008,
					 0x500f, 0x6001, 0x7004, 0x5005 };
	unsigned i, n = u8(g) % 16;

	begin_on(g, 0x805, regs[u8(g) & 7]);
	mlx5_set32(g->cmd, 4, u8(g) & 1);
	for (i = 0; i < n; i++)
		g->cmd[0x10 + g_u8(&g->in)] = u8(g);
	g->in_len = g->out_len = 16 + 256;
	spoil_and_send(g);
}

static void op_uid(struct guest *g)
{
	g->uid = u8(g) & 1 ? (uint16_t)pick(g, UCTX) : 0;
}

/* Any command, any bytes. */
static void op_raw(struct guest *g)
{
	const struct nic_cmd_row *row = &nic_cmd_rows[u8(g) % nic_n_cmd_rows];
	unsigned n = u8(g) % 32, off;

	begin(g, u8(g) > 230 ? g_u16(&g->in) : row->opcode);
	mlx5_set32(g->cmd, 4, u8(g) & 7);
	mlx5_set32(g->cmd, 8, (uint32_t)g_odd(&g->in));
	for (; n; n--) {
		off = u8(g) * 4u;
		mlx5_set32(g->cmd, off, g_u32(&g->in));
	}
	if (u8(g) > 128)
		g->in_len += (uint32_t)(int32_t)(int8_t)u8(g);
	if (u8(g) > 128)
		g->out_len += (uint32_t)(int32_t)(int8_t)u8(g);
	if (!spoil_and_send(g) && g_nic->hca_state != NIC_HCA_INIT)
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
		box[0x23b] ^= u8(g);
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
		box[u8(g) * 2u] = u8(g);
	}
}

static void op_delivery(struct guest *g)
{
	unsigned i = u8(g) % 32;
	uint8_t how = u8(g), *slot;

	begin(g, 0x100);
	g->in_len = 16 + g_u16(&g->in) % (MAX_LEN - 16);
	g->out_len = 16 + g_u16(&g->in) % (MAX_LEN - 16);
	if (g->n_cmds++ >= MAX_CMDS || !g_read32(0x14))
		return;
	g->token = u8(g);
	write_boxes(g);
	slot = write_slot(g, i);
	if (how & 0x10)
		slot[u8(g) % 64] = u8(g);
	else
		harm_boxes(g, how);
	ring(g, i);
}

/* The queue moves, or commands are rung for in slots nobody filled. */
static void op_queue(struct guest *g)
{
	uint8_t at[8];

	if (u8(g) & 1) {
		g_write32(0x18, g_u32(&g->in));
		g_run(64);
		return;
	}
	mlx5_set64(at, 0, g_odd(&g->in));
	g_scan(at, 8);
	g_write32(0x10, mlx5_get32(at, 0));
	g_write32(0x14, mlx5_get32(at, 4));
	g_write32(0x18, g_u32(&g->in));
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
	struct nic_qp *qp = nic_find_qp(g_nic, pick(g, QP));
	uint8_t w[64] = { 0 }, rec[4] = { 0 }, op = ops[u8(g) % sizeof(ops)];
	unsigned at = 16;

	if (!qp || qp->no_sq || !qp->buf.size)
		return;
	mlx5_set32(w, 0, op);
	mlx5_set32(w, 4, qp->obj.id << 8 | 3);
	w[11] = 8;
	mlx5_set32(w, 12, pick(g, MKEY) << 8);
	if (op != 0x0a && op != 0x0b && op != 0x01) {
		mlx5_set64(w, 16, g_odd(&g->in));
		mlx5_set32(w, 24, pick(g, MKEY) << 8);
		at = 32;
		w[7] = 4 - 1;
	}
	mlx5_set32(w, at, u8(g));
	mlx5_set32(w, at + 4, pick(g, MKEY) << 8);
	mlx5_set64(w, at + 8, g_odd(&g->in));
	w[7] = (uint8_t)(at / 16 + 1);
	if (u8(g) > 200)
		w[u8(g) % 64] = u8(g);
	guest_store(request_at(qp, qp->req.sq_pi), w, 64);
	mlx5_set32(rec, 0, (uint32_t)(uint16_t)(qp->req.sq_pi + 1));
	guest_store(qp->db_addr + 4, rec, 4);
	g_write64((uint64_t)qp->uar * 0x1000 + 0x800, (uint64_t)(qp->obj.id << 8) | 0xa00000000ull);
	g_run(u8(g) % 8);
}

/* A receive entry in every slot of a queue's ring and as many of them posted. */
static void op_receive(struct guest *g)
{
	struct nic_qp *qp = nic_find_qp(g_nic, pick(g, QP));
	uint8_t e[16], rec[4];
	unsigned i;

	if (!qp || !qp->buf.size || qp->rq_kind != NIC_RQ_OWN)
		return;
	mlx5_set32(e, 0, u8(g));
	mlx5_set32(e, 4, pick(g, MKEY) << 8);
	mlx5_set64(e, 8, g_odd(&g->in));
	for (i = 0; i < 1u << qp->rq.log_size; i++)
		guest_store(nic_buf_addr(&qp->buf, qp->rq.off + (i << qp->rq.log_stride)), e, 16);
	mlx5_set32(rec, 0, (uint32_t)(qp->rsp.rq_ci + i));
	guest_store(qp->db_addr, rec, 4);
}

static void op_bell(struct guest *g)
{
	static const uint16_t at[] = { 0x20, 0x40, 0x48, 0x800, 0x900, 0xff8, 0x28 };
	uint64_t off = (uint64_t)pick(g, UAR) * 0x1000 + at[u8(g) % 7];
	uint8_t how = u8(g);
	uint32_t num = pick(g, how & 1 ? CQ : QP);

	if (off >= 32u << 20)
		return;
	if (how & 2)
		g_write32(off, g_u32(&g->in));
	else if (how & 4)
		g_write32(off, pick(g, EQ) << 24 | u8(g));
	else
		g_write64(off, (uint64_t)g_u32(&g->in) << 32 | (how & 1 ? num : num << 8));
	g_run(u8(g) % 4);
}

static void op_mmio(struct guest *g)
{
	uint8_t buf[16] = { 0 }, how = u8(g);
	uint64_t off = how & 1 ? g_odd(&g->in) % (32u << 20) : g_u16(&g->in) % 0x1200;
	size_t n = how % 16 + 1, i;

	for (i = 0; i < n; i++)
		buf[i] = u8(g);
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
	uint64_t addr = page(g) + g_u16(&g->in) % 0x1000;
	uint8_t b[32];
	unsigned n = u8(g) % 32, i;

	for (i = 0; i < n; i++)
		b[i] = u8(g);
	guest_store(addr, b, n);
}

static void op_run(struct guest *g)
{
	g_run(u8(g) % 32);
}

static void op_time(struct guest *g)
{
	g_pass(g_odd(&g->in) & 0xfffffffff);
	g_run(16);
}

static void op_fault(struct guest *g)
{
	uint8_t what = u8(g);

	g_fault(what & 1, (enum mdl_fault_action)(what >> 1 & 7), u8(g), u8(g) & 7);
}

static void op_link(struct guest *g)
{
	g_link(u8(g) & 1);
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
		begin(g, ops[i]);
		send(g);
	}
}

static void op_reset(struct guest *g)
{
	uint8_t how = u8(g);

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
	struct g_in rest = g->in;
	unsigned i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		g->in = (struct g_in){ rows[i].args, rows[i].n };
		create(g, (enum kind)rows[i].kind);
		g_promise(!g->out[0], "a right command succeeds");
	}
	g->in = rest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct guest g;

	memset(&g, 0, sizeof(g));
	g.in = (struct g_in){ data, size };
	g_begin();
	g_give(QUEUE, 0, G_BLOCK_SIZE, G_CTRL);
	bring_up(&g);
	furnish(&g);
	g.n_cmds = 0;
	while (g.in.left)
		ops[u8(&g) % (sizeof(ops) / sizeof(ops[0]))](&g);
	g_run(64);
	g_end();
	return 0;
}
