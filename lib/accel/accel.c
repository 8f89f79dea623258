// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/accel/private.h"
#include "lib/core/error.h"
#include "util/clock.h"

#define ALL_ONES 0xffffffffu

int pdmai_accel_wait_reg(const struct pdmai_accel *a, uint64_t off, uint32_t mask, uint32_t value)
{
	int64_t end = util_now_ns() + PDMAI_ACCEL_STOP_NS;
	const struct timespec pause = { .tv_nsec = 20000 };
	uint32_t now;

	for (;;) {
		/* The last look comes after the time is over, however long we were not running. */
		bool late = util_now_ns() > end;

		now = pdmai_accel_read32(a, off);
		if (now == ALL_ONES)
			return pdmai_fail(ENODEV, "%s does not answer", a->dev->bdf.text);
		if ((now & mask) == value)
			return 0;
		if (late)
			return pdmai_fail(ETIMEDOUT, "%s does not stop (register 0x%x is 0x%x)",
					  a->dev->bdf.text, (unsigned)off, now);
		nanosleep(&pause, NULL);
	}
}

static int read_info(struct pdmai_accel *a)
{
	struct pdmai_accel_info *i = &a->info;

	i->version = pdmai_accel_read32(a, ACCEL_VERSION);
	if (i->version >> 16 != ACCEL_VERSION_VALUE >> 16)
		return pdmai_fail(EPROTONOSUPPORT, "%s has hardware version %u, not %u",
				  a->dev->bdf.text, i->version >> 16, ACCEL_VERSION_VALUE >> 16);
	i->caps = pdmai_accel_read64(a, ACCEL_CAPS);
	i->vram_size = pdmai_accel_read64(a, ACCEL_VRAM_SIZE);
	i->n_rings = pdmai_accel_read32(a, ACCEL_NUM_RINGS);
	i->n_vectors = pdmai_accel_read32(a, ACCEL_NUM_VECTORS);
	i->ring_min_log2 = pdmai_accel_read32(a, ACCEL_RING_LOG2_MIN);
	i->ring_max_log2 = pdmai_accel_read32(a, ACCEL_RING_LOG2_MAX);
	i->sgl_max = pdmai_accel_read32(a, ACCEL_SGL_MAX);
	i->len_max = 1ull << (pdmai_accel_read32(a, ACCEL_LEN_LOG2_MAX) & 63);
	/* A later minor version may have more than there is room for here. */
	i->n_rings = i->n_rings < ACCEL_RINGS ? i->n_rings : ACCEL_RINGS;
	i->n_vectors = i->n_vectors < ACCEL_VECTORS ? i->n_vectors : ACCEL_VECTORS;
	i->ring_max_log2 =
		i->ring_max_log2 < ACCEL_RING_MAX_LOG2 ? i->ring_max_log2 : ACCEL_RING_MAX_LOG2;
	if (i->vram_size != a->dev->bars[ACCEL_BAR_VRAM].len)
		return pdmai_fail(ENODEV, "%s: BAR 2 and its register differ in the size of VRAM",
				  a->dev->bdf.text);
	return pdmai_ranges_add(&a->free_vram, 0, i->vram_size - 1);
}

static int identify(struct pdmai_accel *a)
{
	uint32_t id;
	void *regs;
	int ret;

	ret = pdmai_dev_enable(a->dev, true, true);
	ret = ret ? ret : pdmai_dev_bar(a->dev, ACCEL_BAR_REGS, &regs);
	ret = ret ? ret : pdmai_dev_bar(a->dev, ACCEL_BAR_VRAM, &a->vram);
	if (ret)
		return ret;
	if (a->dev->bars[ACCEL_BAR_REGS].len < ACCEL_BAR_REGS_SIZE)
		return pdmai_fail(ENODEV, "%s: BAR 0 is too small for an accelerator",
				  a->dev->bdf.text);
	id = pdmai_accel_read32(a, ACCEL_ID);
	if (id == ALL_ONES)
		return pdmai_fail(ENODEV, "%s does not answer", a->dev->bdf.text);
	if (id != ACCEL_ID_VALUE)
		return pdmai_fail(ENODEV, "%s is not an accelerator (ID 0x%08x)", a->dev->bdf.text,
				  id);
	return read_info(a);
}

static int attach_interrupts(struct pdmai_accel *a)
{
	int ret;

	for (unsigned i = 0; i < a->info.n_vectors; i++) {
		a->eventfds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (a->eventfds[i] < 0)
			return pdmai_fail_errno(errno, "no eventfd");
	}
	ret = pdmai_dev_irq_enable(a->dev, a->eventfds, a->info.n_vectors);
	a->info.interrupts = !ret;
	return ret;
}

static int soft_reset(struct pdmai_accel *a)
{
	pdmai_accel_write32(a, ACCEL_CONTROL, ACCEL_CONTROL_SOFT_RESET);
	return pdmai_accel_wait_reg(a, ACCEL_CONTROL, ACCEL_CONTROL_SOFT_RESET, 0);
}

static int start(struct pdmai_accel *a)
{
	pdmai_accel_write32(a, ACCEL_CONTROL, ACCEL_CONTROL_ENABLE);
	if (pdmai_accel_read32(a, ACCEL_CONTROL) != ACCEL_CONTROL_ENABLE)
		return pdmai_fail(EIO, "%s cannot be enabled", a->dev->bdf.text);
	return 0;
}

int pdmai_accel_open(struct pdmai_dev *dev, bool interrupts, struct pdmai_accel **ret_accel)
{
	struct pdmai_accel *a = calloc(1, sizeof(*a));
	int ret;

	if (!a)
		return pdmai_fail(ENOMEM, "no memory for a device");
	a->dev = dev;
	for (unsigned i = 0; i < ACCEL_VECTORS; i++)
		a->eventfds[i] = -1;
	ret = identify(a);
	ret = ret ? ret : soft_reset(a);
	ret = ret || !interrupts ? ret : attach_interrupts(a);
	ret = ret ? ret : start(a);
	if (ret) {
		pdmai_accel_close(a);
		return ret;
	}
	*ret_accel = a;
	return 0;
}

void pdmai_accel_close(struct pdmai_accel *a)
{
	if (!a)
		return;
	if (a->info.vram_size)
		soft_reset(a);
	if (a->info.interrupts)
		pdmai_dev_irq_disable(a->dev);
	for (unsigned i = 0; i < ACCEL_VECTORS; i++)
		if (a->eventfds[i] >= 0)
			close(a->eventfds[i]);
	pdmai_ranges_clear(&a->free_vram);
	free(a);
}

const struct pdmai_accel_info *pdmai_accel_get_info(const struct pdmai_accel *a)
{
	return &a->info;
}

struct pdmai_dev *pdmai_accel_dev(const struct pdmai_accel *a)
{
	return a->dev;
}

void *pdmai_accel_vram(const struct pdmai_accel *a)
{
	return a->vram;
}

int pdmai_accel_eventfd(const struct pdmai_accel *a, unsigned vector)
{
	return vector < ACCEL_VECTORS ? a->eventfds[vector] : -1;
}

int pdmai_accel_vram_alloc(struct pdmai_accel *a, uint64_t len, uint64_t align, uint64_t *ret_off)
{
	int ret = pdmai_ranges_take(&a->free_vram, len, align, ret_off);

	if (ret == -ENOSPC)
		return pdmai_fail(ENOSPC, "%s: no %llu bytes of VRAM in one piece",
				  a->dev->bdf.text, (unsigned long long)len);
	return ret;
}

int pdmai_accel_vram_free(struct pdmai_accel *a, uint64_t off, uint64_t len)
{
	if (!len || off >= a->info.vram_size || len > a->info.vram_size - off)
		return -EINVAL;
	return pdmai_ranges_add(&a->free_vram, off, off + (len - 1));
}

int pdmai_accel_reset(struct pdmai_accel *a, enum pdmai_accel_reset kind)
{
	int ret;

	ret = kind == PDMAI_ACCEL_RESET_FUNCTION ? pdmai_dev_reset(a->dev) : soft_reset(a);
	if (ret)
		return ret;
	a->generation++;
	/* A reset of the function may have cleared the command register. */
	ret = pdmai_dev_enable(a->dev, true, true);
	return ret ? ret : start(a);
}

void pdmai_accel_link(struct pdmai_accel *a, struct pdmai_accel_link *ret_link)
{
	uint32_t status = pdmai_accel_read32(a, ACCEL_LINK_STATUS);

	ret_link->present = status & ACCEL_LINK_PRESENT;
	ret_link->up = status & ACCEL_LINK_UP;
	ret_link->size = pdmai_accel_read64(a, ACCEL_LINK_SIZE);
}
