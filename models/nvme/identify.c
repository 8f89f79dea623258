// SPDX-License-Identifier: MIT
/* Identify: Base Specification 5.17, NVM Command Set 4.1.5. Every answer is a page of 4 KiB. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/nvme/internal.h"

_Static_assert(sizeof(struct nvme_sqe) == 64, "Base 3.3.3.1");
_Static_assert(sizeof(struct nvme_cqe) == 16, "Base 3.3.3.2");
_Static_assert(sizeof(struct nvme_ctrl_data) == 4096, "Base 5.17.2.1");
_Static_assert(sizeof(struct nvme_ns_data) == 4096, "NVM 4.1.5.1");
_Static_assert(offsetof(struct nvme_ctrl_data, oacs) == 256, "");
_Static_assert(offsetof(struct nvme_ctrl_data, tnvmcap) == 280, "");
_Static_assert(offsetof(struct nvme_ctrl_data, kas) == 320, "");
_Static_assert(offsetof(struct nvme_ctrl_data, sqes) == 512, "");
_Static_assert(offsetof(struct nvme_ctrl_data, sgls) == 536, "");
_Static_assert(offsetof(struct nvme_ctrl_data, subnqn) == 768, "");
_Static_assert(offsetof(struct nvme_ns_data, nvmcap) == 48, "");
_Static_assert(offsetof(struct nvme_ns_data, nguid) == 104, "");
_Static_assert(offsetof(struct nvme_ns_data, lbaf) == 128, "");

#define PAGE	 4096u
#define ALL_NS	 0xffffffffu
#define CNTLID	 1u
#define RTD3_US	 20000000u /* a shutdown may have to wait for the host's disk */
#define RTD3R_US 1000000u
#define FRMW_ONE 0x03 /* one slot, read only */
#define CSI(cmd) ((cmd)->sqe.cdw11 >> 24)

static uint16_t bad(struct nvme_cmd *cmd, uint16_t where, uint16_t sc)
{
	cmd->where = where;
	return NVME_BAD(sc);
}

static void text(char *to, size_t n, const char *from)
{
	memset(to, ' ', n);
	memcpy(to, from, strlen(from) < n ? strlen(from) : n);
}

static uint16_t controller(struct nvme *c, struct nvme_cmd *cmd, void *page)
{
	struct nvme_ctrl_data *d = page;
	unsigned i;

	d->vid = d->ssvid = 0x1234;
	text(d->sn, sizeof(d->sn), c->serial);
	text(d->mn, sizeof(d->mn), "peerdma NVMe controller model");
	text(d->fr, sizeof(d->fr), "1");
	d->mdts = NVME_MDTS;
	d->cntlid = CNTLID;
	d->ver = 0x00020000;
	d->rtd3r = RTD3R_US;
	d->rtd3e = RTD3_US;
	d->oaes = NVME_OAES_NS;
	d->cntrltype = NVME_CTRLTYPE_IO;
	d->acl = 3;
	d->aerl = NVME_AERS - 1;
	d->frmw = FRMW_ONE;
	d->lpa = NVME_LPA_EFFECTS | NVME_LPA_EXTENDED | NVME_LPA_SUPPORTED;
	d->elpe = NVME_ERRORS - 1;
	d->wctemp = 343;
	d->cctemp = 353;
	for (i = 0; i < c->n_ns; i++)
		d->tnvmcap[0] += c->ns[i].blocks << c->ns[i].shift;
	d->sqes = NVME_SQE_LOG2 << 4 | NVME_SQE_LOG2;
	d->cqes = NVME_CQE_LOG2 << 4 | NVME_CQE_LOG2;
	d->nn = NVME_MAX_NAMESPACES;
	d->mnan = NVME_MAX_NAMESPACES;
	d->oncs = NVME_ONCS_COMPARE | NVME_ONCS_UNCORRECTABLE | NVME_ONCS_DSM | NVME_ONCS_ZEROES |
		  NVME_ONCS_SELECT | NVME_ONCS_VERIFY;
	d->vwc = NVME_VWC_PRESENT | NVME_VWC_BROADCAST;
	d->sgls = NVME_SGLS_PLAIN;
	snprintf(d->subnqn, sizeof(d->subnqn), "nqn.2026-11.org.peerdma:nvme:%s", c->serial);
	d->psd[0].mp = 900; /* of 10 mW */
	return 0;
}

/* A namespace by number, which may be one that is not there: then the answer is zeroes. */
static uint16_t find_ns(struct nvme *c, struct nvme_cmd *cmd, struct nvme_ns **ret_ns)
{
	uint32_t nsid = cmd->sqe.nsid;

	if (!nsid || nsid > NVME_MAX_NAMESPACES)
		return bad(cmd, 4, NVME_SC_BAD_NS);
	*ret_ns = nvme_ns(c, nsid);
	return 0;
}

static uint16_t namespace(struct nvme *c, struct nvme_cmd *cmd, void *page)
{
	struct nvme_ns_data *d = page;
	struct nvme_ns *ns = NULL;
	uint16_t status = find_ns(c, cmd, &ns);

	if (status || !ns)
		return status;
	d->nsze = d->ncap = d->nuse = ns->blocks;
	d->dlfeat = NVME_DLFEAT_ZERO | NVME_DLFEAT_WZ_DEAC;
	d->nvmcap[0] = ns->blocks << ns->shift;
	memcpy(d->nguid, ns->nguid, sizeof(d->nguid));
	memcpy(d->eui64, ns->eui64, sizeof(d->eui64));
	d->lbaf[0] = NVME_LBAF(ns->shift);
	return 0;
}

static uint8_t *descriptor(uint8_t *at, uint8_t type, const void *id, uint8_t len)
{
	at[0] = type;
	at[1] = len;
	memcpy(at + 4, id, len);
	return at + 4 + len;
}

static uint16_t descriptors(struct nvme *c, struct nvme_cmd *cmd, void *page)
{
	static const uint8_t csi_nvm;
	struct nvme_ns *ns = nvme_ns(c, cmd->sqe.nsid);
	uint8_t *at = page, uuid[16];

	if (!ns)
		return bad(cmd, 4, NVME_SC_BAD_NS);
	memcpy(uuid, ns->nguid, sizeof(uuid));
	uuid[6] = (uuid[6] & 0x0f) | 0x80; /* version 8: made up by rules of our own */
	uuid[8] = (uuid[8] & 0x3f) | 0x80;
	at = descriptor(at, NVME_NIDT_EUI64, ns->eui64, sizeof(ns->eui64));
	at = descriptor(at, NVME_NIDT_NGUID, ns->nguid, sizeof(ns->nguid));
	at = descriptor(at, NVME_NIDT_UUID, uuid, sizeof(uuid));
	descriptor(at, NVME_NIDT_CSI, &csi_nvm, 1);
	return 0;
}

/* Numbers above NSID, in order. */
static uint16_t ns_list(struct nvme *c, struct nvme_cmd *cmd, void *page)
{
	uint32_t *list = page;
	unsigned i;

	if (cmd->sqe.nsid >= ALL_NS - 1)
		return bad(cmd, 4, NVME_SC_BAD_NS);
	for (i = 0; i < c->n_ns; i++)
		if (c->ns[i].id > cmd->sqe.nsid)
			*list++ = c->ns[i].id;
	return 0;
}

/* Only the NVM command set (0) is there. */
static uint16_t cs_ns_list(struct nvme *c, struct nvme_cmd *cmd, void *page)
{
	return CSI(cmd) ? bad(cmd, 47, NVME_SC_BAD_FIELD) : ns_list(c, cmd, page);
}

/* No protection information, so nothing to tell of the namespace. */
static uint16_t cs_namespace(struct nvme *c, struct nvme_cmd *cmd, void *page)
{
	struct nvme_ns *ns;

	return CSI(cmd) ? bad(cmd, 47, NVME_SC_BAD_FIELD) : find_ns(c, cmd, &ns);
}

static uint16_t cs_controller(struct nvme *c, struct nvme_cmd *cmd, void *page)
{
	uint8_t *d = page;

	if (CSI(cmd))
		return bad(cmd, 47, NVME_SC_BAD_FIELD);
	d[0] = NVME_MDTS; /* VSL; WZSL and WUSL: no limit */
	d[3] = 255;	  /* DMRL */
	return 0;
}

static uint16_t independent(struct nvme *c, struct nvme_cmd *cmd, void *page)
{
	struct nvme_ns *ns = NULL;
	uint16_t status = find_ns(c, cmd, &ns);

	if (!status && ns)
		((uint8_t *)page)[14] = 1; /* NSTAT: ready */
	return status;
}

/* One controller: itself. Lists begin at the number in CDW10. */
static void put_self(struct nvme_cmd *cmd, uint16_t *list)
{
	if (cmd->sqe.cdw10 >> 16 > CNTLID)
		return;
	list[0] = 1;
	list[1] = CNTLID;
}

static uint16_t controllers(struct nvme *c, struct nvme_cmd *cmd, void *page)
{
	put_self(cmd, page);
	return 0;
}

static uint16_t ns_controllers(struct nvme *c, struct nvme_cmd *cmd, void *page)
{
	struct nvme_ns *ns = NULL;
	uint16_t status = find_ns(c, cmd, &ns);

	if (!status && ns)
		put_self(cmd, page);
	return status;
}

static uint16_t (*const by_cns[])(struct nvme *c, struct nvme_cmd *cmd, void *page) = {
	[NVME_CNS_NS] = namespace,
	[NVME_CNS_CTRL] = controller,
	[NVME_CNS_NS_LIST] = ns_list,
	[NVME_CNS_NS_DESC] = descriptors,
	[NVME_CNS_CS_NS] = cs_namespace,
	[NVME_CNS_CS_CTRL] = cs_controller,
	[NVME_CNS_CS_NS_LIST] = cs_ns_list,
	[NVME_CNS_INDEP_NS] = independent,
	[NVME_CNS_ALLOC_LIST] = ns_list,
	[NVME_CNS_ALLOC_NS] = namespace,
	[NVME_CNS_NS_CTRLS] = ns_controllers,
	[NVME_CNS_CTRLS] = controllers,
};

uint16_t nvme_identify(struct nvme *c, struct nvme_cmd *cmd)
{
	unsigned cns = cmd->sqe.cdw10 & 0xff;
	uint16_t status;

	if (cns >= sizeof(by_cns) / sizeof(by_cns[0]) || !by_cns[cns])
		return bad(cmd, 40, NVME_SC_BAD_FIELD);
	memset(c->bounce, 0, PAGE);
	status = by_cns[cns](c, cmd, c->bounce);
	return status ? status : nvme_send(c, &cmd->sqe, c->bounce, PAGE);
}
