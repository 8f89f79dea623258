/* SPDX-License-Identifier: MIT */
/* An accelerator with the fake, a stretch of host memory, and what a driver would do with it. */
#ifndef PEERDMA_TESTS_UNIT_MODELS_ACCEL_RIG_H
#define PEERDMA_TESTS_UNIT_MODELS_ACCEL_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hw/accel.h"
#include "tests/unit/models/accel/fake.h"

#define RIG_VRAM      (64ull << 20)
#define RIG_HOST      0x100000000ull /* bus address of host memory */
#define RIG_HOST_SIZE (4u << 20)
/* Rings lie at the front of host memory; data from here on. */
#define RIG_DATA      0x200000u
#define RIG_DATA_SIZE (RIG_HOST_SIZE - RIG_DATA)
#define RIG_SQ(n)     (0x20000u * (n))
#define RIG_CQ(n)     (0x20000u * (n) + 0x10000u)

struct rig {
	struct mdl_device *dev;
	uint8_t *host, *vram;
	uint8_t *data; /* host + RIG_DATA */
	uint32_t size, tail[ACCEL_RINGS], head[ACCEL_RINGS];
};

/* cmocka set-up and tear-down: a fresh rig, device enabled, ring 0 of 8 entries running. */
int rig_setup(void **state);
int rig_teardown(void **state);
#define rig_test(fn) cmocka_unit_test_setup_teardown(fn, rig_setup, rig_teardown)

/* Configure ring n in host memory with 2^log2 entries and vector n + 1, and enable it. */
void rig_ring(struct rig *g, unsigned n, unsigned log2);
#define ring_r32(g, n, reg)	 fake_r32((g)->dev, ACCEL_RING(n) + (reg))
#define ring_w32(g, n, reg, val) fake_w32((g)->dev, ACCEL_RING(n) + (reg), (val))
#define ring_state(g, n)	 ring_r32((g), (n), ACCEL_RING_STATUS)
#define ring_command(g, n, cmd)	 ring_w32((g), (n), ACCEL_RING_COMMAND, (cmd))
#define ring_error(g, n)	 ring_r32((g), (n), ACCEL_RING_ERROR)

/* Put an entry into the next slot; rig_bell() tells the device. */
void rig_push(struct rig *g, unsigned n, const struct accel_sqe *sqe);
void rig_bell(struct rig *g, unsigned n);
/* Is there a completion? rig_take() needs one, and tells the device that it was taken. */
bool rig_peek(struct rig *g, unsigned n, struct accel_cqe *ret_cqe);
void rig_take(struct rig *g, unsigned n, struct accel_cqe *ret_cqe);
void rig_none(struct rig *g, unsigned n);
/* Run to the end of all work; fails the test when there is no end. */
void rig_run(struct rig *g);
/* All of it on ring 0: submit, run, take. */
struct accel_cqe rig_do(struct rig *g, const struct accel_sqe *sqe);

/* Addresses */
#define BUS(off) (RIG_HOST + RIG_DATA + (off)) /* bus address of data[off] */

struct accel_sqe sqe_copy(uint8_t dst_space, uint64_t dst, uint8_t src_space, uint64_t src,
			  uint64_t len);
struct accel_sqe sqe_fill(uint8_t space, uint64_t dst, uint64_t len, unsigned size,
			  uint64_t pattern);
/* Write a list at data[off] and have the entry's source or destination use it. */
void rig_src_list(struct rig *g, struct accel_sqe *s, uint32_t off, const struct accel_sge *e,
		  uint32_t n);
void rig_dst_list(struct rig *g, struct accel_sqe *s, uint32_t off, const struct accel_sge *e,
		  uint32_t n);

/* Bytes that depend on seed and position. */
void rig_pattern(void *buf, size_t len, uint32_t seed);

#define assert_cqe(cqe, want_status, want_where, want_result, want_info) \
	do {                                                             \
		struct accel_cqe cqe_ = (cqe);                           \
		assert_int_equal(cqe_.status, (want_status));            \
		assert_int_equal(cqe_.where, (want_where));              \
		assert_int_equal(cqe_.result, (want_result));            \
		assert_int_equal(cqe_.info, (want_info));                \
	} while (0)

#endif
