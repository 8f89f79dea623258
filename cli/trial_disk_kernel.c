// SPDX-License-Identifier: MIT
/* An NVMe drive under its kernel driver: O_DIRECT, and Compare by passthrough. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/nvme_ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/trial_disk.h"

/* NVM Express base specification, status codes with their type. */
#define NVME_COMPARE	    0x05
#define NVME_SC_MASK	    0x7ff
#define NVME_SC_BAD_OPCODE  0x001
#define NVME_SC_COMPARE_BAD 0x285

struct drive {
	int fd;
	unsigned nsid;
	char *mem; /* the target */
};

static int fail(struct cli_disk *d, int err)
{
	snprintf(d->why, sizeof(d->why), "%s", strerror(err));
	return -err;
}

/* "nvme0n1"; of a drive with several paths "nvme0c1n1" is one of them and not asked for. */
static bool is_namespace(const char *name, unsigned *ret_n)
{
	int end = 0;

	return sscanf(name, "nvme%*un%u%n", ret_n, &end) == 1 && !name[end];
}

static bool find_namespace(const struct pdma_function *f, struct cli_disk *d)
{
	unsigned n, best = 0;
	struct dirent *e;
	char path[128];
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/nvme/%s", f->bdf, f->name);
	dir = opendir(path);
	while (dir && (e = readdir(dir))) {
		if (!is_namespace(e->d_name, &n) || (best && n >= best))
			continue;
		best = n;
		snprintf(d->name, sizeof(d->name), "/dev/%.24s", e->d_name);
	}
	if (dir)
		closedir(dir);
	return best;
}

static bool look_at(struct cli_disk *d, struct drive *drive)
{
	uint64_t size = 0;
	int nsid, block = 0;

	nsid = ioctl(drive->fd, NVME_IOCTL_ID);
	if (nsid <= 0 || ioctl(drive->fd, BLKSSZGET, &block) ||
	    ioctl(drive->fd, BLKGETSIZE64, &size)) {
		cli_trial_cannot(d->bench, "%s does not tell what it is", d->name);
		return false;
	}
	drive->nsid = (unsigned)nsid;
	d->block = (unsigned)block;
	if (block < 512 || block > (int)CLI_DISK_PAGE || size < d->bench->len) {
		cli_trial_cannot(d->bench, "%s has blocks of %d bytes, %llu bytes in all", d->name,
				 block, (unsigned long long)size);
		return false;
	}
	return true;
}

static bool open_drive(struct cli_disk *d, struct drive *drive)
{
	const struct pdma_function *f = &d->bench->initiator;

	if (!f->name[0] || !find_namespace(f, d)) {
		cli_trial_cannot(d->bench, "%s has no namespace under the kernel's nvme driver",
				 f->bdf);
		return false;
	}
	drive->fd = open(d->name, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (drive->fd < 0) {
		cli_trial_cannot(d->bench, "%s: %s", d->name, strerror(errno));
		return false;
	}
	return look_at(d, drive);
}

static int read_drive(struct cli_disk *d, void *mem, uint64_t len)
{
	const struct drive *drive = d->priv;
	uint64_t done = 0;

	while (done < len) {
		ssize_t n = pread(drive->fd, (char *)mem + done, len - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail(d, n ? errno : EIO);
		done += (uint64_t)n;
	}
	return 0;
}

/*
 * Whether the block layer takes the pointer says the kernel: memory without pages it does not, and
 * that is not the path's fault.
 */
static bool takes_pointer(struct cli_disk *d)
{
	const struct drive *drive = d->priv;
	struct cli_trial_bench *b = d->bench;
	struct pdma_region_info info = { .size = sizeof(info) };

	if (pdma_region_get_info(b->target, &info) || info.flags & PDMA_REGION_PAGES)
		return true;
	if (!read_drive(d, drive->mem, d->block))
		return true;
	cli_trial_cannot(b,
			 "the kernel's block layer does not take the mapping of %s (%s): it has no "
			 "pages; %s",
			 b->owner.bdf, d->why,
			 b->owner.role != PDMA_ROLE_NIC ?
				 "bind it to peerdma_vfio, which gives it some" :
			 b->initiator.iommu_group >= 0 ? "bind the drive to vfio-pci" :
							 "unbind the drive from its driver");
	return false;
}

static bool open_all(struct cli_disk *d, struct drive *drive)
{
	struct cli_trial_bench *b = d->bench;
	void *mem;

	if (pdma_region_map(b->target, &mem)) {
		cli_trial_cannot(b, "%.180s", pdma_error());
		return false;
	}
	drive->mem = mem;
	if (!open_drive(d, drive))
		return false;
	if (!read_drive(d, d->want, b->len))
		return takes_pointer(d);
	cli_trial_cannot(b, "%s: %s", d->name, d->why);
	return false;
}

static void close_kernel(struct cli_disk *d)
{
	struct drive *drive = d->priv;

	if (drive->fd >= 0)
		close(drive->fd);
	if (drive->mem)
		pdma_region_unmap(d->bench->target);
	free(drive);
}

static bool open_kernel(struct cli_disk *d)
{
	struct drive *drive = calloc(1, sizeof(*drive));

	if (!drive) {
		cli_trial_cannot(d->bench, "no memory");
		return false;
	}
	drive->fd = -1;
	d->priv = drive;
	if (open_all(d, drive))
		return true;
	close_kernel(d);
	return false;
}

static int peek_kernel(struct cli_disk *d, uint8_t *mem)
{
	return read_drive(d, mem, d->bench->len);
}

static int read_kernel(struct cli_disk *d)
{
	const struct drive *drive = d->priv;

	return read_drive(d, drive->mem, d->bench->len);
}

static int compare_kernel(struct cli_disk *d, uint64_t off, uint64_t len)
{
	const struct drive *drive = d->priv;
	uint64_t lba = off / d->block;
	struct nvme_passthru_cmd cmd = {
		.opcode = NVME_COMPARE,
		.nsid = drive->nsid,
		.addr = (uintptr_t)(drive->mem + off),
		.data_len = (uint32_t)len,
		.cdw10 = (uint32_t)lba,
		.cdw11 = (uint32_t)(lba >> 32),
		.cdw12 = (uint32_t)(len / d->block - 1),
	};
	int ret = ioctl(drive->fd, NVME_IOCTL_IO_CMD, &cmd);

	if (ret < 0)
		return fail(d, errno == EOPNOTSUPP ? EIO : errno);
	if ((ret & NVME_SC_MASK) == NVME_SC_BAD_OPCODE)
		return -EOPNOTSUPP;
	snprintf(d->why, sizeof(d->why), "NVMe status 0x%x", ret & NVME_SC_MASK);
	return !ret ? 0 : (ret & NVME_SC_MASK) == NVME_SC_COMPARE_BAD ? 1 : -EIO;
}

const struct cli_disk_ops cli_disk_kernel = {
	.open = open_kernel,
	.close = close_kernel,
	.peek = peek_kernel,
	.read = read_kernel,
	.compare = compare_kernel,
};
