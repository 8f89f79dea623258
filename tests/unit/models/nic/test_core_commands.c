// SPDX-License-Identifier: MIT
/*
 * Commands run against a NIC without a guest. Opcodes, offsets and statuses are typed from
 * models/nic/SPEC.rst and its sources, not taken from the model's tables.
 */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "models/common/device.h"
#include "models/common/log.h"
#include "models/common/node.h"
#include "models/nic/cmdq.h"
#include "models/nic/internal.h"
#include "models/nic/life.h"
#include "models/nic/mmio.h"
#include "models/nic/nic.h"

static struct mdl_node *node;
static struct mdl_device *dev;
static struct nic *nic;
static uint8_t in[2048], out[1024];

static void put32(uint32_t off, uint32_t v)
{
	v = htobe32(v);
	memcpy(in + off, &v, 4);
}

static uint32_t got32(uint32_t off)
{
	uint32_t v;

	memcpy(&v, out + off, 4);
	return be32toh(v);
}

static void start(uint16_t opcode, uint16_t uid, uint16_t op_mod)
{
	memset(in, 0, sizeof(in));
	put32(0, (uint32_t)opcode << 16 | uid);
	put32(4, op_mod);
}

/* Return: the status byte. */
static uint8_t go_sized(uint32_t in_len, uint32_t out_len)
{
	struct nic_cmd c = { .nic = nic, .in = in, .in_len = in_len, .out = out };

	memset(out, 0, sizeof(out));
	c.out_len = out_len;
	mdl_dma_begin(&c.dma, dev);
	nic_cmd_execute(&c);
	return out[0];
}

static uint8_t go(void)
{
	return go_sized(sizeof(in), sizeof(out));
}

static uint8_t simple(uint16_t opcode, uint32_t dw2)
{
	start(opcode, 0, 0);
	put32(8, dw2);
	return go();
}

static uint32_t make(uint16_t opcode)
{
	assert_int_equal(simple(opcode, 0), 0);
	return got32(8) & 0xffffff;
}

static int bring_up(void **state)
{
	const struct mdl_node_cfg cfg = { .name = "n" };

	mdl_log_set_level(MDL_ERROR);
	if (mdl_node_create(&cfg, &node) || nic_create(node, "nic0", &dev))
		return -1;
	nic = mdl_device_priv(dev);
	assert_int_equal(simple(0x104, 0), 0); /* ENABLE_HCA */
	assert_int_equal(simple(0x102, 0), 0); /* INIT_HCA */
	return 0;
}

static int take_down(void **state)
{
	mdl_device_destroy(dev);
	mdl_node_destroy(node);
	return 0;
}

/* An EQ of 64 entries on UAR uar at page 0x10000 */
static uint32_t make_eq(uint32_t uar)
{
	start(0x301, 0, 0);
	put32(0x10 + 0x0c, 6u << 24 | uar);
	put32(0x110 + 4, 0x10000);
	assert_int_equal(go(), 0);
	return got32(8) & 0xff;
}

static void cq_context(uint32_t uar, uint32_t eqn)
{
	start(0x400, 0, 0);
	put32(0x10 + 0x0c, 6u << 24 | uar);
	put32(0x10 + 0x14, eqn);
	put32(0x10 + 0x3c, 0x40000);
	put32(0x110 + 4, 0x20000);
}

static void qp_context(uint32_t pd, uint32_t uar, uint32_t cqn)
{
	start(0x500, 0, 0);
	put32(0x18 + 0x04, pd);
	put32(0x18 + 0x08, 2u << 19 | 2u << 16 | 2u << 11); /* 4 x 64 bytes, 4 blocks */
	put32(0x18 + 0x0c, uar);
	put32(0x18 + 0x7c, cqn);
	put32(0x18 + 0x9c, cqn);
	put32(0x18 + 0xa4, 0x50000);
	put32(0x110 + 4, 0x30000);
}

static void unknown_opcode_is_refused(void **state)
{
	assert_int_equal(simple(0x7ff, 0), 0x02);
	assert_int_equal(got32(4), 0xd0001);
	assert_int_equal(simple(0xffff, 0), 0x02);
}

static void lengths_are_checked(void **state)
{
	start(0x800, 0, 0);
	assert_int_equal(go_sized(8, 16), 0x50);
	assert_int_equal(go_sized(16, 8), 0x51);
	assert_int_equal(nic->table[NIC_T_PD].used, 0);
}

static void life_cycle_is_kept(void **state)
{
	assert_int_equal(simple(0x104, 0), 0x04); /* twice */
	assert_int_equal(simple(0x103, 0), 0);
	assert_int_equal(simple(0x800, 0), 0x04); /* before INIT_HCA */
	assert_int_equal(simple(0x103, 0), 0x04);
	assert_int_equal(simple(0x105, 0), 0);
	assert_int_equal(simple(0x102, 0), 0x04);
	assert_int_equal(simple(0x80d, 0), 0); /* NOP always */
}

static void foreign_objects_are_out_of_reach(void **state)
{
	uint32_t a, b, pd;

	a = make(0xa04);
	b = make(0xa04);
	start(0x800, (uint16_t)a, 0);
	assert_int_equal(go(), 0);
	pd = got32(8);
	start(0x801, (uint16_t)b, 0);
	put32(8, pd);
	assert_int_equal(go(), 0x05);
	start(0x801, 999, 0); /* no such context */
	put32(8, pd);
	assert_int_equal(go(), 0x05);
	assert_int_equal(simple(0xa06, a), 0x06); /* it owns something */
	start(0x801, (uint16_t)a, 0);
	put32(8, pd);
	assert_int_equal(go(), 0);
	assert_int_equal(simple(0xa06, a), 0);
	assert_int_equal(simple(0xa06, a), 0x05);
}

static void users_get_no_key_of_all_memory(void **state)
{
	uint32_t uid = make(0xa04), pd = make(0x800);

	start(0x200, (uint16_t)uid, 0); /* physical addresses */
	put32(0x10 + 0x0c, 1u << 31 | pd);
	assert_int_equal(go(), 0x03);
	start(0x200, 0, 0);
	put32(0x10 + 0x0c, 1u << 31 | pd);
	assert_int_equal(go(), 0);
}

/* Ranges of keys come with the command, whatever it says of user memory. */
static void list_of_a_key_must_be_in_the_command(void **state)
{
	uint32_t pd = make(0x800);

	start(0x200, 0, 0);
	put32(0x0c, 1u << 30);
	put32(0x10, 2u << 8); /* ranges of keys */
	put32(0x10 + 0x0c, pd);
	put32(0x10 + 0x34, 64);
	put32(0x60, 64);
	assert_int_equal(go_sized(0x110 + 63 * 16, 16), 0x50);
	assert_int_equal(got32(4), 0xd0022);
	put32(0x60, 0);
	assert_int_equal(go_sized(0x110, 16), 0);
}

static void used_objects_stay(void **state)
{
	uint32_t pd = make(0x800), uar = make(0x802), eqn = make_eq(uar), cqn, qpn;

	cq_context(uar, eqn);
	assert_int_equal(go(), 0);
	cqn = got32(8);
	qp_context(pd, uar, cqn);
	assert_int_equal(go(), 0);
	qpn = got32(8);
	assert_int_equal(simple(0x801, pd), 0x06);
	assert_int_equal(simple(0x401, cqn), 0x06);
	assert_int_equal(simple(0x302, eqn), 0x06);
	assert_int_equal(simple(0x501, qpn), 0);
	assert_int_equal(simple(0x501, qpn), 0x05);
	assert_int_equal(simple(0x401, cqn), 0);
	assert_int_equal(simple(0x302, eqn), 0);
	assert_int_equal(simple(0x801, pd), 0);
}

static void no_ports_are_bonded(void **state)
{
	start(0x842, 0, 0); /* QUERY_LAG */
	assert_int_equal(go_sized(16, 16), 0);
	assert_int_equal(got32(8) & 7, 0);
}

/* General objects of type 0x2c: numbers that queue pairs do not get. */
static void reserved_numbers_stay_free(void **state)
{
	uint32_t pd = make(0x800), uar = make(0x802), eqn = make_eq(uar), cqn, first, i;

	cq_context(uar, eqn);
	assert_int_equal(go(), 0);
	cqn = got32(8);
	start(0xa00, 0, 0x2c);
	assert_int_equal(go_sized(16, 16), 0);
	first = got32(8);
	for (i = 0; i < 70000; i++) { /* once round all numbers */
		start(0xa00, 0, 0x2c);
		put32(12, 1u << 24); /* two at once */
		assert_int_equal(go_sized(16, 16), 0x03);
		qp_context(pd, uar, cqn);
		assert_int_equal(go(), 0);
		assert_int_not_equal(got32(8), first);
		assert_int_equal(simple(0x501, got32(8)), 0);
	}
	start(0xa03, 0, 0x3a); /* another type */
	put32(8, first);
	assert_int_equal(go_sized(16, 16), 0x05);
	for (i = 0; i < 2; i++) {
		start(0xa03, 0, 0x2c);
		put32(8, first);
		assert_int_equal(go_sized(16, 16), i ? 0x05 : 0);
	}
	assert_int_equal(simple(0x401, cqn), 0);
}

/* A queue of 16 entries at page 0x40000 with 1 << log_tags tagged buffers. */
static void xrq_context(uint32_t pd, uint32_t cqn, unsigned log_tags)
{
	start(0x717, 0, 0);
	put32(0x10, 1u << 8 | 1);
	put32(0x14, 0x5a);
	put32(0x18, cqn);
	put32(0x30, log_tags << 28);
	put32(0x90 + 0x08, pd);
	put32(0x90 + 0x14, 0x50000);
	put32(0x90 + 0x20, 5u << 16 | 4);
	put32(0x154, 0x40000);
}

static void a_queue_with_tags(void **state)
{
	uint32_t pd = make(0x800), uar = make(0x802), eqn = make_eq(uar), cqn, xrqn;

	cq_context(uar, eqn);
	assert_int_equal(go(), 0);
	cqn = got32(8);
	xrq_context(pd, cqn, 8); /* more than there can be */
	assert_int_equal(go_sized(344, 16), 0x03);
	xrq_context(pd, cqn + 1, 7);
	assert_int_equal(go_sized(344, 16), 0x05);
	xrq_context(pd, cqn, 7);
	put32(0x10, 2u << 8); /* another topology */
	assert_int_equal(go_sized(344, 16), 0x03);
	xrq_context(pd, cqn, 7);
	assert_int_equal(go_sized(336, 16), 0x03); /* no page list */
	xrq_context(pd, cqn, 7);
	assert_int_equal(go_sized(344, 16), 0);
	xrqn = got32(8);
	start(0x719, 0, 0);
	put32(8, xrqn);
	assert_int_equal(go_sized(16, 336), 0);
	assert_int_equal(got32(0x10), 1u << 8 | 1);
	assert_int_equal(got32(0x14), 0x5a);
	assert_int_equal(got32(0x18), cqn);
	assert_int_equal(got32(0x30), 7u << 28);
	assert_int_equal(got32(0x90 + 0x20), 5u << 16 | 4);
	assert_int_equal(simple(0x401, cqn), 0x06);  /* DESTROY_CQ */
	assert_int_equal(simple(0x701, xrqn), 0x05); /* DESTROY_SRQ */
	assert_int_equal(simple(0x706, xrqn), 0x05); /* DESTROY_XRC_SRQ */
	assert_int_equal(simple(0x703, xrqn), 0);    /* ARM_RQ */
	assert_int_equal(simple(0x718, xrqn), 0);
	assert_int_equal(simple(0x718, xrqn), 0x05);
	assert_int_equal(simple(0x401, cqn), 0);
}

/* A target of dynamically connected transport answers to its own commands only. */
static void a_target_is_no_queue_pair(void **state)
{
	uint32_t pd = make(0x800), uar = make(0x802), eqn = make_eq(uar), cqn, srqn, dctn;

	cq_context(uar, eqn);
	assert_int_equal(go(), 0);
	cqn = got32(8);
	start(0x700, 0, 0); /* an SRQ of 16 entries of 32 bytes at page 0x40000 */
	put32(0x10, 4u << 24);
	put32(0x14, 1u << 24);
	put32(0x10 + 0x18, pd);
	put32(0x10 + 0x2c, 0x50000);
	put32(0x114, 0x40000);
	assert_int_equal(go(), 0);
	srqn = got32(8);
	start(0x710, 0, 0);
	put32(0x10 + 0x08, cqn);
	put32(0x10 + 0x14, srqn);
	put32(0x10 + 0x18, pd);
	put32(0x10 + 0x28, 3u << 24 | 1u << 16);
	put32(0x10 + 0x24, 0x77);
	assert_int_equal(go_sized(80, 16), 0);
	dctn = got32(8);
	assert_int_equal(simple(0x501, dctn), 0x05); /* DESTROY_QP */
	assert_int_equal(simple(0x50b, dctn), 0x05); /* QUERY_QP */
	assert_int_equal(simple(0x50a, dctn), 0x05); /* 2RST_QP */
	assert_int_equal(simple(0x713, dctn), 0);
	assert_int_equal(got32(0x10) >> 24 & 15, 0);
	assert_int_equal(got32(0x10 + 0x24), 0x77);
	assert_int_equal(simple(0x701, srqn), 0x06);
	assert_int_equal(simple(0x712, dctn), 0); /* DRAIN_DCT */
	assert_int_equal(simple(0x713, dctn), 0);
	assert_int_equal(got32(0x10) >> 24 & 15, 2);
	assert_int_equal(simple(0x711, dctn), 0);
	assert_int_equal(simple(0x711, dctn), 0x05);
	assert_int_equal(simple(0x701, srqn), 0);
	assert_int_equal(simple(0x401, cqn), 0);
}

static void bar_write(uint64_t off, uint64_t v, unsigned len)
{
	nic_bar_write(dev, 0, off, &v, len);
}

static uint64_t bar_read(uint64_t off, unsigned len)
{
	uint64_t v = 0;

	nic_bar_read(dev, 0, off, &v, len);
	return v;
}

/* Return: where in the BAR operation op is done to the memory at addr. */
static uint64_t memic_op(uint8_t op, uint16_t mod, uint32_t addr)
{
	start(0x207, 0, mod);
	put32(0x0c, op);
	put32(0x14, addr);
	assert_int_equal(go_sized(64, 64), 0);
	return got32(0x14);
}

static void operations_on_device_memory(void **state)
{
	uint64_t add, set;

	start(0x205, 0, 0); /* ALLOC_MEMIC: 8 KiB in a range of 64 KiB */
	put32(0x14, 0x1010000);
	put32(0x18, 0x10000);
	put32(0x1c, 0x2000);
	assert_int_equal(go_sized(32, 16), 0);
	add = memic_op(0, 0, 0x1010000);
	assert_int_equal(add, 0x1110000);
	bar_write(add + 0x1fff, 5, 1);
	bar_write(add + 0x1fff, 255, 1);
	assert_int_equal(bar_read(0x1010000 + 0x1fff, 1), 4);
	bar_write(add + 8, 0x100000001, 8);
	bar_write(add + 12, 0xffffffff, 4);
	assert_int_equal(bar_read(0x1010008, 8), 1);
	bar_write(add + 1, 1, 2);      /* across words */
	bar_write(add + 0x2000, 1, 1); /* not what it was asked for */
	assert_int_equal(bar_read(0x1010000, 8), 0);
	assert_int_equal(bar_read(0x1012000, 8), 0);
	set = add + 0x100000;
	assert_int_equal(bar_read(set + 8, 8), 0); /* not asked for yet */
	assert_int_equal(bar_read(0x1010008, 8), 1);
	assert_int_equal(memic_op(1, 0, 0x1010000), set);
	assert_int_equal(bar_read(set + 0x1fff, 1), 4);
	assert_int_equal(bar_read(set + 0x1fff, 1), 1);
	memic_op(0, 1, 0x1010000);
	bar_write(add, 1, 1);
	assert_int_equal(bar_read(0x1010000, 8), 0);
	start(0x207, 0, 0);
	put32(0x14, 0x1011000); /* not where it begins */
	assert_int_equal(go_sized(64, 64), 0x05);
	start(0x207, 0, 0);
	put32(0x0c, 2);
	put32(0x14, 0x1010000);
	assert_int_equal(go_sized(64, 64), 0x03);
	start(0x206, 0, 0);
	put32(0x14, 0x1010000);
	put32(0x18, 0x2000);
	assert_int_equal(go_sized(32, 16), 0);
	bar_read(set, 1);
	assert_int_equal(bar_read(0x1010000, 8), 0);
}

static void queue_creation_checks_its_references(void **state)
{
	uint32_t pd = make(0x800), uar = make(0x802), eqn = make_eq(uar), cqn;

	cq_context(uar, eqn + 1);
	assert_int_equal(go(), 0x05);
	cq_context(uar, eqn);
	put32(0x10 + 0x3c, 0x40004); /* doorbell record */
	assert_int_equal(go(), 0x03);
	cq_context(uar, eqn);
	assert_int_equal(go_sized(0x110, 16), 0x03); /* no page list */
	cq_context(uar, eqn);
	assert_int_equal(go(), 0);
	cqn = got32(8);
	qp_context(pd + 1, uar, cqn);
	assert_int_equal(go(), 0x05);
	qp_context(pd, uar + 1, cqn);
	assert_int_equal(go(), 0x05);
	qp_context(pd, uar, cqn + 1);
	assert_int_equal(go(), 0x05);
	qp_context(pd, uar, cqn);
	put32(0x18, 0x6u << 16); /* no such service by this command */
	assert_int_equal(go(), 0x03);
	assert_int_equal(nic->table[NIC_T_QP].used, 0);
	assert_int_equal(nic->mem_used > 0, 1);
}

static void transitions_go_by_the_table(void **state)
{
	uint32_t pd = make(0x800), uar = make(0x802), eqn = make_eq(uar), qpn;

	cq_context(uar, eqn);
	assert_int_equal(go(), 0);
	qp_context(pd, uar, got32(8));
	assert_int_equal(go(), 0);
	qpn = got32(8);
	assert_int_equal(simple(0x503, qpn), 0x10); /* RTR before INIT */
	start(0x502, 0, 0);
	put32(8, qpn);
	put32(0x18 + 0x18, 128); /* pkey index beyond the table */
	assert_int_equal(go(), 0x03);
	put32(0x18 + 0x18, 0);
	assert_int_equal(go(), 0);
	assert_int_equal(simple(0x503, qpn), 0x03); /* no MTU */
	start(0x503, 0, 0);
	put32(8, qpn);
	put32(0x18 + 0x08, 5u << 29 | 30u << 24);
	assert_int_equal(go(), 0);
	assert_int_equal(simple(0x504, qpn), 0);
	assert_int_equal(simple(0x50b, qpn), 0);
	assert_int_equal(out[0x18] >> 4, 3); /* RTS */
	assert_int_equal(simple(0x507, qpn), 0);
	assert_int_equal(simple(0x505, qpn), 0x10);
	assert_int_equal(simple(0x50a, qpn), 0);
	assert_int_equal(simple(0x50b, qpn), 0);
	assert_int_equal(out[0x18] >> 4, 0);
}

static void teardown_frees_everything(void **state)
{
	uint32_t pd = make(0x800), uar = make(0x802), eqn = make_eq(uar), i;

	cq_context(uar, eqn);
	assert_int_equal(go(), 0);
	qp_context(pd, uar, got32(8));
	assert_int_equal(go(), 0);
	assert_int_equal(simple(0x103, 0), 0);
	for (i = 0; i < NIC_T_COUNT; i++)
		assert_int_equal(nic->table[i].used, 0);
	assert_int_equal(nic->mem_used, 0);
}

/* PAOS: bits 11:8 the wish, 3:0 what is; 1 up, 2 down. Bit 31 of the next word: take the wish. */
static uint8_t paos(bool write, uint32_t admin, bool take)
{
	start(0x805, 0, write ? 0 : 1);
	put32(8, 0x5006);
	put32(0x10, 1u << 16 | admin << 8);
	put32(0x14, (uint32_t)take << 31);
	return go();
}

static void the_guest_takes_its_port_down(void **state)
{
	assert_int_equal(paos(false, 0, false), 0);
	assert_int_equal(got32(0x10), 1u << 16 | 1u << 8 | 1);
	assert_int_equal(paos(true, 2, false), 0); /* not taken */
	assert_int_equal(atomic_load(&nic->port.state), 4);
	assert_int_equal(paos(true, 2, true), 0);
	assert_int_equal(got32(0x10), 1u << 16 | 2u << 8 | 2);
	assert_int_equal(atomic_load(&nic->port.state), 1);
	assert_int_equal(atomic_load(&nic->port.phys), 3);
	assert_int_equal(paos(true, 3, true), 0x03);
	assert_int_equal(atomic_load(&nic->port.state), 1);
	assert_int_equal(paos(true, 1, true), 0);
	assert_int_equal(atomic_load(&nic->port.state), 4);
	start(0x805, 0, 0);
	put32(8, 0x5006);
	put32(0x10, 2u << 16 | 2u << 8); /* port 2 */
	put32(0x14, 1u << 31);
	assert_int_equal(go(), 0x03);
	assert_int_equal(atomic_load(&nic->port.state), 4);
}

static uint8_t port_table(uint16_t opcode, uint32_t idx, uint32_t out_len)
{
	start(opcode, 0, 0);
	put32(0x0c, idx);
	return go_sized(sizeof(in), out_len);
}

static void port_tables_have_ends(void **state)
{
	static const struct {
		uint16_t opcode, entries, bytes;
	} table[] = { { 0x764, 8, 16 }, { 0x765, 128, 4 } };
	uint32_t i, all;

	for (i = 0; i < 2; i++) {
		all = 0x10u + table[i].entries * table[i].bytes;
		assert_int_equal(port_table(table[i].opcode, 0, 0x10u + table[i].bytes), 0);
		assert_int_equal(port_table(table[i].opcode, table[i].entries - 1u, all), 0);
		assert_int_equal(port_table(table[i].opcode, table[i].entries, all), 0x03);
		assert_int_equal(port_table(table[i].opcode, 0xfffe, all), 0x03);
		assert_int_equal(port_table(table[i].opcode, 0xffff, all), 0);
		assert_int_equal(port_table(table[i].opcode, 0xffff, all - 1), 0x51);
	}
	assert_int_equal(port_table(0x765, 0, 0x14), 0);
	assert_int_equal(got32(0x10), 0xffff);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, bring_up, take_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(unknown_opcode_is_refused),
		CASE(lengths_are_checked),
		CASE(life_cycle_is_kept),
		CASE(foreign_objects_are_out_of_reach),
		CASE(users_get_no_key_of_all_memory),
		CASE(list_of_a_key_must_be_in_the_command),
		CASE(used_objects_stay),
		CASE(no_ports_are_bonded),
		CASE(reserved_numbers_stay_free),
		CASE(a_queue_with_tags),
		CASE(a_target_is_no_queue_pair),
		CASE(operations_on_device_memory),
		CASE(queue_creation_checks_its_references),
		CASE(transitions_go_by_the_table),
		CASE(teardown_frees_everything),
		CASE(the_guest_takes_its_port_down),
		CASE(port_tables_have_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
