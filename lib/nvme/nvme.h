/* SPDX-License-Identifier: MIT */
/*
 * An NVMe controller driven from user space: start and stop, the admin queue, I/O queues in host
 * memory or in the controller memory buffer (CMB). Paragraphs are those of the NVM Express Base
 * Specification 2.0 (Base), the NVMe over PCIe Transport Specification 1.0 (PCIe) and the NVM
 * Command Set Specification 1.0 (NVM).
 *
 * Whatever the controller answers is taken as hostile: a value that cannot be is -EPROTO and stops
 * the queue, nothing is indexed by it. One thread at a time for a controller and for each queue;
 * queues of one controller are independent of each other but for creating and destroying them.
 *
 * Each function returns 0 or -errno with a sentence recorded, unless it says otherwise.
 */
#ifndef PEERDMA_LIB_NVME_NVME_H
#define PEERDMA_LIB_NVME_NVME_H

#include "hw/nvme.h"
#include "lib/dev/dev.h"

#define PDMAI_NVME_PAGE	      4096u
#define PDMAI_NVME_NS_MAX     64
#define PDMAI_NVME_QUEUES_MAX 128
/* A list of PRPs is one page of a slot's own. */
#define PDMAI_NVME_LIST	   (PDMAI_NVME_PAGE / 8)
#define PDMAI_NVME_LEN_MAX ((uint64_t)PDMAI_NVME_LIST * PDMAI_NVME_PAGE)

struct pdmai_nvme;
struct pdmai_nvme_queue;

struct pdmai_nvme_ns {
	uint32_t nsid;
	uint32_t block; /* bytes; 0: a format this driver does not do (metadata) */
	uint64_t blocks;
};

#define PDMAI_NVME_CMB_SQS   1u
#define PDMAI_NVME_CMB_CQS   2u
#define PDMAI_NVME_CMB_LISTS 4u
#define PDMAI_NVME_CMB_DATA  0x18u /* RDS and WDS */
#define PDMAI_NVME_CMB_ALL   0x1fu

/* The controller memory buffer; len 0: there is none. */
struct pdmai_nvme_cmb {
	unsigned bar;
	uint64_t off;	/* in the BAR */
	uint64_t len;	/* bytes, whole pages */
	uint64_t addr;	/* of its first byte in commands */
	uint32_t flags; /* PDMAI_NVME_CMB_...: low bits of CMBSZ */
	bool legacy;	/* of before version 1.4 of the specification */
};

struct pdmai_nvme_info {
	uint32_t version;     /* VS */
	unsigned entries_max; /* of a queue */
	unsigned stride;      /* bytes between doorbells */
	unsigned timeout_ms;  /* CAP.TO */
	unsigned queues;      /* pairs of I/O queues granted */
	uint64_t len_max;     /* bytes of one command */
	bool cache;	      /* a volatile write cache */
	bool compare;
	char serial[21], model[41], firmware[9]; /* printable, without trailing spaces */
	struct pdmai_nvme_cmb cmb;
	unsigned n_ns;
	struct pdmai_nvme_ns ns[PDMAI_NVME_NS_MAX];
};

/*
 * Take over the controller behind dev, whose memory decode and bus mastering are on: stop it, set
 * its CMB up, start it, ask what it is and has. dev stays the caller's and must outlive it. Where
 * dev maps no host memory (there is no IOMMU), queues, lists and answers lie in the CMB.
 * Return: 0; -ENODEV: no NVMe controller, or it does not answer; -EIO: it reports a fatal status
 * (CSTS.CFS); -ETIMEDOUT: not ready within CAP.TO; -EPROTO: an answer that makes no sense;
 * -EOPNOTSUPP: no NVM command set, pages above 4 KiB, or neither an IOMMU nor a CMB that takes all;
 * -ENOSPC: nor one that is long enough; -ENOMEM; or of mapping.
 */
int pdmai_nvme_open(struct pdmai_dev *dev, struct pdmai_nvme **ret_nvme);

/* Delete the queues that are left, shut down (CC.SHN), stop. NULL is allowed. */
void pdmai_nvme_close(struct pdmai_nvme *n);

const struct pdmai_nvme_info *pdmai_nvme_get_info(const struct pdmai_nvme *n);
const struct pdmai_nvme_ns *pdmai_nvme_find_ns(const struct pdmai_nvme *n, uint32_t nsid);

/*
 * Controller reset (CC.EN), and a new start. Queues answer -ECONNRESET from then on and can only be
 * destroyed. All DMA of before has ended when it returns. Also the way back after a reset by
 * somebody else. Return: as pdmai_nvme_open().
 */
int pdmai_nvme_reset(struct pdmai_nvme *n);

/*
 * Stop the controller: no DMA of its own after it returns; queues answer -ECONNRESET. Return: 0;
 * -ETIMEDOUT: it does not stop, so bus mastering was switched off instead; -ENODEV: it is gone.
 */
int pdmai_nvme_stop(struct pdmai_nvme *n);

/* Is it as we left it? Return: 0; -ENODEV: all ones; -EIO: CSTS.CFS; -ECONNRESET: it was reset. */
int pdmai_nvme_check(struct pdmai_nvme *n);

/* Whole pages of the CMB. Return: 0 with an offset in the CMB; -EOPNOTSUPP: none; -ENOSPC. */
int pdmai_nvme_cmb_alloc(struct pdmai_nvme *n, uint64_t len, uint64_t *ret_off);
void pdmai_nvme_cmb_free(struct pdmai_nvme *n, uint64_t off, uint64_t len);

enum pdmai_nvme_place { PDMAI_NVME_IN_HOST, PDMAI_NVME_IN_CMB };

struct pdmai_nvme_queue_config {
	unsigned entries; /* of both; 2 to info.entries_max */
	enum pdmai_nvme_place sq, cq;
	bool foreign; /* somebody else submits: no slots, submit and poll give -EPERM */
};

/*
 * A pair of I/O queues. Return: 0; -EINVAL: entries; -EBUSY: all are taken; -EOPNOTSUPP: the CMB
 * takes no such queue, or there is none; -ENOSPC; -ENOMEM; -EIO: the controller refuses.
 */
int pdmai_nvme_queue_create(struct pdmai_nvme *n, const struct pdmai_nvme_queue_config *config,
			    struct pdmai_nvme_queue **ret_queue);

/*
 * Delete the pair; what was under way is given up, and the controller does not touch the queues'
 * memory any more. A controller that does not answer is stopped for that. NULL is allowed.
 */
void pdmai_nvme_queue_destroy(struct pdmai_nvme_queue *q);

/* Where a queue's memory and doorbells are, for those who share it. Offsets are in the BAR. */
struct pdmai_nvme_queue_place {
	unsigned qid, entries;
	uint64_t sq_off, sq_len, cq_off,
		cq_len;		   /* in the BAR of the CMB; lengths 0: in host memory */
	uint64_t sq_bell, cq_bell; /* in BAR 0 */
	/* A page behind the entries of a foreign queue; bus 0: the CMB takes no lists. */
	uint64_t list_off, list_bus;
};
void pdmai_nvme_queue_where(const struct pdmai_nvme_queue *q, struct pdmai_nvme_queue_place *ret);

struct pdmai_nvme_seg {
	uint64_t addr, len;
};

struct pdmai_nvme_cmd {
	enum nvme_io_opc opc;
	uint32_t nsid;
	uint64_t lba;
	uint32_t blocks; /* 0 for a flush; at most 65536 */
	bool fua;
	const struct pdmai_nvme_seg *seg; /* of all data; read during the call only */
	unsigned n_seg;
	uint64_t cookie;
};

struct pdmai_nvme_done {
	uint64_t cookie;
	int err;	 /* 0 or -errno, see pdmai_nvme_status_errno() */
	uint16_t status; /* [7:0] code, [10:8] type, [14] do not retry */
};

/*
 * Queue one command and ring. Return: 0; -EAGAIN: the queue is full, poll first; -EINVAL: a
 * segment that PRPs cannot describe (see pdmai_nvme_prp()); -EPERM: foreign; -ECONNRESET; -EPROTO:
 * the queue broke before.
 */
int pdmai_nvme_submit(struct pdmai_nvme_queue *q, const struct pdmai_nvme_cmd *cmd);

/*
 * Take completions that are there, at most max. Return: how many; -EPROTO: the controller wrote
 * one that makes no sense, or another command's; -EPERM; -ECONNRESET.
 */
int pdmai_nvme_poll(struct pdmai_nvme_queue *q, struct pdmai_nvme_done *done, unsigned max);

/* Commands submitted and not taken as done. */
unsigned pdmai_nvme_pending(const struct pdmai_nvme_queue *q);

/*
 * prp.c: the two PRP entries of a command for n segments, len bytes together (Base 4.1.1). list:
 * room for PDMAI_NVME_LIST entries, which the controller has at list_addr; it may be the CMB's.
 * Return: 0; -EINVAL: the first does not start at a multiple of 4, a later one not at a page, one
 * but the last does not end at a page; -E2BIG: longer than a list.
 */
int pdmai_nvme_prp(const struct pdmai_nvme_seg *seg, unsigned n, volatile uint64_t *list,
		   uint64_t list_addr, uint64_t *ret_prp1, uint64_t *ret_prp2);

/*
 * entry.c: a command as the controller takes it, with cid as its identifier; cmd->cookie is not
 * looked at. list as for pdmai_nvme_prp(). Return: 0; as pdmai_nvme_prp(), with *ret_sqe untouched.
 */
int pdmai_nvme_encode(const struct pdmai_nvme_cmd *cmd, uint16_t cid, volatile uint64_t *list,
		      uint64_t list_addr, struct nvme_sqe *ret_sqe);

/*
 * status.c: what a status field stands for (Base 4.2.3). 0; -EINVAL; -ERANGE: LBA; -ENOENT: no such
 * namespace; -EFAULT: data transfer; -EBADMSG: compare; -EIO: the medium or inside; -ECANCELED;
 * -EOPNOTSUPP: opcode; -EREMOTEIO: others.
 */
int pdmai_nvme_status_errno(uint16_t status);
const char *pdmai_nvme_status_text(uint16_t status);

/* identify.c, of what a controller answered; for tests and the fuzzer too. -EPROTO: nonsense. */
int pdmai_nvme_parse_ctrl(const struct nvme_ctrl_data *data, struct pdmai_nvme_info *info);
int pdmai_nvme_parse_ns(const struct nvme_ns_data *data, struct pdmai_nvme_ns *ret_ns);
int pdmai_nvme_parse_list(const uint32_t list[1024], uint32_t *ret_nsids, unsigned *ret_n);
/*
 * cmb.c: what the two registers say of bar, off, len and flags; len 0: there is none. Return: false
 * for one in units that no controller may have.
 */
bool pdmai_nvme_decode_cmb(uint32_t loc, uint32_t size, struct pdmai_nvme_cmb *ret_cmb);
/* cmb.c: of the two registers, with the lengths of the BARs. len 0: there is none. */
int pdmai_nvme_parse_cmb(uint32_t loc, uint32_t size, const struct pdmai_dev *dev,
			 struct pdmai_nvme_cmb *ret_cmb);

#endif
