// SPDX-License-Identifier: MIT
/*
 * peerdma_vfio's dma-bufs and importers, by one that does what it is told: who is refused, with
 * which errno, and what comes of one that does not let go.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/sysfs/attr.h"
#include "tests/guest/kernel_rig.h"
#include "tests/guest/kernel_shown.h"
#include "tests/guest/kernel_test.h"

#define SHORT_MS 300
#define GOOD	 (KERNEL_PEERS | KERNEL_HEARS)
#define NIC	 getenv("PEERDMA_SLOT_NIC0")

#define WHOLE(r)                                         \
	{                                                \
		KERNEL_CPU, (r)->size, getpid(), NULL, 0 \
	}

struct rig {
	struct kernel_rig kernel;
	int import;
	int dmabuf;
};

static void open_rig(struct rig *r, unsigned revoke_ms)
{
	const struct pdmai_bar_range range = { 16 * MIB, 2 * MIB };

	kernel_open(&r->kernel, revoke_ms);
	r->import = kernel_import_open();
	CHECK_EQ(pdmai_dev_dmabuf(r->kernel.dev, ACCEL_BAR_VRAM, &range, 1, &r->dmabuf), 0);
}

static void close_rig(struct rig *r)
{
	close(r->import);
	close(r->dmabuf);
	kernel_close(&r->kernel);
	kernel_nothing_shown();
}

static int try_attach(struct rig *r, unsigned flags)
{
	uint32_t handle;

	return kernel_import_attach(r->import, r->dmabuf, flags, &handle);
}

static uint32_t attach(struct rig *r, unsigned flags)
{
	uint32_t handle;

	CHECK_EQ(kernel_import_attach(r->import, r->dmabuf, flags, &handle), 0);
	return handle;
}

static int act(struct rig *r, enum kernel_import_op op, uint32_t handle)
{
	return kernel_import_do(r->import, op, handle);
}

static void told(struct rig *r, uint32_t handle, bool want, unsigned n_mapped)
{
	struct kernel_import i = kernel_import_ask(r->import, KERNEL_IMPORT_TOLD, handle);

	CHECK_EQ(!!i.n_told, want);
	CHECK_EQ(i.n_mapped, n_mapped);
}

static void one_that_cannot_is_refused(void)
{
	struct rig r;

	open_rig(&r, 5000);
	CHECK_EQ(try_attach(&r, KERNEL_PLAIN), -EOPNOTSUPP);
	CHECK_EQ(try_attach(&r, 0), -EOPNOTSUPP);
	CHECK_EQ(try_attach(&r, KERNEL_PEERS), -EOPNOTSUPP);
	CHECK_EQ(try_attach(&r, KERNEL_HEARS), -EOPNOTSUPP);
	KERNEL_SHOWN(WHOLE(&r.kernel), { KERNEL_EXPORT, 2 * MIB, getpid(), NULL, 0 });
	CHECK_EQ(act(&r, KERNEL_IMPORT_DETACH, attach(&r, GOOD)), 0);
	close_rig(&r);
}

/* The address is the BAR's below a switch, and the IOMMU's where the host bridge joins them. */
static void mapped_twice_and_pinned(void)
{
	struct kernel_import first, second;
	uint32_t handle;
	struct rig r;

	open_rig(&r, 5000);
	handle = attach(&r, GOOD);
	first = kernel_import_ask(r.import, KERNEL_IMPORT_MAP, handle);
	second = kernel_import_ask(r.import, KERNEL_IMPORT_MAP, handle);
	CHECK(first.address && second.address);
	CHECK(first.len == 2 * MIB && second.len == 2 * MIB);
	CHECK_EQ(act(&r, KERNEL_IMPORT_PIN, handle), 0);
	/* One importer, however often it maps. */
	KERNEL_SHOWN(WHOLE(&r.kernel), { KERNEL_EXPORT, 2 * MIB, getpid(), NULL, 0 },
		     { KERNEL_ATTACH, 2 * MIB, getpid(), NIC, 0 },
		     { KERNEL_IMPORT, 2 * MIB, getpid(), NIC, 0 });
	CHECK_EQ(act(&r, KERNEL_IMPORT_UNMAP, handle), 0);
	KERNEL_SHOWN(WHOLE(&r.kernel), { KERNEL_EXPORT, 2 * MIB, getpid(), NULL, 0 },
		     { KERNEL_ATTACH, 2 * MIB, getpid(), NIC, 0 },
		     { KERNEL_IMPORT, 2 * MIB, getpid(), NIC, 0 });
	CHECK_EQ(act(&r, KERNEL_IMPORT_UNMAP, handle), 0);
	KERNEL_SHOWN(WHOLE(&r.kernel), { KERNEL_EXPORT, 2 * MIB, getpid(), NULL, 0 },
		     { KERNEL_ATTACH, 2 * MIB, getpid(), NIC, 0 });
	CHECK_EQ(act(&r, KERNEL_IMPORT_UNPIN, handle), 0);
	close_rig(&r);
}

/* Being pinned does not keep the memory: one that hears is told, and has let go. */
static void one_that_lets_go_is_not_waited_for(void)
{
	uint32_t handle, pinned;
	struct rig r;

	open_rig(&r, 5000);
	handle = attach(&r, GOOD);
	pinned = attach(&r, GOOD);
	CHECK_EQ(act(&r, KERNEL_IMPORT_MAP, handle), 0);
	CHECK_EQ(act(&r, KERNEL_IMPORT_PIN, pinned), 0);
	CHECK_EQ(act(&r, KERNEL_IMPORT_MAP, pinned), 0);
	told(&r, handle, false, 1);
	CHECK_EQ(kernel_reset(&r.kernel), 0);
	told(&r, handle, true, 0);
	told(&r, pinned, true, 0);
	CHECK_EQ(act(&r, KERNEL_IMPORT_MAP, handle), 0);
	CHECK_EQ(act(&r, KERNEL_IMPORT_MAP, pinned), 0);
	close_rig(&r);
}

static void memory_that_is_away(void)
{
	uint32_t handle;
	struct rig r;

	open_rig(&r, 5000);
	handle = attach(&r, GOOD);
	CHECK_EQ(kernel_command(&r.kernel, false), 0);
	CHECK_EQ(try_attach(&r, GOOD), -ENODEV);
	CHECK_EQ(act(&r, KERNEL_IMPORT_MAP, handle), -ENODEV);
	CHECK_EQ(kernel_command(&r.kernel, true), 0);
	CHECK_EQ(act(&r, KERNEL_IMPORT_MAP, handle), 0);
	CHECK_EQ(act(&r, KERNEL_IMPORT_DETACH, attach(&r, GOOD)), 0);
	close_rig(&r);
}

/* For good, and the next user's memory is not shown to whoever imported the last one's. */
static void device_that_is_closed(void)
{
	uint32_t handle;
	struct rig r;

	open_rig(&r, 5000);
	handle = attach(&r, GOOD);
	CHECK_EQ(act(&r, KERNEL_IMPORT_MAP, handle), 0);
	kernel_close_device(&r.kernel);
	told(&r, handle, true, 0);
	CHECK_EQ(act(&r, KERNEL_IMPORT_MAP, handle), -ENODEV);
	CHECK_EQ(try_attach(&r, GOOD), -ENODEV);
	CHECK_EQ(kernel_open_device(&r.kernel), 0);
	CHECK_EQ(act(&r, KERNEL_IMPORT_MAP, handle), -ENODEV);
	CHECK_EQ(try_attach(&r, GOOD), -ENODEV);
	close_rig(&r);
}

static int decode_off(struct kernel_rig *r)
{
	return kernel_command(r, false);
}

/* All that can be refused is; afterwards the device is as before. */
static void one_that_holds_on(void)
{
	uint32_t handle;
	struct rig r;

	open_rig(&r, SHORT_MS);
	handle = attach(&r, GOOD | KERNEL_HOLDS);
	CHECK_EQ(act(&r, KERNEL_IMPORT_MAP, handle), 0);
	kernel_refused(kernel_reset, &r.kernel, SHORT_MS);
	told(&r, handle, true, 1);
	kernel_refused(decode_off, &r.kernel, SHORT_MS);
	kernel_refused(kernel_low_power, &r.kernel, SHORT_MS);
	if (kernel_has_hot_reset())
		kernel_refused(kernel_hot_reset, &r.kernel, SHORT_MS);
	CHECK(kernel_touch(r.kernel.mem));
	CHECK_EQ(act(&r, KERNEL_IMPORT_UNMAP, handle), 0);
	CHECK_EQ(kernel_reset(&r.kernel), 0);
	close_rig(&r);
}

/* Closing can't be refused; then nobody gets the device before it has let go. */
static void one_that_holds_on_to_a_closed_device(void)
{
	uint32_t handle;
	struct rig r;

	open_rig(&r, SHORT_MS);
	handle = attach(&r, GOOD | KERNEL_HOLDS);
	CHECK_EQ(act(&r, KERNEL_IMPORT_MAP, handle), 0);
	kernel_close_device(&r.kernel);
	CHECK_EQ(kernel_open_device(&r.kernel), -ETIMEDOUT);
	CHECK_EQ(act(&r, KERNEL_IMPORT_UNMAP, handle), 0);
	CHECK_EQ(kernel_open_device(&r.kernel), 0);
	CHECK(kernel_touch(r.kernel.mem));
	close_rig(&r);
}

/* It has unmapped, but its work is not done. */
static void work_under_way(void)
{
	uint32_t handle;
	struct rig r;

	open_rig(&r, SHORT_MS);
	handle = attach(&r, GOOD);
	CHECK_EQ(act(&r, KERNEL_IMPORT_FENCE, handle), 0);
	kernel_refused(kernel_reset, &r.kernel, SHORT_MS);
	CHECK_EQ(act(&r, KERNEL_IMPORT_SIGNAL, handle), 0);
	CHECK_EQ(kernel_reset(&r.kernel), 0);
	close_rig(&r);
}

static void limit_of_who_exported(void)
{
	uint32_t handle;
	struct rig r;

	open_rig(&r, 5000);
	handle = attach(&r, GOOD);
	kernel_limit(0, kernel_used(0) + 2 * MIB - 1);
	CHECK_EQ(act(&r, KERNEL_IMPORT_MAP, handle), -EDQUOT);
	kernel_limit(0, kernel_used(0) + 2 * MIB);
	CHECK_EQ(act(&r, KERNEL_IMPORT_MAP, handle), 0);
	kernel_limit(0, ~0ull);
	close_rig(&r);
}

static const struct tap_test tests[] = {
	{ "one_that_cannot_is_refused", one_that_cannot_is_refused, TAP_ANYWHERE },
	{ "mapped_twice_and_pinned", mapped_twice_and_pinned, TAP_ANYWHERE },
	{ "one_that_lets_go_is_not_waited_for", one_that_lets_go_is_not_waited_for, TAP_ANYWHERE },
	{ "memory_that_is_away", memory_that_is_away, TAP_ANYWHERE },
	{ "device_that_is_closed", device_that_is_closed, TAP_ANYWHERE },
	{ "one_that_holds_on", one_that_holds_on, TAP_ANYWHERE },
	{ "one_that_holds_on_to_a_closed_device", one_that_holds_on_to_a_closed_device,
	  TAP_ANYWHERE },
	{ "work_under_way", work_under_way, TAP_ANYWHERE },
	{ "limit_of_who_exported", limit_of_who_exported, TAP_ANYWHERE },
};

TAP_MAIN(tests)
