// SPDX-License-Identifier: MIT
#include "models/nic/mkey.h"

#include <errno.h>
#include <stdlib.h>

#include "hw/mlx5_cmd.h"
#include "hw/mlx5_ctx.h"
#include "models/nic/free.h"
#include "models/nic/handlers.h"
#include "models/nic/internal.h"
#include "models/nic/newobj.h"
#include "models/nic/sig.h"
#include "models/nic/syndrome.h"
#include "models/nic/umem.h"

#define LIST_OFF 0x110
#define MAX_OCTO (1u << 24) /* 16-byte units: 2^25 pages */

static uint8_t mode_of(const uint8_t *ctx)
{
	return (uint8_t)(mlx5_get(ctx, MLX5_MKC_ACCESS_MODE_4_2) << 2 |
			 mlx5_get(ctx, MLX5_MKC_ACCESS_MODE_1_0));
}

static uint8_t access_of(const uint8_t *ctx)
{
	return (uint8_t)((mlx5_get(ctx, MLX5_MKC_LR) ? NIC_ACC_LOCAL_READ : 0) |
			 (mlx5_get(ctx, MLX5_MKC_LW) ? NIC_ACC_LOCAL_WRITE : 0) |
			 (mlx5_get(ctx, MLX5_MKC_RR) ? NIC_ACC_REMOTE_READ : 0) |
			 (mlx5_get(ctx, MLX5_MKC_RW) ? NIC_ACC_REMOTE_WRITE : 0) |
			 (mlx5_get(ctx, MLX5_MKC_A) ? NIC_ACC_REMOTE_ATOMIC : 0));
}

/* Bytes a list of octo 16-byte units takes in the host. */
static uint64_t list_bytes(uint32_t octo)
{
	return octo * 16ull;
}

int nic_mkey_alloc_xlt(struct nic_mkey *mk, uint8_t mode, uint32_t octo)
{
	void *p;

	if (octo > mk->cap_octo)
		return -EINVAL;
	if (mk->xlt)
		return 0; /* made for cap_octo once */
	p = calloc(mk->cap_octo ? mk->cap_octo : 1, 16);
	if (!p)
		return -ENOMEM;
	mk->xlt = p;
	return 0;
}

/* Lists are kept in units of 64 bytes, and drivers count on it: they write whole units. */
static uint32_t list_octo(const uint8_t *ctx)
{
	return ((uint32_t)mlx5_get(ctx, MLX5_MKC_TRANSLATIONS_OCTWORD_SIZE) + 3) & ~3u;
}

static bool has_list(uint8_t mode)
{
	return mode == NIC_MKEY_MTT || mode == NIC_MKEY_KLM || mode == NIC_MKEY_KSM;
}

/* ---- checks ---- */

static uint8_t check_mode(struct nic_cmd *c, const uint8_t *ctx)
{
	uint8_t mode = mode_of(ctx);

	if (mode == NIC_MKEY_SW_ICM || mode > NIC_MKEY_MEMIC)
		return nic_fail(c, NIC_BAD_PARAM, SYN_MKEY_MODE);
	/* All of memory, or raw addresses, are not for user contexts. */
	if (c->uid && (mode == NIC_MKEY_PA || mode == NIC_MKEY_MEMIC))
		return nic_fail(c, NIC_BAD_PARAM, SYN_UID_FORBIDDEN);
	/* Signatures only; with encryption it would be twice as large. */
	if (mlx5_get(ctx, MLX5_MKC_BSF_EN) &&
	    (mode != NIC_MKEY_KLM || mlx5_get(ctx, MLX5_MKC_BSF_OCTWORD_SIZE) != NIC_SIG_BSF / 16))
		return nic_fail(c, NIC_BAD_PARAM, SYN_ABSENT);
	return NIC_OK;
}

static uint8_t check_range(struct nic_cmd *c, const uint8_t *ctx)
{
	uint64_t start = mlx5_get(ctx, MLX5_MKC_START_ADDR), len = mlx5_get(ctx, MLX5_MKC_LEN);

	if (!mlx5_get(ctx, MLX5_MKC_LENGTH64) && len && start + (len - 1) < start)
		return nic_fail(c, NIC_BAD_PARAM, SYN_MKEY_RANGE);
	if (mlx5_get(ctx, MLX5_MKC_TRANSLATIONS_OCTWORD_SIZE) > MAX_OCTO)
		return nic_fail(c, NIC_BAD_PARAM, SYN_MKEY_SIZE);
	return NIC_OK;
}

/* Pages, not ranges of other keys, may come from user memory. */
static bool list_is_umem(struct nic_cmd *c, uint8_t mode)
{
	return mode == NIC_MKEY_MTT && mlx5_get(c->in, MLX5_CREATE_MKEY_IN_MKEY_UMEM_VALID);
}

/* Without a page list of its own a usable key must not show pages beyond its list. */
static uint8_t check_actual(struct nic_cmd *c, const uint8_t *ctx, uint32_t actual)
{
	if (actual > list_octo(ctx))
		return nic_fail(c, NIC_BAD_PARAM, SYN_MKEY_SIZE);
	if (!list_is_umem(c, mode_of(ctx)) && list_bytes(actual) > c->in_len - LIST_OFF)
		return nic_fail(c, NIC_BAD_INP_LEN, SYN_MKEY_SIZE);
	return NIC_OK;
}

static uint8_t check(struct nic_cmd *c, const uint8_t *ctx, uint32_t actual)
{
	uint32_t pd = (uint32_t)mlx5_get(ctx, MLX5_MKC_PD);
	uint8_t st = check_mode(c, ctx);

	if (!st)
		st = check_range(c, ctx);
	if (!st)
		st = check_actual(c, ctx, actual);
	/* A key that is free for now may be without a domain until UMR gives it one. */
	if (!st && (pd || !mlx5_get(ctx, MLX5_MKC_FREE)) && !nic_cmd_find(c, NIC_T_PD, pd))
		st = NIC_BAD_RES;
	return st;
}

/* ---- lists ---- */

static void load_klm(struct nic_mkey *mk, const uint8_t *list, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		mk->klm[i].len = mlx5_get32(list, i * 16);
		mk->klm[i].key = mlx5_get32(list, i * 16 + 4);
		mk->klm[i].va = mlx5_get64(list, i * 16 + 8);
	}
	mk->n_xlt = n;
}

static void load_mtt(struct nic_mkey *mk, const uint8_t *list, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		mk->mtt[i] = mlx5_get64(list, i * 8) & ~4ull;
	mk->n_xlt = n;
}

/* From user memory: the umem's pages become the key's, which must be of the same size. */
static uint8_t load_umem(struct nic_cmd *c, struct nic_mkey *mk)
{
	uint32_t id = mlx5_get32(c->in, 0x64), i;
	struct nic_umem *u = (struct nic_umem *)nic_cmd_find(c, NIC_T_UMEM, id);

	if (!u)
		return NIC_BAD_RES;
	if (u->shift != mk->log_page || u->n > mk->cap_octo * 2 || u->first ||
	    mlx5_get64(c->in, 0x68))
		return nic_fail(c, NIC_BAD_PARAM, SYN_MKEY_SIZE);
	for (i = 0; i < u->n; i++)
		mk->mtt[i] = u->page[i] & ~4ull;
	mk->n_xlt = u->n;
	return NIC_OK;
}

static uint8_t load_list(struct nic_cmd *c, struct nic_mkey *mk, uint32_t actual)
{
	if (!has_list(mk->mode))
		return NIC_OK;
	if (nic_mkey_alloc_xlt(mk, mk->mode, mk->cap_octo))
		return nic_fail(c, NIC_NO_RES, SYN_BUDGET);
	if (list_is_umem(c, mk->mode))
		return load_umem(c, mk);
	if (mk->mode == NIC_MKEY_MTT)
		load_mtt(mk, c->in + LIST_OFF, actual * 2);
	else
		load_klm(mk, c->in + LIST_OFF, actual);
	return NIC_OK;
}

/* ---- commands ---- */

static void fill_from(struct nic_mkey *mk, struct nic_cmd *c, const uint8_t *ctx)
{
	mk->nic = c->nic;
	mk->dma = c->dma;
	mk->variant = (uint8_t)mlx5_get(ctx, MLX5_MKC_MKEY_7_0);
	mk->mode = mode_of(ctx);
	mk->access = access_of(ctx);
	mk->free = mlx5_get(ctx, MLX5_MKC_FREE);
	mk->umr_en = mlx5_get(ctx, MLX5_MKC_UMR_EN);
	mk->rinval_en = mlx5_get(ctx, MLX5_MKC_EN_RINVAL);
	mk->length64 = mlx5_get(ctx, MLX5_MKC_LENGTH64);
	mk->relaxed_write = mlx5_get(ctx, MLX5_MKC_RELAXED_ORDERING_WRITE);
	mk->relaxed_read = mlx5_get(ctx, MLX5_MKC_RELAXED_ORDERING_READ);
	mk->log_page = (uint8_t)mlx5_get(ctx, MLX5_MKC_LOG_PAGE_SIZE);
	mk->pd = (uint32_t)mlx5_get(ctx, MLX5_MKC_PD);
	mk->qpn = (uint32_t)mlx5_get(ctx, MLX5_MKC_QPN);
	mk->start = mlx5_get(ctx, MLX5_MKC_START_ADDR);
	mk->len = mlx5_get(ctx, MLX5_MKC_LEN);
	mk->cap_octo = list_octo(ctx);
	/* Page accesses may fault: on-demand paging. */
	mk->odp = mlx5_get(c->in, MLX5_CREATE_MKEY_IN_PG_ACCESS);
	pthread_rwlock_init(&mk->lock, NULL);
}

static uint64_t sig_bytes(const uint8_t *ctx)
{
	return mlx5_get(ctx, MLX5_MKC_BSF_EN) ? sizeof(struct nic_sig) : 0;
}

/* Room for what a registration will say of signatures. */
static uint8_t make_sig(struct nic_cmd *c, struct nic_mkey *mk, const uint8_t *ctx)
{
	if (!mlx5_get(ctx, MLX5_MKC_BSF_EN))
		return NIC_OK;
	mk->sig = calloc(1, sizeof(*mk->sig));
	if (!mk->sig)
		return nic_fail(c, NIC_NO_RES, SYN_BUDGET);
	pthread_mutex_init(&mk->sig->lock, NULL);
	return NIC_OK;
}

void nic_mkey_free(struct nic *nic, struct nic_mkey *mk)
{
	if (mk->sig)
		pthread_mutex_destroy(&mk->sig->lock);
	free(mk->sig);
	pthread_rwlock_destroy(&mk->lock);
	free(mk->xlt);
	nic_obj_drop(nic, mk);
}

uint8_t nic_cmd_create_mkey(struct nic_cmd *c)
{
	const uint8_t *ctx = c->in + MLX5_CREATE_MKEY_IN_MKC_OFF;
	uint32_t actual =
		(uint32_t)mlx5_get(c->in, MLX5_CREATE_MKEY_IN_TRANSLATIONS_OCTWORD_ACTUAL_SIZE);
	struct nic_mkey *mk;
	uint8_t st;

	if (!has_list(mode_of(ctx)))
		actual = 0;
	st = check(c, ctx, actual);
	if (!st)
		st = nic_obj_new(c, NIC_T_MKEY, sizeof(*mk),
				 list_bytes(list_octo(ctx)) + sig_bytes(ctx), &mk);
	if (st)
		return st;
	fill_from(mk, c, ctx);
	st = make_sig(c, mk, ctx);
	if (!st)
		st = load_list(c, mk, actual);
	if (st) {
		nic_mkey_free(c->nic, mk);
		return st;
	}
	nic_table_publish(&c->nic->table[NIC_T_MKEY], &mk->obj);
	mlx5_set(c->out, MLX5_OUT_ID, mk->obj.id);
	return NIC_OK;
}

uint8_t nic_cmd_destroy_mkey(struct nic_cmd *c)
{
	uint8_t st;
	struct nic_mkey *mk = nic_obj_for_destroy(c, NIC_T_MKEY, &st);

	if (!mk)
		return st;
	nic_obj_unlink(c->nic, mk);
	nic_mkey_free(c->nic, mk);
	return NIC_OK;
}

static void show(const struct nic_mkey *mk, uint8_t *ctx)
{
	mlx5_set(ctx, MLX5_MKC_FREE, mk->free);
	mlx5_set(ctx, MLX5_MKC_UMR_EN, mk->umr_en);
	mlx5_set(ctx, MLX5_MKC_LR, !!(mk->access & NIC_ACC_LOCAL_READ));
	mlx5_set(ctx, MLX5_MKC_LW, !!(mk->access & NIC_ACC_LOCAL_WRITE));
	mlx5_set(ctx, MLX5_MKC_RR, !!(mk->access & NIC_ACC_REMOTE_READ));
	mlx5_set(ctx, MLX5_MKC_RW, !!(mk->access & NIC_ACC_REMOTE_WRITE));
	mlx5_set(ctx, MLX5_MKC_A, !!(mk->access & NIC_ACC_REMOTE_ATOMIC));
	mlx5_set(ctx, MLX5_MKC_ACCESS_MODE_1_0, mk->mode & 3);
	mlx5_set(ctx, MLX5_MKC_ACCESS_MODE_4_2, mk->mode >> 2);
	mlx5_set(ctx, MLX5_MKC_QPN, mk->qpn);
	mlx5_set(ctx, MLX5_MKC_MKEY_7_0, mk->variant);
	mlx5_set(ctx, MLX5_MKC_LENGTH64, mk->length64);
	mlx5_set(ctx, MLX5_MKC_EN_RINVAL, mk->rinval_en);
	mlx5_set(ctx, MLX5_MKC_PD, mk->pd);
	mlx5_set(ctx, MLX5_MKC_START_ADDR, mk->start);
	mlx5_set(ctx, MLX5_MKC_LEN, mk->len);
	mlx5_set(ctx, MLX5_MKC_TRANSLATIONS_OCTWORD_SIZE, mk->cap_octo);
	mlx5_set(ctx, MLX5_MKC_LOG_PAGE_SIZE, mk->log_page);
	mlx5_set(ctx, MLX5_MKC_BSF_EN, mk->sig_on);
	mlx5_set(ctx, MLX5_MKC_BSF_OCTWORD_SIZE, mk->sig ? NIC_SIG_BSF / 16 : 0);
}

uint8_t nic_cmd_query_mkey(struct nic_cmd *c)
{
	uint32_t idx = (uint32_t)mlx5_get(c->in, MLX5_IN_ID);
	struct nic_mkey *mk = (struct nic_mkey *)nic_cmd_find(c, NIC_T_MKEY, idx);

	if (!mk)
		return NIC_BAD_RES;
	pthread_rwlock_rdlock(&mk->lock);
	show(mk, c->out + MLX5_QUERY_MKEY_OUT_MKC_OFF);
	pthread_rwlock_unlock(&mk->lock);
	return NIC_OK;
}
