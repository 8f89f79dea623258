/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Registers, entries and data structures of an NVM Express controller over PCI Express, as far as
 * models/nvme has them. Names are those of the NVMe Base Specification 2.0, the PCIe Transport
 * Specification 1.0 and the NVM Command Set Specification 1.0; models/nvme/SPEC.rst names the
 * paragraphs. All values are little-endian.
 *
 * For drivers of both sides of the system call boundary and for the device model; it includes
 * nothing but fixed-width types.
 */
#ifndef PEERDMA_HW_NVME_H
#define PEERDMA_HW_NVME_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdint.h>
#endif

#define NVME_PCI_CLASS 0x010802

/* Controller properties, offsets in BAR0 */
#define NVME_CAP      0x00 /* 64 bits */
#define NVME_VS	      0x08
#define NVME_INTMS    0x0c
#define NVME_INTMC    0x10
#define NVME_CC	      0x14
#define NVME_CSTS     0x1c
#define NVME_NSSR     0x20
#define NVME_AQA      0x24
#define NVME_ASQ      0x28 /* 64 bits */
#define NVME_ACQ      0x30 /* 64 bits */
#define NVME_CMBLOC   0x38
#define NVME_CMBSZ    0x3c
#define NVME_BPINFO   0x40
#define NVME_BPRSEL   0x44
#define NVME_BPMBL    0x48 /* 64 bits */
#define NVME_CMBMSC   0x50 /* 64 bits */
#define NVME_CMBSTS   0x58
#define NVME_CMBEBS   0x5c
#define NVME_CMBSWTP  0x60
#define NVME_NSSD     0x64
#define NVME_CRTO     0x68
#define NVME_REGS_END 0x1000 /* doorbells from here: tail of SQ y at 8y, head of CQ y at 8y + 4 */
#define NVME_DB_SQ(y) (0x1000 + 8 * (y))
#define NVME_DB_CQ(y) (0x1004 + 8 * (y))

#define NVME_CAP_MQES(n)   ((uint64_t)(n)) /* entries less 1 */
#define NVME_CAP_CQR	   (1ull << 16)
#define NVME_CAP_TO(n)	   ((uint64_t)(n) << 24) /* 500 ms */
#define NVME_CAP_NSSRS	   (1ull << 36)
#define NVME_CAP_CSS_NVM   (1ull << 37)
#define NVME_CAP_MPSMAX(n) ((uint64_t)(n) << 52) /* 2^(12 + n) */
#define NVME_CAP_CMBS	   (1ull << 57)
#define NVME_CAP_CRWMS	   (1ull << 59)

#define NVME_CC_EN	  (1u << 0)
#define NVME_CC_CSS(v)	  ((v) >> 4 & 7)
#define NVME_CC_MPS(v)	  ((v) >> 7 & 15)
#define NVME_CC_AMS(v)	  ((v) >> 11 & 7)
#define NVME_CC_SHN(v)	  ((v) >> 14 & 3)
#define NVME_CC_IOSQES(v) ((v) >> 16 & 15)
#define NVME_CC_IOCQES(v) ((v) >> 20 & 15)

#define NVME_CSTS_RDY	    (1u << 0)
#define NVME_CSTS_CFS	    (1u << 1)
#define NVME_CSTS_SHST_BUSY (1u << 2)
#define NVME_CSTS_SHST_DONE (2u << 2)
#define NVME_CSTS_NSSRO	    (1u << 4)
#define NVME_NSSR_MAGIC	    0x4e564d65u
#define NVME_AQA_SQ(v)	    ((v)&0xfff)
#define NVME_AQA_CQ(v)	    ((v) >> 16 & 0xfff)
#define NVME_CMBLOC_MIXED   0x1f8u /* CQMMS, CQPDS, CDPMLS, CDPCILS, CDMMMS, CQDA */
#define NVME_CMBSZ_ALL	    0x1fu  /* SQS, CQS, LISTS, RDS, WDS */
#define NVME_CMBSZ_SZU_4K   (0u << 8)
#define NVME_CMBSZ_SZ(n)    ((uint32_t)(n) << 12)
#define NVME_CMBMSC_CRE	    (1ull << 0)
#define NVME_CMBMSC_CMSE    (1ull << 1)
#define NVME_CMBMSC_CBA(v)  ((v) & ~0xfffull)
#define NVME_CMBSTS_CBAI    (1u << 0)
#define NVME_CRTO_CRWMT(n)  (n)

/* A submission queue entry */
struct nvme_sqe {
	uint8_t opc;
	uint8_t flags; /* [1:0] FUSE, [7:6] PSDT */
	uint16_t cid;
	uint32_t nsid;
	uint32_t cdw2, cdw3;
	uint64_t mptr;
	uint64_t prp1, prp2; /* or one SGL descriptor */
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};
#define NVME_SQE_LOG2 6
#define NVME_FUSE(f)  ((f)&3)
#define NVME_PSDT(f)  ((f) >> 6)

/* A completion queue entry */
struct nvme_cqe {
	uint32_t dw0, dw1;
	uint16_t sqhd, sqid, cid;
	uint16_t status; /* [0] phase, [15:1] status field */
};
#define NVME_CQE_LOG2 4

struct nvme_sgl {
	uint64_t addr;
	uint32_t len;
	uint8_t rsvd[3];
	uint8_t id; /* [7:4] type, [3:0] subtype */
};
#define NVME_SGL_TYPE(id)    ((id) >> 4)
#define NVME_SGL_SUBTYPE(id) ((id)&15)
enum nvme_sgl_type { NVME_SGL_DATA = 0, NVME_SGL_SEGMENT = 2, NVME_SGL_LAST = 3 };

enum nvme_admin_opc {
	NVME_DELETE_SQ = 0x00,
	NVME_CREATE_SQ = 0x01,
	NVME_GET_LOG = 0x02,
	NVME_DELETE_CQ = 0x04,
	NVME_CREATE_CQ = 0x05,
	NVME_IDENTIFY = 0x06,
	NVME_ABORT = 0x08,
	NVME_SET_FEATURES = 0x09,
	NVME_GET_FEATURES = 0x0a,
	NVME_ASYNC_EVENT = 0x0c,
	NVME_KEEP_ALIVE = 0x18,
};

enum nvme_io_opc {
	NVME_FLUSH = 0x00,
	NVME_WRITE = 0x01,
	NVME_READ = 0x02,
	NVME_WRITE_UNCORRECTABLE = 0x04,
	NVME_COMPARE = 0x05,
	NVME_WRITE_ZEROES = 0x08,
	NVME_DSM = 0x09,
	NVME_VERIFY = 0x0c,
};

/* Status: [7:0] code, [10:8] type, [14] do not retry; as it stands in bits 15:1 of an entry */
#define NVME_SC_DNR	       0x4000
#define NVME_SC_MORE	       0x2000
#define NVME_SC_SUCCESS	       0x000
#define NVME_SC_BAD_OPCODE     0x001
#define NVME_SC_BAD_FIELD      0x002
#define NVME_SC_DATA_TRANSFER  0x004
#define NVME_SC_INTERNAL       0x006
#define NVME_SC_ABORTED	       0x007
#define NVME_SC_SQ_DELETED     0x008
#define NVME_SC_BAD_NS	       0x00b
#define NVME_SC_SEQUENCE       0x00c
#define NVME_SC_SGL_SEGMENT    0x00d
#define NVME_SC_SGL_COUNT      0x00e
#define NVME_SC_SGL_LENGTH     0x00f
#define NVME_SC_SGL_TYPE       0x011
#define NVME_SC_BAD_CMB	       0x012
#define NVME_SC_PRP_OFFSET     0x013
#define NVME_SC_LBA_RANGE      0x080
#define NVME_SC_CQ_INVALID     0x100
#define NVME_SC_BAD_QID	       0x101
#define NVME_SC_BAD_QSIZE      0x102
#define NVME_SC_AER_LIMIT      0x105
#define NVME_SC_BAD_VECTOR     0x108
#define NVME_SC_BAD_LOG	       0x109
#define NVME_SC_QUEUE_DELETION 0x10c
#define NVME_SC_NOT_SAVEABLE   0x10d
#define NVME_SC_NOT_CHANGEABLE 0x10e
#define NVME_SC_WRITE_FAULT    0x280
#define NVME_SC_READ_ERROR     0x281
#define NVME_SC_COMPARE	       0x285

/* Identify: CNS values */
enum nvme_cns {
	NVME_CNS_NS = 0x00,
	NVME_CNS_CTRL = 0x01,
	NVME_CNS_NS_LIST = 0x02,
	NVME_CNS_NS_DESC = 0x03,
	NVME_CNS_CS_NS = 0x05,
	NVME_CNS_CS_CTRL = 0x06,
	NVME_CNS_CS_NS_LIST = 0x07,
	NVME_CNS_INDEP_NS = 0x08,
	NVME_CNS_ALLOC_LIST = 0x10,
	NVME_CNS_ALLOC_NS = 0x11,
	NVME_CNS_NS_CTRLS = 0x12,
	NVME_CNS_CTRLS = 0x13,
};

struct nvme_psd { /* power state descriptor */
	uint16_t mp;
	uint8_t rsvd2, flags;
	uint32_t enlat, exlat;
	uint8_t rrt, rrl, rwt, rwl;
	uint8_t rsvd16[16];
};

struct nvme_ctrl_data {
	uint16_t vid, ssvid;
	char sn[20], mn[40], fr[8];
	uint8_t rab, ieee[3], cmic, mdts;
	uint16_t cntlid;
	uint32_t ver, rtd3r, rtd3e, oaes, ctratt;
	uint8_t rsvd100[11], cntrltype;
	uint8_t rsvd112[144];
	uint16_t oacs;
	uint8_t acl, aerl, frmw, lpa, elpe, npss, avscc, apsta;
	uint16_t wctemp, cctemp, mtfa;
	uint32_t hmpre, hmmin;
	uint64_t tnvmcap[2], unvmcap[2];
	uint8_t rsvd312[8];
	uint16_t kas;
	uint8_t rsvd322[190];
	uint8_t sqes, cqes;
	uint16_t maxcmd;
	uint32_t nn;
	uint16_t oncs, fuses;
	uint8_t fna, vwc;
	uint16_t awun, awupf;
	uint8_t icsvscc, nwpc;
	uint16_t acwu, cdfs;
	uint32_t sgls, mnan;
	uint8_t rsvd544[224];
	char subnqn[256];
	uint8_t rsvd1024[1024];
	struct nvme_psd psd[32];
	uint8_t vs[1024];
};
#define NVME_CTRLTYPE_IO	1
#define NVME_OAES_NS		(1u << 8)
#define NVME_LPA_EFFECTS	0x02
#define NVME_LPA_EXTENDED	0x04
#define NVME_LPA_SUPPORTED	0x20
#define NVME_ONCS_COMPARE	(1u << 0)
#define NVME_ONCS_UNCORRECTABLE (1u << 1)
#define NVME_ONCS_DSM		(1u << 2)
#define NVME_ONCS_ZEROES	(1u << 3)
#define NVME_ONCS_SELECT	(1u << 4)
#define NVME_ONCS_VERIFY	(1u << 7)
#define NVME_VWC_PRESENT	0x01
#define NVME_VWC_BROADCAST	0x06
#define NVME_SGLS_PLAIN		0x01

struct nvme_ns_data {
	uint64_t nsze, ncap, nuse;
	uint8_t nsfeat, nlbaf, flbas, mc, dpc, dps, nmic, rescap, fpi, dlfeat;
	uint8_t rsvd34[14];
	uint64_t nvmcap[2];
	uint8_t rsvd64[40];
	uint8_t nguid[16], eui64[8];
	uint32_t lbaf[64]; /* [15:0] MS, [23:16] LBADS */
	uint8_t rsvd384[3712];
};
#define NVME_LBAF(log2)	    ((uint32_t)(log2) << 16)
#define NVME_DLFEAT_ZERO    0x01
#define NVME_DLFEAT_WZ_DEAC 0x08
#define NVME_NIDT_EUI64	    1
#define NVME_NIDT_NGUID	    2
#define NVME_NIDT_UUID	    3
#define NVME_NIDT_CSI	    4

struct nvme_error_entry {
	uint64_t count;
	uint16_t sqid, cid, status, where; /* where: [7:0] byte, [10:8] bit of the command */
	uint64_t lba;
	uint32_t nsid;
	uint8_t vs, trtype, rsvd30[2];
	uint64_t specific;
	uint8_t rsvd40[24];
};

struct nvme_smart {
	uint8_t warning, temp[2], spare, spare_min, used, endgrp, rsvd7[25];
	uint64_t units_read[2], units_written[2], reads[2], writes[2], busy_min[2], cycles[2],
		hours[2], unsafe[2], media_errors[2], error_entries[2];
	uint32_t warn_min, crit_min;
	uint16_t sensor[8];
	uint8_t rsvd216[296];
};

enum nvme_lid {
	NVME_LOG_SUPPORTED = 0x00,
	NVME_LOG_ERROR = 0x01,
	NVME_LOG_SMART = 0x02,
	NVME_LOG_FIRMWARE = 0x03,
	NVME_LOG_CHANGED_NS = 0x04,
	NVME_LOG_EFFECTS = 0x05,
	NVME_LOG_FEATURES = 0x12,
};
#define NVME_EFFECT_CSUPP (1u << 0)
#define NVME_EFFECT_LBCC  (1u << 1)

enum nvme_fid {
	NVME_F_ARBITRATION = 0x01,
	NVME_F_POWER = 0x02,
	NVME_F_TEMPERATURE = 0x04,
	NVME_F_ERROR_RECOVERY = 0x05,
	NVME_F_WRITE_CACHE = 0x06,
	NVME_F_QUEUES = 0x07,
	NVME_F_COALESCING = 0x08,
	NVME_F_VECTOR = 0x09,
	NVME_F_ATOMICITY = 0x0a,
	NVME_F_ASYNC_EVENT = 0x0b,
	NVME_F_KEEP_ALIVE = 0x0f,
};

/* Asynchronous events: type, information */
#define NVME_EVENT_ERROR     0
#define NVME_EVENT_SMART     1
#define NVME_EVENT_NOTICE    2
#define NVME_ERROR_BAD_DB    0
#define NVME_ERROR_BAD_VALUE 1
#define NVME_SMART_SUBSYSTEM 0
#define NVME_SMART_TEMP	     1
#define NVME_SMART_SPARE     2
#define NVME_NOTICE_NS	     0

struct nvme_dsm_range {
	uint32_t cattr, nlb;
	uint64_t slba;
};
#define NVME_DSM_DEALLOCATE (1u << 2)
#define NVME_RW_FUA	    (1u << 30)
#define NVME_WZ_DEAC	    (1u << 25)

#endif
