// SPDX-License-Identifier: MIT
/* Taking completions, and waiting for them. */
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/accel/private.h"
#include "lib/core/error.h"
#include "lib/dev/barrier.h"
#include "util/clock.h"

/* How long to look without giving the processor away, and how often to ask the ring for errors. */
#define SPIN_NS	    20000
#define ASK_NS	    (2 * 1000 * 1000)
#define ASK_POLL_MS 100

#define LAST_WORD (offsetof(struct accel_cqe, cmd_id) / sizeof(uint64_t))

static uint32_t load32(uint64_t word, unsigned shift)
{
	return (uint32_t)(word >> shift);
}

/* The last word is written last: it holds the phase. Return: true with *cqe when one is there. */
static bool peek(const struct pdmai_accel_ring *ring, struct accel_cqe *cqe)
{
	uint32_t slot = ring->cq_head & (ring->size - 1);
	volatile uint64_t *words =
		(volatile uint64_t *)(ring->mem + ring->cq_off + slot * sizeof(*cqe));
	uint32_t phase = !((ring->cq_head >> ring->config.size_log2) & 1);
	uint64_t word[sizeof(*cqe) / sizeof(uint64_t)];

	word[LAST_WORD] = words[LAST_WORD];
	if ((load32(le64toh(word[LAST_WORD]), 48) & ACCEL_CQE_PHASE) != phase)
		return false;
	pdmai_rmb_after_flag();
	for (unsigned i = 0; i < LAST_WORD; i++)
		word[i] = words[i];
	memcpy(cqe, word, sizeof(*cqe));
	return true;
}

/* Completions come in order, one a command; anything else would free the wrong memory. */
static int take(struct pdmai_accel_ring *ring, const struct accel_cqe *cqe,
		struct pdmai_accel_done *done)
{
	const struct pdmai_accel_slot *slot = &ring->slots[ring->cq_head & (ring->size - 1)];
	uint32_t next = ring->cq_head + 1;

	if (ring->cq_head == ring->sq_tail || le32toh(cqe->cmd_id) != ring->cq_head ||
	    le32toh(cqe->sq_head) - next > ring->sq_tail - next) {
		ring->broken = pdmai_fail(EPROTO, "%s: ring %u got completion %u where %u is due",
					  ring->accel->dev->bdf.text, ring->config.idx,
					  le32toh(cqe->cmd_id), ring->cq_head);
		return ring->broken;
	}
	*done = (struct pdmai_accel_done){
		.cookie = slot->cookie,
		.err = pdmai_accel_status_errno(le16toh(cqe->status)),
		.status = le16toh(cqe->status),
		.where = cqe->where,
		.op = cqe->opcode,
		.result = le64toh(cqe->result),
		.info = le64toh(cqe->info),
	};
	ring->list_head = slot->list_end;
	ring->cq_head = next;
	return 0;
}

int pdmai_accel_poll(struct pdmai_accel_ring *ring, struct pdmai_accel_done *done, unsigned max)
{
	struct accel_cqe cqe;
	unsigned n = 0;
	int ret;

	if (ring->broken)
		return ring->broken;
	while (n < max && peek(ring, &cqe)) {
		ret = take(ring, &cqe, &done[n]);
		if (ret)
			return n ? (int)n : ret;
		n++;
	}
	/*
	 * The device gets to know with the next doorbell, but not later than at half of the queue.
	 */
	if (ring->cq_head - ring->cq_rung >= ring->size / 2)
		pdmai_accel_ring_kick(ring);
	return (int)n;
}

/* Nothing came: is there a reason why nothing will? One register read unless there is. */
static int ask_ring(struct pdmai_accel_ring *ring)
{
	uint64_t off = ACCEL_RING(ring->config.idx) + ACCEL_RING_STATUS;
	const char *bdf = ring->accel->dev->bdf.text;
	struct pdmai_accel_ring_status s;
	int ret;

	if (pdmai_accel_read32(ring->accel, off) == ACCEL_RING_RUNNING)
		return 0;
	ret = pdmai_accel_ring_state(ring, &s);
	if (ret)
		return ret;
	if (s.state == ACCEL_RING_IN_ERROR)
		return pdmai_fail(EIO, "%s: ring %u is in error %u (info 0x%llx)", bdf,
				  ring->config.idx, s.error, (unsigned long long)s.error_info);
	/* We never leave a ring disabled that has work. */
	if (s.state == ACCEL_RING_DISABLED) {
		ring->broken = pdmai_fail(ECONNRESET, "%s was reset by somebody else", bdf);
		return ring->broken;
	}
	return 0;
}

static void pause_a_little(void)
{
	const struct timespec t = { .tv_nsec = 50000 };

	nanosleep(&t, NULL);
}

/* Return: 1 with *done, 0 at the end of the time, -errno. */
static int wait_looking(struct pdmai_accel_ring *ring, int64_t end, struct pdmai_accel_done *done)
{
	int64_t start = util_now_ns(), asked = start, now;
	int ret;

	for (;;) {
		now = util_now_ns();
		ret = pdmai_accel_poll(ring, done, 1);
		if (ret)
			return ret;
		if (now >= end || now - asked > ASK_NS) {
			ret = ask_ring(ring);
			asked = now;
			/* What was completed before the error is still good. */
			if (ret && pdmai_accel_poll(ring, done, 1) == 1)
				return 1;
			if (ret || now >= end)
				return ret;
		}
		if (now - start < SPIN_NS)
			pdmai_cpu_relax();
		else
			pause_a_little();
	}
}

static int poll_ms(int64_t left_ns)
{
	if (left_ns > ASK_POLL_MS * 1000000ll)
		return ASK_POLL_MS;
	return (int)((left_ns + 999999) / 1000000);
}

/*
 * An interrupt without a completion is a ring error, or left over from completions taken before.
 * The interrupt of an error may have been taken together with that of a completion, hence the look
 * at the ring every so often. Return: as wait_looking().
 */
static int wait_interrupt(struct pdmai_accel_ring *ring, int64_t end, struct pdmai_accel_done *done)
{
	struct pollfd p = { .fd = pdmai_accel_eventfd(ring->accel, ring->config.idx + 1),
			    .events = POLLIN };
	uint64_t count;
	int64_t now;
	int ret;

	ret = pdmai_accel_poll(ring, done, 1);
	while (!ret) {
		now = util_now_ns();
		if (poll(&p, 1, now < end ? poll_ms(end - now) : 0) < 0 && errno != EINTR)
			return -errno;
		/* Empty is fine: the look at the queue comes after it in any case. */
		if (read(p.fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
			return -errno;
		ret = pdmai_accel_poll(ring, done, 1);
		if (ret)
			return ret;
		ret = ask_ring(ring);
		/* What was completed before the error is still good. */
		if (ret && pdmai_accel_poll(ring, done, 1) == 1)
			return 1;
		if (now >= end)
			break;
	}
	return ret;
}

int pdmai_accel_wait(struct pdmai_accel_ring *ring, int64_t timeout_ns,
		     struct pdmai_accel_done *ret_done)
{
	int64_t end = INT64_MAX, now = util_now_ns();
	int ret;

	ret = pdmai_accel_ring_gate(ring);
	if (ret)
		return ret;
	if (!pdmai_accel_ring_pending(ring))
		return -ENOENT;
	pdmai_accel_ring_kick(ring);
	if (timeout_ns >= 0 && timeout_ns < INT64_MAX - now)
		end = now + timeout_ns;
	ret = ring->config.interrupt ? wait_interrupt(ring, end, ret_done) :
				       wait_looking(ring, end, ret_done);
	if (ret < 0)
		return ret;
	return ret ? 0 : -ETIMEDOUT;
}

int pdmai_accel_run(struct pdmai_accel_ring *ring, const struct pdmai_accel_cmd *cmd,
		    int64_t timeout_ns, struct pdmai_accel_done *ret_done)
{
	int ret;

	if (pdmai_accel_ring_pending(ring))
		return -EBUSY;
	ret = pdmai_accel_submit(ring, cmd);
	return ret ? ret : pdmai_accel_wait(ring, timeout_ns, ret_done);
}
