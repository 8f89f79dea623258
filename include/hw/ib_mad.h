/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * InfiniBand management datagrams: 256 bytes, big-endian. Fields as in mlx5_bits.h; an attribute's
 * fields count from its first byte. Source: IBA, and Linux include/rdma/ib_{mad,smi,sa,pma}.h.
 */
#ifndef PEERDMA_HW_IB_MAD_H
#define PEERDMA_HW_IB_MAD_H

#include "hw/mlx5_bits.h"

#define IB_MAD_SIZE 256

/* ---- common header ---- */
#define IB_MAD_BASE_VERSION  MLX5_F(0x00, 31, 24)
#define IB_MAD_CLASS	     MLX5_F(0x00, 23, 16)
#define IB_MAD_CLASS_VERSION MLX5_F(0x00, 15, 8)
#define IB_MAD_METHOD	     MLX5_F(0x00, 7, 0)
#define IB_MAD_STATUS	     MLX5_F(0x04, 31, 16)
#define IB_MAD_TID	     MLX5_Q(0x08)
#define IB_MAD_ATTR_ID	     MLX5_F(0x10, 31, 16)
#define IB_MAD_ATTR_MOD	     MLX5_F(0x14, 31, 0)

#define IB_CLASS_SMP	  0x01 /* subnet management, routed by LID */
#define IB_CLASS_SMP_DR	  0x81 /* subnet management, directed route */
#define IB_CLASS_SA	  0x03
#define IB_CLASS_PERF	  0x04
#define IB_SA_CLASS_VER	  2
#define IB_LID_PERMISSIVE 0xffff

#define IB_METHOD_GET		 0x01
#define IB_METHOD_SET		 0x02
#define IB_METHOD_TRAP		 0x05
#define IB_METHOD_TRAP_REPRESS	 0x07
#define IB_METHOD_GET_TABLE	 0x12
#define IB_METHOD_DELETE	 0x15
#define IB_METHOD_GET_RESP	 0x81
#define IB_METHOD_GET_TABLE_RESP 0x92
#define IB_METHOD_DELETE_RESP	 0x95
#define IB_METHOD_RESP		 0x80

#define IB_STATUS_BUSY	      0x0001
#define IB_STATUS_BAD_VERSION 0x0004
#define IB_STATUS_BAD_METHOD  0x0008
#define IB_STATUS_BAD_ATTR    0x000c /* method and attribute do not go together */
#define IB_STATUS_BAD_VALUE   0x001c
/* of subnet administration */
#define IB_SA_NO_RESOURCES 0x0100
#define IB_SA_REQ_INVALID  0x0200
#define IB_SA_NO_RECORDS   0x0300
#define IB_SA_TOO_MANY	   0x0400
#define IB_SA_INVALID_GID  0x0500
#define IB_SA_INSUFFICIENT 0x0600
#define IB_SA_DENIED	   0x0700

/* ---- subnet management ---- */
#define IB_SMP_DIRECTION  MLX5_F(0x04, 31, 31) /* directed route: on the way back */
#define IB_SMP_HOP_PTR	  MLX5_F(0x04, 15, 8)
#define IB_SMP_HOP_CNT	  MLX5_F(0x04, 7, 0)
#define IB_SMP_MKEY	  MLX5_Q(0x18)
#define IB_SMP_DR_SLID	  MLX5_F(0x20, 31, 16)
#define IB_SMP_DR_DLID	  MLX5_F(0x20, 15, 0)
#define IB_SMP_DATA_OFF	  64 /* 64 bytes */
#define IB_SMP_INIT_PATH  128
#define IB_SMP_RET_PATH	  192
#define IB_SMP_MAX_HOPS	  63
#define IB_SMP_DATA_BYTES 64

#define IB_SMP_NODE_DESC     0x0010
#define IB_SMP_NODE_INFO     0x0011
#define IB_SMP_SWITCH_INFO   0x0012
#define IB_SMP_GUID_INFO     0x0014
#define IB_SMP_PORT_INFO     0x0015
#define IB_SMP_PKEY_TABLE    0x0016
#define IB_SMP_SL2VL	     0x0017
#define IB_SMP_VL_ARB	     0x0018
#define IB_SMP_LFT	     0x0019
#define IB_SMP_MFT	     0x001b
#define IB_SMP_SM_INFO	     0x0020
#define IB_SMP_EXT_PORT_INFO 0xff90 /* of the NIC's vendor */

/* NodeInfo */
#define IB_NI_SIZE	   40
#define IB_NI_BASE_VERSION MLX5_F(0x00, 31, 24)
#define IB_NI_CLASS_VER	   MLX5_F(0x00, 23, 16)
#define IB_NI_TYPE	   MLX5_F(0x00, 15, 8) /* 1 channel adapter, 2 switch */
#define IB_NI_PORTS	   MLX5_F(0x00, 7, 0)
#define IB_NI_SYS_GUID	   MLX5_Q(0x04)
#define IB_NI_NODE_GUID	   MLX5_Q(0x0c)
#define IB_NI_PORT_GUID	   MLX5_Q(0x14)
#define IB_NI_PART_CAP	   MLX5_F(0x1c, 31, 16)
#define IB_NI_DEV_ID	   MLX5_F(0x1c, 15, 0)
#define IB_NI_REVISION	   MLX5_F(0x20, 31, 0)
#define IB_NI_LOCAL_PORT   MLX5_F(0x24, 31, 24)
#define IB_NI_VENDOR	   MLX5_F(0x24, 23, 0)

/* SwitchInfo */
#define IB_SI_SIZE	 20
#define IB_SI_LINEAR_CAP MLX5_F(0x00, 31, 16)
#define IB_SI_RANDOM_CAP MLX5_F(0x00, 15, 0)
#define IB_SI_MCAST_CAP	 MLX5_F(0x04, 31, 16)
#define IB_SI_LINEAR_TOP MLX5_F(0x04, 15, 0)
#define IB_SI_LIFE_TIME	 MLX5_F(0x08, 7, 3)
#define IB_SI_PART_CAP	 MLX5_F(0x0c, 15, 0)
#define IB_SI_ENHANCED0	 MLX5_F(0x10, 27, 27)

/* PortInfo */
#define IB_PI_SIZE	     64
#define IB_PI_MKEY	     MLX5_Q(0x00)
#define IB_PI_PREFIX	     MLX5_Q(0x08)
#define IB_PI_LID	     MLX5_F(0x10, 31, 16)
#define IB_PI_SM_LID	     MLX5_F(0x10, 15, 0)
#define IB_PI_CAP_MASK	     MLX5_F(0x14, 31, 0)
#define IB_PI_LOCAL_PORT     MLX5_F(0x1c, 31, 24)
#define IB_PI_WIDTH_EN	     MLX5_F(0x1c, 23, 16)
#define IB_PI_WIDTH_SUP	     MLX5_F(0x1c, 15, 8)
#define IB_PI_WIDTH_ACT	     MLX5_F(0x1c, 7, 0)
#define IB_PI_SPEED_SUP	     MLX5_F(0x20, 31, 28)
#define IB_PI_STATE	     MLX5_F(0x20, 27, 24)
#define IB_PI_PHYS	     MLX5_F(0x20, 23, 20)
#define IB_PI_DOWN_DEFAULT   MLX5_F(0x20, 19, 16)
#define IB_PI_MKEY_PROT	     MLX5_F(0x20, 15, 14)
#define IB_PI_LMC	     MLX5_F(0x20, 10, 8)
#define IB_PI_SPEED_ACT	     MLX5_F(0x20, 7, 4)
#define IB_PI_SPEED_EN	     MLX5_F(0x20, 3, 0)
#define IB_PI_NEIGHBOR_MTU   MLX5_F(0x24, 31, 28)
#define IB_PI_SM_SL	     MLX5_F(0x24, 27, 24)
#define IB_PI_VL_CAP	     MLX5_F(0x24, 23, 20)
#define IB_PI_MTU_CAP	     MLX5_F(0x28, 19, 16)
#define IB_PI_OPER_VLS	     MLX5_F(0x28, 7, 4)
#define IB_PI_PKEY_VIOL	     MLX5_F(0x2c, 15, 0)
#define IB_PI_QKEY_VIOL	     MLX5_F(0x30, 31, 16)
#define IB_PI_GUID_CAP	     MLX5_F(0x30, 15, 8)
#define IB_PI_CLIENT_REREG   MLX5_F(0x30, 7, 7)
#define IB_PI_SUBNET_TIMEOUT MLX5_F(0x30, 4, 0)
#define IB_PI_RESP_TIME	     MLX5_F(0x34, 28, 24)
#define IB_PI_EXT_ACTIVE     MLX5_F(0x3c, 15, 12)
#define IB_PI_EXT_SUP	     MLX5_F(0x3c, 11, 8)
#define IB_PI_EXT_EN	     MLX5_F(0x3c, 4, 0)

/* SMInfo */
#define IB_SM_SIZE     24
#define IB_SM_GUID     MLX5_Q(0x00)
#define IB_SM_KEY      MLX5_Q(0x08)
#define IB_SM_ACTIVITY MLX5_F(0x10, 31, 0)
#define IB_SM_PRIORITY MLX5_F(0x14, 31, 28)
#define IB_SM_STATE    MLX5_F(0x14, 27, 24) /* 3 = master */

/* ClassPortInfo */
#define IB_CPI_BASE_VERSION  MLX5_F(0x00, 31, 24)
#define IB_CPI_CLASS_VERSION MLX5_F(0x00, 23, 16)
#define IB_CPI_CAP_MASK	     MLX5_F(0x00, 15, 0)
#define IB_CPI_CAP_MASK2     MLX5_F(0x04, 31, 5)
#define IB_CPI_RESP_TIME     MLX5_F(0x04, 4, 0)

/* ---- performance management; attribute data at 64 ---- */
#define IB_PM_DATA_OFF	     64
#define IB_PM_CLASS_INFO     0x0001
#define IB_PM_COUNTERS	     0x0012
#define IB_PM_COUNTERS_EXT   0x001d
#define IB_PM_CAP_ALL_PORTS  0x0100
#define IB_PM_CAP_EXT	     0x0200
#define IB_PM_CAP_XMIT_WAIT  0x1000
#define IB_PC_PORT	     MLX5_F(0x00, 23, 16)
#define IB_PC_SELECT	     MLX5_F(0x00, 15, 0)
#define IB_PC_SYMBOL_ERR     MLX5_F(0x04, 31, 16)
#define IB_PC_LINK_RECOVERY  MLX5_F(0x04, 15, 8)
#define IB_PC_LINK_DOWNED    MLX5_F(0x04, 7, 0)
#define IB_PC_RCV_ERR	     MLX5_F(0x08, 31, 16)
#define IB_PC_XMIT_DISCARD   MLX5_F(0x0c, 15, 0)
#define IB_PC_RCV_CONSTRAINT MLX5_F(0x10, 23, 16)
#define IB_PC_SELECT2	     MLX5_F(0x10, 15, 8)
#define IB_PC_VL15_DROPPED   MLX5_F(0x14, 15, 0)
#define IB_PC_XMIT_DATA	     MLX5_F(0x18, 31, 0)
#define IB_PC_RCV_DATA	     MLX5_F(0x1c, 31, 0)
#define IB_PC_XMIT_PKTS	     MLX5_F(0x20, 31, 0)
#define IB_PC_RCV_PKTS	     MLX5_F(0x24, 31, 0)
#define IB_PC_XMIT_WAIT	     MLX5_F(0x28, 31, 0)
#define IB_PCX_XMIT_DATA     MLX5_Q(0x08)
#define IB_PCX_RCV_DATA	     MLX5_Q(0x10)
#define IB_PCX_XMIT_PKTS     MLX5_Q(0x18)
#define IB_PCX_RCV_PKTS	     MLX5_Q(0x20)
#define IB_PCX_UCAST_XMIT    MLX5_Q(0x28)
#define IB_PCX_UCAST_RCV     MLX5_Q(0x30)
#define IB_PCX_MCAST_XMIT    MLX5_Q(0x38)
#define IB_PCX_MCAST_RCV     MLX5_Q(0x40)

/* ---- subnet administration ---- */
#define IB_RMPP_VERSION	  MLX5_F(0x18, 31, 24)
#define IB_RMPP_TYPE	  MLX5_F(0x18, 23, 16)
#define IB_RMPP_RESP_TIME MLX5_F(0x18, 15, 11)
#define IB_RMPP_FLAGS	  MLX5_F(0x18, 10, 8)
#define IB_RMPP_STATUS	  MLX5_F(0x18, 7, 0)
#define IB_RMPP_SEG	  MLX5_F(0x1c, 31, 0)
#define IB_RMPP_LEN	  MLX5_F(0x20, 31, 0)  /* payload length, or new window of an ACK */
#define IB_SA_ATTR_OFFSET MLX5_F(0x2c, 31, 16) /* in units of 8 bytes */
#define IB_SA_COMP_MASK	  MLX5_Q(0x30)
#define IB_SA_DATA_OFF	  56
#define IB_SA_DATA_BYTES  200
#define IB_SA_HDR_PAYLOAD 20 /* bytes of the SA header that RMPP counts as payload */

#define IB_RMPP_DATA	 1
#define IB_RMPP_ACK	 2
#define IB_RMPP_STOP	 3
#define IB_RMPP_ABORT	 4
#define IB_RMPP_F_ACTIVE 1
#define IB_RMPP_F_FIRST	 2
#define IB_RMPP_F_LAST	 4
#define IB_RMPP_ST_BADT	 121 /* bad type */
#define IB_RMPP_ST_W2S	 122 /* window too small */
#define IB_RMPP_ST_S2B	 123 /* segment number too big */
#define IB_RMPP_ST_UNV	 125 /* unsupported version */

#define IB_SA_CLASS_INFO  0x0001
#define IB_SA_INFORM_INFO 0x0003
#define IB_SA_NODE	  0x0011
#define IB_SA_PORT_INFO	  0x0012
#define IB_SA_SWITCH_INFO 0x0014
#define IB_SA_SM_INFO	  0x0018
#define IB_SA_LINK	  0x0020
#define IB_SA_GUID_INFO	  0x0030
#define IB_SA_SERVICE	  0x0031
#define IB_SA_PKEY_TABLE  0x0033
#define IB_SA_PATH	  0x0035
#define IB_SA_MCMEMBER	  0x0038
/* CapabilityMask2: full membership for senders only */
#define IB_SA_CAP2_SENDONLY (1u << 12)

/* PathRecord */
#define IB_PR_SIZE	 64
#define IB_PR_SERVICE_ID MLX5_Q(0x00)
#define IB_PR_DGID	 0x08
#define IB_PR_SGID	 0x18
#define IB_PR_DLID	 MLX5_F(0x28, 31, 16)
#define IB_PR_SLID	 MLX5_F(0x28, 15, 0)
#define IB_PR_RAW	 MLX5_F(0x2c, 31, 31)
#define IB_PR_FLOW	 MLX5_F(0x2c, 27, 8)
#define IB_PR_HOP_LIMIT	 MLX5_F(0x2c, 7, 0)
#define IB_PR_TCLASS	 MLX5_F(0x30, 31, 24)
#define IB_PR_REVERSIBLE MLX5_F(0x30, 23, 23)
#define IB_PR_NUMB_PATH	 MLX5_F(0x30, 22, 16)
#define IB_PR_PKEY	 MLX5_F(0x30, 15, 0)
#define IB_PR_QOS_CLASS	 MLX5_F(0x34, 31, 20)
#define IB_PR_SL	 MLX5_F(0x34, 19, 16)
#define IB_PR_MTU_SEL	 MLX5_F(0x34, 15, 14)
#define IB_PR_MTU	 MLX5_F(0x34, 13, 8)
#define IB_PR_RATE_SEL	 MLX5_F(0x34, 7, 6)
#define IB_PR_RATE	 MLX5_F(0x34, 5, 0)
#define IB_PR_LIFE_SEL	 MLX5_F(0x38, 31, 30)
#define IB_PR_LIFE	 MLX5_F(0x38, 29, 24)
#define IB_PR_PREFERENCE MLX5_F(0x38, 23, 16)

/* MCMemberRecord */
#define IB_MC_SIZE	 56
#define IB_MC_MGID	 0x00
#define IB_MC_PORT_GID	 0x10
#define IB_MC_QKEY	 MLX5_F(0x20, 31, 0)
#define IB_MC_MLID	 MLX5_F(0x24, 31, 16)
#define IB_MC_MTU_SEL	 MLX5_F(0x24, 15, 14)
#define IB_MC_MTU	 MLX5_F(0x24, 13, 8)
#define IB_MC_TCLASS	 MLX5_F(0x24, 7, 0)
#define IB_MC_PKEY	 MLX5_F(0x28, 31, 16)
#define IB_MC_RATE_SEL	 MLX5_F(0x28, 15, 14)
#define IB_MC_RATE	 MLX5_F(0x28, 13, 8)
#define IB_MC_LIFE_SEL	 MLX5_F(0x28, 7, 6)
#define IB_MC_LIFE	 MLX5_F(0x28, 5, 0)
#define IB_MC_SL	 MLX5_F(0x2c, 31, 28)
#define IB_MC_FLOW	 MLX5_F(0x2c, 27, 8)
#define IB_MC_HOP_LIMIT	 MLX5_F(0x2c, 7, 0)
#define IB_MC_SCOPE	 MLX5_F(0x30, 31, 28)
#define IB_MC_JOIN_STATE MLX5_F(0x30, 27, 24)
#define IB_MC_PROXY	 MLX5_F(0x30, 23, 23)
/* Join states */
#define IB_JOIN_FULL	  1
#define IB_JOIN_NON	  2
#define IB_JOIN_SEND	  4
#define IB_JOIN_SEND_FULL 8

#endif
