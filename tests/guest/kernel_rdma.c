// SPDX-License-Identifier: MIT
/*
 * The pointer of peerdma_vfio as an on-demand-paging memory region, with all that RDMA does to
 * memory of others: WRITE, READ, compare-and-swap, fetch-and-add; by the lab's NIC, and by rxe,
 * which is software and goes through the same page tables.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/guest/rdma_pair.h"
#include "tests/guest/kernel_rig.h"
#include "tests/guest/lib_rig.h"

#define AREA (32 * MIB)
#define LEN  MIB

struct both {
	struct kernel_rig pages;
	struct rdma_pair q;
	struct ibv_mr *mr;
};

static void open_both(struct both *b, const char *prefix)
{
	kernel_open(&b->pages, 5000);
	rdma_pair_open(&b->q, prefix, LEN);
	b->mr = ibv_reg_mr(b->q.pd, b->pages.mem + AREA, LEN,
			   RDMA_PAIR_ACCESS | IBV_ACCESS_ON_DEMAND);
	if (!b->mr)
		tap_fail(__FILE__, __LINE__, "no on-demand region: errno %d", errno);
}

static void close_both(struct both *b)
{
	CHECK_EQ(ibv_dereg_mr(b->mr), 0);
	rdma_pair_close(&b->q);
	kernel_close(&b->pages);
}

static struct rdma_op at(struct both *b, enum ibv_wr_opcode op, uint64_t off, uint32_t len)
{
	return (struct rdma_op){ .op = op,
				 .remote = (uintptr_t)b->pages.mem + AREA + off,
				 .rkey = b->mr->rkey,
				 .len = len };
}

static void write_and_read(struct both *b, uint32_t len, uint64_t seed)
{
	struct rdma_op write = at(b, IBV_WR_RDMA_WRITE, 0, len);
	struct rdma_op read = at(b, IBV_WR_RDMA_READ, 0, len);
	const char *bar = pdmai_accel_vram(b->pages.accel);

	kit_pattern_fill(b->q.host, len, seed, 0);
	kit_pattern_fill(b->pages.mem + AREA, LEN, ~seed, 0);
	CHECK_EQ(rdma_pair_do(&b->q, &write), IBV_WC_SUCCESS);
	CHECK_EQ(kit_pattern_check(bar + AREA, len, seed, 0, NULL), 0);
	CHECK_EQ(kit_pattern_check(bar + AREA + len, LEN - len, ~seed, len / 8, NULL), 0);
	memset(b->q.host, 0, len);
	CHECK_EQ(rdma_pair_do(&b->q, &read), IBV_WC_SUCCESS);
	CHECK_EQ(kit_pattern_check(b->q.host, len, seed, 0, NULL), 0);
}

/* What was there comes back, and what is there afterwards is want; the words beside it stay. */
static void atomic(struct both *b, struct rdma_op op, uint64_t was, uint64_t want)
{
	volatile uint64_t *word = (void *)(uintptr_t)op.remote;

	word[-1] = 0x1111;
	word[0] = was;
	word[1] = 0x2222;
	memset(b->q.host, 0xee, 16);
	CHECK_EQ(rdma_pair_do(&b->q, &op), IBV_WC_SUCCESS);
	CHECK_EQ(((uint64_t *)b->q.host)[0], was);
	CHECK_EQ(((uint64_t *)b->q.host)[1], 0xeeeeeeeeeeeeeeeeull);
	CHECK_EQ(word[0], want);
	CHECK_EQ(word[-1], 0x1111);
	CHECK_EQ(word[1], 0x2222);
}

static void atomics(struct both *b, uint64_t off)
{
	struct rdma_op swap = at(b, IBV_WR_ATOMIC_CMP_AND_SWP, off, 8);
	struct rdma_op add = at(b, IBV_WR_ATOMIC_FETCH_AND_ADD, off, 8);

	swap.compare_add = 0x123456789abcdef0ull;
	swap.swap = 0xfedcba9876543210ull;
	atomic(b, swap, swap.compare_add, swap.swap);
	atomic(b, swap, swap.compare_add + 1, swap.compare_add + 1);
	add.compare_add = 3;
	atomic(b, add, UINT64_MAX - 1, 1);
	atomic(b, add, 0xffffffff, 0x100000002ull);
}

/* The fabric counts atomics with the words of a device's own bookkeeping, of which none is here. */
static uint64_t words_of_peers(struct both *b)
{
	uint64_t by_switch, by_bridge;

	CHECK_EQ(kit_control_counter(b->pages.control, "nic0", "dma/ctrl/peer_switch/write/bytes",
				     &by_switch),
		 0);
	CHECK_EQ(kit_control_counter(b->pages.control, "nic0", "dma/ctrl/peer_bridge/write/bytes",
				     &by_bridge),
		 0);
	return by_switch + by_bridge;
}

/* The NIC changes the device's memory in place; host memory gets the old values. */
static void by_the_nic(void)
{
	struct kit_bytes before, after, d;
	uint64_t words;
	struct both b;

	open_both(&b, "mlx5");
	write_and_read(&b, LEN, 1);
	write_and_read(&b, 8, 2);
	words = words_of_peers(&b);
	CHECK_EQ(kit_control_bytes(b.pages.control, "nic0", &before), 0);
	atomics(&b, 4096 - 8);
	atomics(&b, 512 * KIB + 8);
	CHECK_EQ(kit_control_bytes(b.pages.control, "nic0", &after), 0);
	d = kit_bytes_since(&before, &after);
	CHECK_EQ(words_of_peers(&b) - words, 8 * 8);
	CHECK_EQ(d.read[KIT_HOST], 0);
	CHECK_EQ(d.write[KIT_HOST], 8 * 8);
	close_both(&b);
}

/* Not a word changes when an atomic is refused: not at its size, or without the right. */
static void bad_atomics(void)
{
	struct rdma_op add;
	struct ibv_mr *poor;
	struct both b;

	open_both(&b, "mlx5");
	kit_pattern_fill(b.pages.mem + AREA, 4096, 5, 0);
	add = at(&b, IBV_WR_ATOMIC_FETCH_AND_ADD, 12, 8);
	add.compare_add = 1;
	CHECK_EQ(rdma_pair_do(&b.q, &add), IBV_WC_REM_INV_REQ_ERR);
	rdma_pair_connect(&b.q);
	poor = ibv_reg_mr(b.q.pd, b.pages.mem + AREA, 4096,
			  IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_ON_DEMAND);
	CHECK(poor != NULL);
	add = at(&b, IBV_WR_ATOMIC_FETCH_AND_ADD, 16, 8);
	add.rkey = poor->rkey;
	CHECK_EQ(rdma_pair_do(&b.q, &add), IBV_WC_REM_ACCESS_ERR);
	rdma_pair_connect(&b.q);
	CHECK_EQ(kit_pattern_check(b.pages.mem + AREA, 4096, 5, 0, NULL), 0);
	atomics(&b, 16);
	CHECK_EQ(ibv_dereg_mr(poor), 0);
	close_both(&b);
}

static void make_rxe(void)
{
	/* A frame with 4096 bytes of data must fit: rxe copies no more than a page right. */
	CHECK_EQ(system("modprobe dummy numdummies=0 && modprobe rdma_rxe && "
			"ip link add pdma0 type dummy && ip link set pdma0 mtu 9000 up && "
			"ip addr add 10.78.0.1/24 dev pdma0 && "
			"rdma link add rxe0 type rxe netdev pdma0"),
		 0);
}

static void by_rxe(void)
{
	struct both b;

	make_rxe();
	open_both(&b, "rxe");
	CHECK_EQ(b.q.port.active_mtu, IBV_MTU_4096);
	write_and_read(&b, 4096, 11);
	write_and_read(&b, 256 * KIB, 12);
	atomics(&b, 64);
	/* It follows when the memory goes away and comes back. */
	CHECK_EQ(kernel_reset(&b.pages), 0);
	write_and_read(&b, 64 * KIB, 13);
	CHECK(!ibv_reg_mr(b.q.pd, b.pages.mem + AREA, 4096, RDMA_PAIR_ACCESS));
	CHECK_EQ(errno, EREMOTEIO);
	close_both(&b);
	CHECK_EQ(system("rdma link delete rxe0 && ip link delete pdma0"), 0);
}

/* Who asks for a plain MR is told why it can't be, and what can. */
static void the_library_says_why(void)
{
	struct pdma_reg_options plain = { .size = sizeof(plain), .ways = PDMA_WAY_POINTER };
	struct pdma_reg_options odp = { .size = sizeof(odp), .ways = PDMA_WAY_ODP };
	struct kernel_rig binding;
	struct pdma_region *region;
	struct pdma_mr *mr = NULL;
	struct lib_rig r;

	kernel_bind(&binding, 5000);
	kit_control_close(binding.control);
	lib_open(&r);
	lib_nic_open(&r);
	region = lib_region(&r, "vfio:ACC0/bar2+1M:1M");
	LIB_FAILS(pdma_reg_mr(region, r.nic.pd, IBV_ACCESS_LOCAL_WRITE, &plain, &mr), EOPNOTSUPP);
	printf("# %s\n", pdma_error());
	CHECK(strstr(pdma_error(), "does not pin device memory") != NULL);
	CHECK(strstr(pdma_error(), "on-demand paging") != NULL);
	CHECK(strstr(pdma_error(), "dma-buf") != NULL);
	LIB_OK(pdma_reg_mr(region, r.nic.pd, IBV_ACCESS_LOCAL_WRITE, &odp, &mr));
	CHECK_EQ(lib_mr_info(mr).way, PDMA_WAY_ODP);
	LIB_OK(pdma_dereg_mr(mr));
	pdma_region_close(region);
	lib_close(&r);
	CHECK_EQ(pdmai_unbind(&binding.binding), 0);
}

static const struct tap_test tests[] = {
	{ "by_the_nic", by_the_nic, TAP_WITH_IOMMU },
	{ "bad_atomics", bad_atomics, TAP_WITH_IOMMU },
	{ "by_rxe", by_rxe, TAP_WITH_IOMMU },
	{ "the_library_says_why", the_library_says_why, TAP_WITH_IOMMU },
};

TAP_MAIN(tests)
