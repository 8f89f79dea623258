// SPDX-License-Identifier: MIT
/* Source: Intel Virtualization Technology for Directed I/O, chapters 3 and 9 (legacy mode). */
#include "models/common/vtd.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "models/common/internal.h"

#define PRESENT	       UINT64_C(1)
#define PTE_READ       UINT64_C(1)
#define PTE_WRITE      UINT64_C(2)
#define PTE_SUPER      (UINT64_C(1) << 7)
#define ADDR_MASK      UINT64_C(0x000ffffffffff000)
#define ROOT_SCALABLE  (UINT64_C(1) << 10) /* in the root table address register */
#define CTX_TYPE(lo)   ((lo) >> 2 & 3)
#define CTX_TYPE_PASS  2
#define CTX_LEVELS(hi) (2 + ((hi)&7)) /* address width 1 = three levels */

/* Copy len bytes of guest RAM that lie in one page. */
static int ram_read(const struct mdl_node *node, uint64_t gpa, void *buf, size_t len)
{
	unsigned i;

	for (i = 0; i < node->n_ram; i++) {
		const struct mdl_ram *r = &node->ram[i];

		if (gpa < r->gpa || gpa - r->gpa > r->len || len > r->len - (gpa - r->gpa))
			continue;
		memcpy(buf, node->ram_backing->mem + r->off + (gpa - r->gpa), len);
		return 0;
	}
	return -EFAULT;
}

static int read_pair(const struct mdl_node *node, uint64_t gpa, uint64_t ret[2])
{
	int err = ram_read(node, gpa, ret, 16);

	if (err)
		return err;
	ret[0] = le64toh(ret[0]);
	ret[1] = le64toh(ret[1]);
	return 0;
}

static int walk(const struct mdl_node *node, uint64_t table, unsigned level, uint64_t iova,
		bool write, uint64_t *ret_gpa)
{
	uint64_t pte, mask;

	for (; level; level--) {
		unsigned shift = 12 + 9 * (level - 1);

		if (ram_read(node, table + 8 * (iova >> shift & 511), &pte, sizeof(pte)))
			return -EFAULT;
		pte = le64toh(pte);
		if (!(pte & (PTE_READ | PTE_WRITE)))
			return -EFAULT;
		if (!(pte & (write ? PTE_WRITE : PTE_READ)))
			return -EACCES;
		if (level == 1 || (level <= 3 && pte & PTE_SUPER)) {
			mask = (UINT64_C(1) << shift) - 1;
			*ret_gpa = (pte & ADDR_MASK & ~mask) | (iova & mask);
			return 0;
		}
		table = pte & ADDR_MASK;
	}
	return -EFAULT;
}

int mdl_vtd_translate(const struct mdl_node *node, const struct mdl_iommu_root *root, uint64_t iova,
		      bool write, uint64_t *ret_gpa)
{
	uint64_t entry[2], ctx[2];
	unsigned levels;

	if (!root->enabled) {
		*ret_gpa = iova;
		return 0;
	}
	if (root->root & ROOT_SCALABLE)
		return -ENOTSUP;
	if (read_pair(node, (root->root & ADDR_MASK) + 16u * root->bus, entry) ||
	    !(entry[0] & PRESENT))
		return -EFAULT;
	if (read_pair(node, (entry[0] & ADDR_MASK) + 16u * root->devfn, ctx) || !(ctx[0] & PRESENT))
		return -EFAULT;
	if (CTX_TYPE(ctx[0]) == CTX_TYPE_PASS) {
		*ret_gpa = iova;
		return 0;
	}
	levels = CTX_LEVELS(ctx[1]);
	if (levels < 3 || levels > 5 || iova >> (12 + 9 * levels))
		return -EFAULT;
	return walk(node, ctx[0] & ADDR_MASK, levels, iova, write, ret_gpa);
}
