// SPDX-License-Identifier: MIT
/* What the device says about commands it cannot do, and that they change nothing. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tests/guest/rig.h"

#define LEN 8192

struct bad {
	const char *name;
	struct pdmai_accel_cmd cmd; /* src and dst are filled in unless n_ is 0 */
	uint64_t src_off, dst_off;  /* added to the address */
	uint16_t status;
	uint8_t where;
	uint64_t info;
	int err;
	enum accel_space dst_space; /* 0: as it is */
};

#define COPY_OF(length) .op = ACCEL_OP_COPY, .len = (length), .n_src = 1, .n_dst = 1

static const struct bad table[] = {
	{ "opcode", { .op = 99 }, 0, 0, ACCEL_BAD_OPCODE, ACCEL_WHERE_DESC, 0x00, -EINVAL, 0 },
	{ "list where there is none",
	  { .op = ACCEL_OP_NOP, .flags = PDMAI_ACCEL_DST_LIST, .n_dst = 1 },
	  0,
	  0,
	  ACCEL_BAD_FLAGS,
	  ACCEL_WHERE_DESC,
	  0x01,
	  -EINVAL,
	  0 },
	{ "unused field",
	  { .op = ACCEL_OP_COPY, .len = LEN, .imm = 1, .n_src = 1, .n_dst = 1 },
	  0,
	  0,
	  ACCEL_BAD_FIELD,
	  ACCEL_WHERE_DESC,
	  0x10,
	  -EINVAL,
	  0 },
	{ "size of a pattern",
	  { .op = ACCEL_OP_FILL, .param = 3, .len = LEN, .n_dst = 1 },
	  0,
	  0,
	  ACCEL_BAD_PARAM,
	  ACCEL_WHERE_DESC,
	  0x02,
	  -EINVAL,
	  0 },
	{ "no length", { COPY_OF(0) }, 0, 0, ACCEL_BAD_LENGTH, ACCEL_WHERE_DESC, 0x08, -EINVAL, 0 },
	{ "too great a length",
	  { COPY_OF((1ull << 40) + 1) },
	  0,
	  0,
	  ACCEL_BAD_LENGTH,
	  ACCEL_WHERE_DESC,
	  0x08,
	  -EINVAL,
	  0 },
	{ "space", { COPY_OF(LEN) }, 0, 0, ACCEL_BAD_SPACE, ACCEL_WHERE_DESC, 0x31, -EINVAL, 3 },
	{ "alignment of a word",
	  { .op = ACCEL_OP_WRITE, .len = 8, .n_dst = 1 },
	  0,
	  4,
	  ACCEL_BAD_ALIGN,
	  ACCEL_WHERE_DESC,
	  0x20,
	  -EINVAL,
	  0 },
	{ "behind the end of VRAM",
	  { COPY_OF(LEN) },
	  0,
	  1ull << 40,
	  ACCEL_BAD_RANGE,
	  ACCEL_WHERE_DESC,
	  0x20,
	  -ERANGE,
	  0 },
	{ "address that wraps",
	  { COPY_OF(LEN) },
	  UINT64_MAX - (1u << 30),
	  0,
	  ACCEL_BAD_RANGE,
	  ACCEL_WHERE_DESC,
	  0x18,
	  -ERANGE,
	  0 },
	{ "sum of a list",
	  { .op = ACCEL_OP_COPY,
	    .len = LEN + 8,
	    .flags = PDMAI_ACCEL_SRC_LIST,
	    .n_src = 1,
	    .n_dst = 1 },
	  0,
	  0,
	  ACCEL_SGL_LENGTH,
	  ACCEL_WHERE_SRC_SGL,
	  1,
	  -EINVAL,
	  0 },
	{ "overlap", { COPY_OF(LEN) }, 0, 8, ACCEL_OVERLAP, ACCEL_WHERE_NONE, 0, -EINVAL, 0 },
};

static void check_bad(struct rig *r, const struct bad *b, struct rig_area *a, struct rig_area *c)
{
	bool overlap = b->status == ACCEL_OVERLAP;
	struct pdmai_accel_mem src = a->mem, dst = overlap ? a->mem : c->mem;
	struct pdmai_accel_cmd cmd = b->cmd;
	struct pdmai_accel_done done;

	src.addr += b->src_off;
	dst.addr += b->dst_off;
	if (b->dst_space)
		dst.space = b->dst_space;
	cmd.src = &src;
	cmd.dst = &dst;
	done = rig_run(r, 0, &cmd);
	if (done.status != b->status || done.where != b->where || done.info != b->info ||
	    done.err != b->err || done.result)
		tap_fail(__FILE__, __LINE__, "%s: %s, where %u, info 0x%" PRIx64 ", errno %d",
			 b->name, pdmai_accel_status_name(done.status), done.where, done.info,
			 -done.err);
	RIG_CHECK_AREA(a, 1);
	RIG_CHECK_AREA(c, 2);
}

static void malformed_commands_do_nothing(void)
{
	struct rig_area a, c;
	struct rig r;

	rig_open(&r, false);
	rig_area(&r, 0, RIG_OWN, LEN, 0, &a);
	rig_area(&r, 0, RIG_OWN, LEN, 0, &c);
	rig_area_fill(&a, 1);
	rig_area_fill(&c, 2);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		check_bad(&r, &table[i], &a, &c);
	/* And the ring goes on. */
	rig_copy(&r, 0, &c, &a);
	RIG_CHECK_AREA(&c, 1);
	rig_close(&r);
}

/* One side at a bus address nobody has. */
static void nothing_at_the_address(void)
{
	struct rig_area a;
	struct pdmai_accel_mem nowhere = { ACCEL_SPACE_BUS, 0x7000000000, LEN };
	struct pdmai_accel_cmd cmd = { COPY_OF(LEN), .src = &nowhere };
	struct pdmai_accel_done done;
	struct rig r;

	rig_open(&r, false);
	rig_area(&r, 0, RIG_OWN, LEN, 0, &a);
	rig_area_fill(&a, 9);
	cmd.dst = &a.mem;
	done = rig_run(&r, 0, &cmd);
	CHECK_EQ(done.status, ACCEL_DMA_UNMAPPED);
	CHECK_EQ(done.err, -EFAULT);
	CHECK_EQ(done.where, ACCEL_WHERE_SRC);
	CHECK(done.result == nowhere.addr);
	cmd.src = &a.mem;
	cmd.dst = &nowhere;
	done = rig_run(&r, 0, &cmd);
	CHECK_EQ(done.status, ACCEL_DMA_UNMAPPED);
	CHECK_EQ(done.where, ACCEL_WHERE_DST);
	CHECK(done.result == nowhere.addr);
	RIG_CHECK_AREA(&a, 9);
	rig_close(&r);
}

static void unmapped_memory_is_out_of_reach_at_once(void)
{
	struct rig_area host, a;
	struct pdmai_accel_mem was;
	struct pdmai_accel_cmd cmd = { COPY_OF(LEN), .src = &a.mem, .dst = &was };
	char *still;
	struct rig r;

	rig_open(&r, false);
	rig_area(&r, 0, RIG_HOST, LEN, 0, &host);
	rig_area(&r, 0, RIG_OWN, LEN, 0, &a);
	rig_area_fill(&a, 4);
	rig_area_fill(&host, 5);
	was = host.mem;
	still = host.cpu;
	CHECK_EQ(pdmai_dev_dma_unmap(r.pair.dev[0], host.host.iova, host.host.len), 0);
	CHECK_EQ(rig_run(&r, 0, &cmd).status, ACCEL_DMA_UNMAPPED);
	CHECK_EQ(kit_pattern_check(still, LEN, 5, 0, NULL), 0);
	CHECK_EQ(pdmai_dev_dma_unmap(r.pair.dev[0], host.host.iova, host.host.len), -ENOENT);
	rig_close(&r);
}

static void mapping_for_reading_is_not_written(void)
{
	struct rig_area host, a;
	struct pdmai_accel_mem view = { ACCEL_SPACE_BUS, 0, LEN };
	struct pdmai_accel_cmd cmd = { COPY_OF(LEN), .src = &view, .dst = &a.mem };
	struct pdmai_accel_done done;
	uint64_t iova;
	struct rig r;

	rig_open(&r, false);
	rig_area(&r, 0, RIG_HOST, LEN, 0, &host);
	rig_area(&r, 0, RIG_OWN, LEN, 0, &a);
	rig_area_fill(&host, 6);
	CHECK_EQ(pdmai_dev_dma_map(r.pair.dev[0], host.cpu, LEN, PDMAI_DMA_READ, &iova), 0);
	view.addr = iova;
	rig_do(&r, 0, &cmd);
	RIG_CHECK_AREA(&a, 6);
	rig_area_fill(&a, 7);
	cmd.src = &a.mem;
	cmd.dst = &view;
	done = rig_run(&r, 0, &cmd);
	CHECK(done.status == ACCEL_DMA_DENIED || done.status == ACCEL_DMA_UNMAPPED);
	CHECK_EQ(done.where, ACCEL_WHERE_DST);
	RIG_CHECK_AREA(&host, 6);
	CHECK_EQ(pdmai_dev_dma_unmap(r.pair.dev[0], iova, LEN), 0);
	rig_close(&r);
}

static void bus_master_off_stops_dma_but_not_own_memory(void)
{
	struct rig_area peer, a, b;
	struct pdmai_accel_cmd cmd = { COPY_OF(LEN), .src = &a.mem, .dst = &peer.mem };
	struct pdmai_accel_ring *ring;
	struct pdmai_accel_done done;
	struct rig r;

	rig_open(&r, false);
	ring = rig_ring(&r, 0,
			(struct pdmai_accel_ring_config){
				.idx = 1, .size_log2 = 2, .place = PDMAI_ACCEL_IN_VRAM });
	rig_area(&r, 0, RIG_PEER, LEN, 0, &peer);
	rig_area(&r, 0, RIG_OWN, LEN, 0, &a);
	rig_area(&r, 0, RIG_OWN, LEN, 0, &b);
	rig_area_fill(&a, 1);
	rig_area_fill(&peer, 2);
	CHECK_EQ(pdmai_dev_enable(r.pair.dev[0], true, false), 0);
	CHECK_EQ(pdmai_accel_run(ring, &cmd, RIG_WAIT_NS, &done), 0);
	CHECK_EQ(done.status, ACCEL_DMA_DENIED);
	CHECK_EQ(done.err, -EACCES);
	RIG_CHECK_AREA(&peer, 2);
	cmd.dst = &b.mem;
	CHECK_EQ(pdmai_accel_run(ring, &cmd, RIG_WAIT_NS, &done), 0);
	CHECK_EQ(done.status, ACCEL_OK);
	RIG_CHECK_AREA(&b, 1);
	CHECK_EQ(pdmai_dev_enable(r.pair.dev[0], true, true), 0);
	cmd.dst = &peer.mem;
	CHECK_EQ(pdmai_accel_run(ring, &cmd, RIG_WAIT_NS, &done), 0);
	CHECK_EQ(done.status, ACCEL_OK);
	RIG_CHECK_AREA(&peer, 1);
	pdmai_accel_ring_destroy(ring);
	rig_close(&r);
}

static void failed_transfer_is_told_and_the_next_works(void)
{
	struct rig_area peer, a;
	struct pdmai_accel_cmd cmd = { COPY_OF(LEN), .src = &peer.mem, .dst = &a.mem };
	struct pdmai_accel_done done;
	struct rig r;

	rig_open(&r, false);
	rig_area(&r, 0, RIG_PEER, LEN, 0, &peer);
	rig_area(&r, 0, RIG_OWN, LEN, 0, &a);
	rig_area_fill(&peer, 1);
	CHECK_EQ(kit_control_fault(r.control, "acc0", "dma.peer.read", "error", 0, 0, 1), 0);
	done = rig_run(&r, 0, &cmd);
	CHECK_EQ(done.status, ACCEL_DMA_ERROR);
	CHECK_EQ(done.err, -EIO);
	rig_do(&r, 0, &cmd);
	RIG_CHECK_AREA(&a, 1);
	rig_close(&r);
}

/* The checks of this suite see a wrong bit: the fabric flips one. */
static void silent_corruption_is_found(void)
{
	struct rig_area peer, a;
	struct kit_mismatch m;
	struct rig r;

	rig_open(&r, false);
	rig_area(&r, 0, RIG_PEER, LEN, 0, &peer);
	rig_area(&r, 0, RIG_OWN, LEN, 0, &a);
	rig_area_fill(&peer, 1);
	CHECK_EQ(kit_control_fault(r.control, "acc0", "dma.peer.read", "corrupt", 12345, 0, 1), 0);
	rig_copy(&r, 0, &a, &peer);
	CHECK_EQ(kit_pattern_check(a.cpu, LEN, 1, 0, &m), 1);
	CHECK_EQ(__builtin_popcountll(m.want ^ m.got), 1);
	rig_copy(&r, 0, &a, &peer);
	RIG_CHECK_AREA(&a, 1);
	rig_close(&r);
}

static const struct tap_test tests[] = {
	{ "malformed_commands_do_nothing", malformed_commands_do_nothing, TAP_ANYWHERE },
	{ "nothing_at_the_address", nothing_at_the_address, TAP_ANYWHERE },
	{ "unmapped_memory_is_out_of_reach_at_once", unmapped_memory_is_out_of_reach_at_once,
	  TAP_WITH_IOMMU },
	{ "mapping_for_reading_is_not_written", mapping_for_reading_is_not_written,
	  TAP_WITH_IOMMU },
	{ "bus_master_off_stops_dma_but_not_own_memory",
	  bus_master_off_stops_dma_but_not_own_memory, TAP_ANYWHERE },
	{ "failed_transfer_is_told_and_the_next_works", failed_transfer_is_told_and_the_next_works,
	  TAP_ANYWHERE },
	{ "silent_corruption_is_found", silent_corruption_is_found, TAP_ANYWHERE },
};

TAP_MAIN(tests)
