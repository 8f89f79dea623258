// SPDX-License-Identifier: MIT
/* Checking a command as a whole before any data moves: SPEC.rst 4.1, 5 and 6.1. */
#include <stddef.h>
#include <string.h>

#include "models/accel/internal.h"

_Static_assert((int)ACCEL_SPACE_BUS == MDL_SPACE_BUS && (int)ACCEL_SPACE_LOCAL == MDL_SPACE_LOCAL &&
		       (int)ACCEL_SPACE_LINK == MDL_SPACE_LINK,
	       "the door knows the spaces by the same numbers");

#define AT(field) offsetof(struct accel_sqe, field)

/* What an opcode uses of a submission entry. */
static const struct rule {
	bool known, len, src, dst, imm, no_overlap;
	unsigned align; /* of data; 0: any */
	uint8_t sgl;	/* flags it may have */
} rules[] = {
	[ACCEL_OP_NOP] = { .known = true, .imm = true },
	[ACCEL_OP_COPY] = { .known = true,
			    .len = true,
			    .src = true,
			    .dst = true,
			    .no_overlap = true,
			    .sgl = ACCEL_SQE_SRC_SGL | ACCEL_SQE_DST_SGL },
	[ACCEL_OP_FILL] = { .known = true,
			    .len = true,
			    .dst = true,
			    .imm = true,
			    .sgl = ACCEL_SQE_DST_SGL },
	[ACCEL_OP_CRC32C] = { .known = true,
			      .len = true,
			      .src = true,
			      .imm = true,
			      .sgl = ACCEL_SQE_SRC_SGL },
	[ACCEL_OP_COMPARE] = { .known = true,
			       .len = true,
			       .src = true,
			       .dst = true,
			       .sgl = ACCEL_SQE_SRC_SGL | ACCEL_SQE_DST_SGL },
	[ACCEL_OP_ADD] = { .known = true,
			   .len = true,
			   .src = true,
			   .dst = true,
			   .no_overlap = true,
			   .align = 4,
			   .sgl = ACCEL_SQE_SRC_SGL | ACCEL_SQE_DST_SGL },
	[ACCEL_OP_FENCE] = { .known = true },
	[ACCEL_OP_WRITE] = { .known = true, .len = true, .dst = true, .imm = true },
};
#define N_RULES (sizeof(rules) / sizeof(rules[0]))

bool accel_opcode_known(unsigned opcode)
{
	return opcode < N_RULES && rules[opcode].known;
}

enum accel_counter accel_status_counter(uint16_t status)
{
	switch (status) {
#define X(id, name)      \
	case ACCEL_##id: \
		return ACCEL_C_STATUS_##id;
		ACCEL_STATUSES(X)
#undef X
	default:
		return ACCEL_C_STATUS_INTERNAL;
	}
}

void accel_cmd_finish(struct accel_job *job, struct accel_outcome out)
{
	job->out = out;
	job->phase = ACCEL_DONE;
}

struct accel_outcome accel_cmd_success(const struct accel_job *job)
{
	struct accel_outcome out = { .status = ACCEL_OK, .info = job->sqe.len };

	switch (job->sqe.opcode) {
	case ACCEL_OP_NOP:
	case ACCEL_OP_WRITE:
		out.result = job->sqe.imm;
		break;
	case ACCEL_OP_CRC32C:
		out.result = job->crc;
		break;
	default:
		out.result = job->sqe.len;
	}
	return out;
}

/* Return: false, so that a check can end with it. */
static bool bad(struct accel_job *job, uint16_t status, size_t field)
{
	accel_cmd_finish(job, (struct accel_outcome){
				      .status = status, .where = ACCEL_WHERE_DESC, .info = field });
	return false;
}

static bool check_flags(struct accel_job *job, const struct rule *rule)
{
	if (job->sqe.flags & ~(ACCEL_SQE_IRQ | rule->sgl))
		return bad(job, ACCEL_BAD_FLAGS, AT(flags));
	return true;
}

static bool check_reserved(struct accel_job *job)
{
	size_t i;

	for (i = 0; i < sizeof(job->sqe.rsvd); i++)
		if (job->sqe.rsvd[i])
			return bad(job, ACCEL_BAD_FIELD, AT(rsvd) + i);
	return true;
}

static bool check_unused(struct accel_job *job, const struct rule *rule)
{
	const struct accel_sqe *s = &job->sqe;
	const struct {
		bool used;
		uint64_t val;
		size_t at;
	} field[] = {
		{ rule->len, s->len, AT(len) },
		{ rule->imm, s->imm, AT(imm) },
		{ rule->src, s->src_addr, AT(src_addr) },
		{ rule->dst, s->dst_addr, AT(dst_addr) },
		{ s->flags & ACCEL_SQE_SRC_SGL, s->src_count, AT(src_count) },
		{ s->flags & ACCEL_SQE_DST_SGL, s->dst_count, AT(dst_count) },
		{ rule->src, s->src_space, AT(src_space) },
		{ rule->dst, s->dst_space, AT(dst_space) },
	};
	size_t i;

	for (i = 0; i < sizeof(field) / sizeof(field[0]); i++)
		if (!field[i].used && field[i].val)
			return bad(job, ACCEL_BAD_FIELD, field[i].at);
	return true;
}

static bool param_ok(const struct accel_sqe *s)
{
	switch (s->opcode) {
	case ACCEL_OP_FILL:
		return s->param == 1 || s->param == 2 || s->param == 4 || s->param == 8;
	case ACCEL_OP_ADD:
		return s->param <= ACCEL_ADD_F32;
	case ACCEL_OP_FENCE:
		return s->param <= ACCEL_FENCE_DEVICE;
	default:
		return s->param == 0;
	}
}

/* Bytes of imm the command uses. A WRITE of a wrong length is found by check_len. */
static unsigned imm_bytes(const struct accel_sqe *s)
{
	switch (s->opcode) {
	case ACCEL_OP_FILL:
		return s->param;
	case ACCEL_OP_CRC32C:
		return 4;
	case ACCEL_OP_WRITE:
		return s->len == 4 ? 4 : 8;
	default:
		return 8;
	}
}

static bool check_values(struct accel_job *job)
{
	const struct accel_sqe *s = &job->sqe;
	unsigned bytes;

	if (!param_ok(s))
		return bad(job, ACCEL_BAD_PARAM, AT(param));
	bytes = imm_bytes(s);
	if (bytes < 8 && s->imm >> (8 * bytes))
		return bad(job, ACCEL_BAD_FIELD, AT(imm));
	return true;
}

static bool check_len(struct accel_job *job, const struct rule *rule)
{
	uint64_t len = job->sqe.len;
	bool ok;

	if (!rule->len)
		return true;
	ok = len && len <= 1ull << ACCEL_LEN_MAX_LOG2 && !(rule->align && len % rule->align);
	if (job->sqe.opcode == ACCEL_OP_WRITE)
		ok = len == 4 || len == 8;
	return ok ? true : bad(job, ACCEL_BAD_LENGTH, AT(len));
}

static bool count_ok(uint32_t count)
{
	return count && count <= ACCEL_SGL_MAX_ENTRIES;
}

static bool check_places(struct accel_job *job)
{
	const struct accel_sqe *s = &job->sqe;

	if (s->src_space > ACCEL_SPACE_LINK)
		return bad(job, ACCEL_BAD_SPACE, AT(src_space));
	if (s->dst_space > ACCEL_SPACE_LINK)
		return bad(job, ACCEL_BAD_SPACE, AT(dst_space));
	if (s->flags & ACCEL_SQE_SRC_SGL && !count_ok(s->src_count))
		return bad(job, ACCEL_BAD_COUNT, AT(src_count));
	if (s->flags & ACCEL_SQE_DST_SGL && !count_ok(s->dst_count))
		return bad(job, ACCEL_BAD_COUNT, AT(dst_count));
	return true;
}

static bool check_overlap(struct accel *a, struct accel_job *job, const struct rule *rule)
{
	if (!rule->no_overlap || !accel_lists_overlap(a, &job->src, &job->dst))
		return true;
	accel_cmd_finish(job, (struct accel_outcome){ .status = ACCEL_OVERLAP });
	return false;
}

static bool check(struct accel *a, struct accel_ring *r)
{
	struct accel_job *job = &r->job;
	const struct rule *rule;
	unsigned align;

	if (!accel_opcode_known(job->sqe.opcode))
		return bad(job, ACCEL_BAD_OPCODE, AT(opcode));
	rule = &rules[job->sqe.opcode];
	if (!check_flags(job, rule) || !check_reserved(job) || !check_unused(job, rule) ||
	    !check_values(job) || !check_len(job, rule) || !check_places(job))
		return false;
	align = rule->align ? rule->align : 1;
	if (job->sqe.opcode == ACCEL_OP_WRITE)
		align = (unsigned)job->sqe.len;
	return (!rule->src || accel_list_load(a, r, ACCEL_SRC, align)) &&
	       (!rule->dst || accel_list_load(a, r, ACCEL_DST, align)) &&
	       check_overlap(a, job, rule);
}

void accel_cmd_prepare(struct accel *a, struct accel_ring *r)
{
	struct accel_job *job = &r->job;

	job->done = 0;
	job->start_ns = 0;
	job->crc = 0;
	job->src.n = job->src.cur = job->dst.n = job->dst.cur = 0;
	job->src.off = job->dst.off = 0;
	if (!check(a, r))
		return;
	job->phase = ACCEL_EXEC;
	if (job->sqe.opcode == ACCEL_OP_CRC32C)
		job->crc = (uint32_t)job->sqe.imm;
	mdl_count(a->dev, ACCEL_C_CMD_NOP + job->sqe.opcode);
}
