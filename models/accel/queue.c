// SPDX-License-Identifier: MIT
/* Submission and completion entries in guest memory: SPEC.rst 3.2 and 4. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "models/accel/internal.h"

/* Entries from index on that can be read at once: submitted, and before the end of the queue. */
static uint32_t run_length(const struct accel_queues *q, uint32_t index, uint32_t tail)
{
	uint32_t n = tail - index, to_end = q->size - (index & (q->size - 1));

	n = n < to_end ? n : to_end;
	return n < ACCEL_FETCH_AHEAD ? n : ACCEL_FETCH_AHEAD;
}

static int read_entries(struct accel_ring *r, uint32_t index, uint32_t n)
{
	const struct accel_queues *q = &r->queues;
	uint64_t addr = q->sq_base + (index & (q->size - 1)) * sizeof(struct accel_sqe);

	return mdl_dma_read(&r->src_dma, q->sq_space, addr, r->ahead, n * sizeof(struct accel_sqe),
			    MDL_CTRL);
}

/* Put the entry of index into job->sqe; there is at least this one before tail. */
int accel_sq_fetch(struct accel_ring *r, uint32_t index, uint32_t tail)
{
	uint32_t n;
	int err;

	if (index - r->ahead_index >= r->n_ahead) {
		r->n_ahead = 0;
		n = run_length(&r->queues, index, tail);
		err = read_entries(r, index, n);
		/* One of those that are not due yet may be the bad one. */
		if (err && err != -ECANCELED && n > 1) {
			n = 1;
			err = read_entries(r, index, n);
		}
		if (err)
			return err;
		r->ahead_index = index;
		r->n_ahead = n;
	}
	r->job.sqe = r->ahead[index - r->ahead_index];
	return 0;
}

#define CQE_HEAD_SIZE offsetof(struct accel_cqe, cmd_id)

/* The last 8 bytes carry the phase and are stored at once after all others. */
int accel_cq_write(struct accel_ring *r, uint32_t sq_index, uint32_t cq_index)
{
	const struct accel_queues *q = &r->queues;
	const struct accel_job *job = &r->job;
	uint64_t addr = q->cq_base + (cq_index & (q->size - 1)) * sizeof(struct accel_cqe), last;
	struct accel_cqe cqe = {
		.result = job->out.result,
		.info = job->out.info,
		.sq_head = sq_index + 1,
		.opcode = job->sqe.opcode,
		.where = job->out.where,
		.cmd_id = job->sqe.cmd_id,
		.status = job->out.status,
		.flags = cq_index & q->size ? 0 : ACCEL_CQE_PHASE,
	};
	int err;

	err = mdl_dma_write(&r->dst_dma, q->cq_space, addr, &cqe, CQE_HEAD_SIZE, MDL_CTRL);
	if (err)
		return err;
	memcpy(&last, (const uint8_t *)&cqe + CQE_HEAD_SIZE, sizeof(last));
	return mdl_dma_store(&r->dst_dma, q->cq_space, addr + CQE_HEAD_SIZE, sizeof(last), last);
}
