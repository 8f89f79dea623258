// SPDX-License-Identifier: MIT
/*
 * The walk of IOMMU tables over hostile guest RAM. Input: 16 bytes of root and address, then RAM,
 * in two pieces with a hole between, as a guest of more than 4 GiB has it.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "models/common/internal.h"
#include "models/common/vtd.h"

#define RAM  (64u * 1024u)
#define HIGH (UINT64_C(1) << 32)

static uint8_t ram[RAM];
static struct mdl_backing backing = { .mem = ram, .size = RAM, .refs = 1 };
static struct mdl_node node = {
	.ram = { { .gpa = 0, .len = RAM / 2, .off = 0 },
		 { .gpa = HIGH, .len = RAM / 2, .off = RAM / 2 } },
	.n_ram = 2,
	.ram_backing = &backing,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mdl_iommu_root root = { .enabled = true };
	uint64_t head[2] = { 0 }, gpa;
	size_t n = size < sizeof(head) ? size : sizeof(head);

	memcpy(head, data, n);
	data += n;
	size -= n;
	memset(ram, 0, sizeof(ram));
	memcpy(ram, data, size < RAM ? size : RAM);
	if (size && size < RAM / 2)
		memcpy(ram + RAM / 2, data, size);
	root.root = head[0] & 0xffffffff0;
	root.bus = (uint8_t)(head[0] >> 40);
	root.devfn = (uint8_t)(head[0] >> 48);
	root.enabled = head[0] >> 56 != 0xff;
	mdl_vtd_translate(&node, &root, head[1], false, &gpa);
	mdl_vtd_translate(&node, &root, head[1], true, &gpa);
	return 0;
}
