// SPDX-License-Identifier: MIT
/* Queues and commands, as include/peerdma/nvme.h promises them. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "lib/nvme/ctrl.h"
#include "util/clock.h"

#define SEGS_MAX 64
/* Looks at the queue between two looks at the controller's status. */
#define LOOKS 64

static void use(struct pdma_nvme_queue *q)
{
	pthread_rwlock_rdlock(&q->nvme->device->busy);
}

static void leave(struct pdma_nvme_queue *q)
{
	pthread_rwlock_unlock(&q->nvme->device->busy);
}

static void end_op(struct pdmai_nvme_op *op)
{
	if (op->busy && op->mem)
		__atomic_sub_fetch(&op->mem->pending, 1, __ATOMIC_ACQ_REL);
	op->busy = false;
}

static int create_locked(struct pdma_nvme_queue *q, unsigned flags)
{
	const struct pdmai_nvme_queue_config config = {
		.entries = q->entries,
		.sq = flags & PDMA_NVME_SQ_IN_CMB ? PDMAI_NVME_IN_CMB : PDMAI_NVME_IN_HOST,
		.cq = flags & PDMA_NVME_CQ_IN_CMB ? PDMAI_NVME_IN_CMB : PDMAI_NVME_IN_HOST,
		.foreign = q->remote,
	};
	int ret;

	pthread_rwlock_wrlock(&q->nvme->device->busy);
	ret = pdmai_nvme_queue_create(q->nvme->core, &config, &q->core);
	pthread_rwlock_unlock(&q->nvme->device->busy);
	return ret;
}

int pdma_nvme_queue_create(struct pdma_nvme *nvme, unsigned entries, unsigned flags,
			   struct pdma_nvme_queue **ret_queue)
{
	struct pdma_nvme_queue *q;
	int ret;

	if (flags & ~(PDMA_NVME_SQ_IN_CMB | PDMA_NVME_CQ_IN_CMB | PDMA_NVME_REMOTE))
		return pdmai_fail(EINVAL, "flags 0x%x are not all known", flags);
	if (entries < 2 || entries > pdmai_nvme_get_info(nvme->core)->entries_max)
		return pdmai_fail(EINVAL, "the controller has no queues of %u entries", entries);
	if (flags & PDMA_NVME_REMOTE)
		flags |= PDMA_NVME_SQ_IN_CMB | PDMA_NVME_CQ_IN_CMB;
	q = calloc(1, sizeof(*q));
	if (q)
		q->ops = calloc(entries, sizeof(*q->ops));
	if (!q || !q->ops) {
		free(q);
		return pdmai_fail(ENOMEM, "no memory for a queue");
	}
	q->nvme = nvme;
	q->entries = entries;
	q->remote = flags & PDMA_NVME_REMOTE;
	pdmai_ctx_lock(nvme->ctx);
	ret = create_locked(q, flags);
	pdmai_ctx_unlock(nvme->ctx);
	if (ret) {
		free(q->ops);
		free(q);
		return ret;
	}
	*ret_queue = q;
	return 0;
}

void pdma_nvme_queue_destroy(struct pdma_nvme_queue *q)
{
	struct pdma_ctx *ctx;

	if (!q)
		return;
	ctx = q->nvme->ctx;
	pdmai_ctx_lock(ctx);
	pdmai_nvme_grant_end(q);
	pthread_rwlock_wrlock(&q->nvme->device->busy);
	pdmai_nvme_queue_destroy(q->core);
	pthread_rwlock_unlock(&q->nvme->device->busy);
	for (unsigned i = 0; i + 1 < q->entries; i++)
		end_op(&q->ops[i]);
	pdmai_ctx_unlock(ctx);
	free(q->ops);
	free(q);
}

static int check_data(const struct pdma_nvme_queue *q, const struct pdma_nvme_cmd *cmd,
		      const struct pdmai_nvme_ns *ns)
{
	if (!cmd->mem || cmd->mem->nvme != q->nvme)
		return pdmai_fail(EINVAL, "the command has no memory of this controller");
	if (!ns->block || !cmd->len || cmd->len % ns->block)
		return pdmai_fail(EINVAL, "%" PRIu64 " bytes are not whole blocks of %u", cmd->len,
				  ns->block);
	if (cmd->off > cmd->mem->region->len || cmd->len > cmd->mem->region->len - cmd->off)
		return pdmai_fail(ERANGE, "the data is not inside %s", cmd->mem->region->uri);
	if (cmd->lba > ns->blocks || cmd->len / ns->block > ns->blocks - cmd->lba)
		return pdmai_fail(ERANGE, "namespace %u has %" PRIu64 " blocks", ns->nsid,
				  ns->blocks);
	return 0;
}

static int check_cmd(const struct pdma_nvme_queue *q, const struct pdma_nvme_cmd *cmd,
		     const struct pdmai_nvme_ns **ret_ns)
{
	*ret_ns = pdmai_nvme_find_ns(q->nvme->core, cmd->nsid);
	if (q->remote)
		return pdmai_fail(EPERM, "the queue is another machine's to use");
	if (!*ret_ns)
		return pdmai_fail(ENOENT, "%s has no namespace %u", q->nvme->device->dev->bdf.text,
				  cmd->nsid);
	if (cmd->flags & ~PDMA_NVME_FUA)
		return pdmai_fail(EINVAL, "flags 0x%x are not all known", cmd->flags);
	switch (cmd->op) {
	case PDMA_NVME_FLUSH:
		if (cmd->len || cmd->mem)
			return pdmai_fail(EINVAL, "a flush has no data");
		return 0;
	case PDMA_NVME_WRITE:
	case PDMA_NVME_READ:
	case PDMA_NVME_COMPARE:
		return check_data(q, cmd, *ret_ns);
	}
	return pdmai_fail(EINVAL, "command 0x%x is not known", (unsigned)cmd->op);
}

static int find_op(struct pdma_nvme_queue *q, unsigned *ret_op)
{
	unsigned n = q->entries - 1;

	for (unsigned i = 0; i < n; i++, q->next_op++) {
		if (q->ops[q->next_op % n].busy)
			continue;
		*ret_op = q->next_op++ % n;
		return 0;
	}
	return -EAGAIN;
}

/* With busy held: what is taken away later waits for us, what was taken before shows. */
static int submit_used(struct pdma_nvme_queue *q, const struct pdma_nvme_cmd *cmd,
		       const struct pdmai_nvme_ns *ns)
{
	struct pdmai_nvme_seg segs[SEGS_MAX];
	struct pdmai_nvme_cmd core = { .opc = (enum nvme_io_opc)cmd->op,
				       .nsid = cmd->nsid,
				       .lba = cmd->lba,
				       .fua = cmd->flags & PDMA_NVME_FUA,
				       .seg = segs };
	unsigned op = 0;
	int ret;

	if (cmd->mem && cmd->mem->revoked)
		return pdmai_fail(ESTALE, "%s was revoked", cmd->mem->region->uri);
	ret = find_op(q, &op);
	if (!ret && cmd->mem) {
		ret = pdmai_nvme_mem_cut(cmd->mem, cmd->off, cmd->len, segs, SEGS_MAX);
		core.n_seg = ret > 0 ? (unsigned)ret : 0;
		core.blocks = (uint32_t)(cmd->len / ns->block);
		core.cookie = op;
		ret = ret < 0 ? ret : 0;
	}
	core.cookie = op;
	ret = ret ? ret : pdmai_nvme_submit(q->core, &core);
	if (ret)
		return ret;
	q->ops[op] = (struct pdmai_nvme_op){ cmd->mem, cmd->cookie, true };
	if (cmd->mem)
		__atomic_add_fetch(&cmd->mem->pending, 1, __ATOMIC_ACQ_REL);
	return 0;
}

int pdma_nvme_submit(struct pdma_nvme_queue *q, const struct pdma_nvme_cmd *cmd)
{
	uint64_t len_max = pdmai_nvme_get_info(q->nvme->core)->len_max;
	const struct pdmai_nvme_ns *ns;
	int ret = check_cmd(q, cmd, &ns);

	if (!ret && cmd->len > len_max)
		ret = pdmai_fail(EINVAL, "a command moves at most %" PRIu64 " bytes", len_max);
	if (ret)
		return ret;
	use(q);
	ret = submit_used(q, cmd, ns);
	leave(q);
	return ret;
}

static int take_one(struct pdma_nvme_queue *q, struct pdma_nvme_done *ret_done)
{
	struct pdmai_nvme_done done;
	struct pdmai_nvme_op *op;
	int ret;

	use(q);
	ret = pdmai_nvme_poll(q->core, &done, 1);
	leave(q);
	if (ret != 1)
		return ret;
	op = &q->ops[done.cookie];
	*ret_done = (struct pdma_nvme_done){ .cookie = op->cookie,
					     .err = done.err,
					     .status = done.status,
					     .text = pdmai_nvme_status_text(done.status) };
	end_op(op);
	return 1;
}

int pdma_nvme_poll(struct pdma_nvme_queue *q, struct pdma_nvme_done *done, unsigned max)
{
	unsigned n = 0;
	int ret = 1;

	while (n < max && (ret = take_one(q, &done[n])) == 1)
		n++;
	return n ? (int)n : ret < 0 ? ret : 0;
}

int pdma_nvme_wait(struct pdma_nvme_queue *q, int timeout_ms, struct pdma_nvme_done *ret_done)
{
	const struct timespec pause = { .tv_nsec = 20000 };
	int64_t end = util_now_ms() + timeout_ms;

	for (unsigned i = 0;; i++) {
		/* The last look comes after the time is over. */
		bool late = timeout_ms >= 0 && util_now_ms() > end;
		int ret = take_one(q, ret_done);

		if (ret)
			return ret < 0 ? ret : 0;
		if (!pdmai_nvme_pending(q->core))
			return pdmai_fail(ENOENT, "nothing is under way on the queue");
		ret = i % LOOKS && !late ? 0 : pdma_nvme_check(q->nvme);
		if (ret)
			return ret;
		if (late)
			return pdmai_fail(ETIMEDOUT, "%s completes nothing within %d ms",
					  q->nvme->device->dev->bdf.text, timeout_ms);
		nanosleep(&pause, NULL);
	}
}

/* One completion of a piece. first: where the first failure is kept. */
static int wait_piece(struct pdma_nvme_queue *q, int timeout_ms, int *first)
{
	struct pdma_nvme_done done;
	int ret = pdma_nvme_wait(q, timeout_ms, &done);

	if (!ret && done.err && !*first)
		*first = pdmai_fail(-done.err, "%s: %s (status 0x%x)",
				    q->nvme->device->dev->bdf.text, done.text, done.status);
	return ret;
}

static uint64_t piece_max(const struct pdma_nvme_queue *q, const struct pdmai_nvme_ns *ns)
{
	uint64_t max = pdmai_nvme_get_info(q->nvme->core)->len_max;

	return ns->block ? max - max % ns->block : max;
}

int pdma_nvme_io(struct pdma_nvme_queue *q, const struct pdma_nvme_cmd *cmd, int timeout_ms)
{
	struct pdma_nvme_cmd piece = *cmd;
	const struct pdmai_nvme_ns *ns;
	uint64_t left = cmd->len;
	bool more = true;
	int ret = check_cmd(q, cmd, &ns), first = 0;

	if (!ret && pdmai_nvme_pending(q->core))
		ret = pdmai_fail(EBUSY, "the queue is not idle");
	while (!ret && more && !first) {
		piece.len = left < piece_max(q, ns) ? left : piece_max(q, ns);
		ret = pdma_nvme_submit(q, &piece);
		if (ret == -EAGAIN) {
			ret = wait_piece(q, timeout_ms, &first);
			continue;
		}
		left -= piece.len;
		piece.off += piece.len;
		piece.lba += ns->block ? piece.len / ns->block : 0;
		more = left;
	}
	/* Also after a failure, so that the queue is idle again. */
	while (pdmai_nvme_pending(q->core)) {
		int waited = wait_piece(q, timeout_ms, &first);

		if (waited)
			return ret ? ret : waited;
	}
	return ret ? ret : first;
}
