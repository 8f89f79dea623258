// SPDX-License-Identifier: MIT
/* Copies through the door: every pair of kinds, gates, resets between slices, faults, counters. */
#include "tests/unit/models/common/testdev.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "models/common/worker.h"

#define PEER UINT64_C(0x4800000000)
#define REGS UINT64_C(0xfe001000)
#define RAM  (4u * 1024u * 1024u)
#define RW   (MDL_PROT_READ | MDL_PROT_WRITE)
#define LEN  20000u

/* a: the one that asks; b: its peer below the switch; c: on another node, linked to a. */
struct fix {
	struct mdl_node *node, *far;
	struct tdev *a, *b, *c;
	struct tram ram;
	struct mdl_dma d;
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));

	f->node = tnode_create("n", true, false);
	f->far = tnode_create("m", true, false);
	f->a = tdev_create(f->node, "a0");
	f->b = tdev_create(f->node, "b0");
	f->c = tdev_create(f->far, "c0");
	tdev_enable(f->a, 0xfe000000, 0x4700000000);
	tdev_enable(f->b, (uint32_t)REGS, PEER);
	tdev_enable(f->c, 0xfe000000, 0x4700000000);
	mdl_device_place(f->a->dev, 0, false);
	mdl_device_place(f->b->dev, 0, false);
	assert_int_equal(mdl_link(f->a->dev, f->c->dev), 0);
	f->ram = tram_create(RAM);
	tdev_map(f->a, &f->ram, 0, 0, RAM, RW);
	tdev_window_is_ram(f->a, 0, 0, RAM, 0);
	mdl_dma_begin(&f->d, f->a->dev);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	tdev_destroy(f->a);
	tdev_destroy(f->b);
	tdev_destroy(f->c);
	mdl_node_destroy(f->node);
	mdl_node_destroy(f->far);
	tram_destroy(&f->ram);
	free(f);
	return 0;
}

struct kind {
	enum mdl_space space;
	uint64_t addr;
	enum mdl_target target;
};

static const struct kind kinds[] = {
	{ MDL_SPACE_BUS, 0x10000, MDL_T_HOST },
	{ MDL_SPACE_LOCAL, 0x8000, MDL_T_OWN },
	{ MDL_SPACE_BUS, PEER + 0x8000, MDL_T_PEER_SWITCH },
	{ MDL_SPACE_LINK, 0x8000, MDL_T_LINK },
};

static uint8_t *memory_of(struct fix *f, const struct kind *k)
{
	switch (k->target) {
	case MDL_T_HOST:
		return f->ram.mem + k->addr;
	case MDL_T_OWN:
		return f->a->vram + k->addr;
	case MDL_T_LINK:
		return f->c->vram + k->addr;
	default:
		return f->b->vram + (k->addr - PEER);
	}
}

static int copy(struct fix *f, struct mdl_seg dst, struct mdl_seg src, uint64_t *done)
{
	return mdl_dma_copyv(&f->d, &dst, 1, &f->d, &src, 1, MDL_DATA, done);
}

static struct mdl_seg seg(const struct kind *k, uint64_t off, uint64_t len)
{
	return (struct mdl_seg){ .addr = k->addr + off, .len = len, .space = k->space };
}

static void every_pair(void **state)
{
	struct fix *f = *state;
	unsigned s, t;

	for (s = 0; s < 4; s++) {
		for (t = 0; t < 4; t++) {
			uint8_t *from = memory_of(f, &kinds[s]);
			uint8_t *to = memory_of(f, &kinds[t]) + 64 * 1024;
			uint64_t done;

			mdl_device_counters_reset(f->a->dev);
			tpat_fill(from, LEN, s * 4 + t);
			memset(to - 16, 0xcc, LEN + 32);
			assert_int_equal(copy(f, seg(&kinds[t], 64 * 1024, LEN),
					      seg(&kinds[s], 0, LEN), &done),
					 0);
			assert_int_equal(done, LEN);
			assert_int_equal(tpat_check(to, LEN, s * 4 + t), -1);
			assert_int_equal(to[-1] & to[LEN], 0xcc);
			assert_int_equal(tcount_bytes(f->a, MDL_DATA, kinds[s].target, false), LEN);
			assert_int_equal(tcount_bytes(f->a, MDL_DATA, kinds[t].target, true), LEN);
			assert_int_equal(tcount_all(f->a), 2 * LEN);
		}
	}
	assert_int_equal(tcount_all(f->b) + tcount_all(f->c), 0);
}

/* Pieces of every odd length on both sides, with empty segments between. */
static void scatter_lists(void **state)
{
	struct fix *f = *state;
	struct mdl_seg src[64], dst[64];
	uint64_t done, s_off = 0, d_off = 0;
	unsigned i;

	for (i = 0; i < 64; i++) {
		uint64_t n = i % 8 == 3 ? 0 : 37 * i + 1, m = i % 8 == 5 ? 0 : 37 * (63 - i) + 1;

		src[i] = seg(&kinds[i % 4], 8192 * (i / 4), n);
		dst[i] = (struct mdl_seg){ .addr = 0x80000 + d_off,
					   .len = m,
					   .space = MDL_SPACE_LOCAL };
		s_off += n;
		d_off += m;
	}
	/* Even the ends out. */
	if (s_off > d_off)
		dst[63].len += s_off - d_off;
	else
		src[63].len += d_off - s_off;
	if (s_off < d_off)
		s_off = d_off;
	for (i = 0; i < 64; i++)
		tpat_fill(memory_of(f, &kinds[i % 4]) + 8192 * (i / 4), src[i].len, i);
	assert_int_equal(mdl_dma_copyv(&f->d, dst, 64, &f->d, src, 64, MDL_DATA, &done), 0);
	assert_int_equal(done, s_off);
	for (s_off = i = 0; i < 64; s_off += src[i++].len)
		assert_int_equal(tpat_check(f->a->vram + 0x80000 + s_off, src[i].len, i), -1);
}

static void refuses_bad_lists(void **state)
{
	struct fix *f = *state;
	struct mdl_seg two[2] = { seg(&kinds[0], 0, UINT64_MAX), seg(&kinds[0], 0, 2) };
	uint64_t done = 7;

	assert_int_equal(copy(f, seg(&kinds[0], 0, 8), seg(&kinds[1], 0, 9), &done), -EINVAL);
	assert_int_equal(done, 0);
	assert_int_equal(mdl_dma_copyv(&f->d, two, 2, &f->d, two, 2, MDL_DATA, NULL), -EINVAL);
	two[0] = (struct mdl_seg){ .addr = UINT64_MAX, .len = 2, .space = MDL_SPACE_BUS };
	assert_int_equal(mdl_dma_copyv(&f->d, two, 1, &f->d, two, 1, MDL_DATA, NULL), -EINVAL);
	assert_int_equal(mdl_dma_copyv(&f->d, NULL, 0, &f->d, NULL, 0, MDL_DATA, &done), 0);
	assert_int_equal(tcount_all(f->a), 0);
}

static void says_where_it_failed(void **state)
{
	struct fix *f = *state;
	struct mdl_seg dst[2] = { seg(&kinds[1], 0, 4096), seg(&kinds[1], 0x10000, 4096) };
	struct mdl_seg src = { .addr = RAM - 5000, .len = 8192, .space = MDL_SPACE_BUS };
	uint64_t done;

	assert_int_equal(mdl_dma_copyv(&f->d, dst, 2, &f->d, &src, 1, MDL_DATA, &done), -EFAULT);
	assert_int_equal(done, 5000);
	assert_int_equal(f->d.fault_addr, RAM);
	assert_int_equal(tcount_bytes(f->a, MDL_DATA, MDL_T_HOST, false), 5000);
	src = (struct mdl_seg){ .addr = TDEV_VRAM - 16, .len = 32, .space = MDL_SPACE_LOCAL };
	assert_int_equal(copy(f, seg(&kinds[0], 0, 32), src, &done), -EFAULT);
	assert_int_equal(done, 16);
	assert_int_equal(f->d.fault_addr, TDEV_VRAM);
}

static void gates(void **state)
{
	struct fix *f = *state;
	struct mdl_seg host = seg(&kinds[0], 0, 8), own = seg(&kinds[1], 0, 8);

	tdev_write16(f->a, PCI_COMMAND, PCI_COMMAND_MEMORY);
	assert_int_equal(copy(f, own, host, NULL), -EACCES);
	assert_int_equal(copy(f, own, own, NULL), 0);
	assert_int_equal(copy(f, own, seg(&kinds[3], 0, 8), NULL), 0);
	tdev_write16(f->a, PCI_COMMAND, PCI_COMMAND_MASTER);
	assert_int_equal(copy(f, own, host, NULL), 0);
	mdl_device_reset(f->a->dev, MDL_RESET_FLR);
	assert_false(mdl_dma_valid(&f->d));
	assert_int_equal(copy(f, own, own, NULL), -ECANCELED);
	tdev_write16(f->a, PCI_COMMAND, PCI_COMMAND_MASTER);
	assert_int_equal(copy(f, own, host, NULL), -ECANCELED);
	mdl_dma_begin(&f->d, f->a->dev);
	assert_int_equal(copy(f, own, host, NULL), 0);
	tdev_unmap(f->a, 0, RAM);
	assert_int_equal(copy(f, own, host, NULL), -EFAULT);
}

static void link_goes_down(void **state)
{
	struct fix *f = *state;
	struct mdl_seg link = seg(&kinds[3], 0, 8), own = seg(&kinds[1], 0, 8);

	assert_int_equal(copy(f, link, own, NULL), 0);
	mdl_link_set(f->c->dev, false);
	assert_int_equal(f->a->links, 2);
	assert_int_equal(copy(f, link, own, NULL), -EREMOTEIO);
	mdl_link_set(f->a->dev, true);
	assert_int_equal(copy(f, own, link, NULL), 0);
	assert_int_equal(mdl_link(f->a->dev, f->b->dev), -EBUSY);
	mdl_dma_begin(&f->d, f->b->dev);
	assert_int_equal(copy(f, own, link, NULL), -EREMOTEIO);
}

/* A cable: read on one node as one device, write on the other as its peer. */
static void two_devices_of_two_nodes(void **state)
{
	struct fix *f = *state;
	struct tram far = tram_create(LEN + 4096);
	struct mdl_seg src = { .addr = 100, .len = LEN }, dst = { .addr = 7, .len = LEN };
	struct mdl_dma dc;

	tdev_map(f->c, &far, 0, 0, 5 * 4096, RW);
	tdev_window_is_ram(f->c, 0, 0, 5 * 4096, 0);
	mdl_dma_begin(&dc, f->c->dev);
	tpat_fill(f->ram.mem + 100, LEN, 5);
	assert_int_equal(mdl_dma_copyv(&dc, &dst, 1, &f->d, &src, 1, MDL_DATA, NULL), 0);
	assert_int_equal(tpat_check(far.mem + 7, LEN, 5), -1);
	assert_int_equal(tcount_bytes(f->a, MDL_DATA, MDL_T_HOST, false), LEN);
	assert_int_equal(tcount_bytes(f->c, MDL_DATA, MDL_T_HOST, true), LEN);
	assert_int_equal(tcount_all(f->a) + tcount_all(f->c), 2 * LEN);
	mdl_device_reset(f->c->dev, MDL_RESET_CONTROL);
	assert_int_equal(mdl_dma_copyv(&dc, &dst, 1, &f->d, &src, 1, MDL_DATA, NULL), -ECANCELED);
	tdev_detach(f->c);
	tram_destroy(&far);
}

/* Into a peer's registers: not memory, so by accesses of 8 bytes. */
static void registers_take_the_slow_way(void **state)
{
	struct fix *f = *state;
	struct mdl_seg regs = { .addr = REGS + 8, .len = 100 }, own = seg(&kinds[1], 0, 100);

	tpat_fill(f->a->vram + own.addr, 100, 3);
	assert_int_equal(copy(f, regs, own, NULL), 0);
	assert_int_equal(tpat_check(f->b->regs + 8, 100, 3), -1);
	assert_int_equal(f->b->writes, 13);
	assert_int_equal(tcount_bytes(f->a, MDL_DATA, MDL_T_PEER_SWITCH, true), 100);
	assert_int_equal(tcount_all(f->a), 200);
}

static const struct {
	const char *rd, *wr;
	uint64_t addr;
	enum mdl_space space;
} points[] = {
	{ "dma.host.read", "dma.host.write", 0x10000, MDL_SPACE_BUS },
	{ "dma.peer.read", "dma.peer.write", PEER + 0x8000, MDL_SPACE_BUS },
	{ "dma.peer.read", "dma.peer.write", REGS, MDL_SPACE_BUS },
	{ "dma.link", "dma.link", 0x8000, MDL_SPACE_LINK },
};

static int rw(struct fix *f, unsigned i, bool write, uint8_t *buf)
{
	return write ? mdl_dma_write(&f->d, points[i].space, points[i].addr, buf, 64, MDL_DATA) :
		       mdl_dma_read(&f->d, points[i].space, points[i].addr, buf, 64, MDL_DATA);
}

static void arm(struct fix *f, const char *name, enum mdl_fault_action action, uint64_t arg)
{
	assert_int_equal(mdl_fault_arm(f->a->dev, name, action, arg, 0, 1, 0), 0);
}

static void faults_on_every_route(void **state)
{
	struct fix *f = *state;
	uint8_t one[64], got[64], bad[64];
	uint64_t t0;
	unsigned i;

	tpat_fill(one, 64, 1);
	memcpy(bad, one, 64);
	bad[70 % 64] ^= 1;
	for (i = 0; i < 4; i++) {
		assert_int_equal(rw(f, i, true, one), 0);
		arm(f, points[i].rd, MDL_FAULT_DROP, 0);
		assert_int_equal(rw(f, i, false, got), 0);
		assert_int_equal(got[0] & got[63], 0xff);
		arm(f, points[i].rd, MDL_FAULT_CORRUPT, 70);
		assert_int_equal(rw(f, i, false, got), 0);
		assert_memory_equal(got, bad, 64);
		arm(f, points[i].rd, MDL_FAULT_ERROR, 0);
		assert_int_equal(rw(f, i, false, got), -EIO);
		assert_int_equal(f->d.fault_addr, points[i].addr);
		arm(f, points[i].wr, MDL_FAULT_CORRUPT, 70);
		assert_int_equal(rw(f, i, true, one), 0);
		assert_int_equal(tpat_check(one, 64, 1), -1);
		assert_int_equal(rw(f, i, false, got), 0);
		assert_memory_equal(got, bad, 64);
		arm(f, points[i].wr, MDL_FAULT_DROP, 0);
		assert_int_equal(rw(f, i, true, one), 0);
		assert_int_equal(rw(f, i, false, got), 0);
		assert_memory_equal(got, bad, 64);
		arm(f, points[i].wr, MDL_FAULT_ERROR, 0);
		assert_int_equal(rw(f, i, true, one), -EIO);
		arm(f, points[i].wr, MDL_FAULT_DELAY, 2000);
		t0 = mdl_now_ns();
		assert_int_equal(rw(f, i, true, one), 0);
		assert_true(mdl_now_ns() - t0 >= 2000000);
		assert_int_equal(rw(f, i, false, got), 0);
		assert_memory_equal(got, one, 64);
	}
	assert_int_equal(f->a->dev->faults_armed, 0);
}

static void faults_in_copies(void **state)
{
	struct fix *f = *state;
	struct mdl_seg host = seg(&kinds[0], 0, 8), own = seg(&kinds[1], 0, 8);
	uint8_t *to = f->a->vram + own.addr;
	uint64_t done;

	memset(f->ram.mem + host.addr, 0x11, 8);
	arm(f, "dma.host.read", MDL_FAULT_DROP, 0);
	assert_int_equal(copy(f, own, host, NULL), 0);
	assert_int_equal(to[7], 0xff);
	arm(f, "dma.host.read", MDL_FAULT_CORRUPT, 3);
	assert_int_equal(copy(f, own, host, NULL), 0);
	assert_int_equal(to[3], 0x10);
	assert_int_equal(f->ram.mem[host.addr + 3], 0x11);
	mdl_device_counters_reset(f->a->dev);
	arm(f, "dma.host.write", MDL_FAULT_ERROR, 0);
	assert_int_equal(copy(f, host, own, &done), -EIO);
	assert_int_equal(done, 0);
	assert_int_equal(tcount_all(f->a), 0);
	/* Bookkeeping is never struck. */
	arm(f, "dma.host.write", MDL_FAULT_ERROR, 0);
	assert_int_equal(mdl_dma_write(&f->d, MDL_SPACE_BUS, 0, "x", 1, MDL_CTRL), 0);
}

struct race {
	struct fix *f;
	atomic_bool stop;
	_Atomic uint64_t canceled, copies;
};

/* Long copies of host memory, begun anew whenever a reset cut them off. */
static void *copier(void *arg)
{
	struct race *r = arg;
	struct mdl_seg dst = { .addr = 0, .len = RAM / 2 },
		       src = { .addr = RAM / 2, .len = RAM / 2 };

	while (!r->stop) {
		struct mdl_dma d;
		int err;

		mdl_dma_begin(&d, r->f->a->dev);
		do {
			err = mdl_dma_copyv(&d, &dst, 1, &d, &src, 1, MDL_DATA, NULL);
			r->copies++;
		} while (err == -EACCES && mdl_dma_valid(&d) && !r->stop);
		r->canceled += err == -ECANCELED;
	}
	return NULL;
}

/* After a reset has returned, old work writes nothing: what we write into its target stays. */
static void reset_between_slices(void **state)
{
	struct fix *f = *state;
	struct race r = { .f = f };
	pthread_t t;
	unsigned i;

	memset(f->ram.mem + RAM / 2, 0x55, RAM / 2);
	assert_int_equal(pthread_create(&t, NULL, copier, &r), 0);
	for (i = 0; i < 200 || (!r.canceled && i < 100000); i++) {
		uint64_t seen = r.copies;

		tdev_write16(f->a, PCI_COMMAND, PCI_COMMAND_MASTER);
		while (r.copies == seen)
			sched_yield();
		mdl_device_reset(f->a->dev, MDL_RESET_FLR);
		memset(f->ram.mem, (int)i & 0x0f, RAM / 2);
		assert_int_equal(f->ram.mem[RAM / 2 - 1], i & 0x0f);
		assert_null(memchr(f->ram.mem, 0x55, RAM / 2));
	}
	r.stop = true;
	pthread_join(t, NULL);
	assert_true(r.canceled > 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_pair),
		T(scatter_lists),
		T(refuses_bad_lists),
		T(says_where_it_failed),
		T(gates),
		T(link_goes_down),
		T(two_devices_of_two_nodes),
		T(registers_take_the_slow_way),
		T(faults_on_every_route),
		T(faults_in_copies),
		T(reset_between_slices),
	};

	return cmocka_run_group_tests_name("door", tests, NULL, NULL);
}
