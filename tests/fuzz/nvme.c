// SPDX-License-Identifier: MIT
/*
 * A hostile host of the NVMe controller: register accesses, doorbells, entries and lists in memory
 * and in the memory buffer, memory that comes and goes, resets in the middle of a transfer, faults.
 * The model runs over the fake door of the unit tests, which aborts on an access outside the
 * device's memory.
 *
 * The input is a program: an operation byte (modulo the number of operations) and its arguments. A
 * short one ends early; every input is valid. Promised after each operation: constants stay, the
 * worker comes to rest in a bounded number of steps; at the end, whatever came before: the
 * controller can be disabled and enabled, and then serves a command.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/input.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hw/nvme.h"
#include "models/nvme/nvme.h"
#include "tests/unit/models/accel/fake.h"

#define HOST	  0x100000u /* bus address of writable memory */
#define HOST_SIZE 0x40000u
#define READ_ONLY 0x400000u
#define BROKEN	  0x500000u
#define CMB_BASE  0xe0000000u
#define CMB_SIZE  (2u << 20)
#define SQ(n)	  ((n)*0x4000u)
#define CQ(n)	  ((n)*0x4000u + 0x2000u)
#define LISTS	  0x10000u /* in host memory, 16 pages */
#define BLOCKS	  2048u	   /* of namespace 1 */
#define EN	  (NVME_CC_EN | 6 << 16 | 4 << 20)
#define MAX_REST  4000u

struct host {
	struct fuzz_input in;
	struct mdl_device *dev;
	uint32_t tail[3];
	/* what the hook does, at which door call */
	uint8_t trap_what;
	unsigned trap_pass;
};

static uint8_t host[HOST_SIZE], read_only[4096];

/* Mostly small, sometimes at an edge, sometimes anything. */
static uint64_t odd(struct host *h)
{
	uint8_t kind = fuzz_u8(&h->in);

	if (kind < 140)
		return kind;
	if (kind < 220)
		return fuzz_u16(&h->in);
	if (kind < 245)
		return (1ull << (kind % 64)) + (uint64_t)(int64_t)(int8_t)fuzz_u8(&h->in);
	return fuzz_u64(&h->in);
}

/* A place for data or lists. */
static uint64_t address(struct host *h)
{
	static const uint32_t bases[] = {
		HOST,	   HOST + LISTS, CMB_BASE, HOST + 0x20000, CMB_BASE + CMB_SIZE - 0x1000,
		READ_ONLY, BROKEN,	 0
	};
	uint8_t kind = fuzz_u8(&h->in);
	uint64_t base = bases[kind % 8];

	if (kind & 0x80)
		return base + (kind >> 3 & 15) * 4096u;
	return base + odd(h);
}

static struct nvme_sgl descriptor(struct host *h)
{
	static const uint8_t types[] = { 0, 0, 0, 2, 3, 1, 4, 15 };
	uint8_t kind = fuzz_u8(&h->in);
	struct nvme_sgl d = { .id = (uint8_t)(types[kind % 8] << 4) };

	d.addr = address(h);
	d.len = (uint32_t)odd(h);
	if (kind & 8)
		d.len = (d.len & 15) * 512;
	if (kind & 16)
		d.len = (d.len & 31) * 16;
	return d;
}

/* ---- operations ---- */

static void op_run(struct host *h)
{
	unsigned n = fuzz_u8(&h->in) % 4 + 1;

	while (n--)
		fake_step(h->dev);
}

static void spoil(struct host *h, void *buf, size_t len)
{
	uint8_t at = fuzz_u8(&h->in);

	if (at < len)
		((uint8_t *)buf)[at] = fuzz_u8(&h->in);
}

static void push(struct host *h, unsigned q, struct nvme_sqe *s)
{
	spoil(h, s, sizeof(*s));
	s->cid = h->tail[q];
	memcpy(host + SQ(q) + h->tail[q] * sizeof(*s), s, sizeof(*s));
	h->tail[q] = (h->tail[q] + 1) % 16;
	fake_w32(h->dev, NVME_DB_SQ(q), h->tail[q]);
}

static void op_io(struct host *h)
{
	static const uint8_t opcs[] = {
		NVME_READ,  NVME_WRITE,	       NVME_READ, NVME_WRITE,  NVME_COMPARE,
		NVME_FLUSH, NVME_WRITE_ZEROES, NVME_DSM,  NVME_VERIFY, NVME_WRITE_UNCORRECTABLE,
		0x7f
	};
	struct nvme_sqe s = { .opc = opcs[fuzz_u8(&h->in) % sizeof(opcs)] };
	uint8_t how = fuzz_u8(&h->in);
	struct nvme_sgl d;

	s.nsid = how & 1 ? 2 : 1;
	s.flags = how & 2 ? 0x40 : 0;
	if (how & 2) {
		d = descriptor(h);
		memcpy(&s.prp1, &d, sizeof(d));
	} else {
		s.prp1 = address(h);
		s.prp2 = address(h);
	}
	s.cdw10 = (uint32_t)odd(h);
	s.cdw12 = fuzz_u8(&h->in) % 64;
	if (how & 4)
		s.cdw12 |= NVME_RW_FUA;
	if (how & 8)
		s.cdw11 = NVME_DSM_DEALLOCATE;
	push(h, how & 16 ? 2 : 1, &s);
}

static void op_admin(struct host *h)
{
	static const uint8_t opcs[] = { NVME_IDENTIFY,	   NVME_GET_LOG,     NVME_SET_FEATURES,
					NVME_GET_FEATURES, NVME_ASYNC_EVENT, NVME_ABORT,
					NVME_CREATE_CQ,	   NVME_CREATE_SQ,   NVME_DELETE_SQ,
					NVME_DELETE_CQ };
	struct nvme_sqe s = { .opc = opcs[fuzz_u8(&h->in) % sizeof(opcs)] };

	s.nsid = fuzz_u8(&h->in) & 3;
	s.cdw10 = fuzz_u8(&h->in) | (uint32_t)fuzz_u8(&h->in) << 16;
	s.cdw11 = (uint32_t)fuzz_u8(&h->in) | (uint32_t)fuzz_u8(&h->in) << 16;
	s.prp1 = address(h);
	s.prp2 = address(h);
	push(h, 0, &s);
}

static void op_list(struct host *h)
{
	uint32_t at =
		LISTS + (fuzz_u8(&h->in) & 15u) * 0x1000 + (fuzz_u8(&h->in) & 1 ? 4096 - 64 : 0);
	unsigned n = fuzz_u8(&h->in) & 7, i;

	for (i = 0; i < n; i++) {
		struct nvme_sgl d = descriptor(h);

		memcpy(host + at + i * 16, &d, 16);
	}
}

static void op_prps(struct host *h)
{
	uint32_t at =
		LISTS + (fuzz_u8(&h->in) & 15u) * 0x1000 + (fuzz_u8(&h->in) & 1 ? 4096 - 32 : 0);
	unsigned n = fuzz_u8(&h->in) & 7, i;

	for (i = 0; i < n; i++) {
		uint64_t addr = address(h);

		memcpy(host + at + i * 8, &addr, 8);
	}
}

static void op_doorbell(struct host *h)
{
	fake_w32(h->dev, NVME_REGS_END + 4 * (fuzz_u8(&h->in) % 72u), (uint32_t)odd(h));
}

static void op_consume(struct host *h)
{
	unsigned q = fuzz_u8(&h->in) % 3, i;

	for (i = 0; i < 16; i++)
		fake_w32(h->dev, NVME_DB_CQ(q), i);
}

static void op_write(struct host *h)
{
	static const uint8_t len[] = { 4, 8, 4, 8, 1, 2, 3, 7 };
	uint64_t off = fuzz_u8(&h->in) & 0x7c;

	fake_write(h->dev, off, odd(h), len[fuzz_u8(&h->in) % 8]);
}

static void op_read(struct host *h)
{
	uint64_t off = fuzz_u16(&h->in) & 0x3fff;
	size_t n = fuzz_u8(&h->in) % 8 + 1;

	fake_read(h->dev, off > 0x4000 - n ? 0x4000 - n : off, n);
}

static void enable(struct host *h)
{
	unsigned q;

	memset(h->tail, 0, sizeof(h->tail));
	fake_w64(h->dev, NVME_CMBMSC, NVME_CMBMSC_CRE | NVME_CMBMSC_CMSE | CMB_BASE);
	fake_w32(h->dev, NVME_AQA, 15 << 16 | 15);
	fake_w64(h->dev, NVME_ASQ, HOST + SQ(0));
	fake_w64(h->dev, NVME_ACQ, HOST + CQ(0));
	fake_w32(h->dev, NVME_CC, EN);
	fake_run(h->dev, MAX_REST);
	for (q = 1; q < 3; q++) {
		struct nvme_sqe cq = { .opc = NVME_CREATE_CQ, .cdw10 = 15 << 16 | q };
		struct nvme_sqe sq = { .opc = NVME_CREATE_SQ, .cdw10 = 15 << 16 | q };

		cq.prp1 = HOST + CQ(q);
		cq.cdw11 = q << 16 | 3;
		sq.prp1 = HOST + SQ(q);
		sq.cdw11 = q << 16 | 1;
		memcpy(host + SQ(0) + h->tail[0]++ * 64, &cq, 64);
		memcpy(host + SQ(0) + h->tail[0]++ * 64, &sq, 64);
	}
	fake_w32(h->dev, NVME_DB_SQ(0), h->tail[0]);
	fake_run(h->dev, MAX_REST);
}

static void op_enable(struct host *h)
{
	fake_w32(h->dev, NVME_CC, 0);
	fake_step(h->dev);
	enable(h);
}

static void op_cc(struct host *h)
{
	static const uint32_t vals[] = { 0, EN, EN | 1 << 14, 1 << 14, EN | 2 << 7, EN | 1 << 11 };

	fake_w32(h->dev, NVME_CC, vals[fuzz_u8(&h->in) % 6]);
}

static void op_reset(struct host *h)
{
	fake_reset(h->dev, (enum mdl_reset)(fuzz_u8(&h->in) % 5));
	fake_bus_master(h->dev, true);
}

static void map_all(bool broken)
{
	fake_unmap_all();
	fake_map(HOST, host, HOST_SIZE, true, broken ? -EIO : 0);
	fake_map(READ_ONLY, read_only, sizeof(read_only), false, 0);
	fake_map(BROKEN, host, 4096, true, -EREMOTEIO);
}

static void op_memory(struct host *h)
{
	uint8_t what = fuzz_u8(&h->in);

	if (what & 1)
		map_all(what & 2);
	else if (what & 4)
		fake_unmap_all();
	fake_bus_master(h->dev, what & 8);
}

static void op_poke(struct host *h)
{
	uint32_t at = (fuzz_u16(&h->in) * 4u) % HOST_SIZE;

	host[at] = fuzz_u8(&h->in);
}

static void op_time(struct host *h)
{
	fake_now_ns += odd(h) & 0xffffffff;
}

static void op_fault(struct host *h)
{
	static const char *const points[] = { "nvme.power.cut",	 "nvme.cmd.error",
					      "nvme.media.read", "nvme.media.write",
					      "nvme.stall",	 "nvme.cqe.lost",
					      "nvme.smart",	 "nvme.ns.changed" };

	fake_arm(h->dev, points[fuzz_u8(&h->in) % 8], (enum mdl_fault_action)(fuzz_u8(&h->in) % 8),
		 fuzz_u8(&h->in), 1);
}

static void op_trap(struct host *h)
{
	h->trap_pass = fuzz_u8(&h->in) % 16 + 1;
	h->trap_what = fuzz_u8(&h->in);
}

/* Something that happens while the worker is in the middle of a transfer. */
static void trap(void *arg)
{
	struct host *h = arg;

	if (!h->trap_pass || --h->trap_pass)
		return;
	switch (h->trap_what % 8) {
	case 0:
		fake_reset(h->dev, MDL_RESET_FLR);
		break;
	case 1:
		fake_reset(h->dev, MDL_RESET_DISCONNECT);
		break;
	case 2:
		fake_w32(h->dev, NVME_CC, h->trap_what & 8 ? 0 : EN | 1 << 14);
		break;
	case 3:
		fake_w32(h->dev, NVME_CC, 0);
		fake_w32(h->dev, NVME_CC, EN);
		break;
	case 4:
		fake_unmap_all();
		break;
	case 5:
		fake_w32(h->dev, NVME_NSSR, NVME_NSSR_MAGIC);
		break;
	case 6:
		memset(host + LISTS, h->trap_what, 0x10000);
		break;
	default:
		fake_w64(h->dev, NVME_CMBMSC, h->trap_what & 8 ? 0 : UINT64_C(0xfffffffffff00003));
	}
}

static void (*const ops[])(struct host *h) = {
	op_run,	  op_io,     op_list, op_io,	op_run,	  op_consume, op_doorbell,
	op_write, op_read,   op_trap, op_admin, op_prps,  op_enable,  op_reset,
	op_cc,	  op_memory, op_poke, op_time,	op_fault, op_io,      op_admin,
};

/* ---- promises ---- */

static void check(struct host *h)
{
	fuzz_promise(fake_r32(h->dev, NVME_VS) == 0x20000, "constants stay");
	fuzz_promise((fake_r32(h->dev, NVME_CSTS) & ~0x1fu) == 0, "no unknown status bits");
}

/* Return: the status of a read by queue 1, or -1. */
static int read_one(struct host *h)
{
	struct nvme_sqe s = { .opc = NVME_READ, .nsid = 1, .prp1 = HOST + 0x30000, .cid = 0x5555 };
	struct nvme_cqe e;

	memset(host + CQ(1), 0, 16);
	memcpy(host + SQ(1), &s, sizeof(s));
	fake_w32(h->dev, NVME_DB_SQ(1), 1);
	fake_run(h->dev, MAX_REST);
	memcpy(&e, host + CQ(1), sizeof(e));
	return e.status & 1 && e.cid == 0x5555 ? e.status >> 1 : -1;
}

static void can_be_used_again(struct host *h)
{
	unsigned i;
	int status;

	fake_hook = NULL;
	for (i = 0; i < 8; i++)
		fake_arm(h->dev,
			 (const char *const[]){ "nvme.power.cut", "nvme.cmd.error",
						"nvme.media.read", "nvme.media.write", "nvme.stall",
						"nvme.cqe.lost", "nvme.smart",
						"nvme.ns.changed" }[i],
			 MDL_FAULT_NONE, 0, 0);
	fake_bus_master(h->dev, true);
	map_all(false);
	fake_now_ns += UINT64_C(1) << 33;
	fake_w32(h->dev, NVME_CC, 0);
	fuzz_promise(fake_run(h->dev, MAX_REST) < MAX_REST, "the worker comes to rest");
	fuzz_promise(!(fake_r32(h->dev, NVME_CSTS) & (NVME_CSTS_RDY | NVME_CSTS_CFS)),
		     "it can be disabled");
	memset(host, 0, 0xc000);
	enable(h);
	fuzz_promise((fake_r32(h->dev, NVME_CSTS) & ~NVME_CSTS_NSSRO) == NVME_CSTS_RDY,
		     "it can be enabled");
	status = read_one(h);
	fuzz_promise(!status || (status & 0x7ff) == NVME_SC_READ_ERROR, "it serves a command");
}

static bool is_zero(const uint8_t *p, size_t len)
{
	return !*p && !memcmp(p, p + 1, len - 1);
}

static void begin(struct host *h, const int file[2])
{
	struct nvme_cfg cfg = {
		.serial = "fuzz", .cmb_size = CMB_SIZE, .cache = 1 << 20, .n_ns = 2
	};
	char path[2][32];
	unsigned i;

	for (i = 0; i < 2; i++) {
		snprintf(path[i], sizeof(path[i]), "/proc/self/fd/%d", file[i]);
		cfg.ns[i] = (struct nvme_ns_cfg){ path[i], BLOCKS * 512, i ? 4096 : 512 };
	}
	memset(host, 0, sizeof(host));
	fake_now_ns = 1000;
	fake_visit_max = 1 << 20;
	map_all(false);
	if (nvme_create(NULL, "a", &cfg, &h->dev))
		abort();
	enable(h);
	fake_hook = trap;
	fake_hook_arg = h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct host h = { .in = { data, size } };
	int file[2] = { memfd_create("1", MFD_CLOEXEC), memfd_create("2", MFD_CLOEXEC) };

	begin(&h, file);
	while (h.in.left) {
		ops[fuzz_u8(&h.in) % (sizeof(ops) / sizeof(ops[0]))](&h);
		check(&h);
	}
	op_run(&h);
	can_be_used_again(&h);
	fuzz_promise(is_zero(read_only, sizeof(read_only)), "read-only memory stays");
	mdl_device_destroy(h.dev);
	close(file[0]);
	close(file[1]);
	return 0;
}
