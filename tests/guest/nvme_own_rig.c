// SPDX-License-Identifier: MIT
#include "tests/guest/nvme_own.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef OWN_LOAD
#include "tests/guest/kernel_rig.h"
#endif

/* Who has the drive for us; the build may say another. */
#ifndef OWN_DRIVER
#define OWN_DRIVER "vfio-pci"
#endif

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	CHECK(fd >= 0);
	CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void move_to(const char *driver, const char *override)
{
	const char *bdf = getenv("PEERDMA_SLOT_DISK0");
	char path[128];

	CHECK(bdf != NULL);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", bdf);
	write_file(path, override);
	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/unbind", driver);
	write_file(path, bdf);
	write_file("/sys/bus/pci/drivers_probe", bdf);
}

void own_bind(void)
{
#ifdef OWN_LOAD
	kernel_load();
#endif
	move_to("nvme", OWN_DRIVER);
}

void own_unbind(void)
{
	move_to(OWN_DRIVER, "\n");
}

int own_main(int argc, char **argv, const struct tap_test *tests, size_t n)
{
	int status;

	own_bind();
	status = tap_main(argc, argv, tests, n);
	own_unbind();
	return status;
}

void own_open(struct own *o)
{
	memset(o, 0, sizeof(*o));
	lib_open(&o->rig);
	LIB_OK(pdma_nvme_open(o->rig.ctx, getenv("PEERDMA_SLOT_DISK0"), &o->nvme));
	o->info.size = sizeof(o->info);
	LIB_OK(pdma_nvme_get_info(o->nvme, &o->info));
	LIB_OK(pdma_nvme_namespace(o->nvme, 0, &o->ns));
	LIB_OK(pdma_nvme_queue_create(o->nvme, 32, 0, &o->queue));
}

void own_close(struct own *o)
{
	pdma_nvme_queue_destroy(o->queue);
	pdma_nvme_close(o->nvme);
	lib_close(&o->rig);
}

void own_area(struct own *o, const char *uri, uint64_t len, struct own_area *ret_area)
{
	struct pdma_region *r = NULL;

	if (uri)
		r = lib_region(&o->rig, uri);
	else
		LIB_OK(pdma_nvme_cmb(o->nvme, len, NULL, &r));
	ret_area->region = r;
	LIB_OK(pdma_nvme_map(o->nvme, r, &ret_area->mem));
}

void own_area_free(struct own_area *a)
{
	LIB_OK(pdma_nvme_unmap(a->mem));
	pdma_region_close(a->region);
}

/* The pattern is made of words; what is asked for may begin in the middle of one. */
static char *pattern(uint64_t len, uint64_t seed)
{
	uint64_t words = (len + 7) & ~7ull;
	char *buf = malloc(words);

	CHECK(buf != NULL);
	kit_pattern_fill(buf, words, seed, 0);
	return buf;
}

void own_fill(struct own_area *a, uint64_t off, uint64_t len, uint64_t seed)
{
	char *buf = pattern(len, seed);

	LIB_OK(pdma_region_write(a->region, off, buf, len));
	free(buf);
}

void own_check(struct own_area *a, uint64_t off, uint64_t len, uint64_t seed)
{
	char *want = pattern(len, seed), *got = malloc(len);

	CHECK(got != NULL);
	LIB_OK(pdma_region_read(a->region, off, got, len));
	for (uint64_t i = 0; i < len; i++)
		if (want[i] != got[i])
			tap_fail(__FILE__, __LINE__,
				 "%" PRIu64 " bytes at %" PRIu64 " of seed %" PRIu64
				 ": byte %" PRIu64 " is wrong",
				 len, off, seed, i);
	free(want);
	free(got);
}

int own_io(struct own *o, struct pdma_nvme_queue *q, enum pdma_nvme_op op, uint64_t lba,
	   struct own_area *a, uint64_t off, uint64_t len)
{
	const struct pdma_nvme_cmd cmd = {
		.op = op,
		.nsid = o->ns.nsid,
		.lba = lba,
		.len = len,
		.mem = a ? a->mem : NULL,
		.off = off,
	};

	return pdma_nvme_io(q, &cmd, OWN_MS);
}
