/* SPDX-License-Identifier: MIT */
/*
 * A hostile NVMe drive for the fuzzer of lib/nvme: registers, queues and DMA of a small controller,
 * each answer of which the input may spoil. Below lib/nvme it is a pdmai_dev like any other; it
 * reaches only memory that the library mapped for it, as behind an IOMMU, and ends the process when
 * the library sends it anywhere else.
 */
#ifndef PEERDMA_TESTS_FUZZ_DRIVE_H
#define PEERDMA_TESTS_FUZZ_DRIVE_H

#include "lib/nvme/nvme.h"
#include "tests/fuzz/input.h"

#define DRIVE_MAPS   64u
#define DRIVE_QUEUES (PDMAI_NVME_QUEUES_MAX + 1u)
#define DRIVE_SPOILS 4u

struct drive_queue {
	bool sq, cq; /* created */
	uint64_t sq_addr, cq_addr;
	uint32_t size, head, tail;
	uint32_t posted; /* completions so far */
};

/* A change to a completion that is still to come. */
struct drive_spoil {
	uint8_t after, word; /* how many come first; byte of the entry */
	uint8_t val;	     /* exclusive or */
};

struct drive {
	struct pdmai_dev dev; /* first */
	struct fuzz_input *in;
	uint16_t command; /* of config space */
	uint64_t cap, asq, acq;
	uint32_t vs, cc, csts, csts_or, aqa, cmbloc, cmbsz, cmbsts, queues_granted;
	bool gone, stuck, lazy, refuses;
	struct drive_queue q[DRIVE_QUEUES];
	struct nvme_ctrl_data ctrl;
	struct nvme_ns_data ns;
	uint32_t list[1024];
	uint8_t *mem[PDMAI_PCI_BARS];
	struct {
		uint8_t *vaddr;
		uint64_t len;
	} map[DRIVE_MAPS];
	unsigned n_maps;
	struct drive_spoil spoil[DRIVE_SPOILS];
	/* What happens at which register access. */
	uint8_t trap_pass, trap_what;
};

void drive_create(struct drive *d, struct fuzz_input *in);
void drive_destroy(struct drive *d);

/* Operations of the input. */
void drive_change(struct drive *d); /* of a register or of what Identify answers */
void drive_spoil(struct drive *d);
void drive_trap(struct drive *d);
void drive_work(struct drive *d);  /* execute what a lazy one left */
void drive_forge(struct drive *d); /* an entry or bytes in memory that nobody asked for */

/* As a good drive, from now on. */
void drive_mend(struct drive *d);

#endif
