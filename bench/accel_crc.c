// SPDX-License-Identifier: MIT
/*
 * accel_crc BDF OFF LEN: has the accelerator compute the CRC32C of its own memory, and prints it.
 * accel_crc FILE: the same of a file, by the CPU.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/accel/accel.h"
#include "lib/core/error.h"
#include "lib/vfio/vfio.h"
#include "util/crc32c.h"

#define WAIT_NS (30ll * 1000 * 1000 * 1000)

static int run_crc(struct pdmai_accel *a, uint64_t off, uint64_t len, uint64_t *ret_crc)
{
	struct pdmai_accel_ring_config config = { .size_log2 = 6 };
	struct pdmai_accel_mem src = { ACCEL_SPACE_LOCAL, off, len };
	struct pdmai_accel_cmd cmd = { .op = ACCEL_OP_CRC32C, .len = len, .src = &src, .n_src = 1 };
	struct pdmai_accel_ring *ring;
	struct pdmai_accel_done done;
	int ret;

	ret = pdmai_accel_ring_create(a, &config, &ring);
	if (ret)
		return ret;
	ret = pdmai_accel_run(ring, &cmd, WAIT_NS, &done);
	if (!ret && done.err)
		ret = pdmai_fail(-done.err, "the command failed with %s",
				 pdmai_accel_status_name(done.status));
	*ret_crc = done.result;
	pdmai_accel_ring_destroy(ring);
	return ret;
}

static int crc_of_device(const struct pdmai_bdf *bdf, uint64_t off, uint64_t len, uint64_t *ret_crc)
{
	struct pdmai_accel *a = NULL;
	struct pdmai_dev *dev = NULL;
	struct pdmai_vfio *vfio;
	int ret;

	ret = pdmai_vfio_create("/sys", &vfio);
	if (ret)
		return ret;
	ret = pdmai_vfio_open(vfio, bdf, &dev);
	ret = ret ? ret : pdmai_accel_open(dev, false, &a);
	ret = ret ? ret : run_crc(a, off, len, ret_crc);
	pdmai_accel_close(a);
	pdmai_dev_close(dev);
	pdmai_vfio_destroy(vfio);
	return ret;
}

static int crc_of_file(const char *path, uint64_t *ret_crc)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret = 0;
	struct stat st;
	void *p;

	if (fd < 0 || fstat(fd, &st))
		return pdmai_fail_errno(errno, "cannot read");
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED) {
		ret = pdmai_fail_errno(errno, "cannot map");
	} else {
		*ret_crc = util_crc32c(0, p, (size_t)st.st_size);
		munmap(p, (size_t)st.st_size);
	}
	close(fd);
	return ret;
}

static bool number(const char *text, uint64_t *ret_value)
{
	char *end;

	errno = 0;
	*ret_value = strtoull(text, &end, 0);
	return !errno && end != text && !*end;
}

int main(int argc, char **argv)
{
	struct pdmai_bdf bdf;
	uint64_t off, len, crc = 0;
	int ret;

	if (argc == 2) {
		ret = crc_of_file(argv[1], &crc);
	} else if (argc == 4 && !pdmai_bdf_parse(argv[1], &bdf) && number(argv[2], &off) &&
		   number(argv[3], &len)) {
		ret = crc_of_device(&bdf, off, len, &crc);
	} else {
		fprintf(stderr, "usage: accel_crc BDF OFF LEN | accel_crc FILE\n");
		return 2;
	}
	if (ret) {
		fprintf(stderr, "accel_crc: %s: %s\n", argv[1], pdmai_error());
		return 1;
	}
	printf("%08" PRIx64 "\n", crc);
	return 0;
}
