// SPDX-License-Identifier: MIT
/* Get and Set Features: Base Specification 5.15, 5.27; NVM Command Set 4.1.3. */
#include "models/nvme/internal.h"

#define SAVE	     (1u << 31)
#define SEL_CURRENT  0
#define SEL_CAPS     3
#define CHANGEABLE   4u
#define TEMP_DEFAULT 343u
#define UNDER	     (1u << 20)
#define EVENTS	     (0x1fu | NVME_OAES_NS)

static uint16_t bad(struct nvme_cmd *cmd, uint16_t where)
{
	cmd->where = where;
	return NVME_BAD(NVME_SC_BAD_FIELD);
}

void nvme_features_reset(struct nvme *c)
{
	unsigned i;

	c->f_arbitration = 7; /* no limit of the burst */
	c->f_over = TEMP_DEFAULT;
	c->f_under = 0;
	c->f_error_recovery = c->f_coalescing = c->f_events = c->f_atomic = 0;
	c->f_write_cache = true;
	c->queues_made = false;
	for (i = 0; i < NVME_VECTORS; i++)
		c->f_vector[i] = i;
}

#define PLAIN(name, mask)                                                            \
	static uint16_t get_##name(struct nvme *c, struct nvme_cmd *cmd, bool fresh) \
	{                                                                            \
		cmd->result = c->f_##name;                                           \
		return 0;                                                            \
	}                                                                            \
	static uint16_t set_##name(struct nvme *c, struct nvme_cmd *cmd)             \
	{                                                                            \
		c->f_##name = cmd->sqe.cdw11 & (mask);                               \
		return 0;                                                            \
	}

PLAIN(arbitration, 0xffffff07u)
PLAIN(error_recovery, 0x1ffffu)
PLAIN(coalescing, 0xffffu)
PLAIN(events, EVENTS)
PLAIN(atomic, 1u)

/* One power state. */
static uint16_t get_power(struct nvme *c, struct nvme_cmd *cmd, bool fresh)
{
	return 0;
}

static uint16_t set_power(struct nvme *c, struct nvme_cmd *cmd)
{
	return cmd->sqe.cdw11 & 0x1f ? bad(cmd, 44) : 0;
}

/* The composite temperature only; sensor 0. */
static uint16_t get_temperature(struct nvme *c, struct nvme_cmd *cmd, bool fresh)
{
	if (cmd->sqe.cdw11 >> 16 & 0xf)
		return bad(cmd, 46);
	cmd->result = cmd->sqe.cdw11 & UNDER ? c->f_under : c->f_over;
	return 0;
}

static uint16_t set_temperature(struct nvme *c, struct nvme_cmd *cmd)
{
	uint32_t sensor = cmd->sqe.cdw11 >> 16 & 0xf, val = cmd->sqe.cdw11 & 0xffff;

	if (sensor && sensor != 0xf)
		return bad(cmd, 46);
	if (cmd->sqe.cdw11 & UNDER)
		c->f_under = val;
	else
		c->f_over = val;
	if (nvme_temperature(c) >= c->f_over || nvme_temperature(c) <= c->f_under)
		if (c->f_events & 2)
			nvme_event(c, NVME_EVENT_SMART, NVME_SMART_TEMP, NVME_LOG_SMART);
	return 0;
}

static uint16_t get_write_cache(struct nvme *c, struct nvme_cmd *cmd, bool fresh)
{
	cmd->result = fresh || c->f_write_cache;
	return 0;
}

/* What the cache holds goes to the medium before the command is complete. */
static uint16_t set_write_cache(struct nvme *c, struct nvme_cmd *cmd)
{
	c->f_write_cache = cmd->sqe.cdw11 & 1;
	if (c->f_write_cache)
		return 0;
	return nvme_flush_start(c, cmd, 0, c->n_ns) ? NVME_LATER : NVME_SC_INTERNAL;
}

static uint16_t get_queues(struct nvme *c, struct nvme_cmd *cmd, bool fresh)
{
	cmd->result = (NVME_IO_QUEUES - 1) | (NVME_IO_QUEUES - 1) << 16;
	return 0;
}

static uint16_t set_queues(struct nvme *c, struct nvme_cmd *cmd)
{
	if (c->queues_made)
		return NVME_BAD(NVME_SC_SEQUENCE);
	if ((cmd->sqe.cdw11 & 0xffff) == 0xffff || cmd->sqe.cdw11 >> 16 == 0xffff)
		return bad(cmd, 44);
	return get_queues(c, cmd, false);
}

static uint16_t get_vector(struct nvme *c, struct nvme_cmd *cmd, bool fresh)
{
	uint32_t vector = cmd->sqe.cdw11 & 0xffff;

	if (vector >= NVME_VECTORS)
		return bad(cmd, 44);
	cmd->result = fresh ? vector : c->f_vector[vector];
	return 0;
}

static uint16_t set_vector(struct nvme *c, struct nvme_cmd *cmd)
{
	uint32_t vector = cmd->sqe.cdw11 & 0xffff;

	if (vector >= NVME_VECTORS)
		return bad(cmd, 44);
	c->f_vector[vector] = cmd->sqe.cdw11 & 0x1ffff;
	return 0;
}

static const struct feature {
	uint16_t (*get)(struct nvme *c, struct nvme_cmd *cmd, bool fresh);
	uint16_t (*set)(struct nvme *c, struct nvme_cmd *cmd);
	bool own_default; /* get knows; of the others it is def */
	uint32_t def;
} features[256] = {
	[NVME_F_ARBITRATION] = { get_arbitration, set_arbitration, false, 7 },
	[NVME_F_POWER] = { get_power, set_power, false, 0 },
	[NVME_F_TEMPERATURE] = { get_temperature, set_temperature, false, TEMP_DEFAULT },
	[NVME_F_ERROR_RECOVERY] = { get_error_recovery, set_error_recovery, false, 0 },
	[NVME_F_WRITE_CACHE] = { get_write_cache, set_write_cache, true, 0 },
	[NVME_F_QUEUES] = { get_queues, set_queues, true, 0 },
	[NVME_F_COALESCING] = { get_coalescing, set_coalescing, false, 0 },
	[NVME_F_VECTOR] = { get_vector, set_vector, true, 0 },
	[NVME_F_ATOMICITY] = { get_atomic, set_atomic, false, 0 },
	[NVME_F_ASYNC_EVENT] = { get_events, set_events, false, 0 },
};

bool nvme_feature_known(unsigned fid)
{
	return fid < 256 && features[fid].get;
}

static const struct feature *find(struct nvme_cmd *cmd)
{
	unsigned fid = cmd->sqe.cdw10 & 0xff;

	cmd->where = 40;
	return nvme_feature_known(fid) ? &features[fid] : NULL;
}

uint16_t nvme_get_features(struct nvme *c, struct nvme_cmd *cmd)
{
	const struct feature *f = find(cmd);
	unsigned sel = cmd->sqe.cdw10 >> 8 & 7;
	uint16_t status;

	if (!f || sel > SEL_CAPS)
		return NVME_BAD(NVME_SC_BAD_FIELD);
	if (sel == SEL_CAPS) {
		cmd->result = CHANGEABLE;
		return 0;
	}
	/* Nothing is saved, so what was saved is the default. */
	status = f->get(c, cmd, sel != SEL_CURRENT);
	if (!status && sel != SEL_CURRENT && !f->own_default)
		cmd->result = f->def;
	return status;
}

uint16_t nvme_set_features(struct nvme *c, struct nvme_cmd *cmd)
{
	const struct feature *f = find(cmd);

	if (!f)
		return NVME_BAD(NVME_SC_BAD_FIELD);
	if (cmd->sqe.cdw10 & SAVE)
		return NVME_BAD(NVME_SC_NOT_SAVEABLE);
	return f->set(c, cmd);
}
