/* SPDX-License-Identifier: MIT */
/* What a test with the two accelerators stands on. Every failure here fails the test. */
#ifndef PEERDMA_TESTS_GUEST_RIG_H
#define PEERDMA_TESTS_GUEST_RIG_H

#include <stdbool.h>

#include "bench/kit/control.h"
#include "bench/kit/pair.h"
#include "bench/kit/pattern.h"
#include "lib/dev/peer.h"
#include "tests/guest/tap.h"

#define RIG_WAIT_NS (20ll * 1000 * 1000 * 1000)

struct rig {
	struct kit_pair pair;
	struct kit_control *control;
	struct pdmai_accel_ring *ring[2]; /* ring 0 of each, 16 entries */
	enum pdmai_accel_place place;	  /* in host memory where that is possible */
};

void rig_open(struct rig *r, bool interrupts);
void rig_close(struct rig *r);

/* Another ring. */
struct pdmai_accel_ring *rig_ring(struct rig *r, int i, struct pdmai_accel_ring_config config);

/* Kinds of memory, seen from accelerator i. */
enum rig_kind { RIG_OWN, RIG_HOST, RIG_PEER, RIG_LINK, RIG_KINDS };
extern const char *const rig_kind_names[RIG_KINDS];
bool rig_has(const struct rig *r, enum rig_kind kind);
/* Where the fabric counts bytes of that kind. */
enum kit_target rig_target(const struct rig *r, enum rig_kind kind);

/* A piece of memory with a guard of a page on each side. */
struct rig_area {
	struct pdmai_accel_mem mem; /* for accelerator i */
	char *cpu;
	uint64_t len;
	enum rig_kind kind;
	struct pdmai_dma_mem host;
	struct pdmai_peer peer;
};

/* skew: bytes (a multiple of 8) behind the start of a page, to be off round addresses */
void rig_area(struct rig *r, int i, enum rig_kind kind, uint64_t len, uint64_t skew,
	      struct rig_area *ret_area);
void rig_area_free(struct rig_area *area);
void rig_area_fill(struct rig_area *area, uint64_t seed);
/* The data is seed's pattern, and both guards are untouched. */
#define RIG_CHECK_AREA(area, seed) rig_area_check(area, seed, __FILE__, __LINE__)
void rig_area_check(const struct rig_area *area, uint64_t seed, const char *file, int line);
void rig_guards_check(const struct rig_area *area, const char *file, int line);

/* Run a command on ring[i] and give back what came of it; the ring itself must not fail. */
struct pdmai_accel_done rig_run(struct rig *r, int i, const struct pdmai_accel_cmd *cmd);
/* The same, and it must succeed. */
struct pdmai_accel_done rig_do(struct rig *r, int i, const struct pdmai_accel_cmd *cmd);
struct pdmai_accel_done rig_copy(struct rig *r, int i, const struct rig_area *dst,
				 const struct rig_area *src);

struct kit_bytes rig_bytes(struct rig *r, int i);

#endif
