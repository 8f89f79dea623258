// SPDX-License-Identifier: MIT
#include "lib/reg/verbs.h"

#include "lib/sysfs/attr.h"

static struct ibv_mr *reg_mr(struct ibv_pd *pd, void *addr, size_t len, int access)
{
	return ibv_reg_mr(pd, addr, len, access);
}

static struct ibv_mr *reg_dmabuf_mr(struct ibv_pd *pd, uint64_t off, size_t len, uint64_t iova,
				    int fd, int access)
{
	return ibv_reg_dmabuf_mr(pd, off, len, iova, fd, access);
}

static int dereg_mr(struct ibv_mr *mr)
{
	return ibv_dereg_mr(mr);
}

static int prefetch(struct ibv_pd *pd, bool write, struct ibv_sge *sge, unsigned n)
{
	return ibv_advise_mr(
		pd, write ? IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE : IBV_ADVISE_MR_ADVICE_PREFETCH,
		IBV_ADVISE_MR_FLAG_FLUSH, sge, n);
}

static bool has_odp(struct ibv_context *context)
{
	struct ibv_device_attr_ex attr;

	if (ibv_query_device_ex(context, NULL, &attr))
		return false;
	return attr.odp_caps.general_caps & IBV_ODP_SUPPORT;
}

static void driver(struct ibv_context *context, char *buf, size_t size)
{
	if (pdmai_attr_link(buf, size, "%s/class/infiniband/%s/device/driver", PDMAI_SYSFS,
			    ibv_get_device_name(context->device)))
		buf[0] = 0;
}

static const struct pdmai_verbs libibverbs = {
	.reg_mr = reg_mr,
	.reg_dmabuf_mr = reg_dmabuf_mr,
	.dereg_mr = dereg_mr,
	.prefetch = prefetch,
	.has_odp = has_odp,
	.driver = driver,
};

const struct pdmai_verbs *pdmai_verbs = &libibverbs;
