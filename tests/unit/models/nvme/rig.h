/* SPDX-License-Identifier: MIT */
/* A controller with the fake, a stretch of host memory, and what a driver would do with it. */
#ifndef PEERDMA_TESTS_UNIT_MODELS_NVME_RIG_H
#define PEERDMA_TESTS_UNIT_MODELS_NVME_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hw/nvme.h"
#include "tests/unit/models/accel/fake.h"

#define RIG_HOST      UINT64_C(0x100000000) /* bus address of host memory */
#define RIG_HOST_SIZE (16u << 20)
#define RIG_CMB	      (UINT64_C(2) << 20)
#define RIG_CMB_BASE  UINT64_C(0xe0000000)
#define RIG_CACHE     (UINT64_C(2) << 20)
#define RIG_NS1	      (UINT64_C(8) << 20) /* of blocks of 512 bytes */
#define RIG_NS2	      (UINT64_C(4) << 20) /* of 4096 */
/* Queue n: its pair at the front of host memory; lists and data behind. */
#define RIG_SQ(n) (0x20000u * (n))
#define RIG_CQ(n) (0x20000u * (n) + 0x10000u)
#define RIG_LIST  0x100000u
#define RIG_DATA  0x200000u
#define BUS(off)  (RIG_HOST + (off))
#define DATA(off) BUS(RIG_DATA + (off))

struct rig {
	struct mdl_device *dev;
	uint8_t *host, *data, *cmb;
	int file[2];
	uint32_t size[3], tail[3], head[3]; /* by queue */
	bool phase[3];
	uint16_t cid;
};

/* cmocka set-up and tear-down: enabled, memory buffer at RIG_CMB_BASE, queue pair 1 of 8. */
int rig_setup(void **state);
int rig_teardown(void **state);
#define rig_test(fn) cmocka_unit_test_setup_teardown(fn, rig_setup, rig_teardown)
/* The device alone, not enabled; legacy: the memory buffer of old. */
int rig_setup_bare(void **state);
int rig_setup_legacy(void **state);
#define bare_test(fn)	cmocka_unit_test_setup_teardown(fn, rig_setup_bare, rig_teardown)
#define legacy_test(fn) cmocka_unit_test_setup_teardown(fn, rig_setup_legacy, rig_teardown)

/* Admin queues of entries each, CC.EN, and run until it is ready. */
void rig_enable(struct rig *g, uint32_t entries);
void rig_cmb_on(struct rig *g);
void rig_run(struct rig *g);
#define rig_csts(g) fake_r32((g)->dev, NVME_CSTS)

/* A completion as it was posted, and whether there is one. */
bool rig_peek(struct rig *g, unsigned q, struct nvme_cqe *ret);
struct nvme_cqe rig_take(struct rig *g, unsigned q);
void rig_none(struct rig *g, unsigned q);
/* Put an entry into a queue with a number of its own; ring. Return: the number. */
uint16_t rig_push(struct rig *g, unsigned q, struct nvme_sqe s);
void rig_bell(struct rig *g, unsigned q);
/* All of it: push, ring, run, take. Return: status without phase, More and DNR kept. */
unsigned rig_do(struct rig *g, unsigned q, struct nvme_sqe s, uint32_t *ret_dw0);
/* Status code and type alone. */
#define rig_sc(g, q, s)		 (rig_do((g), (q), (s), NULL) & 0x7ff)
#define assert_sc(g, q, s, want) assert_int_equal(rig_sc(g, q, s), want)
#define assert_bad(g, q, s, want) \
	assert_int_equal(rig_do((g), (q), (s), NULL), NVME_SC_DNR | NVME_SC_MORE | (want))

unsigned rig_create_cq(struct rig *g, unsigned q, uint32_t entries, unsigned vector, uint64_t at);
unsigned rig_create_sq(struct rig *g, unsigned q, uint32_t entries, unsigned cq, uint64_t at);
/* Queue pair q of 8 entries. */
void rig_pair(struct rig *g, unsigned q);

/* n blocks of 512 bytes of namespace 1, to or from DATA(0) by PRPs. */
struct nvme_sqe sqe_rw(uint8_t opc, uint64_t slba, uint32_t n);
struct nvme_sqe sqe_admin(uint8_t opc, uint32_t cdw10);
struct nvme_sqe sqe_io(uint8_t opc);
#define FLUSH sqe_io(NVME_FLUSH)

/* How many more reads of a file that must not wait find the data; -1: all. */
extern int rig_in_page_cache;

/* Bytes that depend on seed and position. */
void rig_pattern(void *buf, size_t len, uint32_t seed);
#define assert_pattern(buf, len, seed) assert_true(rig_is_pattern((buf), (len), (seed)))
bool rig_is_pattern(const void *buf, size_t len, uint32_t seed);
/* What the file of namespace 1 or 2 has, past the cache. */
void rig_file(struct rig *g, unsigned nsid, uint64_t off, void *buf, size_t len);
/* Write blocks of a pattern through queue 1. */
void rig_write(struct rig *g, uint64_t slba, uint32_t n, uint32_t seed);
void rig_expect(struct rig *g, uint64_t slba, uint32_t n, uint32_t seed);

#endif
