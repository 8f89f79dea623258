// SPDX-License-Identifier: MIT
/*
 * A hostile guest of the accelerator: register accesses, doorbells, entries and lists in memory,
 * memory that comes and goes, resets and link changes, also in the middle of a transfer. The model
 * runs over the fake door of its unit tests, which aborts on an access outside the device's memory.
 *
 * The input is a program: an operation byte (modulo the number of operations) and its arguments.
 * A short one ends early; every input is valid. After each operation the promises below are kept:
 * indices are consistent, one completion a command, bounded work a step, and at the end every ring
 * can be reset and the device soft-reset in a bounded number of steps, whatever came before.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/input.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/accel.h"
#include "models/accel/accel.h"
#include "tests/unit/models/accel/fake.h"

#define RINGS	  3u
#define HOST	  0x10000u /* bus address of writable memory */
#define HOST_SIZE 0x10000u
#define READ_ONLY 0x40000u
#define BROKEN	  0x50000u
#define SQ(n)	  ((n)*0x2000u)
#define CQ(n)	  ((n)*0x2000u + 0x1000u)
#define LISTS	  0x8000u /* in host memory */
#define MAX_STEPS 24u
#define VRAM	  (64ull << 20)

struct guest {
	struct fuzz_input in;
	struct mdl_device *dev, *peer;
	unsigned steps;
	bool lossy; /* completions may be lost */
	/* what the hook does, at which door call */
	uint8_t trap_what;
	unsigned trap_pass;
};

static uint8_t host[HOST_SIZE], read_only[4096];

/* A length or offset: mostly small, sometimes at an edge, sometimes anything. */
static uint64_t odd_size(struct guest *g)
{
	uint8_t kind = fuzz_u8(&g->in);

	if (kind < 160)
		return kind;
	if (kind < 220)
		return fuzz_u16(&g->in);
	if (kind < 235)
		return (1ull << (kind % 48)) + (uint64_t)(int64_t)(int8_t)fuzz_u8(&g->in);
	if (kind < 250)
		return VRAM - fuzz_u16(&g->in);
	return fuzz_u64(&g->in);
}

/* An address that makes sense in a space, as often as not. */
static uint64_t address(struct guest *g, unsigned space)
{
	static const uint32_t bases[] = { HOST, READ_ONLY, BROKEN, 0 };
	uint64_t off = odd_size(g);

	return space == ACCEL_SPACE_BUS ? bases[fuzz_u8(&g->in) % 4] + off : off;
}

static uint32_t ring_reg(struct guest *g, unsigned n, uint32_t reg)
{
	return fake_r32(g->dev, ACCEL_RING(n) + reg);
}

/* ---- operations ---- */

static void op_run(struct guest *g)
{
	unsigned n = fuzz_u8(&g->in) % 4 + 1;
	uint64_t before;

	while (n-- && g->steps < MAX_STEPS) {
		g->steps++;
		before = fake_data_bytes();
		fake_step(g->dev);
		fuzz_promise(fake_data_bytes() - before <= 2 * MDL_SLICE + 8,
			     "bounded work a step");
	}
}

static void put_entry(struct guest *g, unsigned ring)
{
	struct accel_sqe s = { .opcode = fuzz_u8(&g->in) % 10, .flags = fuzz_u8(&g->in) & 7 };
	uint32_t slot = ring_reg(g, ring, ACCEL_RING_SQ_TAIL) % 8;
	uint8_t spoil;

	s.param = fuzz_u8(&g->in) % 9;
	s.cmd_id = slot;
	s.src_space = fuzz_u8(&g->in) & 3;
	s.dst_space = fuzz_u8(&g->in) & 3;
	s.len = odd_size(g);
	if (s.flags & ACCEL_SQE_SRC_SGL) {
		s.src_space = 0;
		s.src_addr = HOST + LISTS + (fuzz_u8(&g->in) & 7u) * 0x200;
		s.src_count = fuzz_u8(&g->in) & 15;
	} else if (s.opcode != ACCEL_OP_FILL && s.opcode != ACCEL_OP_WRITE) {
		s.src_addr = address(g, s.src_space);
	}
	if (s.flags & ACCEL_SQE_DST_SGL) {
		s.dst_space = 0;
		s.dst_addr = HOST + LISTS + (fuzz_u8(&g->in) & 7u) * 0x200;
		s.dst_count = fuzz_u8(&g->in) & 15;
	} else if (s.opcode != ACCEL_OP_CRC32C) {
		s.dst_addr = address(g, s.dst_space);
	}
	if (s.opcode == ACCEL_OP_FILL || s.opcode == ACCEL_OP_WRITE || !s.opcode)
		s.imm = fuzz_u8(&g->in);
	/* One byte in four entries is anything. */
	spoil = fuzz_u8(&g->in);
	if (spoil < 64)
		((uint8_t *)&s)[spoil] = fuzz_u8(&g->in);
	memcpy(host + SQ(ring) + slot * sizeof(s), &s, sizeof(s));
}

static void op_submit(struct guest *g)
{
	unsigned ring = fuzz_u8(&g->in) % RINGS;

	put_entry(g, ring);
	fake_w32(g->dev, ACCEL_DOORBELL(ring), ring_reg(g, ring, ACCEL_RING_SQ_TAIL) + 1);
}

static void op_list(struct guest *g)
{
	uint32_t at = LISTS + (fuzz_u8(&g->in) & 7u) * 0x200;
	unsigned n = fuzz_u8(&g->in) & 15, i;

	for (i = 0; i < n; i++) {
		struct accel_sge e = { .space = fuzz_u8(&g->in) & 3 };

		e.len = odd_size(g);
		e.addr = address(g, e.space);
		memcpy(host + at + i * sizeof(e), &e, sizeof(e));
	}
}

static void op_consume(struct guest *g)
{
	unsigned ring = fuzz_u8(&g->in) % RINGS;

	fake_w32(g->dev, ACCEL_DOORBELL(ring) + 4, ring_reg(g, ring, ACCEL_RING_CQ_TAIL));
}

static void op_doorbell(struct guest *g)
{
	uint64_t off = ACCEL_DOORBELL(fuzz_u8(&g->in) % ACCEL_RINGS);

	fake_write(g->dev, off + (fuzz_u8(&g->in) & 4u), odd_size(g), 4);
}

static void op_write(struct guest *g)
{
	static const uint8_t len[] = { 4, 8, 4, 8, 1, 2, 3, 7 };
	uint64_t off = fuzz_u16(&g->in);
	size_t n = len[fuzz_u8(&g->in) % 8];

	if (n > 0x10000 - off)
		off = 0x10000 - n;
	fake_write(g->dev, off, odd_size(g), n);
}

static void op_read(struct guest *g)
{
	uint64_t off = fuzz_u16(&g->in);
	size_t n = fuzz_u8(&g->in) % 8 + 1;

	fake_read(g->dev, off > 0x10000 - n ? 0x10000 - n : off, n);
}

static void op_command(struct guest *g)
{
	unsigned ring = fuzz_u8(&g->in) % RINGS;

	fake_w32(g->dev, ACCEL_RING(ring) + ACCEL_RING_COMMAND, fuzz_u8(&g->in) % 7);
}

static void configure(struct guest *g, unsigned ring, bool local)
{
	uint64_t reg = ACCEL_RING(ring);

	fake_w64(g->dev, reg + ACCEL_RING_SQ_BASE, (local ? 0 : HOST) + SQ(ring));
	fake_w64(g->dev, reg + ACCEL_RING_CQ_BASE, (local ? 0 : HOST) + CQ(ring));
	fake_w32(g->dev, reg + ACCEL_RING_SIZE_LOG2, 3);
	fake_w32(g->dev, reg + ACCEL_RING_SPACE, local ? 0x11 : 0);
	fake_w32(g->dev, reg + ACCEL_RING_VECTOR, ring + 1);
	fake_w32(g->dev, reg + ACCEL_RING_COMMAND, ACCEL_RING_ENABLE);
}

static void op_configure(struct guest *g)
{
	unsigned ring = fuzz_u8(&g->in) % RINGS;

	fake_w32(g->dev, ACCEL_CONTROL, ACCEL_CONTROL_ENABLE);
	configure(g, ring, fuzz_u8(&g->in) & 1);
}

static void op_reset(struct guest *g)
{
	fake_reset(g->dev, (enum mdl_reset)(fuzz_u8(&g->in) % 5));
	fake_bus_master(g->dev, true);
}

static void map_all(bool broken)
{
	fake_unmap_all();
	fake_map(HOST, host, HOST_SIZE, true, broken ? -EIO : 0);
	fake_map(READ_ONLY, read_only, sizeof(read_only), false, 0);
	fake_map(BROKEN, host, 4096, true, -EREMOTEIO);
}

static void op_memory(struct guest *g)
{
	uint8_t what = fuzz_u8(&g->in);

	if (what & 1)
		map_all(what & 2);
	else if (what & 4)
		fake_unmap_all();
	fake_bus_master(g->dev, what & 8);
}

static void op_poke(struct guest *g)
{
	host[fuzz_u16(&g->in) % HOST_SIZE] = fuzz_u8(&g->in);
}

static void op_link(struct guest *g)
{
	fake_link_set(g->dev, fuzz_u8(&g->in) & 1);
}

static void op_time(struct guest *g)
{
	fake_now_ns += odd_size(g) & 0xffffffff;
}

static void op_fault(struct guest *g)
{
	static const char *const points[] = { "accel.cmd.error", "accel.crc.corrupt",
					      "accel.irq.lost",	 "accel.cqe.lost",
					      "accel.db.lost",	 "accel.stall",
					      "accel.fatal" };
	unsigned point = fuzz_u8(&g->in) % 7;

	g->lossy = g->lossy || point == 3;
	fake_arm(g->dev, points[point], (enum mdl_fault_action)(fuzz_u8(&g->in) % 8),
		 fuzz_u8(&g->in), 1);
}

static void op_trap(struct guest *g)
{
	g->trap_pass = fuzz_u8(&g->in) % 8 + 1;
	g->trap_what = fuzz_u8(&g->in);
}

/* Something that happens while the worker is in the middle of a transfer. */
static void trap(void *arg)
{
	struct guest *g = arg;

	if (!g->trap_pass || --g->trap_pass)
		return;
	switch (g->trap_what % 8) {
	case 0:
		fake_reset(g->dev, MDL_RESET_FLR);
		break;
	case 1:
		fake_reset(g->dev, MDL_RESET_FLR);
		fake_w32(g->dev, ACCEL_CONTROL, ACCEL_CONTROL_ENABLE);
		configure(g, 0, g->trap_what & 8);
		break;
	case 2:
		fake_w32(g->dev, ACCEL_CONTROL, g->trap_what >> 3 & 3);
		break;
	case 3:
		fake_w32(g->dev, ACCEL_RING(g->trap_what >> 3 & 1) + ACCEL_RING_COMMAND,
			 g->trap_what >> 4 & 7);
		break;
	case 4:
		fake_unmap_all();
		break;
	case 5:
		fake_link_set(g->dev, g->trap_what & 8);
		break;
	case 6:
		memset(host + LISTS, g->trap_what, 0x1000);
		break;
	default:
		fake_w32(g->dev, ACCEL_DOORBELL(g->trap_what >> 3 & 1) + (g->trap_what >> 4 & 4),
			 g->trap_what >> 4);
	}
}

static void (*const ops[])(struct guest *g) = {
	op_run,	     op_submit, op_list, op_submit, op_run,	op_consume,
	op_doorbell, op_write,	op_read, op_trap,   op_command, op_configure,
	op_reset,    op_memory, op_poke, op_link,   op_time,	op_fault,
};

/* ---- promises ---- */

static void check_ring(struct guest *g, unsigned n)
{
	uint32_t sq = ring_reg(g, n, ACCEL_RING_SQ_TAIL) - ring_reg(g, n, ACCEL_RING_SQ_HEAD);
	uint32_t lost = ring_reg(g, n, ACCEL_RING_SQ_HEAD) - ring_reg(g, n, ACCEL_RING_CQ_TAIL);
	uint32_t size = 1u << (ring_reg(g, n, ACCEL_RING_SIZE_LOG2) & 31);

	fuzz_promise(ring_reg(g, n, ACCEL_RING_STATUS) <= ACCEL_RING_IN_ERROR, "a known state");
	/* One more when the doorbell came while a completion failed to be written. */
	if (ring_reg(g, n, ACCEL_RING_STATUS) != ACCEL_RING_DISABLED)
		fuzz_promise(sq <= size + 1, "no more submitted than there is room for");
	fuzz_promise(g->lossy ? lost <= 64 : !lost, "one completion a command");
}

static void check(struct guest *g)
{
	unsigned i;

	for (i = 0; i < RINGS; i++)
		check_ring(g, i);
	fuzz_promise(fake_r32(g->dev, ACCEL_ID) == ACCEL_ID_VALUE, "constants stay");
}

static void can_be_quieted(struct guest *g)
{
	unsigned i;

	fake_hook = NULL;
	fake_w32(g->dev, ACCEL_CONTROL, 0);
	for (i = 0; i < ACCEL_RINGS; i++)
		fake_w32(g->dev, ACCEL_RING(i) + ACCEL_RING_COMMAND, ACCEL_RING_RESET);
	fake_run(g->dev, 64);
	fuzz_promise(!(fake_r32(g->dev, ACCEL_STATUS) & ACCEL_STATUS_ACTIVE), "rings can be reset");
	fake_w32(g->dev, ACCEL_CONTROL, ACCEL_CONTROL_SOFT_RESET);
	fake_run(g->dev, 2);
	fuzz_promise(!fake_r32(g->dev, ACCEL_CONTROL), "soft reset ends");
	fuzz_promise(!fake_r32(g->dev, ACCEL_STATUS), "soft reset clears");
}

static bool is_zero(const uint8_t *p, size_t len)
{
	return !*p && !memcmp(p, p + 1, len - 1);
}

static void begin(struct guest *g)
{
	unsigned i;

	memset(host, 0, sizeof(host));
	fake_now_ns = 1000;
	map_all(false);
	if (accel_create(NULL, "a", VRAM, &g->dev) || fake_kicked(g->dev) ||
	    accel_create(NULL, "b", VRAM, &g->peer) || fake_kicked(g->peer))
		abort();
	fake_link(g->dev, g->peer);
	fake_w32(g->dev, ACCEL_CONTROL, ACCEL_CONTROL_ENABLE);
	for (i = 0; i < RINGS; i++)
		configure(g, i, false);
	fake_hook = trap;
	fake_hook_arg = g;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct guest g = { .in = { data, size } };

	begin(&g);
	while (g.in.left) {
		ops[fuzz_u8(&g.in) % (sizeof(ops) / sizeof(ops[0]))](&g);
		check(&g);
	}
	op_run(&g);
	can_be_quieted(&g);
	fuzz_promise(is_zero(read_only, sizeof(read_only)), "read-only memory stays");
	mdl_device_destroy(g.dev);
	mdl_device_destroy(g.peer);
	return 0;
}
