// SPDX-License-Identifier: MIT
/* The sending side of the reliable multi-packet protocol (IBA 13.6). */
#include "models/nic/sa_rmpp.h"

#include <stdlib.h>
#include <string.h>

static uint32_t segs_of(uint32_t len)
{
	return len ? (len + IB_SA_DATA_BYTES - 1) / IB_SA_DATA_BYTES : 1;
}

/* Payload as RMPP counts it: every segment brings its copy of the SA header. */
static uint32_t payload_len(uint32_t len, uint32_t n_segs, uint32_t seg)
{
	if (seg == n_segs && n_segs > 1)
		return len - (n_segs - 1) * IB_SA_DATA_BYTES + IB_SA_HDR_PAYLOAD;
	return seg == 1 ? len + n_segs * IB_SA_HDR_PAYLOAD : 0;
}

static void make_segment(const struct nic_rmpp *r, uint32_t seg, uint8_t out[IB_MAD_SIZE])
{
	uint32_t off = (seg - 1) * IB_SA_DATA_BYTES;
	uint32_t n = r->len - off < IB_SA_DATA_BYTES ? r->len - off : IB_SA_DATA_BYTES;

	memset(out, 0, IB_MAD_SIZE);
	memcpy(out, r->head, IB_SA_DATA_OFF);
	mlx5_set(out, IB_RMPP_VERSION, 1);
	mlx5_set(out, IB_RMPP_TYPE, IB_RMPP_DATA);
	mlx5_set(out, IB_RMPP_STATUS, 0);
	mlx5_set(out, IB_RMPP_FLAGS,
		 IB_RMPP_F_ACTIVE | (seg == 1 ? IB_RMPP_F_FIRST : 0) |
			 (seg == r->n_segs ? IB_RMPP_F_LAST : 0));
	mlx5_set(out, IB_RMPP_SEG, seg);
	mlx5_set(out, IB_RMPP_LEN, payload_len(r->len, r->n_segs, seg));
	if (n)
		memcpy(out + IB_SA_DATA_OFF, r->data + off, n);
}

void nic_rmpp_end(struct nic_rmpp *r)
{
	free(r->data);
	memset(r, 0, sizeof(*r));
}

static struct nic_rmpp *find(struct nic_rmpp *set, uint32_t src_qp, uint64_t tid)
{
	unsigned i;

	for (i = 0; i < NIC_RMPP_MAX; i++)
		if (set[i].data && set[i].src_qp == src_qp && set[i].tid == tid)
			return &set[i];
	return NULL;
}

static struct nic_rmpp *take(struct nic_rmpp *set, uint32_t src_qp, uint64_t tid)
{
	struct nic_rmpp *r = find(set, src_qp, tid), *oldest = &set[0];
	unsigned i;

	for (i = 0; i < NIC_RMPP_MAX && !r; i++) {
		if (!set[i].data)
			r = &set[i];
		else if (set[i].started < oldest->started)
			oldest = &set[i];
	}
	r = r ? r : oldest;
	nic_rmpp_end(r);
	return r;
}

void nic_rmpp_start(struct nic_rmpp set[NIC_RMPP_MAX], uint32_t src_qp,
		    const uint8_t head[IB_SA_DATA_OFF], uint8_t *data, uint32_t len, uint64_t now,
		    uint8_t out[IB_MAD_SIZE])
{
	uint64_t tid = mlx5_get(head, IB_MAD_TID);
	struct nic_rmpp one = { .data = data, .len = len, .n_segs = segs_of(len) };
	struct nic_rmpp *r;

	memcpy(one.head, head, IB_SA_DATA_OFF);
	make_segment(&one, 1, out);
	if (one.n_segs == 1) {
		free(data);
		return;
	}
	one.next = 2;
	one.window = 1;
	one.src_qp = src_qp;
	one.tid = tid;
	one.started = now;
	r = take(set, src_qp, tid);
	*r = one;
}

static bool reject(struct nic_rmpp *r, const uint8_t *in, uint8_t status, uint8_t *out)
{
	if (r)
		nic_rmpp_end(r);
	memcpy(out, in, IB_MAD_SIZE);
	mlx5_set(out, IB_MAD_METHOD, mlx5_get(in, IB_MAD_METHOD) ^ IB_METHOD_RESP);
	mlx5_set(out, IB_RMPP_VERSION, 1);
	mlx5_set(out, IB_RMPP_TYPE, IB_RMPP_ABORT);
	mlx5_set(out, IB_RMPP_FLAGS, IB_RMPP_F_ACTIVE);
	mlx5_set(out, IB_RMPP_STATUS, status);
	mlx5_set(out, IB_RMPP_SEG, 0);
	mlx5_set(out, IB_RMPP_LEN, 0);
	return true;
}

static bool send_next(struct nic_rmpp *r, uint8_t *out)
{
	if (r->next > r->window || r->next > r->n_segs)
		return false;
	make_segment(r, r->next++, out);
	return true;
}

static bool on_ack(struct nic_rmpp *r, const uint8_t *in, uint8_t *out)
{
	uint32_t seg = (uint32_t)mlx5_get(in, IB_RMPP_SEG);
	uint32_t window = (uint32_t)mlx5_get(in, IB_RMPP_LEN);

	if (!r)
		return false; /* the only segment's, or late */
	if (window < seg)
		return reject(r, in, IB_RMPP_ST_W2S, out);
	if (seg >= r->next)
		return reject(r, in, IB_RMPP_ST_S2B, out);
	if (seg == r->n_segs) {
		nic_rmpp_end(r);
		return false;
	}
	if (window < r->window)
		return false; /* an old one */
	r->window = window < r->n_segs ? window : r->n_segs;
	/* What comes after an acknowledgement in the middle of a window was lost: again. */
	r->next = seg + 1;
	return send_next(r, out);
}

bool nic_rmpp_input(struct nic_rmpp set[NIC_RMPP_MAX], uint32_t src_qp,
		    const uint8_t in[IB_MAD_SIZE], uint8_t out[IB_MAD_SIZE])
{
	struct nic_rmpp *r = find(set, src_qp, mlx5_get(in, IB_MAD_TID));

	if (mlx5_get(in, IB_RMPP_TYPE) == IB_RMPP_STOP ||
	    mlx5_get(in, IB_RMPP_TYPE) == IB_RMPP_ABORT) {
		if (r)
			nic_rmpp_end(r);
		return false;
	}
	if (mlx5_get(in, IB_RMPP_VERSION) != 1)
		return reject(r, in, IB_RMPP_ST_UNV, out);
	if (mlx5_get(in, IB_RMPP_TYPE) != IB_RMPP_ACK)
		return reject(r, in, IB_RMPP_ST_BADT, out);
	return on_ack(r, in, out);
}

bool nic_rmpp_next(struct nic_rmpp set[NIC_RMPP_MAX], uint32_t src_qp, uint8_t out[IB_MAD_SIZE])
{
	unsigned i;

	for (i = 0; i < NIC_RMPP_MAX; i++)
		if (set[i].data && set[i].src_qp == src_qp && send_next(&set[i], out))
			return true;
	return false;
}
