/* SPDX-License-Identifier: MIT */
/*
 * Shared inside models/nvme only.
 *
 * Three parties: whoever accesses registers (the socket thread, or a peer's worker through the
 * fabric); the worker, which does everything that takes time; the syncer, which only waits for
 * fdatasync(). What several of them touch is under c->lock, held for a few instructions and never
 * during DMA or file access. What is marked "worker" belongs to the worker alone.
 *
 * Work of before a reset is recognised by the epoch: it changes whenever what the worker holds must
 * be dropped. A controller reset by CC.EN is over (CSTS.RDY 0), and a start is over (RDY 1),
 * only when the worker has seen the epoch; a PCI reset needs no waiting, since the door refuses
 * old work.
 */
#ifndef PEERDMA_MODELS_NVME_INTERNAL_H
#define PEERDMA_MODELS_NVME_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hw/nvme.h"
#include "models/common/device.h"
#include "models/common/dma.h"
#include "models/common/fault.h"
#include "models/common/worker.h"
#include "models/nvme/counters.h"
#include "models/nvme/nvme.h"

#define NVME_BAR_REGS	   0
#define NVME_BAR_CMB	   2
#define NVME_BAR_MSIX	   4
#define NVME_BAR_REGS_SIZE 0x4000
#define NVME_BAR_MSIX_SIZE 0x1000
#define NVME_MSIX_TABLE	   0x000
#define NVME_MSIX_PBA	   0x800

#define NVME_IO_QUEUES	32u
#define NVME_QUEUES	(NVME_IO_QUEUES + 1) /* with the admin queue */
#define NVME_VECTORS	NVME_QUEUES
#define NVME_MAX_QSIZE	1024u
#define NVME_TIMEOUT	60u /* 500 ms each: to become ready, or not ready */
#define NVME_MPSMAX	4u
#define NVME_MDTS	8u /* 2^n pages of 4 KiB */
#define NVME_MAX_DATA	(4096u << NVME_MDTS)
#define NVME_MAX_SEGS	1024u /* of one command's data */
#define NVME_MAX_SGL	2048u /* descriptors of one command, empty ones and links included */
#define NVME_AERS	4u
#define NVME_EVENTS	8u
#define NVME_PENDING	64u
#define NVME_FETCH	16u
#define NVME_ERRORS	64u
#define NVME_TURN_BYTES NVME_MAX_DATA
#define NVME_CHUNK	(1u << 20) /* of the write cache */

/* Instead of a status: the completion comes later, or never (a reset cut the command off). */
#define NVME_LATER   0xffff
#define NVME_GONE    0xfffe
#define NVME_BAD(sc) ((uint16_t)((sc) | NVME_SC_DNR))

#define NVME_DIRTY	   1u /* the cache has a newer block than the file */
#define NVME_UNCORRECTABLE 2u

/* Worker, except fd and what is constant. */
struct nvme_ns {
	unsigned id;
	int fd;
	unsigned shift; /* log2 of the block size */
	uint64_t blocks;
	uint8_t nguid[16], eui64[8];
	uint8_t *map;	/* NVME_DIRTY, NVME_UNCORRECTABLE of each block */
	uint8_t *cache; /* as large as the namespace, memory only where used lately */
	uint8_t *held;	/* chunks that have memory */
	uint64_t n_held, max_held;
	uint32_t *dirty_in; /* dirty blocks of each chunk */
	uint64_t n_chunks;
	uint64_t dirty, bad; /* blocks */
	uint64_t evict;	     /* chunk to look at first for room in the cache */
	bool always_waits;   /* the file knows no reads that give up instead of waiting */
};

struct nvme_sq {
	bool live;
	uint16_t cqid;
	uint32_t size, head, tail;
	uint64_t base;
	enum mdl_space space;
};

struct nvme_cq {
	bool live, irq, phase;
	uint16_t vector;
	uint32_t size, head, tail;
	uint64_t base;
	enum mdl_space space;
};

struct nvme_list {
	struct mdl_seg seg[NVME_MAX_SEGS];
	unsigned n;
};

/* A command being executed. Worker. */
struct nvme_cmd {
	struct nvme_sqe sqe;
	uint16_t sqid;
	uint16_t where; /* byte of the entry that is wrong, 0xffff: none in particular */
	uint32_t result;
	uint64_t lba;	/* for the error log */
	uint64_t bytes; /* of data, for the turn's budget */
};

enum nvme_state {
	NVME_OFF,      /* CC.EN 0, RDY 0 */
	NVME_STARTING, /* EN 1, the worker has not seen it yet */
	NVME_READY,
	NVME_STOPPING, /* EN 0, RDY still 1 */
};

/* What waits for the cache to be written back, and the file to be synced. Under the lock. */
enum nvme_pending_state {
	NVME_P_FREE,
	NVME_P_WRITE_BACK, /* worker goes on from cursor */
	NVME_P_SYNC,	   /* for the syncer */
	NVME_P_SYNCING,
	NVME_P_DONE, /* for the worker to report */
};

struct nvme_pending {
	enum nvme_pending_state state;
	bool shutdown, orphan;
	uint16_t sqid, cid, status;
	uint64_t epoch, order;
	unsigned ns_first, ns_last, ns_cur; /* of c->ns; ns_last is one beyond */
	uint64_t cursor;		    /* chunk of ns_cur */
};

struct nvme_event {
	uint8_t type, info, lid;
};

struct nvme {
	struct mdl_device *dev;
	struct mdl_worker *worker, *syncer;
	char serial[21];
	bool cmb_legacy;
	uint8_t *cmb;
	uint64_t cmb_size, cache_limit, born_ns;
	struct nvme_ns ns[NVME_MAX_NAMESPACES];
	unsigned n_ns;

	pthread_mutex_t lock;
	/* under the lock */
	uint32_t cc, aqa, intms;
	uint64_t asq, acq, cmbmsc;
	bool cmb_bad; /* CMBSTS.CBAI */
	enum nvme_state state;
	bool fatal, subsystem, nssro;
	uint32_t shst; /* as in CSTS */
	bool shutdown_wanted, lose_cache;
	_Atomic uint64_t epoch;
	struct mdl_dma dma_begun; /* when CC.EN was set */
	struct nvme_sq sq[NVME_QUEUES];
	struct nvme_cq cq[NVME_QUEUES];
	struct nvme_pending pending[NVME_PENDING];
	uint64_t pending_order;
	struct nvme_event event[NVME_EVENTS];
	unsigned n_events;

	/* worker */
	uint64_t seen; /* epoch */
	bool gone;     /* the door refused: wait for the reset that is coming */
	uint64_t hold_ns;
	struct mdl_dma dma;
	bool cmb_on;
	uint64_t cmb_base;
	unsigned page; /* bytes of a memory page, by CC.MPS */
	unsigned next_sq;
	uint64_t notify; /* bit of a completion queue: an interrupt is due */
	uint16_t aer[NVME_AERS];
	unsigned n_aers;
	bool event_masked[8];
	struct nvme_list list;
	uint8_t *bounce; /* NVME_MAX_DATA */
	/* features */
	uint32_t f_arbitration, f_over, f_under, f_error_recovery, f_coalescing, f_events, f_atomic;
	uint32_t f_vector[NVME_VECTORS];
	bool f_write_cache, queues_made;
	/* logs */
	struct nvme_error_entry error[NVME_ERRORS]; /* newest at (n_errors - 1) % NVME_ERRORS */
	uint64_t n_errors;
	uint32_t changed_ns; /* bit of c->ns */
	uint8_t warning;
	uint64_t units_read, units_written; /* 512 bytes */
	uint64_t reads, writes, power_cycles, unsafe, media_errors;
};

/* nvme.c */
struct mdl_fault_hit nvme_fault(struct nvme *c, enum nvme_fault point);

/* regs.c */
void nvme_bar_read(struct mdl_device *dev, unsigned bar, uint64_t off, void *buf, size_t len);
void nvme_bar_write(struct mdl_device *dev, unsigned bar, uint64_t off, const void *buf,
		    size_t len);
/* Registers to what they are after a PCI reset; the epoch moves on. */
void nvme_reset_locked(struct nvme *c);
/* CSTS.CFS: nothing works any more until a reset. */
void nvme_fatal_locked(struct nvme *c, const char *why);

/* engine.c: the worker */
bool nvme_work(void *arg);
bool nvme_outdated(const struct nvme *c);
/* The volatile write cache is gone, and the controller stops. */
void nvme_power_cut(struct nvme *c);

/* cmb.c */
void nvme_cmb_look(struct nvme *c);
/* Where [addr, addr + len) is. Return: 0, or a status for a range that is partly in the buffer. */
uint16_t nvme_locate(const struct nvme *c, uint64_t addr, uint64_t len, struct mdl_seg *ret_seg);

/* list.c: the data of a command */
/* Put what PRPs or SGL say of len bytes into c->list. Return: a status, or NVME_GONE. */
uint16_t nvme_map_data(struct nvme *c, const struct nvme_sqe *sqe, uint64_t len);
uint16_t nvme_dma_status(int err);
/* Between buf and the data of an admin command or a list of ranges; maps it too. */
uint16_t nvme_send(struct nvme *c, const struct nvme_sqe *sqe, const void *buf, uint64_t len);
uint16_t nvme_receive(struct nvme *c, const struct nvme_sqe *sqe, void *buf, uint64_t len);

/* queue.c */
void nvme_queues_clear_locked(struct nvme *c);
bool nvme_sq_live(struct nvme *c, unsigned qid);
bool nvme_cq_live(struct nvme *c, unsigned qid);
/* Room for one more completion of a submission queue's commands? */
bool nvme_room_locked(const struct nvme *c, unsigned sqid);
/* Write a completion. There must be room. */
void nvme_post(struct nvme *c, uint16_t sqid, uint16_t cid, uint32_t result, uint16_t status);
void nvme_notify(struct nvme *c);
/* One batch of commands of one queue. Return: true when there was any. */
bool nvme_turn(struct nvme *c);
void nvme_doorbell_locked(struct nvme *c, uint32_t off, uint32_t val);

/* A command that failed: into the error log. Return: the status with what the log adds. */
uint16_t nvme_log_error(struct nvme *c, const struct nvme_cmd *cmd, uint16_t status);

/* queue_cmd.c, features.c, identify.c, log.c, aer.c: admin commands. Return: status. */
uint16_t nvme_admin(struct nvme *c, struct nvme_cmd *cmd);
bool nvme_admin_known(unsigned opc);
uint16_t nvme_create_cq(struct nvme *c, struct nvme_cmd *cmd);
uint16_t nvme_create_sq(struct nvme *c, struct nvme_cmd *cmd);
uint16_t nvme_delete_cq(struct nvme *c, struct nvme_cmd *cmd);
uint16_t nvme_delete_sq(struct nvme *c, struct nvme_cmd *cmd);
uint16_t nvme_identify(struct nvme *c, struct nvme_cmd *cmd);
uint16_t nvme_get_log(struct nvme *c, struct nvme_cmd *cmd);
uint16_t nvme_set_features(struct nvme *c, struct nvme_cmd *cmd);
uint16_t nvme_get_features(struct nvme *c, struct nvme_cmd *cmd);
void nvme_features_reset(struct nvme *c);
bool nvme_feature_known(unsigned fid);
uint16_t nvme_async_event(struct nvme *c, struct nvme_cmd *cmd);
bool nvme_abort_aer(struct nvme *c, uint16_t cid);
void nvme_event_locked(struct nvme *c, uint8_t type, uint8_t info, uint8_t lid);
void nvme_event(struct nvme *c, uint8_t type, uint8_t info, uint8_t lid);
void nvme_event_read(struct nvme *c, uint8_t lid); /* the log was read: report such events again */
void nvme_aer_poll(struct nvme *c);
unsigned nvme_temperature(const struct nvme *c); /* kelvin */

/* io.c */
uint16_t nvme_io(struct nvme *c, struct nvme_cmd *cmd);
bool nvme_io_known(unsigned opc);
bool nvme_io_writes(unsigned opc);
struct nvme_ns *nvme_ns(struct nvme *c, uint32_t nsid);

/* pending.c */
/* Flush namespaces [first, last) and complete cmd (NULL: the shutdown) then. False: no slot. */
bool nvme_flush_start(struct nvme *c, const struct nvme_cmd *cmd, unsigned first, unsigned last);
/* The data of cmd is in the file already: sync it, then complete. */
bool nvme_sync_start(struct nvme *c, const struct nvme_cmd *cmd, const struct nvme_ns *ns);
bool nvme_pending_room(struct nvme *c);
/* Write some back, report what is done. Return: true when there is more to do at once. */
bool nvme_pending_poll(struct nvme *c);
bool nvme_pending_abort(struct nvme *c, uint16_t sqid, uint16_t cid);
void nvme_pending_orphan_locked(struct nvme *c, unsigned sqid); /* its queue goes */
void nvme_pending_reset_locked(struct nvme *c);
bool nvme_sync_work(void *arg); /* the syncer */

/* media.c: the file of a namespace and the write cache before it. Return: 0 or -errno. */
int nvme_ns_open(struct nvme *c, const struct nvme_ns_cfg *cfg);
void nvme_ns_close(struct nvme_ns *ns);
bool nvme_media_bad(const struct nvme_ns *ns, uint64_t slba, uint64_t n);
/* For fn of a visit, which holds a lock: no waiting for the host's disk, but -EAGAIN. */
int nvme_media_peek(struct nvme_ns *ns, uint64_t pos, void *buf, size_t len);
int nvme_media_read(struct nvme_ns *ns, uint64_t pos, void *buf, size_t len);
/* Into the cache; nvme_media_cached() once whole blocks are there. */
void nvme_media_cache(struct nvme_ns *ns, uint64_t pos, const void *buf, size_t len);
void nvme_media_cached(struct nvme_ns *ns, uint64_t slba, uint64_t n);
/* From the cache, where all of them are, to the file. */
int nvme_media_write_through(struct nvme *c, struct nvme_ns *ns, uint64_t slba, uint64_t n);
int nvme_media_zero(struct nvme_ns *ns, uint64_t slba, uint64_t n);
void nvme_media_spoil(struct nvme_ns *ns, uint64_t slba, uint64_t n);
/* Write chunk *cursor or a later one back. Return: 1 done one, 0 none left, -errno. */
int nvme_media_write_back(struct nvme *c, struct nvme_ns *ns, uint64_t *cursor);
/* Write back until len more bytes fit into the cache. */
int nvme_media_make_room(struct nvme *c, struct nvme_ns *ns, uint64_t len);
uint64_t nvme_media_lose(struct nvme_ns *ns); /* Return: bytes lost */

/* snapshot.c */
struct json_object;
void nvme_snapshot(struct mdl_device *dev, struct json_object *obj);

#endif
