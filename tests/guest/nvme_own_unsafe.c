// SPDX-License-Identifier: MIT
/*
 * A drive of our own where no IOMMU guards the machine: not beside its driver; and by peerdma_vfio
 * with queues and data in its memory buffer alone, for nobody tells it addresses of host memory.
 */
#include "lib/sysfs/attr.h"
#include "tests/guest/kernel_rig.h"
#include "tests/guest/nvme_own.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* It has a driver, which goes on. */
static void with_the_stock_driver(void)
{
	struct pdma_nvme *nvme = NULL;
	char state[32] = "";
	struct lib_rig rig;

	lib_open(&rig);
	LIB_FAILS(pdma_nvme_open(rig.ctx, getenv("PEERDMA_SLOT_DISK0"), &nvme), EBUSY);
	lib_close(&rig);
	CHECK_EQ(pdmai_attr_get(state, sizeof(state), "/sys/class/nvme/nvme0/state"), 0);
	CHECK(!strcmp(state, "live"));
}

static void with_peerdma_vfio_that_may(void)
{
	struct pdma_region *host;
	struct pdma_nvme_mem *mem;
	struct own_area a;
	struct own o;

	kernel_load();
	kernel_allow_unsafe(true);
	own_bind();
	own_open(&o);
	host = lib_region(&o.rig, "host:64K");
	LIB_FAILS(pdma_nvme_map(o.nvme, host, &mem), EOPNOTSUPP);
	pdma_region_close(host);
	own_area(&o, NULL, 64 * KIB, &a);
	own_fill(&a, 0, 64 * KIB, 3);
	LIB_OK(own_io(&o, o.queue, PDMA_NVME_WRITE, 64, &a, 0, 64 * KIB));
	own_fill(&a, 0, 64 * KIB, 4);
	LIB_OK(own_io(&o, o.queue, PDMA_NVME_READ, 64, &a, 0, 64 * KIB));
	own_check(&a, 0, 64 * KIB, 3);
	own_area_free(&a);
	own_close(&o);
	own_unbind();
	kernel_allow_unsafe(false);
}

static const struct tap_test tests[] = {
	{ "with_the_stock_driver", with_the_stock_driver, TAP_WITHOUT_IOMMU },
	{ "with_peerdma_vfio_that_may", with_peerdma_vfio_that_may, TAP_WITHOUT_IOMMU },
};

TAP_MAIN(tests)
