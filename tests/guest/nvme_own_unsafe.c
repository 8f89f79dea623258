// SPDX-License-Identifier: MIT
/*
 * Where no IOMMU guards the machine nobody owns a drive in user space: the addresses of its queues
 * would be any memory's. Opening is refused before the drive is told anything.
 */
#include "lib/sysfs/attr.h"
#include "tests/guest/kernel_rig.h"
#include "tests/guest/nvme_own.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void refused(int err)
{
	struct pdma_nvme *nvme = NULL;
	struct lib_rig rig;

	lib_open(&rig);
	LIB_FAILS(pdma_nvme_open(rig.ctx, getenv("PEERDMA_SLOT_DISK0"), &nvme), err);
	printf("# %s\n", pdma_error());
	CHECK(nvme == NULL);
	lib_close(&rig);
}

/* It has a driver, which goes on. */
static void with_the_stock_driver(void)
{
	char state[32] = "";

	refused(ENODEV);
	CHECK_EQ(pdmai_attr_get(state, sizeof(state), "/sys/class/nvme/nvme0/state"), 0);
	CHECK(!strcmp(state, "live"));
}

/* peerdma_vfio takes the function when it may, and maps nothing for it. */
static void with_peerdma_vfio_that_may(void)
{
	kernel_load();
	kernel_allow_unsafe(true);
	own_bind();
	refused(EOPNOTSUPP);
	own_unbind();
	kernel_allow_unsafe(false);
}

static const struct tap_test tests[] = {
	{ "with_the_stock_driver", with_the_stock_driver, TAP_WITHOUT_IOMMU },
	{ "with_peerdma_vfio_that_may", with_peerdma_vfio_that_may, TAP_WITHOUT_IOMMU },
};

TAP_MAIN(tests)
