/* SPDX-License-Identifier: MIT */
/*
 * What tests of libpeerdma in a guest stand on: a context, the devices of the node, a NIC opened by
 * the test itself with plain verbs. Every failure here fails the test. The library is the shared
 * one, used by its public headers only.
 */
#ifndef PEERDMA_TESTS_GUEST_LIB_RIG_H
#define PEERDMA_TESTS_GUEST_LIB_RIG_H

#include <infiniband/verbs.h>
#include <peerdma/peerdma.h>
#include <stdbool.h>

#include "bench/kit/control.h"
#include "tests/guest/rdma_pair.h"
#include "tests/guest/tap.h"

#define KIB (1ull << 10)
#define MIB (1ull << 20)

struct lib_rig {
	struct pdma_ctx *ctx;
	struct kit_control *control;
	bool iommu;
	struct rdma_pair nic; /* of lib_nic_open() */
};

void lib_open(struct lib_rig *r);
void lib_close(struct lib_rig *r);

/* Open the first RDMA device. */
void lib_nic_open(struct lib_rig *r);

/* A region; the URI may name a slot: "accel:ACC0+4K" becomes "accel:0000:03:00.0+4K". */
struct pdma_region *lib_region(struct lib_rig *r, const char *uri);
int lib_try_region(struct lib_rig *r, const char *uri, struct pdma_region **ret_region);

/* The call must succeed; the library's sentence is printed otherwise. */
#define LIB_OK(call)                                                                          \
	do {                                                                                  \
		int ok_ = (call);                                                             \
		if (ok_)                                                                      \
			tap_fail(__FILE__, __LINE__, "%s: %d: %s", #call, ok_, pdma_error()); \
	} while (0)

/* It must fail with err, a positive errno, and say why. */
#define LIB_FAILS(call, err)                                                                    \
	do {                                                                                    \
		int got_ = (call);                                                              \
		if (got_ != -(err) || !pdma_error()[0])                                         \
			tap_fail(__FILE__, __LINE__, "%s: %d instead of %d: '%s'", #call, got_, \
				 -(err), pdma_error());                                         \
	} while (0)

/* RDMA between two registered memories on the pair of queues; the status of its completion. */
enum ibv_wc_status lib_rdma(struct lib_rig *r, enum ibv_wr_opcode op, const struct pdma_mr *local,
			    uint64_t local_off, const struct pdma_mr *remote, uint64_t remote_off,
			    uint32_t len);

struct pdma_mr_info lib_mr_info(const struct pdma_mr *mr);
/* Payload bytes that a device of this node moved so far. */
struct kit_bytes lib_bytes(struct lib_rig *r, const char *device);
/* The next event, which must be there, of that type. */
struct pdma_event lib_event(struct lib_rig *r, enum pdma_event_type type);
void lib_no_event(struct lib_rig *r);

#endif
