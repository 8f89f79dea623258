// SPDX-License-Identifier: MIT
/* Log pages: Base Specification 5.16. */
#include <string.h>

#include "models/nvme/internal.h"

_Static_assert(sizeof(struct nvme_error_entry) == 64, "Base 5.16.1.2");
_Static_assert(sizeof(struct nvme_smart) == 512, "Base 5.16.1.3");
_Static_assert(offsetof(struct nvme_smart, units_read) == 32, "");
_Static_assert(offsetof(struct nvme_smart, warn_min) == 192, "");

#define RETAIN	    (1u << 15)
#define SUPPORTED   1u
#define FID_SCOPE_C (1u << 21)
#define FID_CHANGES (1u << 2)
#define ALL_NS	    0xffffffffu

unsigned nvme_temperature(const struct nvme *c)
{
	return 310; /* a warm day */
}

uint16_t nvme_log_error(struct nvme *c, const struct nvme_cmd *cmd, uint16_t status)
{
	struct nvme_error_entry *e = &c->error[c->n_errors % NVME_ERRORS];

	status |= NVME_SC_MORE;
	c->n_errors++;
	*e = (struct nvme_error_entry){
		.count = c->n_errors,
		.sqid = cmd->sqid,
		.cid = cmd->sqe.cid,
		.status = (uint16_t)(status << 1),
		.where = cmd->where,
		.lba = cmd->lba,
		.nsid = cmd->sqe.nsid,
		.trtype = 0,
	};
	mdl_count(c->dev, NVME_C_ERRORS);
	return status;
}

/* Newest first. */
static uint64_t error_log(struct nvme *c, uint8_t *to)
{
	uint64_t i, n = c->n_errors < NVME_ERRORS ? c->n_errors : NVME_ERRORS;

	for (i = 0; i < n; i++)
		memcpy(to + i * sizeof(c->error[0]), &c->error[(c->n_errors - 1 - i) % NVME_ERRORS],
		       sizeof(c->error[0]));
	return sizeof(c->error);
}

static uint64_t thousands(uint64_t n)
{
	return (n + 999) / 1000;
}

static uint64_t smart_log(struct nvme *c, uint8_t *to)
{
	struct nvme_smart s = { .warning = c->warning, .spare = 100, .spare_min = 10 };
	unsigned temp = nvme_temperature(c);

	s.temp[0] = (uint8_t)temp;
	s.temp[1] = (uint8_t)(temp >> 8);
	s.units_read[0] = thousands(c->units_read);
	s.units_written[0] = thousands(c->units_written);
	s.reads[0] = c->reads;
	s.writes[0] = c->writes;
	pthread_mutex_lock(&c->lock);
	s.cycles[0] = c->power_cycles;
	s.unsafe[0] = c->unsafe;
	pthread_mutex_unlock(&c->lock);
	s.hours[0] = (mdl_now_ns() - c->born_ns) / UINT64_C(3600000000000);
	s.media_errors[0] = c->media_errors;
	s.error_entries[0] = c->n_errors;
	memcpy(to, &s, sizeof(s));
	return sizeof(s);
}

static uint64_t firmware_log(struct nvme *c, uint8_t *to)
{
	to[0] = 1;
	memcpy(to + 8, "1       ", 8);
	return 512;
}

/* Told once. */
static uint64_t changed_log(struct nvme *c, uint8_t *to)
{
	uint32_t id, n = 0;
	unsigned i;

	for (i = 0; i < c->n_ns; i++) {
		if (!(c->changed_ns & 1u << i))
			continue;
		id = c->ns[i].id;
		memcpy(to + 4 * n++, &id, 4);
	}
	return 4096;
}

static uint64_t effects_log(struct nvme *c, uint8_t *to)
{
	uint32_t effect;
	unsigned i;

	for (i = 0; i < 256; i++) {
		effect = nvme_admin_known(i) ? NVME_EFFECT_CSUPP : 0;
		memcpy(to + 4 * i, &effect, 4);
		effect = nvme_io_known(i) ? NVME_EFFECT_CSUPP : 0;
		effect |= nvme_io_writes(i) ? NVME_EFFECT_LBCC : 0;
		memcpy(to + 1024 + 4 * i, &effect, 4);
	}
	return 4096;
}

static uint64_t feature_log(struct nvme *c, uint8_t *to)
{
	const uint32_t known = SUPPORTED | FID_CHANGES | FID_SCOPE_C;
	unsigned i;

	for (i = 0; i < 256; i++)
		if (nvme_feature_known(i))
			memcpy(to + 4 * i, &known, 4);
	return 1024;
}

static uint64_t supported_log(struct nvme *c, uint8_t *to);

static uint64_t (*const logs[])(struct nvme *c, uint8_t *to) = {
	[NVME_LOG_SUPPORTED] = supported_log, [NVME_LOG_ERROR] = error_log,
	[NVME_LOG_SMART] = smart_log,	      [NVME_LOG_FIRMWARE] = firmware_log,
	[NVME_LOG_CHANGED_NS] = changed_log,  [NVME_LOG_EFFECTS] = effects_log,
	[NVME_LOG_FEATURES] = feature_log,
};
#define N_LOGS (sizeof(logs) / sizeof(logs[0]))

static uint64_t supported_log(struct nvme *c, uint8_t *to)
{
	unsigned i;

	for (i = 0; i < N_LOGS; i++)
		to[4 * i] = logs[i] ? SUPPORTED : 0;
	return 1024;
}

static uint16_t bad(struct nvme_cmd *cmd, uint16_t where, uint16_t sc)
{
	cmd->where = where;
	return NVME_BAD(sc);
}

/* Health is the controller's, not a namespace's. */
static bool ns_ok(const struct nvme_cmd *cmd, unsigned lid)
{
	return lid != NVME_LOG_SMART || !cmd->sqe.nsid || cmd->sqe.nsid == ALL_NS;
}

static void was_read(struct nvme *c, const struct nvme_cmd *cmd, unsigned lid)
{
	if (cmd->sqe.cdw10 & RETAIN)
		return;
	nvme_event_read(c, (uint8_t)lid);
	if (lid == NVME_LOG_CHANGED_NS)
		c->changed_ns = 0;
}

uint16_t nvme_get_log(struct nvme *c, struct nvme_cmd *cmd)
{
	uint64_t len = (cmd->sqe.cdw10 >> 16 | (uint64_t)(cmd->sqe.cdw11 & 0xffff) << 16) + 1;
	uint64_t off = cmd->sqe.cdw12 | (uint64_t)cmd->sqe.cdw13 << 32, size;
	unsigned lid = cmd->sqe.cdw10 & 0xff;
	uint16_t status;

	if (lid >= N_LOGS || !logs[lid])
		return bad(cmd, 40, NVME_SC_BAD_LOG);
	if (!ns_ok(cmd, lid))
		return bad(cmd, 4, NVME_SC_BAD_FIELD);
	if (len > NVME_MAX_DATA / 4)
		return bad(cmd, 42, NVME_SC_BAD_FIELD);
	len *= 4;
	memset(c->bounce, 0, NVME_MAX_DATA);
	size = logs[lid](c, c->bounce);
	if (off & 3 || off > size)
		return bad(cmd, 48, NVME_SC_BAD_FIELD);
	/* What is asked for beyond the end is zero: no log is half as long as the buffer. */
	memmove(c->bounce, c->bounce + off, size - off);
	memset(c->bounce + (size - off), 0, off);
	status = nvme_send(c, &cmd->sqe, c->bounce, len);
	if (!status)
		was_read(c, cmd, lid);
	return status;
}
