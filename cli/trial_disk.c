// SPDX-License-Identifier: MIT
/*
 * Data moved by an NVMe drive under its kernel driver. It writes to the target when it is read from
 * with O_DIRECT, and reads the target when it compares its blocks with it (NVMe Compare), which
 * changes nothing on the drive.
 */
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

#include "cli/trial_bench.h"
#include "util/clock.h"

#define PAGE	 4096u
#define CHUNK	 (64u << 10) /* compared by one command */
#define NODE_LEN 32

/* NVM Express base specification, status codes with their type. */
#define NVME_COMPARE	    0x05
#define NVME_SC_MASK	    0x7ff
#define NVME_SC_BAD_OPCODE  0x001
#define NVME_SC_COMPARE_BAD 0x285

struct drive {
	int fd;
	unsigned nsid, block;
	char node[NODE_LEN];
};

struct trial {
	struct cli_trial_bench *bench;
	struct drive drive;
	char *mem;	     /* the target */
	uint8_t *want, *got; /* what the drive has, what the target has */
};

/* ---- the drive ---- */

/* "nvme0n1"; of a drive with several paths "nvme0c1n1" is one of them and not asked for. */
static bool is_namespace(const char *name, unsigned *ret_n)
{
	int end = 0;

	return sscanf(name, "nvme%*un%u%n", ret_n, &end) == 1 && !name[end];
}

static bool find_namespace(const struct pdma_function *f, char node[NODE_LEN])
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
		snprintf(node, NODE_LEN, "/dev/%.24s", e->d_name);
	}
	if (dir)
		closedir(dir);
	return best;
}

static bool look_at(struct trial *t)
{
	struct drive *d = &t->drive;
	uint64_t size = 0;
	int nsid, block = 0;

	nsid = ioctl(d->fd, NVME_IOCTL_ID);
	if (nsid <= 0 || ioctl(d->fd, BLKSSZGET, &block) || ioctl(d->fd, BLKGETSIZE64, &size)) {
		cli_trial_cannot(t->bench, "%s does not tell what it is", d->node);
		return false;
	}
	d->nsid = (unsigned)nsid;
	d->block = (unsigned)block;
	if (block < 512 || block > (int)PAGE || size < t->bench->len) {
		cli_trial_cannot(t->bench, "%s has blocks of %d bytes, %llu bytes in all", d->node,
				 block, (unsigned long long)size);
		return false;
	}
	return true;
}

static bool open_drive(struct trial *t)
{
	const struct pdma_function *f = &t->bench->initiator;
	struct drive *d = &t->drive;

	if (!f->name[0] || !find_namespace(f, d->node)) {
		cli_trial_cannot(t->bench, "%s has no namespace under the kernel's nvme driver",
				 f->bdf);
		return false;
	}
	d->fd = open(d->node, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (d->fd < 0) {
		cli_trial_cannot(t->bench, "%s: %s", d->node, strerror(errno));
		return false;
	}
	return look_at(t);
}

/* Return: 0, errno. */
static int read_drive(const struct drive *d, void *mem, uint64_t len)
{
	uint64_t done = 0;

	while (done < len) {
		ssize_t n = pread(d->fd, (char *)mem + done, len - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? errno : EIO;
		done += (uint64_t)n;
	}
	return 0;
}

/* Whole blocks at the same offset of drive and memory. Return: status, or -errno. */
static int compare(const struct trial *t, uint64_t off, uint64_t len)
{
	uint64_t lba = off / t->drive.block;
	struct nvme_passthru_cmd cmd = {
		.opcode = NVME_COMPARE,
		.nsid = t->drive.nsid,
		.addr = (uintptr_t)(t->mem + off),
		.data_len = (uint32_t)len,
		.cdw10 = (uint32_t)lba,
		.cdw11 = (uint32_t)(lba >> 32),
		.cdw12 = (uint32_t)(len / t->drive.block - 1),
	};
	int ret = ioctl(t->drive.fd, NVME_IOCTL_IO_CMD, &cmd);

	return ret < 0 ? -errno : ret & NVME_SC_MASK;
}

/* ---- how it went ---- */

static double rate(uint64_t len, double start)
{
	double time = util_now_s() - start;

	return time > 0 ? (double)len / (1 << 20) / time : 0;
}

static enum pdma_trial not_run(struct trial *t, const char *what, const char *why)
{
	cli_trial_cannot(t->bench, "%s: %s", what, why);
	return PDMA_TRIAL_NOT_RUN;
}

static enum pdma_trial refused(struct trial *t, const char *what, int err)
{
	snprintf(t->bench->out->how, sizeof(t->bench->out->how), "%s of %s: %s", what,
		 t->drive.node, strerror(err));
	return PDMA_TRIAL_REFUSED;
}

/* got and want; all wrong bytes of the first wrong page are ones: the bus answered for nobody. */
static enum pdma_trial weigh(struct trial *t)
{
	uint64_t first = 0, end;

	while (first < t->bench->len && t->got[first] == t->want[first])
		first++;
	if (first == t->bench->len)
		return PDMA_TRIAL_GOOD;
	t->bench->out->first_bad = first;
	end = (first | (PAGE - 1)) + 1;
	for (uint64_t i = first; i < end; i++)
		if (t->got[i] != t->want[i] && t->got[i] != 0xff)
			return PDMA_TRIAL_WRONG_DATA;
	return PDMA_TRIAL_ALL_ONES;
}

/* The drive writes: what it has comes into memory that holds something else in each byte. */
static enum pdma_trial try_write(struct trial *t)
{
	struct cli_trial_bench *b = t->bench;
	double start;
	int err;

	for (uint64_t i = 0; i < b->len; i++)
		t->got[i] = t->want[i] ^ 0xa5;
	if (pdma_region_write(b->target, 0, t->got, b->len))
		return not_run(t, "the processor writes", pdma_error());
	start = util_now_s();
	err = read_drive(&t->drive, t->mem, b->len);
	if (err)
		return refused(t, "reading into it", err);
	b->out->write_mib_s = rate(b->len, start);
	if (pdma_region_read(b->target, 0, t->got, b->len))
		return not_run(t, "the processor reads", pdma_error());
	return weigh(t);
}

static enum pdma_trial bad_status(struct trial *t, int status)
{
	char text[32];

	if (status < 0)
		return refused(t, "comparing with it", -status);
	if (status == NVME_SC_BAD_OPCODE)
		return not_run(t, t->drive.node, "has no Compare command");
	snprintf(text, sizeof(text), "NVMe status 0x%x", status);
	snprintf(t->bench->out->how, sizeof(t->bench->out->how), "Compare of %s: %s", t->drive.node,
		 text);
	return PDMA_TRIAL_REFUSED;
}

/* The first block of a chunk that is told to differ. */
static enum pdma_trial wrong_block(struct trial *t, uint64_t off, uint64_t len)
{
	uint64_t at = off;

	while (at - off < len && compare(t, at, t->drive.block) != NVME_SC_COMPARE_BAD)
		at += t->drive.block;
	t->bench->out->first_bad = at - off < len ? at : off;
	return PDMA_TRIAL_WRONG_DATA;
}

static uint64_t chunk_at(const struct trial *t, uint64_t off)
{
	return t->bench->len - off < CHUNK ? t->bench->len - off : CHUNK;
}

static enum pdma_trial compare_equal(struct trial *t)
{
	for (uint64_t off = 0; off < t->bench->len; off += CHUNK) {
		int status = compare(t, off, chunk_at(t, off));

		if (status == NVME_SC_COMPARE_BAD)
			return wrong_block(t, off, chunk_at(t, off));
		if (status)
			return bad_status(t, status);
	}
	return PDMA_TRIAL_GOOD;
}

/* One byte of each chunk is changed: who still finds it equal has not read it. */
static enum pdma_trial compare_changed(struct trial *t)
{
	for (uint64_t off = 0; off < t->bench->len; off += CHUNK) {
		uint64_t len = chunk_at(t, off), at = off + len / 2 + 1;
		uint8_t other = (uint8_t)~t->want[at];
		int status;

		if (pdma_region_write(t->bench->target, at, &other, 1))
			return not_run(t, "the processor writes", pdma_error());
		status = compare(t, off, len);
		if (status == NVME_SC_COMPARE_BAD)
			continue;
		if (status)
			return bad_status(t, status);
		t->bench->out->first_bad = at;
		return PDMA_TRIAL_WRONG_DATA;
	}
	return PDMA_TRIAL_GOOD;
}

static enum pdma_trial try_read(struct trial *t)
{
	struct cli_trial_bench *b = t->bench;
	enum pdma_trial trial;
	double start;

	if (pdma_region_write(b->target, 0, t->want, b->len))
		return not_run(t, "the processor writes", pdma_error());
	start = util_now_s();
	trial = compare_equal(t);
	b->out->read_mib_s = rate(b->len, start);
	return trial == PDMA_TRIAL_GOOD ? compare_changed(t) : trial;
}

/*
 * Whether the block layer takes the pointer says the kernel: memory without pages it does not, and
 * that is not the path's fault.
 */
static bool takes_pointer(struct trial *t)
{
	struct cli_trial_bench *b = t->bench;
	struct pdma_region_info info = { .size = sizeof(info) };
	int err;

	if (pdma_region_get_info(b->target, &info) || info.flags & PDMA_REGION_PAGES)
		return true;
	err = read_drive(&t->drive, t->mem, t->drive.block);
	if (!err)
		return true;
	cli_trial_cannot(b,
			 "the kernel's block layer does not take the mapping of %s (%s): it has no "
			 "pages%s",
			 b->owner.bdf, strerror(err),
			 b->owner.role == PDMA_ROLE_NIC ?
				 ", and its driver offers no other way" :
				 "; bind it to peerdma_vfio, which gives it some");
	return false;
}

static void run(struct trial *t)
{
	struct cli_measurement *out = t->bench->out;

	snprintf(out->how, sizeof(out->how), "%llu KiB each way by %s: direct read, Compare",
		 (unsigned long long)t->bench->len >> 10, t->drive.node);
	out->m.write = try_write(t);
	if (out->m.write != PDMA_TRIAL_NOT_RUN)
		out->m.read = try_read(t);
	/* The drive may be in use: what changed on it meanwhile is no error of the path. */
	if (read_drive(&t->drive, t->got, t->bench->len) ||
	    memcmp(t->got, t->want, t->bench->len)) {
		out->m.write = out->m.read = PDMA_TRIAL_NOT_RUN;
		cli_trial_cannot(t->bench, "what %s has changed meanwhile: is it in use?",
				 t->drive.node);
	}
}

void cli_trial_by_disk(struct cli_trial_bench *b)
{
	struct trial t = { .bench = b, .drive.fd = -1 };
	void *mem;
	int err;

	if (pdma_region_map(b->target, &mem)) {
		cli_trial_cannot(b, "%.180s", pdma_error());
		return;
	}
	t.mem = mem;
	t.want = aligned_alloc(PAGE, b->len);
	t.got = aligned_alloc(PAGE, b->len);
	if (!t.want || !t.got) {
		cli_trial_cannot(b, "no memory");
	} else if (open_drive(&t)) {
		err = read_drive(&t.drive, t.want, b->len);
		if (err)
			cli_trial_cannot(b, "%s: %s", t.drive.node, strerror(err));
		else if (takes_pointer(&t))
			run(&t);
	}
	if (t.drive.fd >= 0)
		close(t.drive.fd);
	free(t.want);
	free(t.got);
	pdma_region_unmap(b->target);
}
