// SPDX-License-Identifier: MIT
/* BAR0: controller properties and doorbells. Everything under the lock, nothing waits. */
#include <string.h>

#include "models/common/log.h"
#include "models/nvme/internal.h"

#define VERSION	  0x00020000u /* 2.0 */
#define AQA_MASK  0x0fff0fffu
#define CC_MASK	  0x00ffffffu
#define BASE_MASK (~0xfffull)

static void kick(struct nvme *c)
{
	if (c->worker)
		mdl_worker_kick(c->worker);
}

/* The worker drops what it holds as soon as it looks. */
static void new_epoch_locked(struct nvme *c)
{
	c->epoch++;
	kick(c);
}

void nvme_reset_locked(struct nvme *c)
{
	c->cc = c->aqa = c->intms = c->shst = 0;
	c->asq = c->acq = c->cmbmsc = 0;
	c->state = NVME_OFF;
	c->fatal = c->subsystem = c->shutdown_wanted = c->cmb_bad = false;
	c->n_events = 0;
	nvme_queues_clear_locked(c);
	nvme_pending_reset_locked(c);
	new_epoch_locked(c);
}

void nvme_fatal_locked(struct nvme *c, const char *why)
{
	if (c->fatal)
		return;
	c->fatal = true;
	mdl_count(c->dev, NVME_C_FATAL);
	mdl_log(c->dev, MDL_WARN, "controller failed: %s", why);
}

static uint64_t cap(const struct nvme *c)
{
	return NVME_CAP_MQES(NVME_MAX_QSIZE - 1) | NVME_CAP_CQR | NVME_CAP_TO(NVME_TIMEOUT) |
	       NVME_CAP_NSSRS | NVME_CAP_CSS_NVM | NVME_CAP_MPSMAX(NVME_MPSMAX) | NVME_CAP_CRWMS |
	       (c->cmb_size && !c->cmb_legacy ? NVME_CAP_CMBS : 0);
}

static uint32_t csts(const struct nvme *c)
{
	bool ready = c->state == NVME_READY || c->state == NVME_STOPPING;

	return (ready ? NVME_CSTS_RDY : 0) | (c->fatal ? NVME_CSTS_CFS : 0) | c->shst |
	       (c->nssro ? NVME_CSTS_NSSRO : 0);
}

/* Of the modern buffer nothing is told before the host has asked. */
static bool cmb_told(const struct nvme *c)
{
	return c->cmb_size && (c->cmb_legacy || c->cmbmsc & NVME_CMBMSC_CRE);
}

static uint32_t cmbsz(const struct nvme *c)
{
	return NVME_CMBSZ_ALL | NVME_CMBSZ_SZU_4K | NVME_CMBSZ_SZ(c->cmb_size >> 12);
}

static uint64_t read_reg(const struct nvme *c, uint32_t off)
{
	switch (off) {
	case NVME_CAP:
		return cap(c);
	case NVME_VS:
		return VERSION;
	case NVME_INTMS:
	case NVME_INTMC:
		return c->intms;
	case NVME_CC:
		return c->cc;
	case NVME_CSTS:
		return csts(c);
	case NVME_AQA:
		return c->aqa;
	case NVME_ASQ:
		return c->asq;
	case NVME_ACQ:
		return c->acq;
	case NVME_CMBLOC:
		return cmb_told(c) ? NVME_CMBLOC_MIXED | NVME_BAR_CMB : 0;
	case NVME_CMBSZ:
		return cmb_told(c) ? cmbsz(c) : 0;
	case NVME_CMBMSC:
		return c->cmbmsc;
	case NVME_CMBSTS:
		return c->cmb_bad ? NVME_CMBSTS_CBAI : 0;
	case NVME_CRTO:
		return NVME_CRTO_CRWMT(NVME_TIMEOUT);
	default:
		return 0;
	}
}

static bool is_wide(uint32_t off)
{
	return off == NVME_CAP || off == NVME_ASQ || off == NVME_ACQ || off == NVME_BPMBL ||
	       off == NVME_CMBMSC;
}

static uint32_t read_word(const struct nvme *c, uint32_t off)
{
	if (off % 8 && is_wide(off - 4))
		return (uint32_t)(read_reg(c, off - 4) >> 32);
	return (uint32_t)read_reg(c, off);
}

static bool cc_ok(const struct nvme *c)
{
	return !NVME_CC_CSS(c->cc) && !NVME_CC_AMS(c->cc) && NVME_CC_MPS(c->cc) <= NVME_MPSMAX &&
	       NVME_AQA_SQ(c->aqa) && NVME_AQA_CQ(c->aqa) && c->asq && c->acq;
}

static void start(struct nvme *c)
{
	if (!cc_ok(c)) {
		nvme_fatal_locked(c, "enabled with a bad configuration");
		return;
	}
	c->shst = 0;
	nvme_queues_clear_locked(c);
	nvme_pending_reset_locked(c);
	mdl_dma_begin(&c->dma_begun, c->dev);
	c->state = NVME_STARTING;
	new_epoch_locked(c);
}

static void stop(struct nvme *c)
{
	if (c->state == NVME_OFF && !c->subsystem) {
		c->fatal = false;
		c->shst = 0;
		return;
	}
	c->state = NVME_STOPPING;
	new_epoch_locked(c);
}

static void write_cc(struct nvme *c, uint32_t val)
{
	uint32_t old = c->cc;

	c->cc = val & CC_MASK;
	if (NVME_CC_SHN(val) && !NVME_CC_SHN(old) && !c->shst) {
		c->shst = NVME_CSTS_SHST_BUSY;
		c->shutdown_wanted = true;
		kick(c);
	}
	if (val & NVME_CC_EN && !(old & NVME_CC_EN))
		start(c);
	else if (!(val & NVME_CC_EN) && old & NVME_CC_EN)
		stop(c);
}

static void write_nssr(struct nvme *c, uint32_t val)
{
	if (val != NVME_NSSR_MAGIC)
		return;
	mdl_count(c->dev, NVME_C_SUBSYSTEM);
	c->subsystem = true;
	stop(c);
}

static void write_cmbmsc(struct nvme *c, uint64_t val)
{
	if (!c->cmb_size || c->cmb_legacy)
		return;
	c->cmbmsc = val & (BASE_MASK | NVME_CMBMSC_CRE | NVME_CMBMSC_CMSE);
	c->cmb_bad = c->cmbmsc & NVME_CMBMSC_CMSE &&
		     c->cmb_size - 1 > UINT64_MAX - NVME_CMBMSC_CBA(c->cmbmsc);
}

/* A word of a wide register changes alone. */
static uint64_t merge(uint64_t old, uint32_t off, uint32_t val)
{
	return off % 8 ? (old & UINT32_MAX) | (uint64_t)val << 32 : (old & ~0xffffffffull) | val;
}

static bool stopped(const struct nvme *c)
{
	return !(c->cc & NVME_CC_EN);
}

static void write_reg(struct nvme *c, uint32_t off, uint32_t val)
{
	switch (off) {
	case NVME_INTMS:
		c->intms |= val;
		break;
	case NVME_INTMC:
		c->intms &= ~val;
		break;
	case NVME_CC:
		write_cc(c, val);
		break;
	case NVME_CSTS:
		c->nssro = c->nssro && !(val & NVME_CSTS_NSSRO);
		break;
	case NVME_NSSR:
		write_nssr(c, val);
		break;
	case NVME_AQA:
		c->aqa = stopped(c) ? val & AQA_MASK : c->aqa;
		break;
	case NVME_ASQ:
	case NVME_ASQ + 4:
		c->asq = stopped(c) ? merge(c->asq, off, val) & BASE_MASK : c->asq;
		break;
	case NVME_ACQ:
	case NVME_ACQ + 4:
		c->acq = stopped(c) ? merge(c->acq, off - 8, val) & BASE_MASK : c->acq;
		break;
	case NVME_CMBMSC:
	case NVME_CMBMSC + 4:
		write_cmbmsc(c, merge(c->cmbmsc, off, val));
		break;
	default:
		mdl_count(c->dev, NVME_C_MMIO_BAD);
	}
}

static bool shape_ok(uint64_t off, size_t len)
{
	return (len == 4 || len == 8) && !(off & (len - 1));
}

void nvme_bar_read(struct mdl_device *dev, unsigned bar, uint64_t off, void *buf, size_t len)
{
	struct nvme *c = mdl_device_priv(dev);
	uint32_t word;
	size_t i;

	memset(buf, 0, len);
	if (bar != NVME_BAR_REGS)
		return;
	if (!shape_ok(off, len)) {
		mdl_count(dev, NVME_C_MMIO_BAD);
		memset(buf, 0xff, len);
		return;
	}
	pthread_mutex_lock(&c->lock);
	for (i = 0; i < len && off < NVME_REGS_END; i += 4) {
		word = read_word(c, (uint32_t)(off + i));
		memcpy((uint8_t *)buf + i, &word, 4);
	}
	pthread_mutex_unlock(&c->lock);
}

void nvme_bar_write(struct mdl_device *dev, unsigned bar, uint64_t off, const void *buf, size_t len)
{
	struct nvme *c = mdl_device_priv(dev);
	uint32_t word;
	size_t i;

	if (bar != NVME_BAR_REGS)
		return;
	if (!shape_ok(off, len)) {
		mdl_count(dev, NVME_C_MMIO_BAD);
		return;
	}
	pthread_mutex_lock(&c->lock);
	for (i = 0; i < len; i += 4) {
		memcpy(&word, (const uint8_t *)buf + i, 4);
		if (off + i < NVME_REGS_END)
			write_reg(c, (uint32_t)(off + i), word);
		else
			nvme_doorbell_locked(c, (uint32_t)(off + i) - NVME_REGS_END, word);
	}
	pthread_mutex_unlock(&c->lock);
}
