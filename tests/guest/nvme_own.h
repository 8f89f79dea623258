/* SPDX-License-Identifier: MIT */
/*
 * What tests with a drive of our own stand on: the disk of the node in vfio-pci's hands, opened
 * through the library. Every failure here fails the test.
 */
#ifndef PEERDMA_TESTS_GUEST_NVME_OWN_H
#define PEERDMA_TESTS_GUEST_NVME_OWN_H

#include "bench/kit/pattern.h"
#include "tests/guest/lib_rig.h"

#define OWN_MS 20000

#ifdef OWN_LEGACY
#define OWN_IS_LEGACY 1
#else
#define OWN_IS_LEGACY 0
#endif

struct own {
	struct lib_rig rig;
	struct pdma_nvme *nvme;
	struct pdma_nvme_info info;
	struct pdma_nvme_namespace ns; /* the first: blocks of 512 bytes */
	struct pdma_nvme_queue *queue; /* 32 entries in host memory */
};

/*
 * Give the disk to vfio-pci, and back. The same programs are built as *_variant, for peerdma_vfio
 * (OWN_DRIVER, OWN_LOAD), and as *_legacy for a disk whose memory buffer is of before NVMe 1.4
 * (OWN_LEGACY).
 */
void own_bind(void);
void own_unbind(void);

/* Run the tests with the disk given away, and take it back. Return: exit status. */
int own_main(int argc, char **argv, const struct tap_test *tests, size_t n);
#define OWN_MAIN(tests)                                                                 \
	int main(int argc, char **argv)                                                 \
	{                                                                               \
		return own_main(argc, argv, tests, sizeof(tests) / sizeof((tests)[0])); \
	}

void own_open(struct own *o);
void own_close(struct own *o);

/* A region with its mapping for the controller. uri NULL: of its own CMB, len bytes. */
struct own_area {
	struct pdma_region *region;
	struct pdma_nvme_mem *mem;
};
void own_area(struct own *o, const char *uri, uint64_t len, struct own_area *ret_area);
void own_area_free(struct own_area *a);
/* len bytes at off (multiples of 4) become the pattern of seed; or must be it. */
void own_fill(struct own_area *a, uint64_t off, uint64_t len, uint64_t seed);
void own_check(struct own_area *a, uint64_t off, uint64_t len, uint64_t seed);

/* pdma_nvme_io() with the first namespace. */
int own_io(struct own *o, struct pdma_nvme_queue *q, enum pdma_nvme_op op, uint64_t lba,
	   struct own_area *a, uint64_t off, uint64_t len);

#endif
