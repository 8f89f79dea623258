// SPDX-License-Identifier: MIT
/* The registers of a ring: SPEC.rst 3.1. */
#include "models/accel/internal.h"

#define GETTER(name, field)                                         \
	static uint64_t name(struct accel *a, struct accel_ring *r) \
	{                                                           \
		return r->field;                                    \
	}

/* Stored in state DISABLED only; ENABLE judges the value. */
#define SETTER(name, field)                                                   \
	static bool name(struct accel *a, struct accel_ring *r, uint64_t val) \
	{                                                                     \
		if (r->state != ACCEL_RING_DISABLED)                          \
			return false;                                         \
		r->field = (__typeof__(r->field))val;                         \
		return true;                                                  \
	}

GETTER(get_sq_base, sq_base)
GETTER(get_cq_base, cq_base)
GETTER(get_size_log2, size_log2)
GETTER(get_space, space)
GETTER(get_vector, vector)
GETTER(get_coalesce, coalesce)
GETTER(get_state, state)
GETTER(get_error, error)
GETTER(get_error_index, error_index)
GETTER(get_error_info, error_info)
GETTER(get_sq_head, sq_head)
GETTER(get_sq_tail, sq_tail)
GETTER(get_cq_head, cq_head)
GETTER(get_cq_tail, cq_tail)
SETTER(set_sq_base, sq_base)
SETTER(set_cq_base, cq_base)
SETTER(set_size_log2, size_log2)
SETTER(set_space, space)
SETTER(set_vector, vector)

static uint64_t get_zero(struct accel *a, struct accel_ring *r)
{
	return 0;
}

static bool set_coalesce(struct accel *a, struct accel_ring *r, uint64_t val)
{
	r->coalesce = (uint32_t)val;
	return true;
}

static bool set_command(struct accel *a, struct accel_ring *r, uint64_t val)
{
	return accel_ring_command_locked(a, r, (uint32_t)val);
}

const struct accel_reg accel_ring_regs[] = {
	{ ACCEL_RING_SQ_BASE, true, get_sq_base, set_sq_base },
	{ ACCEL_RING_CQ_BASE, true, get_cq_base, set_cq_base },
	{ ACCEL_RING_SIZE_LOG2, false, get_size_log2, set_size_log2 },
	{ ACCEL_RING_SPACE, false, get_space, set_space },
	{ ACCEL_RING_VECTOR, false, get_vector, set_vector },
	{ ACCEL_RING_COALESCE, false, get_coalesce, set_coalesce },
	{ ACCEL_RING_COMMAND, false, get_zero, set_command },
	{ ACCEL_RING_STATUS, false, get_state, NULL },
	{ ACCEL_RING_ERROR, false, get_error, NULL },
	{ ACCEL_RING_ERROR_INDEX, false, get_error_index, NULL },
	{ ACCEL_RING_ERROR_INFO, true, get_error_info, NULL },
	{ ACCEL_RING_SQ_HEAD, false, get_sq_head, NULL },
	{ ACCEL_RING_SQ_TAIL, false, get_sq_tail, NULL },
	{ ACCEL_RING_CQ_HEAD, false, get_cq_head, NULL },
	{ ACCEL_RING_CQ_TAIL, false, get_cq_tail, NULL },
	{ ACCEL_RING_PASID, false, get_zero, NULL },
};
const unsigned accel_n_ring_regs = sizeof(accel_ring_regs) / sizeof(accel_ring_regs[0]);
