// SPDX-License-Identifier: MIT
/* Asynchronous events: Base Specification 5.2. */
#include "models/nvme/internal.h"

/* One of a kind is enough; what does not fit is told by the log all the same. */
void nvme_event_locked(struct nvme *c, uint8_t type, uint8_t info, uint8_t lid)
{
	unsigned i;

	for (i = 0; i < c->n_events; i++)
		if (c->event[i].type == type && c->event[i].info == info)
			return;
	if (c->n_events < NVME_EVENTS)
		c->event[c->n_events++] = (struct nvme_event){ type, info, lid };
}

void nvme_event(struct nvme *c, uint8_t type, uint8_t info, uint8_t lid)
{
	pthread_mutex_lock(&c->lock);
	nvme_event_locked(c, type, info, lid);
	pthread_mutex_unlock(&c->lock);
}

static const uint8_t lid_type[] = {
	[NVME_LOG_ERROR] = NVME_EVENT_ERROR + 1,
	[NVME_LOG_SMART] = NVME_EVENT_SMART + 1,
	[NVME_LOG_CHANGED_NS] = NVME_EVENT_NOTICE + 1,
};

void nvme_event_read(struct nvme *c, uint8_t lid)
{
	if (lid < sizeof(lid_type) && lid_type[lid])
		c->event_masked[lid_type[lid] - 1] = false;
}

/* The next event that may be reported now. */
static bool take_event(struct nvme *c, struct nvme_event *ret)
{
	bool found = false;
	unsigned i;

	pthread_mutex_lock(&c->lock);
	for (i = 0; i < c->n_events && !found; i++) {
		if (c->event_masked[c->event[i].type & 7])
			continue;
		*ret = c->event[i];
		found = true;
		c->n_events--;
	}
	for (; found && i <= c->n_events; i++)
		c->event[i - 1] = c->event[i];
	pthread_mutex_unlock(&c->lock);
	return found;
}

static bool room(struct nvme *c)
{
	bool yes;

	pthread_mutex_lock(&c->lock);
	yes = nvme_room_locked(c, 0);
	pthread_mutex_unlock(&c->lock);
	return yes;
}

void nvme_aer_poll(struct nvme *c)
{
	struct nvme_event e;

	while (c->n_aers && room(c) && take_event(c, &e)) {
		c->event_masked[e.type & 7] = true;
		mdl_count(c->dev, NVME_C_AER);
		nvme_post(c, 0, c->aer[0], e.type | (uint32_t)e.info << 8 | (uint32_t)e.lid << 16,
			  0);
		c->n_aers--;
		for (unsigned i = 0; i < c->n_aers; i++)
			c->aer[i] = c->aer[i + 1];
	}
}

uint16_t nvme_async_event(struct nvme *c, struct nvme_cmd *cmd)
{
	if (c->n_aers == NVME_AERS)
		return NVME_BAD(NVME_SC_AER_LIMIT);
	c->aer[c->n_aers++] = cmd->sqe.cid;
	return NVME_LATER;
}

bool nvme_abort_aer(struct nvme *c, uint16_t cid)
{
	unsigned i;

	for (i = 0; i < c->n_aers && c->aer[i] != cid; i++)
		;
	/* Two entries are needed: the aborted command's and Abort's own. */
	if (i == c->n_aers || !room(c))
		return false;
	nvme_post(c, 0, cid, 0, NVME_SC_ABORTED);
	c->n_aers--;
	for (; i < c->n_aers; i++)
		c->aer[i] = c->aer[i + 1];
	return true;
}
