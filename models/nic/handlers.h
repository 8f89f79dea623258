/* SPDX-License-Identifier: MIT */
/* Every command's handler; the table in cmd_table.c gives each its opcode and lengths. */
#ifndef PEERDMA_MODELS_NIC_HANDLERS_H
#define PEERDMA_MODELS_NIC_HANDLERS_H

#include "models/nic/cmd.h"

extern const struct nic_cmd_row nic_cmd_rows[];
extern const unsigned nic_n_cmd_rows;

/* hca_cmd.c */
uint8_t nic_cmd_enable_hca(struct nic_cmd *c);
uint8_t nic_cmd_disable_hca(struct nic_cmd *c);
uint8_t nic_cmd_init_hca(struct nic_cmd *c);
uint8_t nic_cmd_teardown_hca(struct nic_cmd *c);
uint8_t nic_cmd_query_issi(struct nic_cmd *c);
uint8_t nic_cmd_set_issi(struct nic_cmd *c);
uint8_t nic_cmd_query_adapter(struct nic_cmd *c);
uint8_t nic_cmd_nop(struct nic_cmd *c);
uint8_t nic_cmd_query_special_contexts(struct nic_cmd *c);
uint8_t nic_cmd_page_fault_resume(struct nic_cmd *c);

/* caps.c */
uint8_t nic_cmd_query_hca_cap(struct nic_cmd *c);
uint8_t nic_cmd_set_hca_cap(struct nic_cmd *c);

/* pages_cmd.c */
uint8_t nic_cmd_query_pages(struct nic_cmd *c);
uint8_t nic_cmd_manage_pages(struct nic_cmd *c);

/* simple_cmd.c: objects that are hardly more than a number */
uint8_t nic_cmd_alloc_pd(struct nic_cmd *c);
uint8_t nic_cmd_dealloc_pd(struct nic_cmd *c);
uint8_t nic_cmd_alloc_uar(struct nic_cmd *c);
uint8_t nic_cmd_dealloc_uar(struct nic_cmd *c);
uint8_t nic_cmd_alloc_xrcd(struct nic_cmd *c);
uint8_t nic_cmd_dealloc_xrcd(struct nic_cmd *c);
uint8_t nic_cmd_alloc_td(struct nic_cmd *c);
uint8_t nic_cmd_dealloc_td(struct nic_cmd *c);
uint8_t nic_cmd_create_psv(struct nic_cmd *c);
uint8_t nic_cmd_destroy_psv(struct nic_cmd *c);
uint8_t nic_cmd_create_uctx(struct nic_cmd *c);
uint8_t nic_cmd_destroy_uctx(struct nic_cmd *c);

/* umem_cmd.c */
uint8_t nic_cmd_create_umem(struct nic_cmd *c);
uint8_t nic_cmd_destroy_umem(struct nic_cmd *c);

/* eq_cmd.c */
uint8_t nic_cmd_create_eq(struct nic_cmd *c);
uint8_t nic_cmd_destroy_eq(struct nic_cmd *c);
uint8_t nic_cmd_query_eq(struct nic_cmd *c);
uint8_t nic_cmd_gen_eqe(struct nic_cmd *c);

/* cq_cmd.c */
uint8_t nic_cmd_create_cq(struct nic_cmd *c);
uint8_t nic_cmd_destroy_cq(struct nic_cmd *c);
uint8_t nic_cmd_query_cq(struct nic_cmd *c);
uint8_t nic_cmd_modify_cq(struct nic_cmd *c);

/* mkey_cmd.c */
uint8_t nic_cmd_create_mkey(struct nic_cmd *c);
uint8_t nic_cmd_query_mkey(struct nic_cmd *c);
uint8_t nic_cmd_destroy_mkey(struct nic_cmd *c);

/* memic_cmd.c */
uint8_t nic_cmd_alloc_memic(struct nic_cmd *c);
uint8_t nic_cmd_dealloc_memic(struct nic_cmd *c);
uint8_t nic_cmd_modify_memic(struct nic_cmd *c);

/* qp_cmd.c */
uint8_t nic_cmd_create_qp(struct nic_cmd *c);
uint8_t nic_cmd_destroy_qp(struct nic_cmd *c);
uint8_t nic_cmd_query_qp(struct nic_cmd *c);
/* qp_state.c: every transition; the opcode says which */
uint8_t nic_cmd_modify_qp(struct nic_cmd *c);

/* srq_cmd.c */
uint8_t nic_cmd_create_srq(struct nic_cmd *c);
uint8_t nic_cmd_query_srq(struct nic_cmd *c);
uint8_t nic_cmd_create_xrc_srq(struct nic_cmd *c);
uint8_t nic_cmd_query_xrc_srq(struct nic_cmd *c);
uint8_t nic_cmd_create_rmp(struct nic_cmd *c);
uint8_t nic_cmd_query_rmp(struct nic_cmd *c);
uint8_t nic_cmd_create_xrq(struct nic_cmd *c);
uint8_t nic_cmd_query_xrq(struct nic_cmd *c);
uint8_t nic_cmd_modify_rmp(struct nic_cmd *c);
uint8_t nic_cmd_arm_srq(struct nic_cmd *c);
uint8_t nic_cmd_destroy_srq(struct nic_cmd *c);

/* dct_cmd.c */
uint8_t nic_cmd_create_dct(struct nic_cmd *c);
uint8_t nic_cmd_destroy_dct(struct nic_cmd *c);
uint8_t nic_cmd_drain_dct(struct nic_cmd *c);
uint8_t nic_cmd_query_dct(struct nic_cmd *c);

/* general_cmd.c */
uint8_t nic_cmd_create_general(struct nic_cmd *c);
uint8_t nic_cmd_destroy_general(struct nic_cmd *c);

/* port_cmd.c */
uint8_t nic_cmd_query_vport_state(struct nic_cmd *c);
uint8_t nic_cmd_query_vport_context(struct nic_cmd *c);
uint8_t nic_cmd_modify_vport_context(struct nic_cmd *c);
uint8_t nic_cmd_query_vport_gid(struct nic_cmd *c);
uint8_t nic_cmd_query_vport_pkey(struct nic_cmd *c);
uint8_t nic_cmd_query_vport_counter(struct nic_cmd *c);
uint8_t nic_cmd_mad_ifc(struct nic_cmd *c);
uint8_t nic_cmd_attach_mcg(struct nic_cmd *c);
uint8_t nic_cmd_detach_mcg(struct nic_cmd *c);

/* reg_cmd.c */
uint8_t nic_cmd_access_reg(struct nic_cmd *c);

/* What reset and TEARDOWN_HCA do to the objects of each file. */
void nic_object_free(struct nic *nic, struct nic_obj *obj);

#endif
