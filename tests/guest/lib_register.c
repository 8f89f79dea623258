// SPDX-License-Identifier: MIT
/* Registrations of the library with a PD of the test, used by the lab's NIC. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/guest/lib_rig.h"

#define ALL (IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ)
#define LEN MIB

static struct pdma_mr *reg(struct lib_rig *r, struct pdma_region *region, unsigned ways)
{
	struct pdma_reg_options opt = { .size = sizeof(opt), .ways = ways };
	struct pdma_mr *mr = NULL;

	LIB_OK(pdma_reg_mr(region, r->nic.pd, ALL, &opt, &mr));
	return mr;
}

/* Write the pattern into the region by RDMA, read it back by RDMA, look at it by the CPU. */
static void there_and_back(struct lib_rig *r, struct pdma_region *region, struct pdma_mr *mr,
			   uint64_t seed)
{
	struct pdma_region *host = lib_region(r, "host:1M");
	struct pdma_mr *own = reg(r, host, 0);

	LIB_OK(pdma_region_fill(host, 0, LEN, seed));
	LIB_OK(pdma_region_fill(region, 0, LEN, ~seed));
	CHECK_EQ(lib_rdma(r, IBV_WR_RDMA_WRITE, own, 0, mr, 0, LEN), IBV_WC_SUCCESS);
	LIB_OK(pdma_mr_sync(mr, 0, LEN, PDMA_SYNC_TO_REGION));
	LIB_OK(pdma_region_verify(region, 0, LEN, seed, NULL));
	LIB_OK(pdma_region_fill(host, 0, LEN, 1));
	LIB_OK(pdma_mr_sync(mr, 0, LEN, PDMA_SYNC_FROM_REGION));
	CHECK_EQ(lib_rdma(r, IBV_WR_RDMA_READ, own, 0, mr, 0, LEN), IBV_WC_SUCCESS);
	LIB_OK(pdma_region_verify(host, 0, LEN, seed, NULL));
	LIB_OK(pdma_dereg_mr(own));
	pdma_region_close(host);
}

static void each_way_moves_the_right_bytes(void)
{
	static const struct {
		const char *uri;
		unsigned ways;
		enum pdma_way way;
	} cases[] = {
		{ "host:1M", 0, PDMA_WAY_POINTER },
		{ "host:1M", PDMA_WAY_ODP, PDMA_WAY_ODP },
		{ "host:1M", PDMA_WAY_STAGED, PDMA_WAY_STAGED },
		{ "udmabuf:1M", 0, PDMA_WAY_DYNAMIC_DMABUF },
		{ "udmabuf:1M", PDMA_WAY_POINTER, PDMA_WAY_POINTER },
		{ "accel:ACC0+2M:1M", PDMA_WAY_STAGED, PDMA_WAY_STAGED },
	};
	struct lib_rig r;

	lib_open(&r);
	lib_nic_open(&r);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pdma_region *region = lib_region(&r, cases[i].uri);
		struct pdma_mr *mr = reg(&r, region, cases[i].ways);
		struct pdma_mr_info info = lib_mr_info(mr);

		if (info.way != cases[i].way)
			tap_fail(__FILE__, __LINE__, "%s by %s: %s", cases[i].uri,
				 pdma_way_name(info.way), info.why);
		there_and_back(&r, region, mr, 100 + i);
		LIB_OK(pdma_dereg_mr(mr));
		pdma_region_close(region);
	}
	lib_close(&r);
}

/* Linux 7.3 fails on several ranges behind an IOMMU; then at least the library says so. */
static struct pdma_mr *reg_or_excuse(struct lib_rig *r, struct pdma_region *region)
{
	struct pdma_region_info info = { .size = sizeof(info) };
	struct pdma_mr *mr = NULL;
	int ret;

	LIB_OK(pdma_region_get_info(region, &info));
	if (info.n_ranges == 1)
		return reg(r, region, 0);
	ret = pdma_reg_mr(region, r->nic.pd, ALL, NULL, &mr);
	if (!ret)
		return mr;
	CHECK_EQ(ret, -EOPNOTSUPP);
	CHECK(strstr(pdma_error(), "this kernel can't map a dma-buf of several ranges"));
	printf("# %s\n", pdma_error());
	return NULL;
}

/* VRAM as VFIO exports it: the NIC's counters say that no byte went through host memory. */
static void vram_is_reached_directly(void)
{
	static const char *const uris[] = { "vfio:ACC0/bar2+1M:1M", "accel:ACC1+16M:1M",
					    "vfio:ACC0/bar2+8M:512K,0:256K,4M:256K" };
	struct kit_bytes before, moved;
	struct lib_rig r;

	lib_open(&r);
	lib_nic_open(&r);
	for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
		struct pdma_region *region = lib_region(&r, uris[i]);
		struct pdma_mr *mr = reg_or_excuse(&r, region);
		struct pdma_mr_info info;
		uint64_t peer;

		if (!mr) {
			pdma_region_close(region);
			continue;
		}
		info = lib_mr_info(mr);
		CHECK_EQ(info.way, PDMA_WAY_DYNAMIC_DMABUF);
		before = lib_bytes(&r, "nic0");
		there_and_back(&r, region, mr, 200 + i);
		moved = lib_bytes(&r, "nic0");
		moved = kit_bytes_since(&before, &moved);
		peer = moved.write[KIT_PEER_SWITCH] + moved.write[KIT_PEER_BRIDGE];
		CHECK_EQ(peer, LEN);
		peer = moved.read[KIT_PEER_SWITCH] + moved.read[KIT_PEER_BRIDGE];
		CHECK_EQ(peer, LEN);
		/*
		 * The other end is host memory: once read, once written. Page lists are read, too.
		 */
		CHECK(moved.read[KIT_HOST] >= LEN && moved.read[KIT_HOST] < LEN + 16 * KIB);
		CHECK_EQ(moved.write[KIT_HOST], LEN);
		LIB_OK(pdma_dereg_mr(mr));
		pdma_region_close(region);
	}
	lib_close(&r);
}

/* Both ends in device memory: host memory is not touched at all. */
static void vram_to_vram_touches_no_host_memory(void)
{
	struct pdma_region *a, *b;
	struct kit_bytes before, moved;
	struct pdma_mr *ma, *mb;
	struct lib_rig r;

	lib_open(&r);
	lib_nic_open(&r);
	a = lib_region(&r, "vfio:ACC0/bar2+0:1M");
	b = lib_region(&r, "vfio:ACC1/bar2+3M:1M");
	ma = reg(&r, a, 0);
	mb = reg(&r, b, 0);
	LIB_OK(pdma_region_fill(a, 0, LEN, 7));
	LIB_OK(pdma_region_fill(b, 0, LEN, 8));
	before = lib_bytes(&r, "nic0");
	CHECK_EQ(lib_rdma(&r, IBV_WR_RDMA_WRITE, ma, 0, mb, 0, LEN), IBV_WC_SUCCESS);
	moved = lib_bytes(&r, "nic0");
	moved = kit_bytes_since(&before, &moved);
	LIB_OK(pdma_region_verify(b, 0, LEN, 7, NULL));
	CHECK_EQ(moved.read[KIT_HOST], 0);
	CHECK_EQ(moved.write[KIT_HOST], 0);
	LIB_OK(pdma_dereg_mr(ma));
	LIB_OK(pdma_dereg_mr(mb));
	pdma_region_close(a);
	pdma_region_close(b);
	lib_close(&r);
}

static const struct pdma_way_refused *refusal(const struct pdma_mr_info *info, enum pdma_way way)
{
	for (unsigned i = 0; i < info->n_refused; i++)
		if (info->refused[i].way == way)
			return &info->refused[i];
	return NULL;
}

/* Pointers to a VFIO BAR: the driver accepts an on-demand MR of one, which could never work. */
static void a_pointer_to_a_bar_is_refused_with_reasons(void)
{
	struct pdma_reg_options opt = { .size = sizeof(opt),
					.ways = PDMA_WAY_ODP | PDMA_WAY_POINTER };
	const struct pdma_way_refused *odp, *pointer;
	struct pdma_region *region;
	struct pdma_mr_info info;
	struct pdma_mr *mr = NULL;
	struct lib_rig r;

	lib_open(&r);
	lib_nic_open(&r);
	region = lib_region(&r, "accel:ACC0+1M:1M");
	LIB_FAILS(pdma_reg_mr(region, r.nic.pd, ALL, &opt, &mr), EOPNOTSUPP);
	CHECK(mr == NULL);
	opt.ways |= PDMA_WAY_STAGED;
	LIB_OK(pdma_reg_mr(region, r.nic.pd, ALL, &opt, &mr));
	info = lib_mr_info(mr);
	CHECK_EQ(info.way, PDMA_WAY_STAGED);
	odp = refusal(&info, PDMA_WAY_ODP);
	pointer = refusal(&info, PDMA_WAY_POINTER);
	CHECK(odp && odp->text[0] && pointer && pointer->text[0]);
	CHECK_EQ(pointer->err, EFAULT);
	LIB_OK(pdma_dereg_mr(mr));
	pdma_region_close(region);
	lib_close(&r);
}

static void bad_requests_are_refused(void)
{
	struct pdma_reg_options opt = { .size = sizeof(opt) };
	struct pdma_region_options read_only = { .size = sizeof(read_only),
						 .flags = PDMA_OPEN_READONLY };
	struct pdma_region *region;
	struct pdma_mr *mr = NULL;
	struct lib_rig r;

	lib_open(&r);
	lib_nic_open(&r);
	region = lib_region(&r, "host:64K");
	LIB_FAILS(pdma_reg_mr(region, r.nic.pd, IBV_ACCESS_REMOTE_WRITE, NULL, &mr), EINVAL);
	LIB_FAILS(pdma_reg_mr(region, r.nic.pd, ALL | IBV_ACCESS_ON_DEMAND, NULL, &mr), EINVAL);
	opt.ways = 1 << 20;
	LIB_FAILS(pdma_reg_mr(region, r.nic.pd, ALL, &opt, &mr), EINVAL);
	opt = (struct pdma_reg_options){ .size = 3 };
	LIB_FAILS(pdma_reg_mr(region, r.nic.pd, ALL, &opt, &mr), EINVAL);
	LIB_OK(pdma_region_revoke(region, NULL));
	LIB_FAILS(pdma_reg_mr(region, r.nic.pd, ALL, NULL, &mr), ESTALE);
	pdma_region_close(region);
	LIB_OK(pdma_region_open(r.ctx, "host:64K", &read_only, &region));
	LIB_FAILS(pdma_reg_mr(region, r.nic.pd, ALL, NULL, &mr), EACCES);
	LIB_OK(pdma_reg_mr(region, r.nic.pd, IBV_ACCESS_REMOTE_READ, NULL, &mr));
	LIB_OK(pdma_dereg_mr(mr));
	pdma_region_close(region);
	lib_close(&r);
}

/* The remote side gets an error, not old memory; the owner gets events; a new region works. */
static void revoke_ends_remote_access(void)
{
	struct pdma_region *region, *host, *slice;
	struct pdma_mr *mr, *of_slice, *own;
	struct pdma_event event;
	struct lib_rig r;
	int seen = 0;

	lib_open(&r);
	lib_nic_open(&r);
	region = lib_region(&r, r.iommu ? "vfio:ACC0/bar2+1M:1M" : "host:1M");
	LIB_OK(pdma_region_slice(region, 4096, 8192, &seen, &slice));
	host = lib_region(&r, "host:1M");
	mr = reg(&r, region, 0);
	of_slice = reg(&r, slice, 0);
	own = reg(&r, host, 0);
	CHECK_EQ(lib_rdma(&r, IBV_WR_RDMA_WRITE, own, 0, mr, 0, LEN), IBV_WC_SUCCESS);
	LIB_OK(pdma_region_revoke(region, "the test wants it"));
	CHECK_EQ(lib_rdma(&r, IBV_WR_RDMA_WRITE, own, 0, mr, 0, 4096), IBV_WC_REM_ACCESS_ERR);
	CHECK_EQ(lib_rdma(&r, IBV_WR_RDMA_READ, own, 0, of_slice, 0, 4096), IBV_WC_REM_ACCESS_ERR);
	for (int i = 0; i < 4; i++) {
		CHECK_EQ(pdma_event_next(r.ctx, &event), 1);
		CHECK(!strcmp(event.text, "the test wants it"));
		if (event.type == PDMA_EVENT_MR_REVOKED)
			seen |= event.mr == mr ? 1 : event.mr == of_slice ? 2 : 64;
		else
			seen |= event.region == region ? 4 : event.cookie == &seen ? 8 : 64;
	}
	CHECK_EQ(seen, 15);
	lib_no_event(&r);
	CHECK(pdma_mr_verbs(mr) == NULL);
	LIB_OK(pdma_dereg_mr(mr));
	LIB_OK(pdma_dereg_mr(of_slice));
	LIB_OK(pdma_dereg_mr(own));
	pdma_region_close(slice);
	pdma_region_close(region);
	pdma_region_close(host);
	lib_close(&r);
}

struct writer {
	struct lib_rig *rig;
	struct pdma_mr *own, *mr;
	_Atomic unsigned good, bad;
	_Atomic bool stop;
};

/* Writes without a pause, whatever comes of it. */
static void *write_on(void *arg)
{
	struct writer *w = arg;
	uint64_t n = 0;

	while (!w->stop) {
		if (lib_rdma(w->rig, IBV_WR_RDMA_WRITE, w->own, 0, w->mr, n++ % 16 * 64 * KIB,
			     64 * KIB))
			w->bad++;
		else
			w->good++;
	}
	return NULL;
}

static void until(const _Atomic unsigned *count, unsigned at_least)
{
	while (*count < at_least)
		sched_yield();
}

/* Not one byte lands after the revoke: what the next owner writes there stays as it is. */
static void revoke_under_traffic(void)
{
	struct pdma_region *region, *host;
	struct writer w = { 0 };
	struct lib_rig r;
	pthread_t thread;

	lib_open(&r);
	lib_nic_open(&r);
	host = lib_region(&r, "host:1M");
	region = lib_region(&r, r.iommu ? "vfio:ACC0/bar2+1M:1M" : "udmabuf:1M");
	w = (struct writer){ .rig = &r, .own = reg(&r, host, 0), .mr = reg(&r, region, 0) };
	LIB_OK(pdma_region_fill(host, 0, LEN, 1));
	CHECK_EQ(pthread_create(&thread, NULL, write_on, &w), 0);
	until(&w.good, 20);
	if (r.iommu)
		LIB_OK(pdma_region_reset(region));
	else
		LIB_OK(pdma_region_revoke(region, NULL));
	if (r.iommu) {
		struct pdma_region *next = lib_region(&r, "vfio:ACC0/bar2+1M:1M");

		LIB_OK(pdma_region_fill(next, 0, LEN, 2));
		until(&w.bad, w.bad + 10);
		LIB_OK(pdma_region_verify(next, 0, LEN, 2, NULL));
		pdma_region_close(next);
	}
	until(&w.bad, 5);
	w.stop = true;
	pthread_join(thread, NULL);
	LIB_OK(pdma_dereg_mr(w.mr));
	LIB_OK(pdma_dereg_mr(w.own));
	pdma_region_close(region);
	pdma_region_close(host);
	lib_close(&r);
}

/* A descriptor of somebody else's, and a part of it that begins inside a page. */
static void a_foreign_dmabuf(void)
{
	struct pdma_region *maker, *region, *part, *host;
	struct pdma_mr *mr, *own;
	struct lib_rig r;
	int fd;

	lib_open(&r);
	lib_nic_open(&r);
	maker = lib_region(&r, "udmabuf:1M");
	LIB_OK(pdma_region_dmabuf(maker, &fd));
	LIB_OK(pdma_region_from_dmabuf(r.ctx, fd, 0, 0, NULL, &region));
	CHECK_EQ(close(fd), 0);
	mr = reg(&r, region, 0);
	CHECK_EQ(lib_mr_info(mr).way, PDMA_WAY_DYNAMIC_DMABUF);
	there_and_back(&r, region, mr, 31);
	LIB_OK(pdma_region_verify(maker, 0, LEN, 31, NULL));
	LIB_OK(pdma_dereg_mr(mr));
	LIB_OK(pdma_region_slice(region, 5001, 10000, NULL, &part));
	host = lib_region(&r, "host:64K");
	mr = reg(&r, part, 0);
	own = reg(&r, host, 0);
	LIB_OK(pdma_region_fill(host, 0, 10000, 32));
	CHECK_EQ(lib_rdma(&r, IBV_WR_RDMA_WRITE, own, 0, mr, 0, 10000), IBV_WC_SUCCESS);
	LIB_OK(pdma_region_verify(maker, 5001, 10000, 32, NULL));
	/* Beyond the part the key does not reach, though the page goes on. */
	CHECK_EQ(lib_rdma(&r, IBV_WR_RDMA_WRITE, own, 0, mr, 1, 10000), IBV_WC_REM_ACCESS_ERR);
	LIB_OK(pdma_dereg_mr(mr));
	LIB_OK(pdma_dereg_mr(own));
	pdma_region_close(host);
	pdma_region_close(part);
	pdma_region_close(region);
	pdma_region_close(maker);
	lib_close(&r);
}

/* The cache gives MRs that work, and forgets them with their region. */
static void cached_registrations(void)
{
	struct pdma_mr_cache_stats stats = { .size = sizeof(stats) };
	struct pdma_mr_cache *cache;
	struct pdma_mr_ref ref, again;
	struct pdma_region *region;
	struct lib_rig r;

	lib_open(&r);
	lib_nic_open(&r);
	region = lib_region(&r, r.iommu ? "vfio:ACC0/bar2+0:1M" : "host:1M");
	LIB_OK(pdma_mr_cache_create(r.ctx, NULL, &cache));
	LIB_OK(pdma_mr_cache_get(cache, region, 4096, 65536, r.nic.pd, ALL, &ref));
	LIB_OK(pdma_mr_cache_get(cache, region, 8192, 100, r.nic.pd, ALL, &again));
	CHECK(again.rkey == ref.rkey && again.addr == ref.addr + 4096);
	pdma_mr_cache_put(cache, &again);
	LIB_OK(pdma_region_revoke(region, NULL));
	LIB_FAILS(pdma_mr_cache_get(cache, region, 8192, 100, r.nic.pd, ALL, &again), ESTALE);
	pdma_mr_cache_put(cache, &ref);
	LIB_OK(pdma_mr_cache_get_stats(cache, &stats));
	CHECK_EQ(stats.hits, 1);
	CHECK_EQ(stats.invalidations, 1);
	pdma_mr_cache_destroy(cache);
	pdma_region_close(region);
	lib_close(&r);
}

/* The function is reset under registered memory, and can be used again by a new region. */
static void reset_revokes_and_a_new_region_works(void)
{
	struct pdma_region *region, *host;
	struct pdma_mr *mr, *own;
	struct lib_rig r;

	lib_open(&r);
	lib_nic_open(&r);
	host = lib_region(&r, "host:1M");
	own = reg(&r, host, 0);
	region = lib_region(&r, "vfio:ACC0/bar2+1M:1M");
	mr = reg(&r, region, 0);
	LIB_OK(pdma_region_reset(region));
	lib_event(&r, PDMA_EVENT_REGION_REVOKED);
	lib_event(&r, PDMA_EVENT_MR_REVOKED);
	CHECK_EQ(lib_rdma(&r, IBV_WR_RDMA_WRITE, own, 0, mr, 0, 4096), IBV_WC_REM_ACCESS_ERR);
	LIB_OK(pdma_dereg_mr(mr));
	pdma_region_close(region);
	region = lib_region(&r, "vfio:ACC0/bar2+1M:1M");
	mr = reg(&r, region, 0);
	there_and_back(&r, region, mr, 55);
	LIB_OK(pdma_dereg_mr(mr));
	LIB_OK(pdma_dereg_mr(own));
	pdma_region_close(region);
	pdma_region_close(host);
	lib_close(&r);
}

static const struct tap_test tests[] = {
	{ "each_way_moves_the_right_bytes", each_way_moves_the_right_bytes, TAP_ANYWHERE },
	{ "vram_is_reached_directly", vram_is_reached_directly, TAP_WITH_IOMMU },
	{ "vram_to_vram_touches_no_host_memory", vram_to_vram_touches_no_host_memory,
	  TAP_WITH_IOMMU },
	{ "a_pointer_to_a_bar_is_refused_with_reasons", a_pointer_to_a_bar_is_refused_with_reasons,
	  TAP_ANYWHERE },
	{ "bad_requests_are_refused", bad_requests_are_refused, TAP_ANYWHERE },
	{ "revoke_ends_remote_access", revoke_ends_remote_access, TAP_ANYWHERE },
	{ "revoke_under_traffic", revoke_under_traffic, TAP_ANYWHERE },
	{ "a_foreign_dmabuf", a_foreign_dmabuf, TAP_ANYWHERE },
	{ "cached_registrations", cached_registrations, TAP_ANYWHERE },
	{ "reset_revokes_and_a_new_region_works", reset_revokes_and_a_new_region_works,
	  TAP_WITH_IOMMU },
};

TAP_MAIN(tests)
