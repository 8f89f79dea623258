// SPDX-License-Identifier: MIT
/*
 * Commands that end only when the file has what the cache had: flushes, durable writes, the
 * shutdown. The worker writes back a chunk at a time between commands of others; the syncer waits
 * for the disk of the host. An entry is the worker's in states WRITE_BACK and DONE, the syncer's in
 * SYNC and SYNCING; its state is read and changed under the lock.
 */
#include <errno.h>
#include <unistd.h>

#include "models/nvme/internal.h"

/* One slot is kept for the shutdown. */
#define FOR_COMMANDS (NVME_PENDING - 1)

static struct nvme_pending *free_slot_locked(struct nvme *c, bool shutdown)
{
	unsigned i, n = shutdown ? NVME_PENDING : FOR_COMMANDS;

	for (i = shutdown ? FOR_COMMANDS : 0; i < n; i++)
		if (c->pending[i].state == NVME_P_FREE)
			return &c->pending[i];
	return NULL;
}

bool nvme_pending_room(struct nvme *c)
{
	bool room;

	pthread_mutex_lock(&c->lock);
	room = free_slot_locked(c, false);
	pthread_mutex_unlock(&c->lock);
	return room;
}

static bool add(struct nvme *c, const struct nvme_cmd *cmd, struct nvme_pending p)
{
	struct nvme_pending *slot;

	p.shutdown = !cmd;
	p.sqid = cmd ? cmd->sqid : 0;
	p.cid = cmd ? cmd->sqe.cid : 0;
	p.epoch = c->seen;
	pthread_mutex_lock(&c->lock);
	slot = free_slot_locked(c, !cmd);
	/* Of a shutdown that an older reset cut off the syncer may hold the slot still. */
	if (!slot && !cmd)
		c->shutdown_wanted = true;
	p.order = ++c->pending_order;
	if (slot)
		*slot = p;
	pthread_mutex_unlock(&c->lock);
	if (slot && p.state == NVME_P_SYNC)
		mdl_worker_kick(c->syncer);
	return slot;
}

bool nvme_flush_start(struct nvme *c, const struct nvme_cmd *cmd, unsigned first, unsigned last)
{
	return add(c, cmd,
		   (struct nvme_pending){ .state = NVME_P_WRITE_BACK,
					  .ns_first = first,
					  .ns_last = last,
					  .ns_cur = first });
}

bool nvme_sync_start(struct nvme *c, const struct nvme_cmd *cmd, const struct nvme_ns *ns)
{
	return add(c, cmd,
		   (struct nvme_pending){
			   .state = NVME_P_SYNC, .ns_first = ns->id - 1, .ns_last = ns->id });
}

/* The oldest entry in a state. */
static struct nvme_pending *oldest_locked(struct nvme *c, enum nvme_pending_state state)
{
	struct nvme_pending *best = NULL;
	unsigned i;

	for (i = 0; i < NVME_PENDING; i++) {
		struct nvme_pending *p = &c->pending[i];

		if (p->state == state && (!best || p->order < best->order))
			best = p;
	}
	return best;
}

static struct nvme_pending *oldest(struct nvme *c, enum nvme_pending_state state)
{
	struct nvme_pending *p;

	pthread_mutex_lock(&c->lock);
	p = oldest_locked(c, state);
	pthread_mutex_unlock(&c->lock);
	return p;
}

/* ---- syncer ---- */

static int sync_range(struct nvme *c, unsigned first, unsigned last)
{
	int err = 0;

	for (; first < last; first++) {
		mdl_count(c->dev, NVME_C_SYNCS);
		if (fdatasync(c->ns[first].fd) && !err)
			err = -errno;
	}
	return err;
}

bool nvme_sync_work(void *arg)
{
	struct nvme *c = arg;
	unsigned first = 0, last = 0;
	struct nvme_pending *p;
	int err;

	pthread_mutex_lock(&c->lock);
	p = oldest_locked(c, NVME_P_SYNC);
	if (p) {
		p->state = NVME_P_SYNCING;
		first = p->ns_first;
		last = p->ns_last;
	}
	pthread_mutex_unlock(&c->lock);
	if (!p)
		return false;
	err = sync_range(c, first, last);
	pthread_mutex_lock(&c->lock);
	p->status = err ? NVME_SC_WRITE_FAULT : p->status;
	p->state = NVME_P_DONE;
	pthread_mutex_unlock(&c->lock);
	mdl_worker_kick(c->worker);
	return true;
}

/* ---- worker ---- */

/* One chunk. What comes into the cache behind the cursor was no part of it when it began. */
static bool write_some_back(struct nvme *c)
{
	struct nvme_pending *p = oldest(c, NVME_P_WRITE_BACK);
	int ret = 0;

	if (!p)
		return false;
	while (p->ns_cur < p->ns_last) {
		ret = nvme_media_write_back(c, &c->ns[p->ns_cur], &p->cursor);
		if (ret > 0)
			return true;
		if (ret < 0)
			break;
		p->ns_cur++;
		p->cursor = 0;
	}
	pthread_mutex_lock(&c->lock);
	if (p->state == NVME_P_WRITE_BACK) {
		p->status = ret < 0 ? NVME_SC_WRITE_FAULT : 0;
		p->state = ret < 0 ? NVME_P_DONE : NVME_P_SYNC;
	}
	pthread_mutex_unlock(&c->lock);
	mdl_worker_kick(c->syncer);
	return true;
}

static bool current_locked(const struct nvme *c, const struct nvme_pending *p)
{
	return p->epoch == c->epoch && !p->orphan && (p->shutdown || !c->fatal);
}

/* Free a slot that is done. Return: what it was is to be reported. */
static bool take_done(struct nvme *c, struct nvme_pending *ret)
{
	struct nvme_pending *p;
	bool report = false;
	unsigned i;

	pthread_mutex_lock(&c->lock);
	for (i = 0; i < NVME_PENDING && !report; i++) {
		p = &c->pending[i];
		if (p->state != NVME_P_DONE)
			continue;
		report = current_locked(c, p);
		/* Without room it is looked at again when the host has taken completions. */
		if (report && !p->shutdown && !nvme_room_locked(c, p->sqid)) {
			report = false;
			continue;
		}
		*ret = *p;
		p->state = NVME_P_FREE;
		if (report && p->shutdown)
			c->shst = NVME_CSTS_SHST_DONE;
	}
	pthread_mutex_unlock(&c->lock);
	return report;
}

static void report(struct nvme *c, const struct nvme_pending *p)
{
	struct nvme_cmd cmd = { .sqe = { .cid = p->cid }, .sqid = p->sqid, .where = 0xffff };
	uint16_t status = p->status;

	if (p->shutdown) {
		mdl_count(c->dev, NVME_C_SHUTDOWN);
		return;
	}
	if (status == NVME_SC_WRITE_FAULT) {
		c->media_errors++;
		mdl_count(c->dev, NVME_C_MEDIA_ERRORS);
	}
	if (status)
		status = nvme_log_error(c, &cmd, status);
	nvme_post(c, p->sqid, p->cid, 0, status);
}

bool nvme_pending_poll(struct nvme *c)
{
	bool busy = write_some_back(c);
	struct nvme_pending done;

	while (take_done(c, &done))
		report(c, &done);
	nvme_notify(c);
	return busy;
}

/* The syncer cannot be called back: then it is too late to abort. */
bool nvme_pending_abort(struct nvme *c, uint16_t sqid, uint16_t cid)
{
	bool found = false;
	unsigned i;

	pthread_mutex_lock(&c->lock);
	for (i = 0; i < NVME_PENDING && !found; i++) {
		struct nvme_pending *p = &c->pending[i];

		found = (p->state == NVME_P_WRITE_BACK || p->state == NVME_P_SYNC) &&
			!p->shutdown && current_locked(c, p) && p->sqid == sqid && p->cid == cid;
		if (found) {
			p->status = NVME_SC_ABORTED;
			p->state = NVME_P_DONE;
		}
	}
	pthread_mutex_unlock(&c->lock);
	return found;
}

void nvme_pending_orphan_locked(struct nvme *c, unsigned sqid)
{
	unsigned i;

	for (i = 0; i < NVME_PENDING; i++)
		if (c->pending[i].sqid == sqid && !c->pending[i].shutdown)
			c->pending[i].orphan = true;
}

/* Nothing is written back for a host that does not wait for it any more. */
void nvme_pending_reset_locked(struct nvme *c)
{
	unsigned i;

	for (i = 0; i < NVME_PENDING; i++)
		if (c->pending[i].state == NVME_P_WRITE_BACK || c->pending[i].state == NVME_P_SYNC)
			c->pending[i].state = NVME_P_DONE;
}
