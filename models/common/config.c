// SPDX-License-Identifier: MIT
/*
 * PCI config space: a type 0 header, power management, PCI Express and MSI-X capabilities, and
 * what writing them means: decode and bus mastering, BAR addresses, function level and power
 * management reset. QEMU shows the guest some registers of its own and forwards all writes.
 */
#include <endian.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "models/common/internal.h"

#define CAP_PM	 0x40
#define CAP_PCIE 0x50
#define CAP_MSIX 0x90

static void put16(uint8_t *p, unsigned off, uint16_t v)
{
	v = htole16(v);
	memcpy(p + off, &v, sizeof(v));
}

static void put32(uint8_t *p, unsigned off, uint32_t v)
{
	v = htole32(v);
	memcpy(p + off, &v, sizeof(v));
}

static uint16_t get16(const uint8_t *p, unsigned off)
{
	uint16_t v;

	memcpy(&v, p + off, sizeof(v));
	return le16toh(v);
}

static uint32_t get32(const uint8_t *p, unsigned off)
{
	uint32_t v;

	memcpy(&v, p + off, sizeof(v));
	return le32toh(v);
}

static void header_init(struct mdl_device *dev)
{
	const struct mdl_pci_id *id = &dev->desc.id;
	uint8_t *c = dev->config;

	put16(c, PCI_VENDOR_ID, id->vendor);
	put16(c, PCI_DEVICE_ID, id->device);
	put16(c, PCI_SUBSYSTEM_VENDOR_ID, id->subsys_vendor);
	put16(c, PCI_SUBSYSTEM_ID, id->subsys);
	put32(c, PCI_CLASS_REVISION, id->class_code << 8 | id->revision);
	put16(c, PCI_STATUS, PCI_STATUS_CAP_LIST);
	c[PCI_CAPABILITY_LIST] = CAP_PM;
	put16(dev->wmask, PCI_COMMAND,
	      PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
		      PCI_COMMAND_INTX_DISABLE);
	dev->wmask[PCI_CACHE_LINE_SIZE] = 0xff;
	dev->wmask[PCI_INTERRUPT_LINE] = 0xff;
}

static void bars_init(struct mdl_device *dev)
{
	unsigned i;

	for (i = 0; i < MDL_MAX_BARS; i++) {
		const struct mdl_bar *b = &dev->desc.bars[i];
		unsigned off = PCI_BASE_ADDRESS_0 + 4 * i;

		if (!b->size)
			continue;
		put32(dev->config, off,
		      (b->is_64bit ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) |
			      (b->prefetch ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0));
		put32(dev->wmask, off, (uint32_t) ~(b->size - 1) & ~0xfu);
		if (b->is_64bit)
			put32(dev->wmask, off + 4, (uint32_t)(~(b->size - 1) >> 32));
	}
}

static void pm_init(struct mdl_device *dev)
{
	uint8_t *c = dev->config + CAP_PM;

	c[PCI_CAP_LIST_ID] = PCI_CAP_ID_PM;
	c[PCI_CAP_LIST_NEXT] = CAP_PCIE;
	put16(c, PCI_PM_PMC, 3);
	/* No_Soft_Reset stays 0: going back to D0 resets the function. */
	put16(dev->wmask, CAP_PM + PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK);
}

static void pcie_init(struct mdl_device *dev)
{
	uint8_t *c = dev->config + CAP_PCIE;
	const uint32_t speed = PCI_EXP_LNKCAP_SLS_16_0GB, width = 16;

	c[PCI_CAP_LIST_ID] = PCI_CAP_ID_EXP;
	c[PCI_CAP_LIST_NEXT] = CAP_MSIX;
	put16(c, PCI_EXP_FLAGS, 2 | PCI_EXP_TYPE_ENDPOINT << 4);
	put32(c, PCI_EXP_DEVCAP,
	      1 | PCI_EXP_DEVCAP_EXT_TAG | PCI_EXP_DEVCAP_RBER | PCI_EXP_DEVCAP_FLR);
	put16(c, PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_NOSNOOP_EN);
	put16(dev->wmask, CAP_PCIE + PCI_EXP_DEVCTL, 0x7fff);
	put32(c, PCI_EXP_LNKCAP, speed | width << 4);
	put16(c, PCI_EXP_LNKSTA, (uint16_t)(speed | width << 4));
	put16(dev->wmask, CAP_PCIE + PCI_EXP_LNKCTL, 0x01fb);
	put32(c, PCI_EXP_DEVCAP2, PCI_EXP_DEVCAP2_COMP_TMOUT_DIS | PCI_EXP_DEVCAP2_ATOMIC_COMP64);
	put16(dev->wmask, CAP_PCIE + PCI_EXP_DEVCTL2, 0x7fff);
	put32(c, PCI_EXP_LNKCAP2, 0x1e);
	put16(c, PCI_EXP_LNKCTL2, (uint16_t)speed);
}

static void msix_init(struct mdl_device *dev)
{
	uint8_t *c = dev->config + CAP_MSIX;

	c[PCI_CAP_LIST_ID] = PCI_CAP_ID_MSIX;
	put16(c, PCI_MSIX_FLAGS, (uint16_t)(dev->desc.n_vectors - 1));
	put32(c, PCI_MSIX_TABLE, dev->desc.msix_table_off | dev->desc.msix_bar);
	put32(c, PCI_MSIX_PBA, dev->desc.msix_pba_off | dev->desc.msix_bar);
	put16(dev->wmask, CAP_MSIX + PCI_MSIX_FLAGS,
	      PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
}

void mdl_config_init(struct mdl_device *dev)
{
	header_init(dev);
	bars_init(dev);
	pm_init(dev);
	pcie_init(dev);
	msix_init(dev);
	memcpy(dev->config_init, dev->config, MDL_CONFIG_SIZE);
}

/*
 * QEMU shows the guest BAR registers of its own. It clears them on a bus reset only: after the
 * others a guest finds them as they were and does not write them again, so ours must stay too.
 */
void mdl_config_reset(struct mdl_device *dev, enum mdl_reset kind)
{
	uint8_t bars[4 * MDL_MAX_BARS];

	memcpy(bars, dev->config + PCI_BASE_ADDRESS_0, sizeof(bars));
	memcpy(dev->config, dev->config_init, MDL_CONFIG_SIZE);
	if (kind != MDL_RESET_BUS && kind != MDL_RESET_DISCONNECT)
		memcpy(dev->config + PCI_BASE_ADDRESS_0, bars, sizeof(bars));
}

static bool in_d0(const struct mdl_device *dev)
{
	return !(get16(dev->config, CAP_PM + PCI_PM_CTRL) & PCI_PM_CTRL_STATE_MASK);
}

bool mdl_config_decodes(const struct mdl_device *dev)
{
	return get16(dev->config, PCI_COMMAND) & PCI_COMMAND_MEMORY && in_d0(dev);
}

static bool masters(const struct mdl_device *dev)
{
	return get16(dev->config, PCI_COMMAND) & PCI_COMMAND_MASTER && in_d0(dev);
}

uint64_t mdl_config_bar_addr(const struct mdl_device *dev, unsigned bar)
{
	const struct mdl_bar *b = &dev->desc.bars[bar];
	uint64_t addr = get32(dev->config, PCI_BASE_ADDRESS_0 + 4 * bar) & ~0xfu;

	if (b->is_64bit)
		addr |= (uint64_t)get32(dev->config, PCI_BASE_ADDRESS_0 + 4 * bar + 4) << 32;
	return addr;
}

void mdl_config_read(struct mdl_device *dev, unsigned off, void *buf, size_t len)
{
	memcpy(buf, dev->config + off, len);
}

static bool overlaps(unsigned off, size_t len, unsigned reg, unsigned reg_len)
{
	return off < reg + reg_len && reg < off + len;
}

/* The part of a write that asks for a reset; the bit never reads back as set. */
static bool asks_flr(unsigned off, const uint8_t *buf, size_t len)
{
	const unsigned hi = CAP_PCIE + PCI_EXP_DEVCTL + 1;

	return overlaps(off, len, hi, 1) && buf[hi - off] & (PCI_EXP_DEVCTL_BCR_FLR >> 8);
}

static void apply_locked(struct mdl_device *dev)
{
	dev->bus_master = masters(dev);
	mdl_routes_update_locked(dev);
}

void mdl_config_write(struct mdl_device *dev, unsigned off, const void *buf, size_t len)
{
	const uint8_t *in = buf;
	bool was_d0, wakes;
	size_t i;

	/* Under the lock: DMA of this device and access of peers to it change at once. */
	pthread_rwlock_wrlock(&dev->node->lock);
	was_d0 = in_d0(dev);
	for (i = 0; i < len; i++) {
		uint8_t m = dev->wmask[off + i];

		dev->config[off + i] = (uint8_t)((dev->config[off + i] & ~m) | (in[i] & m));
	}
	wakes = !was_d0 && in_d0(dev);
	apply_locked(dev);
	pthread_rwlock_unlock(&dev->node->lock);
	if (asks_flr(off, in, len))
		mdl_reset(dev, MDL_RESET_FLR);
	else if (wakes)
		mdl_reset(dev, MDL_RESET_PM);
}
