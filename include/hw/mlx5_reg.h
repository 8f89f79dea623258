/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Registers reached by ACCESS_REG, and the initialization segment. Source: KH
 * (models/nic/SPEC.rst).
 */
#ifndef PEERDMA_HW_MLX5_REG_H
#define PEERDMA_HW_MLX5_REG_H

#include "hw/mlx5_bits.h"

#define MLX5_REG_PMTU		 0x5003
#define MLX5_REG_PTYS		 0x5004
#define MLX5_REG_PAOS		 0x5006
#define MLX5_REG_PPCNT		 0x5008
#define MLX5_REG_PVLC		 0x500f
#define MLX5_REG_NODE_DESC	 0x6001
#define MLX5_REG_HOST_ENDIANNESS 0x7004

/* Port type and speed */
#define MLX5_PTYS_SIZE			   64
#define MLX5_PTYS_LOCAL_PORT		   MLX5_F(0x00, 23, 16)
#define MLX5_PTYS_PROTO_MASK		   MLX5_F(0x00, 2, 0)
#define MLX5_PTYS_DATA_RATE_OPER	   MLX5_F(0x04, 15, 0)
#define MLX5_PTYS_IB_LINK_WIDTH_CAPABILITY MLX5_F(0x10, 31, 16)
#define MLX5_PTYS_IB_PROTO_CAPABILITY	   MLX5_F(0x10, 15, 0)
#define MLX5_PTYS_IB_LINK_WIDTH_ADMIN	   MLX5_F(0x1c, 31, 16)
#define MLX5_PTYS_IB_PROTO_ADMIN	   MLX5_F(0x1c, 15, 0)
#define MLX5_PTYS_IB_LINK_WIDTH_OPER	   MLX5_F(0x28, 31, 16)
#define MLX5_PTYS_IB_PROTO_OPER		   MLX5_F(0x28, 15, 0)

/* Port MTU */
#define MLX5_PMTU_SIZE	     16
#define MLX5_PMTU_LOCAL_PORT MLX5_F(0x00, 23, 16)
#define MLX5_PMTU_MAX_MTU    MLX5_F(0x04, 31, 16)
#define MLX5_PMTU_ADMIN_MTU  MLX5_F(0x08, 31, 16)
#define MLX5_PMTU_OPER_MTU   MLX5_F(0x0c, 31, 16)

/* Virtual lanes */
#define MLX5_PVLC_SIZE		 16
#define MLX5_PVLC_LOCAL_PORT	 MLX5_F(0x00, 23, 16)
#define MLX5_PVLC_VL_HW_CAP	 MLX5_F(0x04, 3, 0)
#define MLX5_PVLC_VL_ADMIN	 MLX5_F(0x08, 3, 0)
#define MLX5_PVLC_VL_OPERATIONAL MLX5_F(0x0c, 3, 0)

/* Administrative and operational state */
#define MLX5_PAOS_SIZE	       16
#define MLX5_PAOS_LOCAL_PORT   MLX5_F(0x00, 23, 16)
#define MLX5_PAOS_ADMIN_STATUS MLX5_F(0x00, 11, 8)
#define MLX5_PAOS_OPER_STATUS  MLX5_F(0x00, 3, 0)
#define MLX5_PAOS_ASE	       MLX5_F(0x04, 31, 31)
#define MLX5_PAOS_EE	       MLX5_F(0x04, 30, 30)
#define MLX5_PAOS_E	       MLX5_F(0x04, 1, 0)

/* Port counters */
#define MLX5_PPCNT_SIZE		   256
#define MLX5_PPCNT_LOCAL_PORT	   MLX5_F(0x00, 23, 16)
#define MLX5_PPCNT_PNAT		   MLX5_F(0x00, 15, 14)
#define MLX5_PPCNT_GRP		   MLX5_F(0x00, 5, 0)
#define MLX5_PPCNT_CLR		   MLX5_F(0x04, 31, 31)
#define MLX5_PPCNT_COUNTER_SET_OFF 0x08 /* 248 bytes */

/* Group 0x20 of PPCNT: InfiniBand port counters */
#define MLX5_PPCNT_IB_SIZE			  40
#define MLX5_PPCNT_IB_SYMBOL_ERROR_COUNTER	  MLX5_F(0x00, 31, 16)
#define MLX5_PPCNT_IB_LINK_ERROR_RECOVERY_COUNTER MLX5_F(0x00, 15, 8)
#define MLX5_PPCNT_IB_LINK_DOWNED_COUNTER	  MLX5_F(0x00, 7, 0)
#define MLX5_PPCNT_IB_PORT_RCV_ERRORS		  MLX5_F(0x04, 31, 16)
#define MLX5_PPCNT_IB_PORT_XMIT_DISCARDS	  MLX5_F(0x08, 15, 0)
#define MLX5_PPCNT_IB_VL_15_DROPPED		  MLX5_F(0x10, 15, 0)
#define MLX5_PPCNT_IB_PORT_XMIT_WAIT		  MLX5_F(0x24, 31, 0)

#endif
