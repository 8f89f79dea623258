// SPDX-License-Identifier: MIT
/*
 * The register BAR: which access reaches which register, and the device's own registers. To add a
 * register see docs/howto-accel-register.md.
 */
#include <string.h>

#include "models/accel/internal.h"

void accel_refuse_locked(struct accel *a, enum accel_counter why)
{
	a->bad_access++;
	mdl_count(a->dev, why);
}

#define CONSTANT(name, value)                                       \
	static uint64_t name(struct accel *a, struct accel_ring *r) \
	{                                                           \
		return (value);                                     \
	}
#define FIELD(name, field)                                          \
	static uint64_t name(struct accel *a, struct accel_ring *r) \
	{                                                           \
		return a->field;                                    \
	}

CONSTANT(get_id, ACCEL_ID_VALUE)
CONSTANT(get_version, ACCEL_VERSION_VALUE)
CONSTANT(get_caps, ACCEL_CAPS_LINK | ACCEL_CAPS_ADD_F32 | ACCEL_CAPS_WRITE | ACCEL_CAPS_COALESCE)
CONSTANT(get_num_rings, ACCEL_RINGS)
CONSTANT(get_num_vectors, ACCEL_VECTORS)
CONSTANT(get_log2_min, ACCEL_RING_MIN_LOG2)
CONSTANT(get_log2_max, ACCEL_RING_MAX_LOG2)
CONSTANT(get_sgl_max, ACCEL_SGL_MAX_ENTRIES)
CONSTANT(get_len_log2_max, ACCEL_LEN_MAX_LOG2)
FIELD(get_vram_size, vram_size)
FIELD(get_error, error)
FIELD(get_error_info, error_info)
FIELD(get_resets, resets)
FIELD(get_bad_access, bad_access)
FIELD(get_event, event)
FIELD(get_event_enable, event_enable)
FIELD(get_scratch0, scratch[0])
FIELD(get_scratch1, scratch[1])

static uint64_t get_control(struct accel *a, struct accel_ring *r)
{
	return (a->enabled ? ACCEL_CONTROL_ENABLE : 0) |
	       (a->soft_reset ? ACCEL_CONTROL_SOFT_RESET : 0);
}

static void reset_all_rings_locked(struct accel *a)
{
	unsigned i;

	for (i = 0; i < ACCEL_RINGS; i++)
		accel_ring_command_locked(a, &a->ring[i], ACCEL_RING_RESET);
}

static bool set_control(struct accel *a, struct accel_ring *r, uint64_t val)
{
	bool enable = val & ACCEL_CONTROL_ENABLE;

	if (val & ACCEL_CONTROL_SOFT_RESET) {
		/* The worker carries it out between two slices; until then nothing is written. */
		a->soft_reset = true;
		mdl_worker_kick(a->worker);
		return true;
	}
	if (enable && a->fatal && !a->enabled)
		return false;
	if (!enable && a->enabled)
		reset_all_rings_locked(a);
	a->enabled = enable;
	return true;
}

static uint64_t get_status(struct accel *a, struct accel_ring *r)
{
	uint64_t active = 0;
	unsigned i;

	for (i = 0; i < ACCEL_RINGS; i++)
		if (accel_ring_is_active(&a->ring[i]))
			active = ACCEL_STATUS_ACTIVE;
	return active | (a->enabled ? ACCEL_STATUS_ENABLED : 0) |
	       (a->fatal ? ACCEL_STATUS_FATAL : 0);
}

static uint64_t get_link_status(struct accel *a, struct accel_ring *r)
{
	if (!mdl_link_peer(a->dev))
		return 0;
	return ACCEL_LINK_PRESENT | (mdl_link_is_up(a->dev) ? ACCEL_LINK_UP : 0);
}

static uint64_t get_link_size(struct accel *a, struct accel_ring *r)
{
	return accel_link_size(a);
}

static bool set_event(struct accel *a, struct accel_ring *r, uint64_t val)
{
	a->event &= ~(uint32_t)val;
	return true;
}

static bool set_event_enable(struct accel *a, struct accel_ring *r, uint64_t val)
{
	uint32_t added = (uint32_t)val & ~a->event_enable;

	a->event_enable = (uint32_t)val & ACCEL_EVENT_ALL;
	if (a->event & added)
		accel_irq_event_locked(a);
	return true;
}

static uint64_t get_ring_errors(struct accel *a, struct accel_ring *r)
{
	uint64_t bits = 0;
	unsigned i;

	for (i = 0; i < ACCEL_RINGS; i++)
		if (a->ring[i].state == ACCEL_RING_IN_ERROR)
			bits |= 1u << i;
	return bits;
}

/* The lower half is always read first, by an 8-byte access too. */
static uint64_t get_timer_low(struct accel *a, struct accel_ring *r)
{
	uint64_t now = mdl_now_ns() - a->born_ns;

	a->timer_high = (uint32_t)(now >> 32);
	a->timer_latched = true;
	return now;
}

static uint64_t get_timer_high(struct accel *a, struct accel_ring *r)
{
	if (!a->timer_latched)
		return (mdl_now_ns() - a->born_ns) >> 32;
	a->timer_latched = false;
	return a->timer_high;
}

static bool set_scratch0(struct accel *a, struct accel_ring *r, uint64_t val)
{
	a->scratch[0] = val;
	return true;
}

static bool set_scratch1(struct accel *a, struct accel_ring *r, uint64_t val)
{
	a->scratch[1] = val;
	return true;
}

static const struct accel_reg device_regs[] = {
	{ ACCEL_ID, false, get_id, NULL },
	{ ACCEL_VERSION, false, get_version, NULL },
	{ ACCEL_CAPS, true, get_caps, NULL },
	{ ACCEL_VRAM_SIZE, true, get_vram_size, NULL },
	{ ACCEL_NUM_RINGS, false, get_num_rings, NULL },
	{ ACCEL_NUM_VECTORS, false, get_num_vectors, NULL },
	{ ACCEL_RING_LOG2_MIN, false, get_log2_min, NULL },
	{ ACCEL_RING_LOG2_MAX, false, get_log2_max, NULL },
	{ ACCEL_SGL_MAX, false, get_sgl_max, NULL },
	{ ACCEL_LEN_LOG2_MAX, false, get_len_log2_max, NULL },
	{ ACCEL_CONTROL, false, get_control, set_control },
	{ ACCEL_STATUS, false, get_status, NULL },
	{ ACCEL_ERROR, false, get_error, NULL },
	{ ACCEL_RESETS, false, get_resets, NULL },
	{ ACCEL_ERROR_INFO, true, get_error_info, NULL },
	{ ACCEL_LINK_STATUS, false, get_link_status, NULL },
	{ ACCEL_BAD_ACCESS, false, get_bad_access, NULL },
	{ ACCEL_LINK_SIZE, true, get_link_size, NULL },
	{ ACCEL_EVENT, false, get_event, set_event },
	{ ACCEL_EVENT_ENABLE, false, get_event_enable, set_event_enable },
	{ ACCEL_RING_ERRORS, false, get_ring_errors, NULL },
	{ ACCEL_TIMER, false, get_timer_low, NULL },
	{ ACCEL_TIMER + 4, false, get_timer_high, NULL },
	{ ACCEL_SCRATCH0, true, get_scratch0, set_scratch0 },
	{ ACCEL_SCRATCH1, true, get_scratch1, set_scratch1 },
};
#define N_DEVICE_REGS (sizeof(device_regs) / sizeof(device_regs[0]))

static bool in_block(uint32_t off, uint32_t base, uint32_t size)
{
	return off >= base && off - base < size;
}

/* A word of BAR0: half of a register of the device (ring NULL) or of a ring. */
struct word {
	const struct accel_reg *reg; /* NULL: reserved */
	struct accel_ring *ring;
	unsigned shift;
};

static struct word find_word(struct accel *a, uint32_t off)
{
	const struct accel_reg *reg = device_regs, *end = device_regs + N_DEVICE_REGS;
	struct word w = { 0 };

	if (in_block(off, ACCEL_RING_BASE, ACCEL_RINGS * ACCEL_RING_STRIDE)) {
		w.ring = &a->ring[(off - ACCEL_RING_BASE) / ACCEL_RING_STRIDE];
		off %= ACCEL_RING_STRIDE;
		reg = accel_ring_regs;
		end = reg + accel_n_ring_regs;
	}
	for (; reg < end; reg++) {
		if (off == reg->off || (reg->wide && off == reg->off + 4)) {
			w.reg = reg;
			w.shift = off == reg->off ? 0 : 32;
			break;
		}
	}
	return w;
}

/* The ring whose doorbell off is, or NULL. */
static struct accel_ring *find_doorbell(struct accel *a, uint32_t off)
{
	if (!in_block(off, ACCEL_DOORBELL_BASE, ACCEL_RINGS * ACCEL_DOORBELL_STRIDE) ||
	    off % ACCEL_DOORBELL_STRIDE > ACCEL_DOORBELL_CQ_HEAD)
		return NULL;
	return &a->ring[(off - ACCEL_DOORBELL_BASE) / ACCEL_DOORBELL_STRIDE];
}

static uint32_t read_word_locked(struct accel *a, uint32_t off)
{
	struct accel_ring *r;
	struct word w;

	if (in_block(off, ACCEL_ATU_BASE, ACCEL_ATU_SIZE))
		return 0;
	r = find_doorbell(a, off);
	if (r)
		return off % ACCEL_DOORBELL_STRIDE == ACCEL_DOORBELL_SQ_TAIL ? r->sq_tail :
									       r->cq_head;
	w = find_word(a, off);
	if (w.reg)
		return (uint32_t)(w.reg->get(a, w.ring) >> w.shift);
	accel_refuse_locked(a, ACCEL_C_MMIO_RESERVED);
	return 0;
}

static void write_reg_locked(struct accel *a, const struct word *w, uint32_t val)
{
	uint64_t keep;

	if (!w->reg->set) {
		accel_refuse_locked(a, ACCEL_C_MMIO_READONLY);
		return;
	}
	/* The other half keeps its value; of a 4-byte register there is none. */
	keep = w->reg->get(a, w->ring) & ~((uint64_t)UINT32_MAX << w->shift);
	if (!w->reg->set(a, w->ring, keep | (uint64_t)val << w->shift))
		accel_refuse_locked(a, ACCEL_C_MMIO_REFUSED);
}

static void write_word_locked(struct accel *a, uint32_t off, uint32_t val)
{
	struct accel_ring *r;
	struct word w;

	if (in_block(off, ACCEL_ATU_BASE, ACCEL_ATU_SIZE))
		return;
	if (a->soft_reset) {
		accel_refuse_locked(a, ACCEL_C_MMIO_REFUSED);
		return;
	}
	r = find_doorbell(a, off);
	if (r) {
		accel_doorbell_locked(a, r, off % ACCEL_DOORBELL_STRIDE, val);
		return;
	}
	w = find_word(a, off);
	if (w.reg)
		write_reg_locked(a, &w, val);
	else
		accel_refuse_locked(a, ACCEL_C_MMIO_RESERVED);
}

static bool shape_ok(uint64_t off, size_t len)
{
	return (len == 4 || len == 8) && !(off & (len - 1));
}

void accel_bar_read(struct mdl_device *dev, unsigned bar, uint64_t off, void *buf, size_t len)
{
	struct accel *a = mdl_device_priv(dev);
	uint32_t word;
	size_t i;

	memset(buf, 0, len);
	if (bar != ACCEL_BAR_REGS)
		return;
	pthread_mutex_lock(&a->lock);
	if (!shape_ok(off, len)) {
		accel_refuse_locked(a, ACCEL_C_MMIO_SIZE);
		memset(buf, 0xff, len);
		len = 0;
	}
	for (i = 0; i < len; i += 4) {
		word = read_word_locked(a, (uint32_t)(off + i));
		memcpy((uint8_t *)buf + i, &word, 4);
	}
	pthread_mutex_unlock(&a->lock);
}

void accel_bar_write(struct mdl_device *dev, unsigned bar, uint64_t off, const void *buf,
		     size_t len)
{
	struct accel *a = mdl_device_priv(dev);
	uint32_t word;
	size_t i;

	if (bar != ACCEL_BAR_REGS)
		return;
	pthread_mutex_lock(&a->lock);
	if (!shape_ok(off, len)) {
		accel_refuse_locked(a, ACCEL_C_MMIO_SIZE);
		len = 0;
	}
	for (i = 0; i < len; i += 4) {
		memcpy(&word, (const uint8_t *)buf + i, 4);
		write_word_locked(a, (uint32_t)(off + i), word);
	}
	pthread_mutex_unlock(&a->lock);
}
