/* SPDX-License-Identifier: MIT */
/*
 * Shared inside models/accel only.
 *
 * Two parties use these structs: whoever accesses registers (the socket thread, or a peer's worker
 * through the fabric) and the device's one worker. What both touch is under accel->lock, held for
 * a few instructions and never during DMA. What is marked "worker" belongs to the worker alone.
 *
 * Work of before a reset is recognised by the ring's epoch: it changes whenever what the worker
 * holds of a ring must be dropped, and the worker compares before it acts and before it commits.
 */
#ifndef PEERDMA_MODELS_ACCEL_INTERNAL_H
#define PEERDMA_MODELS_ACCEL_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "hw/accel.h"
#include "models/accel/counters.h"
#include "models/common/device.h"
#include "models/common/dma.h"
#include "models/common/fault.h"
#include "models/common/worker.h"

#define ACCEL_SLICE	  MDL_SLICE /* data of one ring's turn */
#define ACCEL_TURN_STEPS  32	    /* commands, or pieces of one, of one ring's turn */
#define ACCEL_FETCH_AHEAD 16	    /* submission entries read at once */
#define ACCEL_MAX_PIECES  256	    /* list elements of one step */

/* A source or destination: a private copy of the guest's list, and how far the command got. */
struct accel_list {
	struct mdl_seg *seg; /* ACCEL_SGL_MAX_ENTRIES */
	unsigned n, cur;
	uint64_t off; /* into seg[cur] */
};

/* Where an error lies, before it is put into a completion. */
struct accel_outcome {
	uint16_t status;
	uint8_t where;
	uint64_t result, info;
};

enum accel_phase {
	ACCEL_IDLE,    /* no command */
	ACCEL_EXEC,    /* checked; data is moving */
	ACCEL_FENCED,  /* a device fence waits for other rings */
	ACCEL_DONE,    /* out is final; the completion is not written yet */
	ACCEL_DROPPED, /* the door refused it after a reset; the reset will tidy up */
};

/* What a device fence still waits for on another ring. */
struct accel_wait {
	bool on;
	uint64_t epoch;
	uint32_t until; /* SQ_HEAD of that ring */
};

/* The command a ring is executing. Worker. */
struct accel_job {
	enum accel_phase phase;
	struct accel_sqe sqe;
	struct accel_list src, dst;
	uint64_t done;
	uint32_t crc;
	uint64_t start_ns; /* not before this time */
	struct accel_wait wait[ACCEL_RINGS];
	struct accel_outcome out;
};

/* Where the queues are: the worker's copy of the registers, which a reset may clear meanwhile. */
struct accel_queues {
	uint64_t sq_base, cq_base;
	uint32_t size;
	enum mdl_space sq_space, cq_space;
};

struct accel_ring {
	unsigned idx;

	/* registers; under the lock */
	uint64_t sq_base, cq_base;
	uint32_t size_log2, space, vector, coalesce;
	uint32_t state; /* enum accel_ring_state */
	uint32_t error, error_index;
	uint64_t error_info;
	uint32_t sq_head, sq_tail, cq_head, cq_tail;

	/* under the lock */
	uint32_t size; /* entries of a queue, from the last good ENABLE on */
	uint64_t epoch;
	struct mdl_dma dma; /* begun by ENABLE */
	bool drop;	    /* STOPPING because of RESET: nothing is to be completed */
	bool completing;    /* a completion is being written: the driver may see it already */
	bool abort;	    /* ABORT came while abort_index was next to complete */
	uint32_t abort_index;
	unsigned irq_held;   /* interrupts held back by COALESCE */
	uint64_t irq_due_ns; /* when the first of them must go out */

	/* worker */
	uint64_t job_epoch;
	struct accel_queues queues;
	struct accel_job job;
	struct mdl_dma src_dma, dst_dma; /* apart, to tell which side failed */
	struct accel_sqe ahead[ACCEL_FETCH_AHEAD];
	uint32_t ahead_index; /* of ahead[0] */
	unsigned n_ahead;
};

struct accel_extent;

struct accel {
	struct mdl_device *dev;
	struct mdl_worker *worker;
	void *vram;
	uint64_t vram_size;
	uint64_t born_ns;

	pthread_mutex_t lock;
	/* registers; under the lock */
	bool enabled, fatal, soft_reset;
	uint32_t error, event, event_enable, resets, bad_access;
	uint64_t error_info, scratch[2];
	bool timer_latched;
	uint32_t timer_high;
	struct accel_ring ring[ACCEL_RINGS];

	/* worker */
	unsigned next_ring;	     /* whose turn it is */
	uint64_t hold_ns;	     /* all rings stand still until then (accel.stall, delay) */
	uint8_t *bounce;	     /* ACCEL_SLICE */
	struct accel_extent *extent; /* 2 * ACCEL_SGL_MAX_ENTRIES */
	struct mdl_seg piece[2][ACCEL_MAX_PIECES];
};

/* accel.c */
void accel_reset_registers_locked(struct accel *a);
void accel_event_locked(struct accel *a, uint32_t bits);
void accel_fatal_locked(struct accel *a, const struct accel_ring *r);
/* What a fault point wants done now: MDL_FAULT_NONE when it does not fire. */
struct mdl_fault_hit accel_fault(struct accel *a, enum accel_fault point);
/* VRAM size of the linked accelerator, 0 when the link is down or there is none. */
uint64_t accel_link_size(const struct accel *a);

/* regs.c: accesses of the register BAR */
void accel_bar_read(struct mdl_device *dev, unsigned bar, uint64_t off, void *buf, size_t len);
void accel_bar_write(struct mdl_device *dev, unsigned bar, uint64_t off, const void *buf,
		     size_t len);

/* An access that is not allowed: counted, and answered as SPEC.rst 2 says. */
void accel_refuse_locked(struct accel *a, enum accel_counter why);

/*
 * A register of 4 bytes, or of 8 when wide. get gives the whole register; set gets the whole new
 * value and returns false when the state does not allow it. set NULL: read only.
 */
struct accel_reg {
	uint32_t off;
	bool wide;
	uint64_t (*get)(struct accel *a, struct accel_ring *r);
	bool (*set)(struct accel *a, struct accel_ring *r, uint64_t val);
};

/* ring_regs.c: offsets from ACCEL_RING(n) */
extern const struct accel_reg accel_ring_regs[];
extern const unsigned accel_n_ring_regs;

/* ring.c: states of a ring */
void accel_ring_init(struct accel_ring *r, unsigned idx);
void accel_ring_reset_locked(struct accel_ring *r);
bool accel_ring_command_locked(struct accel *a, struct accel_ring *r, uint32_t cmd);
void accel_ring_fail_locked(struct accel *a, struct accel_ring *r, uint32_t error, uint64_t info);
void accel_ring_stopped_locked(struct accel *a, struct accel_ring *r);
bool accel_ring_is_active(const struct accel_ring *r);

/* doorbell.c */
void accel_doorbell_locked(struct accel *a, struct accel_ring *r, uint32_t off, uint32_t val);

/* irq.c */
void accel_irq_ring_locked(struct accel *a, struct accel_ring *r);
void accel_irq_event_locked(struct accel *a);
void accel_irq_completed_locked(struct accel *a, struct accel_ring *r, bool asked, bool urgent);
/* Send what was held back long enough; have the worker come again for the rest. */
void accel_irq_poll(struct accel *a);

/* engine.c: the worker */
bool accel_work(void *arg);

/* queue.c: submission and completion entries in memory. Return: 0 or -errno of the door. */
int accel_sq_fetch(struct accel_ring *r, uint32_t index, uint32_t tail);
int accel_cq_write(struct accel_ring *r, uint32_t sq_index, uint32_t cq_index);

/*
 * cmd.c: check job->sqe and load its lists. The phase becomes EXEC, or DONE with job->out saying
 * why not, or DROPPED.
 */
void accel_cmd_prepare(struct accel *a, struct accel_ring *r);
/* The outcome of a command that did what it should. */
struct accel_outcome accel_cmd_success(const struct accel_job *job);
void accel_cmd_finish(struct accel_job *job, struct accel_outcome out);
bool accel_opcode_known(unsigned opcode);
enum accel_counter accel_status_counter(uint16_t status);
bool accel_range_ok(const struct accel *a, uint32_t space, uint64_t addr, uint64_t len,
		    uint16_t *ret_status);

/* sgl.c: scatter lists */
enum accel_side { ACCEL_SRC, ACCEL_DST };
/*
 * Load one side of job->sqe, inline or from memory, and check it; every address and length must be
 * a multiple of align. False: the phase is DONE or DROPPED.
 */
bool accel_list_load(struct accel *a, struct accel_ring *r, enum accel_side side, uint64_t align);
/* Copy the next pieces, at most max_len bytes and ACCEL_MAX_PIECES, to seg without moving on. */
unsigned accel_list_peek(const struct accel_list *l, uint64_t max_len, struct mdl_seg *seg,
			 uint64_t *ret_len);
void accel_list_advance(struct accel_list *l, uint64_t len);
/* The space of the next byte. */
enum mdl_space accel_list_space(const struct accel_list *l);

/* overlap.c */
struct accel_extent {
	uint64_t first, last;
	uint32_t space, side;
};
bool accel_lists_overlap(struct accel *a, const struct accel_list *x, const struct accel_list *y);

/*
 * exec.c: do some of the command, at most about len bytes. *ret_n gets the bytes it certainly did.
 * When the command is over the phase is DONE, or DROPPED.
 */
void accel_exec(struct accel *a, struct accel_ring *r, uint64_t len, uint64_t *ret_n);
/* The status for an error of the door. */
uint16_t accel_dma_status(int err, enum mdl_space space);
/* End the command with an error of the door. */
void accel_dma_failed(struct accel_job *job, int err, enum mdl_space space, uint8_t where,
		      uint64_t addr);

/* snapshot.c */
struct json_object;
void accel_snapshot(struct mdl_device *dev, struct json_object *obj);

#endif
