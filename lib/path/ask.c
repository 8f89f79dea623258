// SPDX-License-Identifier: MIT
/* The kernel's own verdict, through /dev/peerdma. */
#include <errno.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/core/error.h"
#include "lib/module/module.h"
#include "peerdma/path.h"
#include "uapi/peerdma/ioctl.h"

static int to_pci(const struct pdma_topo *topo, uint32_t index, struct peerdma_pci *ret_pci,
		  struct pdma_function *f)
{
	unsigned domain, bus, device, function;

	f->size = sizeof(*f);
	if (pdma_topo_function(topo, index, f))
		return pdmai_fail(EINVAL, "there is no function number %u", index);
	if (sscanf(f->bdf, "%x:%x:%x.%x", &domain, &bus, &device, &function) != 4)
		return pdmai_fail(EINVAL, "'%s' is no PCI address", f->bdf);
	*ret_pci = (struct peerdma_pci){ .domain = domain,
					 .bus = (__u8)bus,
					 .devfn = (__u8)(device << 3 | function) };
	return 0;
}

static int ask(struct pdma_ctx *ctx, struct peerdma_path *path)
{
	int fd = pdmai_module_open(ctx), err = 0;

	if (fd < 0)
		return fd;
	if (ioctl(fd, PEERDMA_IOC_PATH, path))
		err = errno;
	close(fd);
	return err ? pdmai_fail_errno(err, "the kernel does not answer") : 0;
}

/* Of a pair that could not be mapped for want of a driver the distance alone tells. */
static void fill(const struct peerdma_path *p, struct pdma_kernel_verdict *v)
{
	v->distance = p->distance;
	v->mapped = p->flags & PEERDMA_PATH_MAPPED;
	v->map_errno = p->map_errno;
	v->addr = p->dma_addr;
	v->bus_addr = p->bus_addr;
	v->answer = p->distance >= 0 && !p->map_errno ? PDMA_YES : PDMA_NO;
	v->mapping = PDMA_MAP_NONE;
	if (p->mapping == PEERDMA_MAPPING_IOVA)
		v->mapping = PDMA_MAP_IOVA;
	else if (p->mapping == PEERDMA_MAPPING_BUS_ADDR)
		v->mapping =
			p->flags & PEERDMA_PATH_COMMON ? PDMA_MAP_BUS_ADDR : PDMA_MAP_HOST_BRIDGE;
}

int pdma_path_ask(struct pdma_ctx *ctx, const struct pdma_topo *topo, uint32_t initiator,
		  const struct pdma_target *target, struct pdma_kernel_verdict *ret_verdict)
{
	struct peerdma_path path = { .size = sizeof(path) };
	struct pdma_function a, b;
	long page = sysconf(_SC_PAGESIZE);
	int bar, err;

	if (ret_verdict->size < sizeof(*ret_verdict))
		return pdmai_fail(EINVAL, "the structure is too small");
	err = to_pci(topo, initiator, &path.initiator, &a);
	err = err ? err : to_pci(topo, target->function, &path.target, &b);
	if (err)
		return err;
	bar = target->bar < 0 ? pdma_function_largest_bar(&b) : target->bar;
	if (bar < 0 || bar >= PDMA_BARS || target->off >= b.bar[bar].len)
		return pdmai_fail(ENXIO, "%s has no such memory", b.bdf);
	path.bar = (unsigned)bar;
	path.off = target->off & ~((uint64_t)page - 1);
	path.len = (uint64_t)page;
	err = ask(ctx, &path);
	if (!err)
		fill(&path, ret_verdict);
	return err;
}
