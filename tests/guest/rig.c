// SPDX-License-Identifier: MIT
#include "tests/guest/rig.h"

#include <string.h>

#include "lib/sysfs/attr.h"

#define GUARD	   4096ull
#define GUARD_SEED 0xfe2ce

const char *const rig_kind_names[RIG_KINDS] = { "own", "host", "peer", "link" };

void rig_open(struct rig *r, bool interrupts)
{
	memset(r, 0, sizeof(*r));
	CHECK_EQ(kit_control_open(&r->control), 0);
	CHECK_EQ(kit_pair_find(&r->pair), 0);
	CHECK_EQ(kit_pair_open(&r->pair, interrupts), 0);
	r->place = r->pair.iommu ? PDMAI_ACCEL_IN_HOST : PDMAI_ACCEL_IN_VRAM;
	for (int i = 0; i < 2; i++)
		r->ring[i] = rig_ring(r, i,
				      (struct pdmai_accel_ring_config){ .size_log2 = 4,
									.place = r->place,
									.interrupt = interrupts });
}

void rig_close(struct rig *r)
{
	for (int i = 0; i < 2; i++)
		pdmai_accel_ring_destroy(r->ring[i]);
	kit_pair_close(&r->pair);
	kit_control_close(r->control);
}

struct pdmai_accel_ring *rig_ring(struct rig *r, int i, struct pdmai_accel_ring_config config)
{
	struct pdmai_accel_ring *ring;

	CHECK_EQ(pdmai_accel_ring_create(r->pair.accel[i], &config, &ring), 0);
	return ring;
}

bool rig_has(const struct rig *r, enum rig_kind kind)
{
	return kind != RIG_HOST || r->pair.iommu;
}

enum kit_target rig_target(const struct rig *r, enum rig_kind kind)
{
	enum pdmai_route route;

	switch (kind) {
	case RIG_OWN:
		return KIT_OWN;
	case RIG_HOST:
		return KIT_HOST;
	case RIG_LINK:
		return KIT_LINK;
	default:
		CHECK_EQ(pdmai_pci_route(PDMAI_SYSFS, &r->pair.bdf[0], &r->pair.bdf[1], &route), 0);
		return route == PDMAI_ROUTE_SWITCH ? KIT_PEER_SWITCH : KIT_PEER_BRIDGE;
	}
}

/* A process holds few areas and ends soon: VRAM is not given back. */
static uint64_t take_vram(struct rig *r, int i, uint64_t len, struct rig_area *a)
{
	uint64_t off;

	CHECK_EQ(pdmai_accel_vram_alloc(r->pair.accel[i], len, GUARD, &off), 0);
	a->cpu = (char *)pdmai_accel_vram(r->pair.accel[i]) + off;
	return off;
}

void rig_area(struct rig *r, int i, enum rig_kind kind, uint64_t len, uint64_t skew,
	      struct rig_area *a)
{
	uint64_t all = (len + skew + 3 * GUARD - 1) & ~(GUARD - 1);

	memset(a, 0, sizeof(*a));
	a->kind = kind;
	a->len = len;
	a->mem.len = len;
	if (kind == RIG_OWN) {
		a->mem.space = ACCEL_SPACE_LOCAL;
		a->mem.addr = take_vram(r, i, all, a);
	} else if (kind == RIG_LINK) {
		a->mem.space = ACCEL_SPACE_LINK;
		a->mem.addr = take_vram(r, !i, all, a);
	} else if (kind == RIG_PEER) {
		uint64_t off = take_vram(r, !i, all, a);

		CHECK_EQ(pdmai_peer_map(PDMAI_SYSFS, r->pair.dev[i], r->pair.dev[!i],
					ACCEL_BAR_VRAM, off, all, &a->peer),
			 0);
		a->mem.addr = a->peer.addr;
	} else {
		CHECK_EQ(pdmai_dma_alloc(r->pair.dev[i], all, &a->host), 0);
		a->cpu = a->host.vaddr;
		a->mem.addr = a->host.iova;
	}
	a->cpu += GUARD + skew;
	a->mem.addr += GUARD + skew;
	kit_pattern_fill(a->cpu - GUARD, GUARD, GUARD_SEED, 0);
	kit_pattern_fill(a->cpu + ((len + 7) & ~7ull), GUARD / 2, GUARD_SEED, 1000);
}

void rig_area_free(struct rig_area *a)
{
	pdmai_peer_unmap(&a->peer);
	pdmai_dma_free(&a->host);
}

void rig_area_fill(struct rig_area *a, uint64_t seed)
{
	kit_pattern_fill(a->cpu, a->len, seed, 0);
}

void rig_guards_check(const struct rig_area *a, const char *file, int line)
{
	if (kit_pattern_check(a->cpu - GUARD, GUARD, GUARD_SEED, 0, NULL))
		tap_fail(file, line, "bytes in front of the destination were written");
	if (kit_pattern_check(a->cpu + ((a->len + 7) & ~7ull), GUARD / 2, GUARD_SEED, 1000, NULL))
		tap_fail(file, line, "bytes behind the destination were written");
}

void rig_area_check(const struct rig_area *a, uint64_t seed, const char *file, int line)
{
	struct kit_mismatch m;

	if (kit_pattern_check(a->cpu, a->len, seed, 0, &m))
		tap_fail(file, line,
			 "%" PRIu64 " bad words in %s memory, first at 0x%" PRIx64
			 ", last at 0x%" PRIx64 ": 0x%" PRIx64 " instead of 0x%" PRIx64,
			 m.bad_words, rig_kind_names[a->kind], m.first_off, m.last_off, m.got,
			 m.want);
	rig_guards_check(a, file, line);
}

struct pdmai_accel_done rig_run(struct rig *r, int i, const struct pdmai_accel_cmd *cmd)
{
	struct pdmai_accel_done done;

	CHECK_EQ(pdmai_accel_run(r->ring[i], cmd, RIG_WAIT_NS, &done), 0);
	CHECK_EQ(done.op, cmd->op);
	CHECK_EQ(done.cookie, cmd->cookie);
	return done;
}

struct pdmai_accel_done rig_do(struct rig *r, int i, const struct pdmai_accel_cmd *cmd)
{
	struct pdmai_accel_done done = rig_run(r, i, cmd);

	if (done.status)
		tap_fail(__FILE__, __LINE__,
			 "command %u ended with %s, where %u, result 0x%" PRIx64
			 ", info 0x%" PRIx64,
			 done.op, pdmai_accel_status_name(done.status), done.where, done.result,
			 done.info);
	CHECK_EQ(done.err, 0);
	CHECK_EQ(done.where, 0);
	return done;
}

struct pdmai_accel_done rig_copy(struct rig *r, int i, const struct rig_area *dst,
				 const struct rig_area *src)
{
	struct pdmai_accel_cmd cmd = { .op = ACCEL_OP_COPY,
				       .len = src->len,
				       .src = &src->mem,
				       .n_src = 1,
				       .dst = &dst->mem,
				       .n_dst = 1,
				       .cookie = 0xc0b1e + (uint64_t)i };

	return rig_do(r, i, &cmd);
}

struct kit_bytes rig_bytes(struct rig *r, int i)
{
	struct kit_bytes bytes;

	CHECK_EQ(kit_control_bytes(r->control, kit_accel_names[i], &bytes), 0);
	return bytes;
}
