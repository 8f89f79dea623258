// SPDX-License-Identifier: MIT
/* Where memory lies that only its driver names: asked of the module peerdma, and not believed. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/core/ctx.h"
#include "lib/core/error.h"
#include "lib/module/module.h"
#include "lib/sysfs/pci.h"
#include "uapi/peerdma/ioctl.h"

static int ask(struct pdma_ctx *ctx, struct peerdma_where *where)
{
	int fd = pdmai_module_open(ctx), err = 0;

	if (fd < 0)
		return fd;
	if (ioctl(fd, PEERDMA_IOC_WHERE, where))
		err = errno;
	close(fd);
	if (err == ENOTTY)
		return pdmai_fail(EOPNOTSUPP, "the kernel module peerdma is too old");
	return err ? pdmai_fail_errno(err, "the module peerdma finds no address") : 0;
}

int pdmai_bar_has(const struct pdmai_pci_bar *bars, unsigned bar, uint64_t off, uint64_t bus_addr,
		  uint64_t len)
{
	if (bar < PDMAI_PCI_BARS && bars[bar].is_mem && off <= bars[bar].len &&
	    len <= bars[bar].len - off && bus_addr == bars[bar].bus_addr + off)
		return 0;
	return pdmai_fail(EPROTO, "0x%" PRIx64 " is not inside BAR %u", bus_addr, bar);
}

int pdmai_module_where(struct pdma_ctx *ctx, const struct pdmai_bdf *owner, const void *vaddr,
		       uint64_t len, uint64_t *ret_bus_addr)
{
	struct peerdma_where where = { .size = sizeof(where),
				       .address = (uintptr_t)vaddr,
				       .len = len };
	struct pdmai_pci_bar bars[PDMAI_PCI_BARS];
	unsigned bus, device, function;
	int ret;

	if (sscanf(owner->text, "%x:%x:%x.%x", &where.function.domain, &bus, &device, &function) !=
	    4)
		return pdmai_fail(EINVAL, "'%s' is no PCI address", owner->text);
	where.function.bus = (__u8)bus;
	where.function.devfn = (__u8)(device << 3 | function);
	ret = ask(ctx, &where);
	ret = ret ? ret : pdmai_pci_bars(ctx->sysfs, owner, bars);
	ret = ret ? ret : pdmai_bar_has(bars, where.bar, where.off, where.bus_addr, len);
	if (!ret)
		*ret_bus_addr = where.bus_addr;
	return ret;
}
