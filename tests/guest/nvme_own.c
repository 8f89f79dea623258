// SPDX-License-Identifier: MIT
/* A drive driven from user space: data, queues, refusals, resets. */
#include "tests/guest/nvme_own.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LBA 4096

static void what_it_is(void)
{
	struct pdma_nvme_namespace ns;
	struct pdma_nvme *again;
	struct own o;

	own_open(&o);
	printf("# %s, %s, %u queues of %u, CMB of %" PRIu64 "\n", o.info.model, o.info.serial,
	       o.info.queues, o.info.entries_max, o.info.cmb_len);
	CHECK_EQ(o.info.version, 0x20000);
	CHECK_EQ(o.info.entries_max, 1024);
	CHECK_EQ(o.info.queues, 32);
	CHECK_EQ(o.info.bell_stride, 4);
	CHECK_EQ(o.info.len_max, MIB);
	CHECK_EQ(o.info.cmb_len, 64 * MIB);
	CHECK_EQ(o.info.cmb_legacy, OWN_IS_LEGACY);
	CHECK(o.info.cache && o.info.compare);
	CHECK_EQ(o.info.n_namespaces, 2);
	CHECK_EQ(o.ns.nsid, 1);
	CHECK_EQ(o.ns.block, 512);
	LIB_OK(pdma_nvme_namespace(o.nvme, 1, &ns));
	CHECK_EQ(ns.block, 4096);
	LIB_FAILS(pdma_nvme_namespace(o.nvme, 2, &ns), ERANGE);
	LIB_FAILS(pdma_nvme_open(o.rig.ctx, getenv("PEERDMA_SLOT_DISK0"), &again), EBUSY);
	LIB_FAILS(pdma_nvme_open(o.rig.ctx, getenv("PEERDMA_SLOT_ACC0"), &again), ENODEV);
	LIB_FAILS(pdma_nvme_open(o.rig.ctx, "nonsense", &again), EINVAL);
	LIB_OK(pdma_nvme_check(o.nvme));
	own_close(&o);
}

/* Out of one place, into another, where something else was before. */
static void there_and_back(struct own *o, struct pdma_nvme_queue *q, struct own_area *a,
			   uint64_t off, uint64_t len)
{
	static uint64_t seed = 100;

	seed++;
	own_fill(a, off, len, seed);
	LIB_OK(own_io(o, q, PDMA_NVME_WRITE, LBA, a, off, len));
	own_fill(a, off, len, 1);
	LIB_OK(own_io(o, q, PDMA_NVME_READ, LBA, a, off, len));
	own_check(a, off, len, seed);
}

static const struct {
	uint64_t off, len;
} shapes[] = {
	{ 0, 512 },	  { 0, 3584 },		{ 512, 3584 },	   { 4, 3584 }, { 4092, 512 },
	{ 0, 4096 },	  { 4, 4096 },		{ 0, 4608 },	   { 0, 8192 }, { 4, 8192 },
	{ 0, 8704 },	  { 3584, 65536 },	{ 0, MIB - 512 },  { 0, MIB },	{ 4, MIB },
	{ 0, MIB + 512 }, { 0, 2 * MIB + 512 }, { 4092, 3 * MIB },
};

static void all_shapes(struct own *o, struct pdma_nvme_queue *q, struct own_area *a)
{
	/* Canaries on both sides of each. */
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		own_fill(a, 4 * MIB + shapes[i].off - 64, 64, 7);
		own_fill(a, 4 * MIB + shapes[i].off + shapes[i].len, 64, 8);
		there_and_back(o, q, a, 4 * MIB + shapes[i].off, shapes[i].len);
		own_check(a, 4 * MIB + shapes[i].off - 64, 64, 7);
		own_check(a, 4 * MIB + shapes[i].off + shapes[i].len, 64, 8);
	}
}

static void host_memory(void)
{
	struct own_area a;
	struct own o;

	own_open(&o);
	own_area(&o, "host:8M", 0, &a);
	all_shapes(&o, o.queue, &a);
	own_area_free(&a);
	own_close(&o);
}

static uint64_t host_data(struct own *o)
{
	struct kit_bytes b = lib_bytes(&o->rig, "disk0");

	return b.read[KIT_HOST] + b.write[KIT_HOST];
}

/* Queues and data in the drive's own buffer: no byte of data through host memory. */
static void its_own_buffer(void)
{
	struct pdma_nvme_queue *q;
	struct own_area a;
	uint64_t before;
	struct own o;

	own_open(&o);
	own_area(&o, NULL, 8 * MIB, &a);
	LIB_OK(pdma_nvme_queue_create(o.nvme, 64, PDMA_NVME_SQ_IN_CMB | PDMA_NVME_CQ_IN_CMB, &q));
	before = host_data(&o);
	all_shapes(&o, q, &a);
	CHECK_EQ(host_data(&o), before);
	pdma_nvme_queue_destroy(q);
	own_area_free(&a);
	own_close(&o);
}

static void memory_of_an_accelerator(void)
{
	struct own_area a;
	uint64_t before;
	struct own o;

	own_open(&o);
	own_area(&o, "accel:ACC0+16M:8M", 0, &a);
	before = host_data(&o);
	all_shapes(&o, o.queue, &a);
	CHECK_EQ(host_data(&o), before);
	own_area_free(&a);
	own_close(&o);
}

static void pieces_of_several_regions(void)
{
	struct pdma_region *parts[3], *all;
	struct own_area a = { 0 };
	struct own o;

	own_open(&o);
	parts[0] = lib_region(&o.rig, "host:64K");
	parts[1] = lib_region(&o.rig, "accel:ACC1+4K:64K");
	LIB_OK(pdma_nvme_cmb(o.nvme, 64 * KIB, NULL, &parts[2]));
	LIB_OK(pdma_region_join(parts, 3, NULL, &all));
	a.region = all;
	LIB_OK(pdma_nvme_map(o.nvme, all, &a.mem));
	there_and_back(&o, o.queue, &a, 512, 191 * KIB);
	own_area_free(&a);
	for (int i = 0; i < 3; i++)
		pdma_region_close(parts[i]);
	own_close(&o);
}

static void compare_and_flush(void)
{
	struct own_area a;
	struct own o;

	own_open(&o);
	own_area(&o, "host:64K", 0, &a);
	own_fill(&a, 0, 16384, 5);
	LIB_OK(own_io(&o, o.queue, PDMA_NVME_WRITE, LBA, &a, 0, 16384));
	LIB_OK(own_io(&o, o.queue, PDMA_NVME_FLUSH, 0, NULL, 0, 0));
	LIB_OK(own_io(&o, o.queue, PDMA_NVME_COMPARE, LBA, &a, 0, 16384));
	own_fill(&a, 16376, 8, 6);
	LIB_FAILS(own_io(&o, o.queue, PDMA_NVME_COMPARE, LBA, &a, 0, 16384), EBADMSG);
	own_area_free(&a);
	own_close(&o);
}

static void bad_commands(struct own *o, struct own_area *a)
{
	struct pdma_nvme_cmd cmd = { .op = PDMA_NVME_READ, .nsid = 1, .len = 512, .mem = a->mem };
	struct pdma_nvme_cmd bad;

#define REFUSED(change, err)                                      \
	do {                                                      \
		bad = cmd;                                        \
		bad.change;                                       \
		LIB_FAILS(pdma_nvme_submit(o->queue, &bad), err); \
	} while (0)
	REFUSED(nsid = 3, ENOENT);
	REFUSED(op = 9, EINVAL);
	REFUSED(flags = 2, EINVAL);
	REFUSED(mem = NULL, EINVAL);
	REFUSED(len = 0, EINVAL);
	REFUSED(len = 4095, EINVAL);
	REFUSED(off = 1, EINVAL);
	REFUSED(len = MIB + 512, EINVAL);
	REFUSED(off = 8 * MIB - 511, ERANGE);
	REFUSED(off = UINT64_MAX, ERANGE);
	REFUSED(lba = o->ns.blocks, ERANGE);
	REFUSED(lba = UINT64_MAX, ERANGE);
	REFUSED(op = PDMA_NVME_FLUSH, EINVAL);
#undef REFUSED
	bad = cmd;
	bad.lba = o->ns.blocks - 1;
	LIB_OK(pdma_nvme_io(o->queue, &bad, OWN_MS));
}

static void what_is_refused(void)
{
	struct pdma_nvme_queue *q[33];
	struct pdma_nvme_done done;
	struct pdma_region *bells, *cmb;
	struct pdma_nvme_mem *mem;
	struct own_area a;
	struct own o;

	own_open(&o);
	own_area(&o, "host:8M", 0, &a);
	bad_commands(&o, &a);
	LIB_FAILS(pdma_nvme_wait(o.queue, 10, &done), ENOENT);
	LIB_FAILS(pdma_nvme_queue_create(o.nvme, 1, 0, &q[0]), EINVAL);
	LIB_FAILS(pdma_nvme_queue_create(o.nvme, 1025, 0, &q[0]), EINVAL);
	LIB_FAILS(pdma_nvme_queue_create(o.nvme, 8, 8, &q[0]), EINVAL);
	for (int i = 0; i < 31; i++)
		LIB_OK(pdma_nvme_queue_create(o.nvme, 2, 0, &q[i]));
	LIB_FAILS(pdma_nvme_queue_create(o.nvme, 2, 0, &q[31]), EBUSY);
	there_and_back(&o, q[30], &a, 0, 3 * MIB);
	for (int i = 0; i < 31; i++)
		pdma_nvme_queue_destroy(q[i]);
	bells = lib_region(&o.rig, "vfio:DISK0/bar0+4K:4K");
	LIB_FAILS(pdma_nvme_map(o.nvme, bells, &mem), EINVAL);
	pdma_region_close(bells);
	LIB_FAILS(pdma_nvme_cmb(o.nvme, 65 * MIB, NULL, &cmb), ENOSPC);
	LIB_FAILS(pdma_nvme_cmb(o.nvme, 0, NULL, &cmb), ENOSPC);
	own_area_free(&a);
	own_close(&o);
}

static void a_full_queue(void)
{
	struct pdma_nvme_cmd cmd = { .op = PDMA_NVME_READ, .nsid = 1, .len = 4096 };
	struct pdma_nvme_done done;
	struct pdma_nvme_queue *q;
	struct own_area a;
	unsigned seen = 0;
	struct own o;

	own_open(&o);
	own_area(&o, "host:64K", 0, &a);
	cmd.mem = a.mem;
	LIB_OK(pdma_nvme_queue_create(o.nvme, 5, 0, &q));
	CHECK_EQ(kit_control_fault(o.rig.control, "disk0", "nvme.stall", "stall", 0, 0, 0), 0);
	for (cmd.cookie = 0; cmd.cookie < 4; cmd.cookie++)
		LIB_OK(pdma_nvme_submit(q, &cmd));
	CHECK_EQ(pdma_nvme_submit(q, &cmd), -EAGAIN);
	CHECK_EQ(pdma_nvme_unmap(a.mem), -EBUSY);
	LIB_FAILS(pdma_nvme_wait(q, 20, &done), ETIMEDOUT);
	CHECK_EQ(kit_control_fault(o.rig.control, "disk0", "nvme.stall", "none", 0, 0, 0), 0);
	for (int i = 0; i < 4; i++) {
		LIB_OK(pdma_nvme_wait(q, OWN_MS, &done));
		CHECK_EQ(done.err, 0);
		CHECK(done.cookie < 4);
		seen |= 1u << done.cookie;
	}
	CHECK_EQ(seen, 15);
	/* Round and round. */
	for (int i = 0; i < 40; i++)
		LIB_OK(own_io(&o, q, PDMA_NVME_READ, 0, &a, 0, 512));
	pdma_nvme_queue_destroy(q);
	own_area_free(&a);
	own_close(&o);
}

static void fault(struct own *o, const char *point, const char *action, uint64_t arg)
{
	CHECK_EQ(kit_control_fault(o->rig.control, "disk0", point, action, arg, 0, 1), 0);
}

/* What the drive says went wrong, by the errno the header names. */
static void what_the_drive_reports(void)
{
	struct own_area a;
	struct own o;

	own_open(&o);
	own_area(&o, "host:64K", 0, &a);
	fault(&o, "nvme.cmd.error", "error", 0);
	LIB_FAILS(own_io(&o, o.queue, PDMA_NVME_READ, 0, &a, 0, 512), EIO);
	fault(&o, "nvme.cmd.error", "error", 0x80);
	LIB_FAILS(own_io(&o, o.queue, PDMA_NVME_READ, 0, &a, 0, 512), ERANGE);
	fault(&o, "nvme.cmd.error", "error", 0x1ff);
	LIB_FAILS(own_io(&o, o.queue, PDMA_NVME_READ, 0, &a, 0, 512), EREMOTEIO);
	fault(&o, "nvme.cqe.lost", "drop", 0);
	CHECK_EQ(pdma_nvme_io(o.queue,
			      &(struct pdma_nvme_cmd){
				      .op = PDMA_NVME_READ, .nsid = 1, .len = 512, .mem = a.mem },
			      50),
		 -ETIMEDOUT);
	/* A drive that fails is told from one that is slow, and comes back. */
	fault(&o, "nvme.power.cut", "error", 0);
	LIB_FAILS(own_io(&o, o.queue, PDMA_NVME_FLUSH, 0, NULL, 0, 0), EBUSY);
	LIB_OK(pdma_nvme_submit(o.queue,
				&(struct pdma_nvme_cmd){ .op = PDMA_NVME_FLUSH, .nsid = 1 }));
	struct pdma_nvme_done done;

	LIB_FAILS(pdma_nvme_wait(o.queue, OWN_MS, &done), EIO);
	LIB_FAILS(pdma_nvme_check(o.nvme), EIO);
	LIB_OK(pdma_nvme_reset(o.nvme));
	LIB_FAILS(pdma_nvme_wait(o.queue, OWN_MS, &done), ECONNRESET);
	pdma_nvme_queue_destroy(o.queue);
	LIB_OK(pdma_nvme_queue_create(o.nvme, 32, 0, &o.queue));
	there_and_back(&o, o.queue, &a, 0, 4096);
	own_area_free(&a);
	own_close(&o);
}

/* Commands in the middle of a load; the reset must leave nothing behind. */
static void load(struct own *o, struct own_area *a)
{
	struct pdma_nvme_cmd cmd = {
		.op = PDMA_NVME_WRITE, .nsid = 1, .len = 256 * KIB, .mem = a->mem
	};

	for (int i = 0; i < 16; i++, cmd.lba += 512)
		LIB_OK(pdma_nvme_submit(o->queue, &cmd));
}

static void again(struct own *o, struct own_area *a)
{
	struct pdma_nvme_done done;

	/* What was done before the reset may still be told, nothing else. */
	int ret = pdma_nvme_wait(o->queue, OWN_MS, &done);

	if (ret != -ECONNRESET)
		tap_fail(__FILE__, __LINE__, "%d instead of -ECONNRESET", ret);
	pdma_nvme_queue_destroy(o->queue);
	LIB_OK(pdma_nvme_queue_create(o->nvme, 32, 0, &o->queue));
	there_and_back(o, o->queue, a, 0, MIB);
}

static void resets_under_load(void)
{
	struct own_area a;
	struct own o;

	own_open(&o);
	own_area(&o, NULL, 4 * MIB, &a);
	for (int i = 0; i < 5; i++) {
		load(&o, &a);
		LIB_OK(pdma_nvme_reset(o.nvme));
		again(&o, &a);
	}
	/* From outside: nobody tells the driver. */
	for (int i = 0; i < 5; i++) {
		struct pdma_nvme_done done;
		int ret;

		load(&o, &a);
		CHECK_EQ(kit_control_reset(o.rig.control, "disk0"), 0);
		while (!(ret = pdma_nvme_wait(o.queue, OWN_MS, &done)))
			;
		CHECK(ret == -ECONNRESET || ret == -ENOENT);
		LIB_FAILS(pdma_nvme_check(o.nvme), ECONNRESET);
		LIB_OK(pdma_nvme_reset(o.nvme));
		again(&o, &a);
	}
	own_area_free(&a);
	own_close(&o);
}

/* Of the function, by VFIO: every region of it is revoked. */
static void a_function_level_reset(void)
{
	struct own_area a, b;
	struct own o;

	own_open(&o);
	own_area(&o, NULL, 4 * MIB, &a);
	load(&o, &a);
	LIB_OK(pdma_region_reset(a.region));
	lib_event(&o.rig, PDMA_EVENT_REGION_REVOKED);
	LIB_OK(pdma_nvme_reset(o.nvme));
	own_area(&o, NULL, 4 * MIB, &b);
	again(&o, &b);
	LIB_FAILS(own_io(&o, o.queue, PDMA_NVME_READ, 0, &a, 0, 512), ESTALE);
	own_area_free(&a);
	own_area_free(&b);
	own_close(&o);
}

static void a_region_is_revoked(const char *uri, int then)
{
	struct pdma_nvme_cmd cmd = { .op = PDMA_NVME_READ, .nsid = 1, .len = 4096 };
	struct pdma_nvme_done done = { 0 };
	struct own_area a;
	struct own o;
	int ret;

	own_open(&o);
	own_area(&o, uri, 64 * KIB, &a);
	cmd.mem = a.mem;
	CHECK_EQ(kit_control_fault(o.rig.control, "disk0", "nvme.stall", "stall", 0, 0, 0), 0);
	LIB_OK(pdma_nvme_submit(o.queue, &cmd));
	LIB_OK(pdma_region_revoke(a.region, "the test wants it"));
	CHECK_EQ(kit_control_fault(o.rig.control, "disk0", "nvme.stall", "none", 0, 0, 0), 0);
	ret = pdma_nvme_wait(o.queue, OWN_MS, &done);
	CHECK_EQ(ret ? ret : done.err, then);
	if (!ret)
		LIB_FAILS(pdma_nvme_submit(o.queue, &cmd), ESTALE);
	pdma_nvme_queue_destroy(o.queue);
	o.queue = NULL;
	own_area_free(&a);
	own_close(&o);
}

static void host_memory_is_revoked(void)
{
	a_region_is_revoked("host:64K", -EFAULT);
}

/* No IOMMU stands between the drive and its own buffer. */
static void its_buffer_is_revoked(void)
{
	a_region_is_revoked(NULL, -ECONNRESET);
}

static void closing_revokes_the_buffer(void)
{
	struct pdma_region *r;
	struct own o;
	char c;

	own_open(&o);
	LIB_OK(pdma_nvme_cmb(o.nvme, 4096, NULL, &r));
	pdma_nvme_queue_destroy(o.queue);
	pdma_nvme_close(o.nvme);
	lib_event(&o.rig, PDMA_EVENT_REGION_REVOKED);
	LIB_FAILS(pdma_region_read(r, 0, &c, 1), ESTALE);
	/* A new owner beside the old region. */
	LIB_OK(pdma_nvme_open(o.rig.ctx, getenv("PEERDMA_SLOT_DISK0"), &o.nvme));
	pdma_region_close(r);
	pdma_nvme_close(o.nvme);
	lib_close(&o.rig);
}

static const struct tap_test tests[] = {
	{ "what_it_is", what_it_is, TAP_ANYWHERE },
	{ "host_memory", host_memory, TAP_ANYWHERE },
	{ "its_own_buffer", its_own_buffer, TAP_ANYWHERE },
	{ "memory_of_an_accelerator", memory_of_an_accelerator, TAP_ANYWHERE },
	{ "pieces_of_several_regions", pieces_of_several_regions, TAP_ANYWHERE },
	{ "compare_and_flush", compare_and_flush, TAP_ANYWHERE },
	{ "what_is_refused", what_is_refused, TAP_ANYWHERE },
	{ "a_full_queue", a_full_queue, TAP_ANYWHERE },
	{ "what_the_drive_reports", what_the_drive_reports, TAP_ANYWHERE },
	{ "resets_under_load", resets_under_load, TAP_ANYWHERE },
	{ "a_function_level_reset", a_function_level_reset, TAP_ANYWHERE },
	{ "host_memory_is_revoked", host_memory_is_revoked, TAP_ANYWHERE },
	{ "its_buffer_is_revoked", its_buffer_is_revoked, TAP_ANYWHERE },
	{ "closing_revokes_the_buffer", closing_revokes_the_buffer, TAP_ANYWHERE },
};

OWN_MAIN(tests)
