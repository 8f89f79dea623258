/* SPDX-License-Identifier: MIT */
/*
 * An NVMe controller owned by this process, bound to vfio-pci or peerdma_vfio (without an IOMMU it
 * may also have no driver): queues in host memory or in its controller memory buffer (CMB), data in
 * any region the controller can reach, and queues that another machine drives over RDMA.
 *
 * Paragraphs named below are those of the NVM Express Base Specification 2.0 (Base), the NVMe over
 * PCIe Transport Specification 1.0 (PCIe) and the NVM Command Set Specification 1.0 (NVM).
 *
 * Threads: functions on different queues may run at the same time; one queue, and a remote, is one
 * thread's at a time; all else takes the lock of the context and may run at any time. Nothing here
 * uses interrupts or starts threads: completions are polled.
 *
 * Resets: after pdma_nvme_reset(), pdma_region_reset() of a region of the drive, or a reset that
 * nobody told us of, queues give -ECONNRESET and can only be destroyed. pdma_nvme_reset() brings
 * the controller back; then make new queues.
 */
#ifndef PEERDMA_NVME_H
#define PEERDMA_NVME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <infiniband/verbs.h>

#include <peerdma/context.h>
#include <peerdma/path.h>
#include <peerdma/region.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pdma_nvme;	 /* a controller */
struct pdma_nvme_queue;	 /* a pair of I/O queues */
struct pdma_nvme_mem;	 /* a region, mapped for the controller */
struct pdma_nvme_remote; /* the other end of a queue that was granted to us */

/*
 * Take over a controller: stop it, make its CMB addressable, start it, identify it. Where there is
 * no IOMMU it may also have no driver at all; then, and under peerdma_vfio, no memory of the host
 * has an address for it: queues, lists and data lie in its CMB, or data in memory of peers.
 * bdf: in, [DOMAIN:]BUS:DEVICE.FUNCTION. ret_nvme: out, the caller's until pdma_nvme_close().
 * Blocks for as long as the controller takes, CAP.TO at most for each step.
 * Return: 0; -EINVAL: bdf; -ENODEV: no such function, no NVMe controller, not bound to VFIO, or it
 * does not answer; -EBUSY: open in this context or elsewhere; -EIO: it reports a fatal status;
 * -ETIMEDOUT; -EPROTO: it answers nonsense; -EOPNOTSUPP: no NVM command set, pages above 4 KiB, no
 * IOMMU and no CMB that takes all of it, or a captured tree; -ENOSPC: it has no IOMMU, and its CMB
 * is too short; -ENOMEM; or of the kernel.
 * Source: Base 3.5.1 (start), 3.1.3.16 (CMBMSC), 5.17 (Identify), 5.27.1.5 (Number of Queues).
 */
PDMA_API int pdma_nvme_open(struct pdma_ctx *ctx, const char *bdf, struct pdma_nvme **ret_nvme);

/*
 * Shut the controller down (CC.SHN: its cache is written back) and give it back. Queues, mappings
 * and grants must be gone; regions from pdma_nvme_cmb() are revoked, and still the caller's to
 * close. NULL is allowed. Source: Base 3.6.1.
 */
PDMA_API void pdma_nvme_close(struct pdma_nvme *nvme);

/*
 * Reset the controller and start it anew; regions of its CMB keep their content and stay. Also the
 * way back after a failure or somebody else's reset. All its DMA of before has ended then.
 * Return: 0; as pdma_nvme_open(). Source: Base 3.7.2.
 */
PDMA_API int pdma_nvme_reset(struct pdma_nvme *nvme);

/* Return: 0; -ENODEV: it does not answer; -EIO: CSTS.CFS; -ECONNRESET: it was reset. */
PDMA_API int pdma_nvme_check(struct pdma_nvme *nvme);

struct pdma_nvme_info {
	size_t size;	      /* in: sizeof(struct pdma_nvme_info) */
	uint32_t version;     /* VS: 0x00020000 is 2.0 */
	unsigned entries_max; /* of a queue */
	unsigned queues;      /* pairs of I/O queues it grants */
	unsigned bell_stride; /* bytes between doorbells, CAP.DSTRD */
	uint64_t len_max;     /* bytes of one command, at most 2 MiB */
	uint64_t cmb_len;     /* bytes; 0: none */
	bool cmb_legacy;      /* as before 1.4 of the specification */
	bool cache;	      /* a volatile write cache: flush what shall last */
	bool compare;	      /* it knows the command */
	unsigned n_namespaces;
	char serial[21], model[41], firmware[9];
};

/* Return: 0; -EINVAL: size is wrong. */
PDMA_API int pdma_nvme_get_info(const struct pdma_nvme *nvme, struct pdma_nvme_info *ret_info);

struct pdma_nvme_namespace {
	uint32_t nsid;
	uint32_t block; /* bytes; 0: formatted with metadata, which is not supported */
	uint64_t blocks;
};

/* The idx-th active namespace, 64 at most. Return: 0; -ERANGE: it has fewer. */
PDMA_API int pdma_nvme_namespace(const struct pdma_nvme *nvme, unsigned idx,
				 struct pdma_nvme_namespace *ret_ns);

/*
 * Allocate len bytes of the CMB as a region: it can be registered, mapped, sliced and revoked as
 * any other, and goes back with the last pdma_region_close(). Begins at a page.
 * Return: 0; -EOPNOTSUPP: no CMB; -ENOSPC; -ENOMEM. Source: Base 8.2.3.
 */
PDMA_API int pdma_nvme_cmb(struct pdma_nvme *nvme, uint64_t len, void *cookie,
			   struct pdma_region **ret_region);

/*
 * Let the controller reach a region: its own CMB, host memory, another function's BAR (by bus
 * address where a switch turns requests round, through the IOMMU otherwise). Whole pages around
 * the region are mapped. A revoke of the region ends this: commands under way on it fail, and
 * where no IOMMU stands between, the controller is stopped if there are any.
 * ret_mem: out, until pdma_nvme_unmap(); the region may be closed first.
 * Return: 0; -EINVAL: registers of the controller itself; -EOPNOTSUPP: this kind is out of its
 * reach; -ESTALE; -ENOSPC; -ENOMEM; or of the kernel.
 */
PDMA_API int pdma_nvme_map(struct pdma_nvme *nvme, struct pdma_region *region,
			   struct pdma_nvme_mem **ret_mem);

/* How its first byte is reached. */
struct pdma_nvme_mem_info {
	size_t size;		      /* in: sizeof(struct pdma_nvme_mem_info) */
	enum pdma_mapping mapping;    /* NONE: the controller's own CMB */
	uint64_t addr;		      /* in commands */
	char detour[PDMA_DETOUR_LEN]; /* why not by bus address although a switch would turn it */
};

/* Return: 0; -EINVAL: size is wrong. */
PDMA_API int pdma_nvme_mem_info(const struct pdma_nvme_mem *mem,
				struct pdma_nvme_mem_info *ret_info);

/* Return: 0; -EBUSY: commands are under way on it, nothing is changed. NULL is allowed. */
PDMA_API int pdma_nvme_unmap(struct pdma_nvme_mem *mem);

/* Where the queues lie, and who uses them. */
#define PDMA_NVME_SQ_IN_CMB (1u << 0)
#define PDMA_NVME_CQ_IN_CMB (1u << 1)
#define PDMA_NVME_REMOTE    (1u << 2) /* both in the CMB, for pdma_nvme_grant() */

/*
 * A pair of I/O queues.
 * entries: of each, 2 to entries_max. flags: PDMA_NVME_....; without an IOMMU all is in the CMB,
 * with a page more for each entry.
 * Return: 0; -EINVAL: entries or flags; -EBUSY: all are taken; -EOPNOTSUPP: no CMB that takes such
 * queues; -ENOSPC: the CMB is full; -ENOMEM; -ECONNRESET, -EIO, -ENODEV, -ETIMEDOUT: of the
 * controller.
 * Source: Base 5.4, 5.5.
 */
PDMA_API int pdma_nvme_queue_create(struct pdma_nvme *nvme, unsigned entries, unsigned flags,
				    struct pdma_nvme_queue **ret_queue);

/*
 * Delete the pair: what it was granted to first (remote access ends), then the queues; commands
 * under way are given up. A controller that does not obey is stopped. NULL is allowed.
 * Source: Base 5.6, 5.7.
 */
PDMA_API void pdma_nvme_queue_destroy(struct pdma_nvme_queue *queue);

enum pdma_nvme_op {
	PDMA_NVME_FLUSH = 0,
	PDMA_NVME_WRITE = 1,
	PDMA_NVME_READ = 2,
	PDMA_NVME_COMPARE = 5, /* the medium with the memory */
};

#define PDMA_NVME_FUA (1u << 0) /* a write is durable when it completes */

struct pdma_nvme_cmd {
	enum pdma_nvme_op op;
	unsigned flags; /* PDMA_NVME_FUA */
	uint32_t nsid;
	uint64_t lba;		   /* in blocks of the namespace; flush: not used */
	uint64_t len;		   /* bytes, whole blocks, at most len_max; flush: 0 */
	struct pdma_nvme_mem *mem; /* flush: NULL */
	uint64_t off;		   /* of the data in mem, a multiple of 4 */
	uint64_t cookie;	   /* given back */
};

struct pdma_nvme_done {
	uint64_t cookie;
	/*
	 * 0; -ERANGE: LBA; -EFAULT: the memory is out of reach; -EBADMSG: compare failed; -EIO: the
	 * medium; -ENOENT: namespace; -EINVAL, -EOPNOTSUPP: the command; -ECANCELED; -EREMOTEIO:
	 * another status.
	 */
	int err;
	uint16_t status;  /* [7:0] code, [10:8] type, [14] do not retry (Base 4.2.3) */
	const char *text; /* static */
};

/*
 * Queue one command and ring.
 * Return: 0; -EAGAIN: the queue is full, poll first; -EINVAL: not whole blocks, too long, off, or
 * pieces that PRPs cannot describe (each but the first at a page); -E2BIG: too many pieces;
 * -ENOENT: no such namespace; -ERANGE: outside mem or the namespace; -ESTALE: the region was
 * revoked; -EPERM: the queue is another machine's; -ECONNRESET; -EPROTO: the queue broke before.
 * Source: NVM 3.2; Base 4.1.1 (PRP), 7.1 (Flush).
 */
PDMA_API int pdma_nvme_submit(struct pdma_nvme_queue *queue, const struct pdma_nvme_cmd *cmd);

/*
 * Take completions that are there, at most max. Return: how many; -EPROTO: the controller wrote one
 * that makes no sense, the queue is broken for good; -EPERM; -ECONNRESET.
 */
PDMA_API int pdma_nvme_poll(struct pdma_nvme_queue *queue, struct pdma_nvme_done *done,
			    unsigned max);

/*
 * Wait for one. timeout_ms < 0: without end. Return: 0 with *ret_done; -ETIMEDOUT; -ENOENT: nothing
 * is under way; -ENODEV, -EIO, -ECONNRESET as pdma_nvme_check(); as pdma_nvme_poll().
 */
PDMA_API int pdma_nvme_wait(struct pdma_nvme_queue *queue, int timeout_ms,
			    struct pdma_nvme_done *ret_done);

/*
 * Do a command of any length, in as many pieces as it takes, and wait for all. The queue must be
 * idle. Other fields as for pdma_nvme_submit(). timeout_ms: for each piece.
 * Return: 0, the first piece's failure (as in done->err), -EBUSY: the queue is not idle; as submit
 * and wait. After -ETIMEDOUT commands may still be under way.
 */
PDMA_API int pdma_nvme_io(struct pdma_nvme_queue *queue, const struct pdma_nvme_cmd *cmd,
			  int timeout_ms);

/*
 * Everything another machine needs to use a queue, to be passed on as it is: by private data of a
 * connection, or any other way. Fixed layout, no holes, little-endian machines only.
 */
struct pdma_nvme_grant {
	uint32_t magic; /* PDMA_NVME_GRANT_MAGIC */
	uint32_t nsid;
	uint32_t block, entries;
	uint64_t blocks;
	uint64_t sq_addr, cq_addr, bell_addr, data_addr; /* for RDMA */
	uint32_t sq_rkey, cq_rkey, bell_rkey, data_rkey;
	uint64_t data_len;
	uint64_t data_bus; /* the data's address in commands */
	uint64_t list_off; /* behind sq_addr: a page for a PRP list */
	uint64_t list_bus; /* its address in commands; 0: the drive takes none there */
	uint32_t qid;
	uint32_t bell_stride; /* the head doorbell lies so far behind the tail doorbell */
	uint64_t len_max;
};
#define PDMA_NVME_GRANT_MAGIC 0x31676e70u

/*
 * Register what another machine needs for a PDMA_NVME_REMOTE queue with pd: the submission queue
 * (remote write), the completion queue (remote read), its two doorbells and nothing beside them
 * (remote write; the NIC checks single bytes), and data (both), which is part of the controller's
 * CMB. Only whoever proves his rights to the caller should get it: docs/howto-nvme-remote-commit.md
 * says what its holder can do. data must outlive the grant, which ends with pdma_nvme_revoke() or
 * the queue.
 * Return: 0; -EINVAL: not such a queue, or data is not this controller's CMB; -EBUSY: it is granted
 * already; -ENOENT: no such namespace; as pdma_reg_mr().
 */
PDMA_API int pdma_nvme_grant(struct pdma_nvme_queue *queue, struct ibv_pd *pd,
			     struct pdma_region *data, uint32_t nsid,
			     struct pdma_nvme_grant *ret_grant);

/*
 * End the grant, from any thread: when it returns no access by it lands, its holder gets an error
 * completion. What the holder rang for before may still be executed: destroy the queue to end that.
 * Return: 0, also when there is none; -EBUSY: a memory window is bound.
 */
PDMA_API int pdma_nvme_revoke(struct pdma_nvme_queue *queue, const char *why);

/*
 * Use a queue of another machine's drive. qp: in, connected to the owner (RC, ready to send), with
 * room for 4 sends, and nobody else posts to it; cq: of its sends, nobody else polls it; pd: of
 * both. All stay the caller's and must outlive the remote. One remote for the life of a grant.
 * Return: 0; -EINVAL: the grant makes no sense; -ENOMEM.
 */
PDMA_API int pdma_nvme_remote_create(const struct pdma_nvme_grant *grant, struct ibv_qp *qp,
				     struct ibv_cq *cq, struct ibv_pd *pd,
				     struct pdma_nvme_remote **ret_remote);
/* NULL is allowed. */
PDMA_API void pdma_nvme_remote_destroy(struct pdma_nvme_remote *remote);

struct pdma_nvme_remote_cmd {
	enum pdma_nvme_op op;
	unsigned flags;	   /* PDMA_NVME_FUA */
	uint64_t lba, len; /* blocks; bytes: whole blocks; at most len_max. flush: 0 */
	uint64_t off;	   /* in the granted data, a multiple of 4 */
	/*
	 * Local memory registered with pd: written to the granted data before a write or compare,
	 * read from it after a read. NULL: the data is there already, or stays there.
	 */
	void *buf;
	uint32_t lkey;
};

/*
 * Have the other machine's drive execute one command, by RDMA alone: data, submission entry and
 * tail doorbell by RDMA WRITE, the completion by RDMA READ until it is there, the head doorbell by
 * RDMA WRITE. No code runs on the owner's machine.
 * ret_done: out; its err and status as for pdma_nvme_poll(). timeout_ms < 0: without end.
 * Return: 0 with *ret_done; -EINVAL: not whole blocks, too long, or off; -ERANGE: outside the data
 * or the namespace; -ECONNABORTED: RDMA failed, as after a revoke, the remote is of no more use;
 * -ETIMEDOUT: no completion, the same; -EPROTO: a completion that makes no sense, the same.
 */
PDMA_API int pdma_nvme_remote_run(struct pdma_nvme_remote *remote,
				  const struct pdma_nvme_remote_cmd *cmd, int timeout_ms,
				  struct pdma_nvme_done *ret_done);

#ifdef __cplusplus
}
#endif

#endif
