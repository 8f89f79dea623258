// SPDX-License-Identifier: MIT
#include "models/nic/caps.h"

#include <errno.h>
#include <stdlib.h>

#include "hw/mlx5_cap.h"
#include "hw/mlx5_cmd.h"
#include "models/nic/handlers.h"
#include "models/nic/internal.h"
#include "models/nic/memic.h"
#include "models/nic/syndrome.h"
#include "models/nic/tm.h"

#define CAP_OFF 16 /* of the page in QUERY_HCA_CAP's output and SET_HCA_CAP's input */
#define SCHEME	MLX5_ODP_MEMORY_OFF

enum { P_GENERAL, P_GENERAL_2, P_ODP, P_ATOMIC, P_DEVMEM, P_COUNT };

static const uint8_t page_number[P_COUNT] = {
	[P_GENERAL] = MLX5_CAP_GENERAL, [P_GENERAL_2] = MLX5_CAP_GENERAL_2, [P_ODP] = MLX5_CAP_ODP,
	[P_ATOMIC] = MLX5_CAP_ATOMIC,	[P_DEVMEM] = MLX5_CAP_DEVICE_MEM,
};

struct nic_caps {
	uint8_t issi;
	uint8_t cur[P_COUNT][MLX5_CAP_SIZE];
	uint8_t max[P_COUNT][MLX5_CAP_SIZE];
};

struct cap {
	uint8_t page;
	mlx5_field field;
	uint64_t max;
	bool settable;	  /* SET_HCA_CAP may choose a value up to max */
	uint64_t initial; /* of a settable one */
};

#define G(name, val)                                      \
	{                                                 \
		P_GENERAL, MLX5_GEN_##name, val, false, 0 \
	}
#define GSET(name, val, ini)                               \
	{                                                  \
		P_GENERAL, MLX5_GEN_##name, val, true, ini \
	}
/* A field of a structure that starts off bytes into its page */
#define AT(off, f) ((mlx5_field)((f) + ((uint32_t)(off) << 12)))
#define O(off, name, val)                                    \
	{                                                    \
		P_ODP, AT((off), MLX5_##name), val, false, 0 \
	}
#define T_OFF(t)   (SCHEME + 0x10 + (t)*4)
#define T(t, name) O(T_OFF(t), ODP_T_##name, 1)
#define DC_OFF	   (MLX5_ODP_TRANSPORT_OFF + 0x20)

/*
 * Limits are the model's own; which bits decide about the driver's behaviour is told in SPEC.rst.
 */
static const struct cap table[] = {
	G(HCA_CAP_2, 1),
	G(LOG_MAX_SRQ_SZ, 15),
	G(LOG_MAX_QP_SZ, 15),
	GSET(LOG_MAX_QP, NIC_LOG_QP, NIC_LOG_QP),
	G(LOG_MAX_SRQ, NIC_LOG_SRQ),
	G(LOG_MAX_CQ_SZ, 22),
	G(LOG_MAX_CQ, NIC_LOG_CQ),
	G(LOG_MAX_EQ_SZ, 22),
	G(LOG_MAX_EQ, NIC_LOG_EQ),
	G(LOG_MAX_MKEY, NIC_LOG_MKEY),
	G(RELAXED_ORDERING_WRITE, 1),
	G(RELAXED_ORDERING_READ, 1),
	G(RELAXED_ORDERING_WRITE_UMR, 1),
	G(RELAXED_ORDERING_READ_UMR, 1),
	G(FAST_TEARDOWN, 1),
	G(FORCE_TEARDOWN, 1),
	G(MAX_INDIRECTION, 4),
	G(FIXED_BUFFER_SIZE, 1),
	G(UMR_EXTENDED_TRANSLATION_OFFSET, 1),
	G(NULL_MKEY, 1),
	G(TERMINATE_SCATTER_LIST_MKEY, 1),
	G(DUMP_FILL_MKEY, 1),
	G(LOG_MAX_MRW_SZ, 64),
	G(LOG_MAX_KLM_LIST_SIZE, 16),
	G(LOG_MAX_RA_REQ_DC, 4),
	G(LOG_MAX_RA_RES_DC, 4),
	G(LOG_MAX_RA_REQ_QP, 4),
	G(LOG_MAX_RA_RES_QP, 4),
	GSET(CACHE_LINE_128BYTE, 1, 0),
	G(END_PAD, 1),
	G(GID_TABLE_SIZE, 0),	     /* 8 entries */
	GSET(PKEY_TABLE_SIZE, 0, 0), /* 128 entries */
	G(VPORT_COUNTERS, 1),
	G(IB_VIRT, 1),
	G(DEVICE_MEMORY, 1),
	G(LOCAL_CA_ACK_DELAY, 16),
	G(NUM_PORTS, 1),
	G(LOG_MAX_MSG, NIC_LOG_MSG),
	G(STAT_RATE_SUPPORT, 0x3ff),
	G(CQE_VERSION, 1),
	G(COMPACT_ADDRESS_VECTOR, 1),
	G(DRAIN_SIGERR, 1),
	/* block signatures: T10-DIF and CRC32 need no more than SHO */
	G(SHO, 1),
	G(SIGERR_CQE, 1),
	G(SIGERR_DOMAIN_AND_SIG_TYPE, 1),
	G(SIG_CRC32C, 1),
	G(SIG_BLOCK_4048, 1),
	G(SCTR_DATA_CQE, 1),
	G(ATOMIC, 1),
	G(IMAICL, 1), /* memory windows */
	G(CQ_OI, 1),
	G(CQ_RESIZE, 1),
	G(CQ_MODERATION, 1),
	G(PG, 1),
	G(BLOCK_LB_MC, 1),
	G(QKV, 1),
	G(PKV, 1),
	G(XRC, 1),
	G(DCT, 1),
	G(LOG_MAX_DCT_CONNECTIONS, 10),
	G(UD, 1),
	G(UC, 1),
	G(RC, 1),
	GSET(UAR_4K, 1, 0),
	G(UAR_SZ, 5), /* 32 MiB */
	G(LOG_PG_SZ, 12),
	G(DRIVER_VERSION, 1),
	G(LOG_BF_REG_SIZE, 9),
	G(MAX_WQE_SZ_SQ, 1024),
	G(MAX_WQE_SZ_RQ, 512),
	G(MAX_WQE_SZ_SQ_DC, 1024),
	G(MAX_QP_MCG, 128),
	G(LOG_MAX_MCG, 12),
	G(LOG_MAX_TRANSPORT_DOMAIN, 10),
	G(LOG_MAX_PD, 16),
	G(LOG_MAX_XRCD, 10),
	G(LOG_MAX_RMP, NIC_LOG_SRQ),
	G(LOG_MAX_WQ_SZ, 16),
	G(MAX_NUM_EQS, (1 << NIC_LOG_EQ) - 1),
	G(UMEM_UID_0, 1),
	G(LOG_MAX_UCTX, 10),
	G(LOG_MAX_UMEM, 16),
	GSET(LOG_UAR_PAGE_SZ, 4, 0),
	G(DEVICE_FREQUENCY_KHZ, 1000000),
	G(DEVICE_FREQUENCY_MHZ, 1000),
	G(NUM_OF_UARS_PER_PAGE, 1),
	G(GENERAL_OBJ_TYPES,
	  1ull << MLX5_OBJ_TYPE_RESERVED_QPN | 1ull << MLX5_OBJ_TYPE_AV_QP_MAPPING),
	{ P_GENERAL_2, MLX5_GEN2_LOG_RESERVED_QPN_GRANULARITY, 0, false, 0 },
	G(CQE_128_ALWAYS, 1),
	/* asked for and never worth while: see SPEC.rst */
	G(MINI_CQE_RESP_STRIDE_INDEX, 1),
	G(CQE_COMPRESSION_128, 1),
	G(CQE_COMPRESSION, 1),
	G(CQE_COMPRESSION_MAX_NUM, 64),
	G(TAG_MATCHING, 1),
	G(RNDV_OFFLOAD_RC, 1),
	G(LOG_TAG_MATCHING_LIST_SZ, NIC_LOG_TAGS),
	G(LOG_MAX_XRQ, NIC_LOG_SRQ),
	/* on-demand paging: the memory scheme only */
	{ P_ODP, MLX5_ODP_MEM_PAGE_FAULT, 1, true, 0 },
	O(SCHEME, ODP_SCHEME_PAGE_PREFETCH, 1),
	T(0, SEND),
	T(0, RECEIVE),
	T(0, WRITE),
	T(0, READ),
	T(0, ATOMIC),
	T(0, SRQ_RECEIVE),
	T(1, SEND),
	T(1, RECEIVE),
	T(1, WRITE),
	T(1, SRQ_RECEIVE),
	T(2, SEND),
	T(2, RECEIVE),
	T(2, SRQ_RECEIVE),
	T(3, SEND),
	T(3, RECEIVE),
	T(3, WRITE),
	T(3, READ),
	T(3, ATOMIC),
	T(3, SRQ_RECEIVE),
	T(4, SEND),
	T(4, WRITE),
	T(4, READ),
	T(4, ATOMIC),
	T(4, SRQ_RECEIVE),
	/* where user space looks for what dynamically connected transport can do */
	O(DC_OFF, ODP_T_SEND, 1),
	O(DC_OFF, ODP_T_WRITE, 1),
	O(DC_OFF, ODP_T_READ, 1),
	O(DC_OFF, ODP_T_ATOMIC, 1),
	O(DC_OFF, ODP_T_SRQ_RECEIVE, 1),
	/* atomics: 8 bytes, answered in host order when the driver asks so */
	{ P_ATOMIC, MLX5_ATOMIC_ATOMIC_REQ_8B_ENDIANNESS_MODE, 1, true, 1 },
	{ P_ATOMIC, MLX5_ATOMIC_SUPPORTED_ATOMIC_REQ_8B_ENDIANNESS_MODE_1, 1, true, 1 },
	{ P_ATOMIC, MLX5_ATOMIC_ATOMIC_OPERATIONS, 0x3, false, 0 },
	{ P_ATOMIC, MLX5_ATOMIC_ATOMIC_SIZE_QP, 0x8, false, 0 },
	{ P_ATOMIC, MLX5_ATOMIC_ATOMIC_SIZE_DC, 0x8, false, 0 },
	/* device memory */
	{ P_DEVMEM, MLX5_DEVMEM_MEMIC, 1, false, 0 },
	{ P_DEVMEM, MLX5_DEVMEM_LOG_MIN_MEMIC_ALLOC_SIZE, 2, false, 0 },
	{ P_DEVMEM, MLX5_DEVMEM_LOG_MAX_MEMIC_ADDR_ALIGNMENT, 6, false, 0 },
	{ P_DEVMEM, MLX5_DEVMEM_MEMIC_BAR_START_ADDR, NIC_MEMIC_OFF, false, 0 },
	{ P_DEVMEM, MLX5_DEVMEM_MEMIC_BAR_SIZE, NIC_MEMIC_SIZE, false, 0 },
	{ P_DEVMEM, MLX5_DEVMEM_MAX_MEMIC_SIZE, NIC_MEMIC_SIZE, false, 0 },
	{ P_DEVMEM, MLX5_DEVMEM_MEMIC_OPERATIONS, (1u << NIC_MEMIC_OPS) - 1, false, 0 },
	{ P_DEVMEM, MLX5_DEVMEM_ADD_SIZES, 0xf, false, 0 },
	{ P_DEVMEM, MLX5_DEVMEM_TEST_SET_SIZES, 0xf, false, 0 },
};

#define N_CAPS (sizeof(table) / sizeof(table[0]))

void nic_caps_reset(struct nic *nic)
{
	struct nic_caps *k = nic->caps;
	const struct cap *e;
	size_t i;

	memset(k->cur, 0, sizeof(k->cur));
	for (i = 0; i < N_CAPS; i++) {
		e = &table[i];
		mlx5_set(k->cur[e->page], e->field, e->settable ? e->initial : e->max);
		mlx5_set(k->max[e->page], e->field, e->max);
	}
	k->issi = 0;
}

int nic_caps_init(struct nic *nic)
{
	nic->caps = calloc(1, sizeof(*nic->caps));
	if (!nic->caps)
		return -ENOMEM;
	nic_caps_reset(nic);
	return 0;
}

void nic_caps_fini(struct nic *nic)
{
	free(nic->caps);
	nic->caps = NULL;
}

uint8_t nic_caps_issi(const struct nic *nic)
{
	return nic->caps->issi;
}

void nic_caps_set_issi(struct nic *nic, uint8_t issi)
{
	nic->caps->issi = issi;
}

static int find_page(unsigned number)
{
	int i;

	for (i = 0; i < P_COUNT; i++)
		if (page_number[i] == number)
			return i;
	return -1;
}

/*
 * Pages of features that a ConnectX may have and this one has not: Ethernet offloads, RoCE, flow
 * tables of the NIC and of the eswitch, eswitch, vectors of calculations, QoS, debugging.
 */
static bool is_empty_page(unsigned number)
{
	static const uint8_t empty[] = { 0x1, 0x4, 0x7, 0x8, 0x9, 0xb, 0xc, 0xd };

	return memchr(empty, (int)number, sizeof(empty));
}

/* Bit 0 of the modifier: the current value, else the maximum; above it the page. */
uint8_t nic_cmd_query_hca_cap(struct nic_cmd *c)
{
	int p = find_page(c->op_mod >> 1);
	uint32_t room = c->out_len > CAP_OFF ? c->out_len - CAP_OFF : 0;

	if (mlx5_get(c->in, MLX5_QUERY_HCA_CAP_IN_OTHER_FUNCTION))
		return nic_fail(c, NIC_BAD_PARAM, SYN_FUNCTION);
	if (p < 0)
		return is_empty_page(c->op_mod >> 1) ? NIC_OK :
						       nic_fail(c, NIC_BAD_PARAM, SYN_ABSENT);
	if (room > MLX5_CAP_SIZE)
		room = MLX5_CAP_SIZE;
	memcpy(c->out + CAP_OFF, c->op_mod & 1 ? c->nic->caps->cur[p] : c->nic->caps->max[p], room);
	return NIC_OK;
}

static uint8_t check_value(struct nic_cmd *c, const struct cap *e, const uint8_t *page)
{
	uint64_t val = mlx5_get(page, e->field);

	if (val <= e->max)
		return NIC_OK;
	mdl_log(c->nic->dev, MDL_INFO, "capability at 0x%x: %llu is beyond %llu",
		mlx5_field_off(e->field), (unsigned long long)val, (unsigned long long)e->max);
	return nic_fail(c, NIC_BAD_PARAM, SYN_CAP_VALUE);
}

/*
 * Only settable values are taken over; others are what they are, whatever the page says, since
 * drivers set some features without a look at the maximum.
 */
uint8_t nic_cmd_set_hca_cap(struct nic_cmd *c)
{
	const uint8_t *page = c->in + CAP_OFF;
	int p = find_page(c->op_mod >> 1);
	uint8_t st = NIC_OK;
	size_t i;

	if (atomic_load(&c->nic->hca_state) == NIC_HCA_INIT)
		return nic_fail(c, NIC_BAD_SYS_STATE, SYN_LIFE_CYCLE);
	if (p < 0 || c->op_mod & 1)
		return nic_fail(c, NIC_BAD_PARAM, SYN_OP_MOD);
	for (i = 0; i < N_CAPS && !st; i++)
		if (table[i].page == p && table[i].settable)
			st = check_value(c, &table[i], page);
	for (i = 0; i < N_CAPS && !st; i++)
		if (table[i].page == p && table[i].settable)
			mlx5_set(c->nic->caps->cur[p], table[i].field,
				 mlx5_get(page, table[i].field));
	return st;
}
