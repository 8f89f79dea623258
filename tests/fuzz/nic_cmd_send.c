// SPDX-License-Identifier: MIT
#include "tests/fuzz/nic_cmd.h"

#include <string.h>

const struct cmd_kind cmd_kinds[KINDS] = {
	[PD] = { 0x800, 0x801, 0, NIC_T_PD },
	[UAR] = { 0x802, 0x803, 0, NIC_T_UAR },
	[EQ] = { 0x301, 0x302, 0x303, NIC_T_EQ },
	[CQ] = { 0x400, 0x401, 0x402, NIC_T_CQ },
	[SRQ] = { 0x700, 0x701, 0x702, NIC_T_SRQ },
	[XSRQ] = { 0x705, 0x706, 0x707, NIC_T_SRQ },
	[RMP] = { 0x90c, 0x90e, 0x90f, NIC_T_SRQ },
	[QP] = { 0x500, 0x501, 0x50b, NIC_T_QP },
	[MKEY] = { 0x200, 0x202, 0x201, NIC_T_MKEY },
	[UMEM] = { 0xa08, 0xa0a, 0, NIC_T_UMEM },
	[XRCD] = { 0x80e, 0x80f, 0, NIC_T_XRCD },
	[TD] = { 0x816, 0x817, 0, NIC_T_TD },
	[PSV] = { 0x600, 0x601, 0, NIC_T_PSV },
	[UCTX] = { 0xa04, 0xa06, 0, NIC_T_UCTX },
	[DCT] = { 0x710, 0x711, 0x713, NIC_T_QP },
	[GENERAL] = { 0xa00, 0xa03, 0, NIC_T_GENERAL },
};

uint8_t cmd_u8(struct guest *g)
{
	return fuzz_u8(&g->in);
}

/* ---- objects ---- */

/* Mostly the number of an object of that kind, sometimes any. */
uint32_t cmd_pick(struct guest *g, enum kind kind)
{
	uint8_t want = cmd_u8(g);
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

void cmd_remember(struct guest *g, enum kind kind, uint32_t id)
{
	if (g->n_objs < MAX_OBJS)
		g->obj[g->n_objs++] = (struct object){ (uint8_t)kind, id };
}

void cmd_forget(struct guest *g, enum kind kind, uint32_t id)
{
	unsigned i;

	for (i = 0; i < g->n_objs; i++)
		if (g->obj[i].kind == kind && g->obj[i].id == id) {
			g->obj[i] = g->obj[--g->n_objs];
			return;
		}
}

uint64_t cmd_page(struct guest *g)
{
	uint8_t b = cmd_u8(g);

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

void cmd_begin(struct guest *g, uint16_t opcode)
{
	const struct nic_cmd_row *row = row_of(opcode);

	memset(g->cmd, 0, sizeof(g->cmd));
	mlx5_set32(g->cmd, 0, (uint32_t)opcode << 16 | g->uid);
	g->in_len = row ? row->in_min : 16;
	g->out_len = row ? row->out_min : 16;
}

void cmd_begin_on(struct guest *g, uint16_t opcode, uint32_t id)
{
	cmd_begin(g, opcode);
	mlx5_set32(g->cmd, 8, id);
}

/* Pages of a list at off, and the length that goes with them. */
void cmd_pages(struct guest *g, uint32_t off, unsigned n, uint64_t flags)
{
	unsigned i;

	for (i = 0; i < n && off + 8 * i + 8 <= MAX_LEN; i++)
		mlx5_set64(g->cmd, off + 8 * i, cmd_page(g) | flags);
	g->in_len = off + 8 * i;
}

static void spoil(struct guest *g)
{
	unsigned n = cmd_u8(g), width, off;

	if (n < 144)
		return;
	for (n = n % 3 + 1; n; n--) {
		off = fuzz_u16(&g->in) % (g->in_len ? g->in_len : 1);
		width = 1u << (cmd_u8(g) & 3);
		if (off + width > MAX_LEN)
			continue;
		if (width == 8)
			mlx5_set64(g->cmd, off, g_odd(&g->in));
		else if (width == 4)
			mlx5_set32(g->cmd, off, (uint32_t)g_odd(&g->in));
		else
			g->cmd[off] = (uint8_t)g_odd(&g->in);
	}
	if (cmd_u8(g) > 220)
		g->in_len = (uint32_t)g_odd(&g->in);
	if (cmd_u8(g) > 220)
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

void cmd_write_boxes(struct guest *g)
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

uint8_t *cmd_write_slot(struct guest *g, unsigned i)
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
uint8_t cmd_ring(struct guest *g, unsigned i)
{
	uint8_t *slot = &g_mem[QUEUE][i * 64], st;
	bool ours = slot[SLOT_LAST + 3] & 1;
	struct census before = census(), after;

	g_scan(g->cmd, g->in_len < MAX_LEN ? g->in_len : MAX_LEN);
	gave_much(g);
	g_write32(0x18, 1u << i);
	g_run(64);
	fuzz_promise(!ours || !(slot[SLOT_LAST + 3] & 1), "every command is answered");
	after = census();
	g->delivery = slot[SLOT_LAST + 3] >> 1;
	if (!ours || g->delivery) {
		fuzz_promise(!memcmp(&before, &after, sizeof(before)),
			     "a command not delivered changes nothing");
		return 0xff;
	}
	read_out(g, slot);
	st = g->out[0];
	g_saw_command((uint16_t)(g->cmd[0] << 8 | g->cmd[1]), st);
	fuzz_promise(is_status(st), "statuses are of the specification");
	fuzz_promise(!st || !memcmp(&before, &after, sizeof(before)),
		     "a failed command changes nothing");
	fuzz_promise(!st == !mlx5_get32(g->out, 4), "a failure has a syndrome");
	return st;
}

uint8_t cmd_send(struct guest *g)
{
	unsigned i = cmd_u8(g) % 32;

	if (g->n_cmds++ >= MAX_CMDS || !g_read32(0x14))
		return 0xff;
	g->token = (uint8_t)(i + 1);
	cmd_write_boxes(g);
	cmd_write_slot(g, i);
	return cmd_ring(g, i);
}

uint8_t cmd_spoil_and_send(struct guest *g)
{
	spoil(g);
	return cmd_send(g);
}
