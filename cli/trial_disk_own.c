// SPDX-License-Identifier: MIT
/*
 * An NVMe drive that this program drives itself: it reaches what the kernel's block layer does not
 * take, as memory of a NIC. The drive must be given to user space already; nothing is bound here.
 */
#include <errno.h>
#include <peerdma/nvme.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/trial_disk.h"

#define ENTRIES	   16
#define TIMEOUT_MS 10000

struct drive {
	struct pdma_nvme *nvme;
	struct pdma_nvme_queue *queue;
	struct pdma_region *bounce; /* of the host, or of its CMB where it reaches no host memory */
	struct pdma_nvme_mem *bounce_mem, *target_mem;
	uint32_t nsid;
};

static int fail(struct cli_disk *d, int err)
{
	snprintf(d->why, sizeof(d->why), "%s", pdma_error());
	return err;
}

static bool cannot(struct cli_disk *d)
{
	cli_trial_cannot(d->bench, "%.200s", pdma_error());
	return false;
}

/* The first one that can be used, and is long enough. */
static bool find_namespace(struct cli_disk *d, struct drive *drive)
{
	struct pdma_nvme_info info = { .size = sizeof(info) };
	struct pdma_nvme_namespace ns;

	if (pdma_nvme_get_info(drive->nvme, &info))
		return cannot(d);
	for (unsigned i = 0; !pdma_nvme_namespace(drive->nvme, i, &ns); i++) {
		if (ns.block < 512 || ns.block > CLI_DISK_PAGE ||
		    ns.blocks < d->bench->len / ns.block)
			continue;
		drive->nsid = ns.nsid;
		d->block = ns.block;
		snprintf(d->name, sizeof(d->name), "%s namespace %u", d->bench->initiator.bdf,
			 ns.nsid);
		return true;
	}
	cli_trial_cannot(d->bench,
			 "%s has no namespace with blocks of 512 to 4096 bytes and %llu bytes",
			 d->bench->initiator.bdf, (unsigned long long)d->bench->len);
	return false;
}

static bool open_bounce(struct cli_disk *d, struct drive *drive)
{
	char uri[32];

	snprintf(uri, sizeof(uri), "host:%llu", (unsigned long long)d->bench->len);
	if (pdma_region_open(d->bench->path->machine->ctx, uri, NULL, &drive->bounce))
		return cannot(d);
	if (!pdma_nvme_map(drive->nvme, drive->bounce, &drive->bounce_mem))
		return true;
	pdma_region_close(drive->bounce);
	drive->bounce = NULL;
	if (pdma_nvme_cmb(drive->nvme, d->bench->len, NULL, &drive->bounce) ||
	    pdma_nvme_map(drive->nvme, drive->bounce, &drive->bounce_mem))
		return cannot(d);
	return true;
}

static void tell_mapping(struct cli_disk *d, const struct drive *drive)
{
	struct cli_measurement *out = d->bench->out;
	struct pdma_nvme_mem_info info = { .size = sizeof(info) };

	if (pdma_nvme_mem_info(drive->target_mem, &info))
		return;
	out->mapping = info.mapping;
	out->addr = info.addr;
	snprintf(out->detour, sizeof(out->detour), "%s", info.detour);
}

static int do_io(struct cli_disk *d, enum pdma_nvme_op op, struct pdma_nvme_mem *mem, uint64_t off,
		 uint64_t len)
{
	const struct drive *drive = d->priv;
	struct pdma_nvme_cmd cmd = { .op = op,
				     .nsid = drive->nsid,
				     .lba = off / d->block,
				     .len = len,
				     .mem = mem,
				     .off = off };
	int ret = pdma_nvme_io(drive->queue, &cmd, TIMEOUT_MS);

	return ret ? fail(d, ret) : 0;
}

static int peek_own(struct cli_disk *d, uint8_t *to)
{
	const struct drive *drive = d->priv;
	int ret = do_io(d, PDMA_NVME_READ, drive->bounce_mem, 0, d->bench->len);

	if (!ret && pdma_region_read(drive->bounce, 0, to, d->bench->len))
		ret = fail(d, -EIO);
	return ret;
}

static bool open_all(struct cli_disk *d, struct drive *drive)
{
	struct cli_trial_bench *b = d->bench;

	if (pdma_nvme_open(b->path->machine->ctx, b->initiator.bdf, &drive->nvme) ||
	    pdma_nvme_queue_create(drive->nvme, ENTRIES, 0, &drive->queue))
		return cannot(d);
	if (!find_namespace(d, drive) || !open_bounce(d, drive))
		return false;
	if (pdma_nvme_map(drive->nvme, b->target, &drive->target_mem))
		return cannot(d);
	tell_mapping(d, drive);
	if (!peek_own(d, d->want))
		return true;
	cli_trial_cannot(b, "%s: %.180s", d->name, d->why);
	return false;
}

/* The queue first: when it is gone, no command reaches memory any more. */
static void close_own(struct cli_disk *d)
{
	struct drive *drive = d->priv;

	pdma_nvme_queue_destroy(drive->queue);
	pdma_nvme_unmap(drive->target_mem);
	pdma_nvme_unmap(drive->bounce_mem);
	pdma_region_close(drive->bounce);
	pdma_nvme_close(drive->nvme);
	free(drive);
}

static bool open_own(struct cli_disk *d)
{
	struct drive *drive = calloc(1, sizeof(*drive));

	if (!drive) {
		cli_trial_cannot(d->bench, "no memory");
		return false;
	}
	d->priv = drive;
	snprintf(d->driver, sizeof(d->driver), ", driven by this program");
	if (open_all(d, drive))
		return true;
	close_own(d);
	return false;
}

static int read_own(struct cli_disk *d)
{
	const struct drive *drive = d->priv;

	return do_io(d, PDMA_NVME_READ, drive->target_mem, 0, d->bench->len);
}

static int compare_own(struct cli_disk *d, uint64_t off, uint64_t len)
{
	const struct drive *drive = d->priv;
	int ret = do_io(d, PDMA_NVME_COMPARE, drive->target_mem, off, len);

	return ret == -EBADMSG ? 1 : ret;
}

const struct cli_disk_ops cli_disk_own = {
	.open = open_own,
	.close = close_own,
	.peek = peek_own,
	.read = read_own,
	.compare = compare_own,
};
