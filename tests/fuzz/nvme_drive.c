// SPDX-License-Identifier: MIT
/*
 * A hostile drive for lib/nvme: what its registers, Identify and completion entries say, when it
 * says it, memory it writes unasked, resets and removal in the middle of anything (drive.h).
 *
 * The input is a program: an operation byte (modulo the number of operations) and its arguments.
 * Where it is over the drive behaves, so every input is valid and ends. Promised meanwhile:
 * registers and queues are used inside their BAR and mapped memory only; what the library tells
 * about the drive is possible; a command that was submitted is completed once at most, and none
 * that was not; a queue of before a reset is of no use. At the end, whatever came before: a drive
 * that behaves again can be opened and serves a command, and closing gives all memory back.
 */
#include "tests/fuzz/drive.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/mapping.h"
#include "tests/fuzz/waiting.h"

#include <errno.h>
#include <string.h>

#define QUEUES	  4u
#define REMEMBERS 128u /* commands under way, by queue */
#define PIECES	  8u
#define CMB_PARTS 4u

struct host_queue {
	struct pdmai_nvme_queue *q;
	unsigned entries;
	uint64_t cookie[REMEMBERS];
	unsigned n;
	bool old; /* of before a reset */
	bool foreign;
};

struct host {
	struct fuzz_input in;
	struct drive drive;
	struct pdmai_nvme *n;
	struct host_queue queue[QUEUES];
	struct pdmai_nvme_seg part[CMB_PARTS]; /* of the memory buffer; addr is the offset */
	uint64_t cookie;
};

/* ---- what the library tells ---- */

static void check_text(const char *s, size_t size)
{
	size_t i;

	fuzz_promise(memchr(s, 0, size), "texts end");
	for (i = 0; s[i]; i++)
		fuzz_promise(s[i] >= ' ' && s[i] <= '~', "texts can be printed");
}

static void check_cmb(struct host *h, const struct pdmai_nvme_cmb *cmb)
{
	const struct pdmai_pci_bar *bar;

	if (!cmb->len)
		return;
	fuzz_promise(cmb->bar < PDMAI_PCI_BARS, "a memory buffer is in a BAR");
	bar = &h->drive.dev.bars[cmb->bar];
	fuzz_promise(bar->is_mem && cmb->off <= bar->len && cmb->len <= bar->len - cmb->off,
		     "a memory buffer is inside its BAR");
	fuzz_promise(cmb->addr == bar->bus_addr + cmb->off && !(cmb->addr % PDMAI_NVME_PAGE),
		     "a memory buffer has the address of its BAR");
}

static void check_info(struct host *h)
{
	const struct pdmai_nvme_info *i = pdmai_nvme_get_info(h->n);
	unsigned k;

	fuzz_promise(i->entries_max >= 2 && i->entries_max <= 65536, "queues have entries");
	fuzz_promise(i->stride >= 4 && i->timeout_ms >= 1 && i->timeout_ms <= 127500, "CAP");
	fuzz_promise(i->queues >= 1 && i->queues <= PDMAI_NVME_QUEUES_MAX, "queues are bounded");
	fuzz_promise(i->len_max >= PDMAI_NVME_PAGE && i->len_max <= PDMAI_NVME_LEN_MAX, "MDTS");
	fuzz_promise(i->n_ns <= PDMAI_NVME_NS_MAX, "namespaces are bounded");
	for (k = 0; k < i->n_ns; k++) {
		const struct pdmai_nvme_ns *ns = &i->ns[k];

		fuzz_promise(ns->nsid && (!k || ns->nsid > i->ns[k - 1].nsid), "no name twice");
		fuzz_promise(pdmai_nvme_find_ns(h->n, ns->nsid) == ns, "namespaces are found");
		fuzz_promise(!ns->block || (ns->block >= 512 && ns->block <= 65536 &&
					    !(ns->block & (ns->block - 1)) &&
					    ns->blocks <= UINT64_MAX / ns->block),
			     "sizes are possible");
	}
	check_text(i->serial, sizeof(i->serial));
	check_text(i->model, sizeof(i->model));
	check_text(i->firmware, sizeof(i->firmware));
	check_cmb(h, &i->cmb);
}

/* ---- operations ---- */

static void op_open(struct host *h)
{
	unsigned i;

	if (h->n) {
		pdmai_nvme_close(h->n);
		h->n = NULL;
		fuzz_promise(!h->drive.n_maps, "closing gives all memory back");
		for (i = 0; i < QUEUES; i++)
			h->queue[i].q = NULL;
		memset(h->part, 0, sizeof(h->part));
		return;
	}
	if (!pdmai_nvme_open(&h->drive.dev, &h->n))
		check_info(h);
	else
		fuzz_promise(!h->n && !h->drive.n_maps, "nothing stays of what was not opened");
}

static void op_reset(struct host *h)
{
	uint8_t how = fuzz_u8(&h->in);
	unsigned i;
	int ret;

	if (!h->n)
		return;
	if (how & 3) {
		ret = pdmai_nvme_check(h->n);
		fuzz_promise(ret <= 0, "a check is 0 or an error");
		return;
	}
	ret = how & 4 ? pdmai_nvme_stop(h->n) : pdmai_nvme_reset(h->n);
	for (i = 0; i < QUEUES; i++)
		h->queue[i].old = true;
	if (!ret && !(how & 4))
		check_info(h);
}

static void op_queue(struct host *h)
{
	static const uint32_t entries[] = { 2, 3, 4, 4, 8, 64, 128, 1 };
	uint8_t how = fuzz_u8(&h->in);
	struct host_queue *q = &h->queue[how % QUEUES];
	struct pdmai_nvme_queue_config c = {
		.entries = entries[how >> 2 & 7],
		.sq = how & 32 ? PDMAI_NVME_IN_CMB : PDMAI_NVME_IN_HOST,
		.cq = how & 64 ? PDMAI_NVME_IN_CMB : PDMAI_NVME_IN_HOST,
		.foreign = how & 128,
	};
	struct pdmai_nvme_queue_place where;

	if (!h->n)
		return;
	if (q->q) {
		pdmai_nvme_queue_destroy(q->q);
		q->q = NULL;
		return;
	}
	if (pdmai_nvme_queue_create(h->n, &c, &q->q))
		return;
	q->entries = c.entries;
	q->n = 0;
	q->old = false;
	q->foreign = c.foreign;
	pdmai_nvme_queue_where(q->q, &where);
	fuzz_promise(where.cq_bell <= h->drive.dev.bars[0].len - 4, "doorbells are in BAR 0");
}

static struct host_queue *pick(struct host *h, uint8_t which)
{
	struct host_queue *q = &h->queue[which % QUEUES];

	return h->n && q->q ? q : NULL;
}

static unsigned pieces(struct host *h, struct pdmai_nvme_seg *seg)
{
	uint8_t how = fuzz_u8(&h->in);
	unsigned n = how % PIECES, i;

	for (i = 0; i < n; i++) {
		seg[i].addr = how & 0x80 ? fuzz_u64(&h->in) : (uint64_t)fuzz_u8(&h->in) << 12;
		seg[i].len = how & 0x40 ? fuzz_u64(&h->in) : (fuzz_u8(&h->in) + UINT64_C(1)) << 12;
	}
	if (n && how & 0x20) {
		seg[0].addr += fuzz_u16(&h->in) % 4096u;
		seg[n - 1].len -= fuzz_u16(&h->in) % 4096u;
	}
	return n;
}

static void op_submit(struct host *h)
{
	struct host_queue *q = pick(h, fuzz_u8(&h->in));
	struct pdmai_nvme_seg seg[PIECES];
	struct pdmai_nvme_cmd cmd = { .opc = NVME_READ, .nsid = 1, .seg = seg };
	int ret;

	cmd.blocks = fuzz_u8(&h->in);
	cmd.n_seg = pieces(h, seg);
	if (!q)
		return;
	cmd.cookie = ++h->cookie;
	if (q->n == REMEMBERS)
		return;
	ret = pdmai_nvme_submit(q->q, &cmd);
	fuzz_promise(!(q->old || q->foreign) || ret, "no such queue can be used");
	fuzz_promise(!q->old || q->foreign || ret == -ECONNRESET, "an old queue says so");
	if (ret)
		return;
	q->cookie[q->n++] = cmd.cookie;
	fuzz_promise(q->n < q->entries, "a queue has room for what it takes");
}

static void done_with(struct host_queue *q, const struct pdmai_nvme_done *done)
{
	unsigned i;

	for (i = 0; i < q->n && q->cookie[i] != done->cookie; i++)
		;
	fuzz_promise(i < q->n, "what is done was under way");
	q->cookie[i] = q->cookie[--q->n];
	fuzz_promise(done->err == pdmai_nvme_status_errno(done->status),
		     "errors are of the status");
	fuzz_promise(pdmai_nvme_status_text(done->status), "each status has a text");
}

static void op_poll(struct host *h)
{
	uint8_t which = fuzz_u8(&h->in);
	struct host_queue *q = pick(h, which);
	struct pdmai_nvme_done done[8];
	int ret, i;

	if (!q)
		return;
	ret = pdmai_nvme_poll(q->q, done, (which >> 5) + 1u);
	fuzz_promise(ret <= (which >> 5) + 1, "no more than asked for");
	fuzz_promise(ret <= 0 || !(q->old || q->foreign), "no such queue can be used");
	for (i = 0; i < ret; i++)
		done_with(q, &done[i]);
	fuzz_promise(ret < 0 || q->foreign || pdmai_nvme_pending(q->q) <= q->n,
		     "nothing is under way that was not submitted");
}

static void op_cmb(struct host *h)
{
	uint8_t how = fuzz_u8(&h->in);
	struct pdmai_nvme_seg *p = &h->part[how % CMB_PARTS];
	uint64_t len = ((uint64_t)fuzz_u8(&h->in) << (how >> 4)) + 1, off = 0;
	const struct pdmai_nvme_info *i;

	if (!h->n)
		return;
	if (p->len) {
		pdmai_nvme_cmb_free(h->n, p->addr, p->len);
		p->len = 0;
		return;
	}
	if (pdmai_nvme_cmb_alloc(h->n, len, &off))
		return;
	i = pdmai_nvme_get_info(h->n);
	fuzz_promise(off <= i->cmb.len && len <= i->cmb.len - off, "inside the buffer");
	*p = (struct pdmai_nvme_seg){ off, len };
}

/* Go through the pages as a controller does. */
static void check_prp(const struct pdmai_nvme_seg *seg, unsigned n, uint64_t prp1, uint64_t prp2,
		      const uint64_t *list)
{
	uint64_t pages = 0, total = 0, addr, left, here;
	unsigned i;

	for (i = 0; i < n; i++)
		total += seg[i].len;
	left = total;
	for (i = 0; i < n; i++)
		for (addr = seg[i].addr; addr != seg[i].addr + seg[i].len; addr += here, pages++) {
			uint64_t two = total > 2 * PDMAI_NVME_PAGE - seg[0].addr % PDMAI_NVME_PAGE;
			uint64_t is = !pages ? prp1 : two ? list[pages - 1] : prp2;

			fuzz_promise(is == addr, "each page has its entry");
			here = PDMAI_NVME_PAGE - addr % PDMAI_NVME_PAGE;
			here = here < seg[i].addr + seg[i].len - addr ?
				       here :
				       seg[i].addr + seg[i].len - addr;
			left -= here;
		}
	fuzz_promise(!left, "all of the data");
}

static void op_prp(struct host *h)
{
	/* Exactly as long as it may be, so that a sanitizer sees one entry more. */
	uint64_t *list = calloc(PDMAI_NVME_LIST, sizeof(*list)), prp1 = 0, prp2 = 0;
	struct pdmai_nvme_seg seg[PIECES];
	unsigned n = pieces(h, seg);

	if (n && !pdmai_nvme_prp(seg, n, list, 0xabc000, &prp1, &prp2))
		check_prp(seg, n, prp1, prp2, list);
	free(list);
}

static void op_drive(struct host *h)
{
	drive_work(&h->drive);
}

static void op_change(struct host *h)
{
	drive_change(&h->drive);
}

static void op_spoil(struct host *h)
{
	drive_spoil(&h->drive);
}

static void op_trap(struct host *h)
{
	drive_trap(&h->drive);
}

static void op_forge(struct host *h)
{
	drive_forge(&h->drive);
}

static void op_lazy(struct host *h)
{
	h->drive.lazy = !h->drive.lazy;
}

static void op_mend(struct host *h)
{
	drive_mend(&h->drive);
}

static void (*const ops[])(struct host *h) = {
	op_open,  op_submit, op_poll,  op_queue, op_change, op_drive, op_submit, op_poll,
	op_spoil, op_trap,   op_reset, op_forge, op_lazy,   op_cmb,   op_prp,	 op_mend,
};

/* ---- the end ---- */

static void can_be_used_again(struct host *h)
{
	struct pdmai_nvme_queue_config c = { .entries = 4 };
	struct pdmai_nvme_seg seg = { 0x10000, 512 };
	struct pdmai_nvme_cmd cmd = {
		.opc = NVME_READ, .nsid = 1, .blocks = 1, .seg = &seg, .n_seg = 1, .cookie = 77
	};
	struct pdmai_nvme_queue *q = NULL;
	struct pdmai_nvme_done done;

	if (h->n)
		op_open(h);
	drive_mend(&h->drive);
	op_open(h);
	fuzz_promise(h->n, "a drive that behaves again can be opened");
	fuzz_promise(pdmai_nvme_get_info(h->n)->n_ns == 2, "it has its namespaces");
	fuzz_promise(!pdmai_nvme_queue_create(h->n, &c, &q), "it makes queues");
	fuzz_promise(!pdmai_nvme_submit(q, &cmd) && pdmai_nvme_poll(q, &done, 1) == 1,
		     "it serves a command");
	fuzz_promise(!done.err && done.cookie == 77, "the one that was submitted");
	op_open(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct host h = { .in = { data, size } };

	waiting_on();
	mapping_on();
	drive_create(&h.drive, &h.in);
	while (h.in.left)
		ops[fuzz_u8(&h.in) % (sizeof(ops) / sizeof(ops[0]))](&h);
	can_be_used_again(&h);
	drive_destroy(&h.drive);
	fuzz_promise(!mapping_off(), "nothing stays mapped");
	waiting_off();
	return 0;
}
