// SPDX-License-Identifier: MIT
/*
 * Work requests of a hostile program: two connected queue pairs of one service, a queue pair that
 * changes memory keys, shared receive queues, and keys of every sort; requests that are right, odd
 * or garbage, with doorbells, page faults, a bad cable and changes of state in between. The machine
 * and what it watches: nic_guest.h. Every byte of memory that a key does not grant for that access
 * is out of bounds, and so is memory no key ever had.
 *
 * The input: a byte for the service, a byte for the shape, then a program of operations.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "tests/fuzz/nic_wqe.h"

struct post {
	uint8_t b[1024];
	uint32_t len;
};

/* ---- requests ---- */

static void put(struct post *w, const void *p, uint32_t len)
{
	if (len > sizeof(w->b) - w->len)
		return;
	memcpy(w->b + w->len, p, len);
	w->len += len;
}

static uint32_t key(struct guest *g)
{
	uint8_t k = wqe_u8(g);

	if (k < 200)
		return g->key[k % KEYS];
	if (k < 215)
		return g->key[k % KEYS] + 1;
	if (k < 245)
		return 0x100u * (0x9 + k % 6); /* reserved ones and their neighbours */
	return fuzz_u32(&g->in);
}

/* An address that makes sense for some key: often near its beginning or end. */
static uint64_t address(struct guest *g)
{
	static const uint32_t at[] = {
		VA(ALL) + EDGE,
		VA(ALL) + EDGE + ALL_LEN,
		VA(READABLE),
		VA(READABLE) + 0x4000,
		VA(FOREIGN),
		VA(WRITABLE),
		VA(WRITABLE) + 0x2fff,
		VA(DEMAND),
		VA(DEMAND) + 0x2000,
		VA(PAGES),
		VA(LIST),
		0,
		0x1000,
		0x1841,
		0x40,
		0x3000,
	};
	uint8_t how = wqe_u8(g);
	uint64_t a = at[how % 16];

	if (how & 0x80)
		return a + fuzz_u16(&g->in) % 0x4000;
	return how & 0x40 ? a - fuzz_u8(&g->in) : how & 0x20 ? g_odd(&g->in) : a + fuzz_u8(&g->in);
}

/* A key with an address of its own, three times in four; else any two. */
static uint64_t place(struct guest *g, uint32_t *ret_key)
{
	static const uint32_t begins[KEYS] = { VA(ALL) + EDGE, VA(READABLE), VA(FOREIGN),
					       VA(WRITABLE),   VA(DEMAND),   VA(PAGES),
					       VA(LIST) };
	static const uint8_t mostly[] = { K_ALL,    K_ALL,    K_ALL,	K_ALL,	K_DEMAND, K_DEMAND,
					  K_PAGES,  K_READ,   K_WRITE,	K_LIST, K_RANGES, K_BLOCKS,
					  K_NESTED, K_DEVICE, K_WINDOW, K_BOUND };
	uint8_t how = wqe_u8(g), k = mostly[how & 15];

	if (how >= 192) {
		*ret_key = key(g);
		return address(g);
	}
	*ret_key = g->key[k];
	return begins[k] + (how & 16 ? fuzz_u16(&g->in) % 0x3fffu : (wqe_u8(g) & 31) * 8u);
}

static void segment(struct guest *g, struct post *w)
{
	uint8_t s[16], how = wqe_u8(g);
	uint32_t len = how < 176 ? how :
		       how < 224 ? fuzz_u16(&g->in) & 0x1fff :
				   (uint32_t)g_odd(&g->in);
	uint32_t k;

	mlx5_set32(s, 0, len & 0x7fffffff);
	mlx5_set64(s, 8, place(g, &k));
	mlx5_set32(s, 4, k);
	put(w, s, 16);
}

static void inline_data(struct guest *g, struct post *w)
{
	uint8_t s[160] = { 0 };
	uint32_t len = wqe_u8(g) % 140, claim = wqe_u8(g) > 230 ? fuzz_u16(&g->in) : len;

	mlx5_set32(s, 0, 0x80000000u | claim);
	s[4] = wqe_u8(g);
	put(w, s, (4 + len + 15) / 16 * 16);
}

static void remote(struct guest *g, struct post *w, uint8_t op)
{
	uint8_t s[32] = { 0 };
	uint32_t k;
	uint64_t at = place(g, &k);

	mlx5_set64(s, 0, op > 0x10 && wqe_u8(g) < 240 ? (at + 7) & ~7ull : at);
	mlx5_set32(s, 8, k);
	mlx5_set64(s, 16, wqe_u8(g));
	mlx5_set64(s, 24, wqe_u8(g));
	put(w, s, op == 0x11 || op == 0x12 ? 32 : 16);
}

static void vector(struct guest *g, struct post *w)
{
	uint8_t s[48] = { 0 }, how = wqe_u8(g);
	uint32_t to = how & 1 ? g->qpn[A] : g->qpn[B];

	if (g->type == NIC_QP_DCI) {
		to = g->qpn[B];
		mlx5_set64(s, 0, how > 240 ? fuzz_u32(&g->in) : DC_KEY);
	} else {
		mlx5_set32(s, 0, how > 240 ? fuzz_u32(&g->in) : 0x1234);
	}
	mlx5_set32(s, 8, (how & 2 ? 1u << 31 : 0) | (how > 220 ? fuzz_u32(&g->in) & 0xffffff : to));
	s[15] = how > 230 ? wqe_u8(g) : 2;
	s[14] = how > 250 ? 0xc0 : 0;
	s[28] = how & 4 ? 0x40 : 0;
	s[32] = 0xff;
	put(w, s, how & 2 ? 48 : 16);
}

static uint32_t ring_off(const struct guest *g, unsigned q)
{
	const struct nic_qp *qp = nic_find_qp(g_nic, g->qpn[q]);

	return qp ? qp->sq.off : 0;
}

/* The guest writes the doorbell record of a queue: half 0 receives, 1 sends. */
static void record(unsigned db, unsigned half, uint32_t val)
{
	mlx5_set32(g_mem[SYSTEM], DB_AT(db) + half * 4, val);
}

static void bell(struct guest *g, unsigned q)
{
	g_write64((uint64_t)g->uar * 0x1000 + 0x800, (uint64_t)g->qpn[q] << 8);
}

/* Into the ring, going round at its end, as a driver does; spoiled if the input says so. */
static void post(struct guest *g, unsigned q, struct post *w)
{
	uint32_t off = ring_off(g, q), mask = (1u << g->log_sq) - 1, i, nbb;
	uint8_t how = wqe_u8(g);

	w->b[1] = (uint8_t)(g->sq_pi[q] >> 8);
	w->b[2] = (uint8_t)g->sq_pi[q];
	mlx5_set32(w->b, 4, g->qpn[q] << 8 | w->len / 16);
	if (how > 230)
		w->b[wqe_u8(g) % w->len] = wqe_u8(g);
	g_saw_request(w->b[3]);
	nbb = (w->len + 63) / 64;
	/* Pages of whoever may name pages are the guest's to give. */
	if (q == U)
		g_scan(w->b, w->len);
	for (i = 0; i < nbb; i++)
		memcpy(&g_mem[RING_A + q][off + ((g->sq_pi[q] + i) & mask) * 64u], w->b + i * 64,
		       64);
	g->sq_pi[q] = (uint16_t)(g->sq_pi[q] + nbb);
	record(2 + q, 1, how > 250 ? wqe_u8(g) : g->sq_pi[q]);
	bell(g, q);
}

static void start(struct guest *g, struct post *w, uint8_t op, uint32_t imm)
{
	memset(w, 0, sizeof(*w));
	w->b[3] = op;
	w->b[11] = wqe_u8(g) & 2 ? 0x8 : 0xa;
	mlx5_set32(w->b, 12, imm);
	w->len = 16;
}

static void op_post(struct guest *g)
{
	static const uint8_t ops[] = { 0x0a, 0x0a, 0x0b, 0x01, 0x08, 0x08, 0x09, 0x10,
				       0x10, 0x11, 0x12, 0x00, 0x25, 0x0a, 0x09, 0x0c };
	uint8_t how = wqe_u8(g), op = ops[how & 15], s[16] = { 0 };
	struct post w;
	unsigned n;
	uint32_t k;

	start(g, &w, op, op == 0x01 ? key(g) : fuzz_u8(&g->in));
	if (g->type == NIC_QP_XRC) {
		mlx5_set32(s, 0, how > 250 ? wqe_u8(g) : g->xsrqn);
		put(&w, s, 16);
	}
	if (g->type == NIC_QP_UD || g->type == NIC_QP_DCI)
		vector(g, &w);
	if ((op >= 0x08 && op <= 0x09) || (op >= 0x10 && op <= 0x12))
		remote(g, &w, op);
	if (op == 0x11 || op == 0x12) {
		mlx5_set32(s, 0, how & 0x40 ? 8 : wqe_u8(g));
		mlx5_set64(s, 8, place(g, &k));
		mlx5_set32(s, 4, k);
		put(&w, s, 16);
	} else {
		for (n = wqe_u8(g) % 4; n; n--)
			segment(g, &w);
		if (how & 0x20)
			inline_data(g, &w);
	}
	post(g, how >> 4 & 1 && g->type != NIC_QP_DCI ? B : A, &w);
}

/* Many segments: up to and over what a request holds. */
static void op_post_long(struct guest *g)
{
	struct post w;
	unsigned n = wqe_u8(g) % 66, i;
	uint8_t s[16];
	uint32_t k;

	start(g, &w, wqe_u8(g) & 1 ? 0x08 : 0x0a, 0);
	if (w.b[3] == 0x08)
		remote(g, &w, 0x08);
	mlx5_set32(s, 0, wqe_u8(g));
	mlx5_set64(s, 8, place(g, &k));
	mlx5_set32(s, 4, k);
	for (i = 0; i < n && w.len < 1008; i++)
		put(&w, s, 16);
	post(g, wqe_u8(g) & 1, &w);
}

static void umr_context(struct guest *g, uint8_t *m, uint8_t how)
{
	mlx5_set32(m, 0, (uint32_t)(wqe_u8(g) & 31) << 10 | (how & 1 ? 1u << 30 : 0));
	mlx5_set(m, MLX5_MKC_QPN, how & 2 ? g->qpn[A] : 0xffffff);
	mlx5_set(m, MLX5_MKC_MKEY_7_0, how & 4 ? wqe_u8(g) : 0);
	mlx5_set(m, MLX5_MKC_PD, g->pd);
	mlx5_set(m, MLX5_MKC_START_ADDR, address(g));
	mlx5_set(m, MLX5_MKC_LEN, g_odd(&g->in));
	mlx5_set(m, MLX5_MKC_LOG_PAGE_SIZE, 12);
}

/* A list for a key: pages of PAGES or DEMAND, or ranges of other keys. */
static void umr_list(struct guest *g, uint8_t *list, unsigned octo, bool of_pages)
{
	unsigned i;

	for (i = 0; i < octo; i++) {
		if (of_pages) {
			mlx5_set64(
				list, i * 16,
				G_BUS(wqe_u8(g) & 1 ? PAGES : DEMAND, (wqe_u8(g) & 3) * 0x1000u) |
					3);
			mlx5_set64(list, i * 16 + 8, wqe_u8(g) & 3 ? G_BUS(DEMAND, 0x3000) | 3 : 0);
		} else {
			mlx5_set32(list, i * 16, (uint32_t)g_odd(&g->in));
			mlx5_set32(list, i * 16 + 4, key(g));
			mlx5_set64(list, i * 16 + 8, address(g));
		}
	}
}

static bool lists_pages(const struct guest *g, uint32_t k)
{
	const struct nic_mkey *mk = nic_find_mkey(g_nic, k);

	return mk && mk->mode == NIC_MKEY_MTT;
}

static void op_umr(struct guest *g)
{
	static const uint8_t flags[] = { 0x80, 0x80, 0x00, 0xa0, 0xc0, 0x90, 0x10, 0x88 };
	static const uint32_t masks[] = {
		0, 0x1 | 0x40, 1u << 29, 0x3e0000, 0x2000, 0x4000, 0x180
	};
	uint8_t how = wqe_u8(g), ctrl[112] = { 0 }, list[128], s[16];
	uint32_t k = how & 0x80 ? g->key[K_WINDOW] : key(g), len;
	unsigned octo = wqe_u8(g) % 9;
	struct post w;

	start(g, &w, 0x25, k);
	ctrl[0] = flags[how & 7];
	mlx5_set32(ctrl, 4, octo << 16 | (how & 8 ? wqe_u8(g) & 7 : 0));
	mlx5_set64(ctrl, 8, masks[wqe_u8(g) % 7] | (how & 0x40 ? fuzz_u32(&g->in) : 0));
	umr_context(g, ctrl + 48, wqe_u8(g));
	put(&w, ctrl, 112);
	umr_list(g, list, octo < 8 ? octo : 8, lists_pages(g, k));
	len = (octo < 8 ? octo : 8) * 16;
	if (ctrl[0] & 0x80) {
		put(&w, list, len);
	} else {
		g_scan(list, len);
		memcpy(&g_mem[LIST][(how & 0x30) * 16u], list, len);
		mlx5_set32(s, 0, wqe_u8(g) > 240 ? wqe_u8(g) : len);
		mlx5_set32(s, 4, how & 0x20 ? key(g) : g->key[K_LIST]);
		mlx5_set64(s, 8, VA(LIST) + (how & 0x30) * 16u);
		put(&w, s, 16);
	}
	post(g, how & 0x10 ? U : A, &w);
}

/* ---- receives ---- */

static void entry(struct guest *g, uint8_t *p, unsigned room)
{
	struct post w = { .len = 0 };
	unsigned n = wqe_u8(g) % 5;

	for (; n && w.len < room; n--)
		segment(g, &w);
	if (w.len < room) {
		mlx5_set32(w.b, w.len, 0);
		mlx5_set32(w.b, w.len + 4, 0x100);
	}
	memcpy(p, w.b, room);
}

static void op_receive(struct guest *g)
{
	unsigned q = wqe_u8(g) & 1, stride = 16u << g->log_stride;
	uint8_t n = wqe_u8(g) % 4 + 1;

	/* B may share; then its ring is all sends. */
	if (g->type == NIC_QP_XRC || (q == B && g->shared))
		return;
	while (n--)
		entry(g, &g_mem[RING_A + q][g->rq_pi[q]++ % RQ_ENTRIES * stride], stride);
	record(2 + q, 0, wqe_u8(g) > 250 ? wqe_u8(g) : g->rq_pi[q]);
}

static void op_share(struct guest *g)
{
	uint8_t how = wqe_u8(g), *p;
	unsigned x = g->type == NIC_QP_XRC, n = (how & 3) + 1;

	while (n--) {
		p = &g_mem[RING_U][(x ? XSRQ_AT : SRQ_AT) + g->srq_at[x] * 64u];
		memset(p, 0, 64);
		g->srq_at[x] = how > 240 ? wqe_u8(g) & 15 : (g->srq_at[x] + 1) & 15;
		p[3] = (uint8_t)g->srq_at[x];
		entry(g, p + 16, 48);
		g->srq_posted[x]++;
	}
	record(8 + x, 0, how == 0xff ? fuzz_u16(&g->in) : g->srq_posted[x]);
}

/* ---- the rest ---- */

static void look_at(struct guest *g, unsigned i)
{
	const struct nic_cq *cq = nic_find_cq(g_nic, g->cqn[i]);
	const uint8_t *e;

	if (!cq)
		return;
	if (((cq->pi - g->cq_ci[i]) & 0xffffff) > 1u << LOG_CQ)
		g->cq_ci[i] = (cq->pi - (1u << LOG_CQ)) & 0xffffff;
	for (; g->cq_ci[i] != cq->pi; g->cq_ci[i] = (g->cq_ci[i] + 1) & 0xffffff) {
		e = &g_mem[SYSTEM][CQ_AT(i) + (g->cq_ci[i] & ((1u << LOG_CQ) - 1)) * 64u];
		fuzz_promise((e[63] & 1) == (g->cq_ci[i] >> LOG_CQ & 1),
			     "completions come in order");
		g_saw_completion(e[63] >> 4, e[63] >> 4 > 0xc ? e[55] : 0);
	}
}

static void step(struct guest *g, unsigned n)
{
	g_run(n);
	look_at(g, 0);
	look_at(g, 1);
}

static void op_run(struct guest *g)
{
	step(g, wqe_u8(g) % 16 + 1);
}

static void op_time(struct guest *g)
{
	g_pass(g_odd(&g->in) * 1000 & 0xffffffff);
	step(g, 8);
}

static void op_consume(struct guest *g)
{
	unsigned i = wqe_u8(g) & 1;

	record(i, 0, g->cq_ci[i]);
	g_write64((uint64_t)g->uar * 0x1000 + 0x20,
		  (uint64_t)(g->cq_ci[i] | (wqe_u8(g) & 1u) << 24) << 32 | g->cqn[i]);
	step(g, 2);
}

static void op_fault(struct guest *g)
{
	uint8_t how = wqe_u8(g);

	g_fault(how & 1, (enum mdl_fault_action)(how >> 1 & 7), wqe_u8(g) * 4u, wqe_u8(g) % 8);
}

/* Answer the page faults the device told of, well or not. */
static void op_resume(struct guest *g)
{
	const struct nic_eq *eq =
		(const struct nic_eq *)nic_table_find(&g_nic->table[NIC_T_EQ], g->eqn);
	uint8_t how = wqe_u8(g);
	const uint8_t *e;
	uint32_t token;

	for (; eq && g->eq_ci != eq->pi; g->eq_ci = (g->eq_ci + 1) & 0xffffff) {
		e = &g_mem[SYSTEM][EQ_AT + (g->eq_ci & 63) * 64u];
		if (e[1] != NIC_EV_PAGE_FAULT)
			continue;
		token = how & 0x80 ? fuzz_u32(&g->in) : mlx5_get32(e, 0x28);
		wqe_begin(g, 0x204, how & 1 ? 1u << 31 : 0);
		mlx5_set32(g->cmd, 12, token);
		wqe_run(g, 16);
	}
	g_write32((uint64_t)g->uar * 0x1000 + 0x40, g->eqn << 24 | g->eq_ci);
	step(g, 4);
}

static void op_state(struct guest *g)
{
	static const uint16_t ops[] = { 0x507, 0x50a, 0x50c, 0x505, 0x50a, 0x50a };
	uint8_t how = wqe_u8(g);
	unsigned i = (how >> 4) % QPS, op = (how & 15) % 6;

	wqe_transition(g, ops[op], i, g->qpn[1 - (i & 1)]);
	if (op == 1 || op > 3) {
		/* From reset a queue pair begins anew. */
		g->sq_pi[i] = g->rq_pi[i] = 0;
		record(2 + i, 0, 0);
		record(2 + i, 1, 0);
		wqe_up(g, i, i == U ? 0 : g->qpn[1 - i]);
	}
	step(g, 4);
}

static void op_destroy(struct guest *g)
{
	uint8_t how = wqe_u8(g);

	if (how < 200) {
		wqe_begin(g, 0x202, g->key[how % KEYS] >> 8);
	} else if (how < 230) {
		wqe_begin(g, 0x706, g->xsrqn);
	} else {
		wqe_begin(g, how & 2 ? 0x501 : 0x712, g->qpn[how & 1]);
	}
	wqe_run(g, 16);
	step(g, 2);
}

static void op_arm(struct guest *g)
{
	uint8_t how = wqe_u8(g);

	wqe_begin(g, how & 1 ? 0x703 : 0x708, how & 1 ? g->srqn : g->xsrqn);
	mlx5_set32(g->cmd, 12, how >> 1 & 15);
	wqe_run(g, 16);
}

/* Anything into a ring, and anything into its doorbell record. */
static void op_garbage(struct guest *g)
{
	uint8_t how = wqe_u8(g), b[64];
	unsigned q = how & 1, n = wqe_u8(g) % 64, i;
	uint32_t off = ring_off(g, q) + (fuzz_u8(&g->in) & ((1u << g->log_sq) - 1)) * 64u;

	for (i = 0; i < n; i++)
		b[i] = wqe_u8(g);
	memcpy(&g_mem[RING_A + q][off], b, n);
	if (how & 2)
		record(2 + q, how >> 2 & 1, fuzz_u16(&g->in));
	if (how & 8)
		g->sq_pi[q] = (uint16_t)(g->sq_pi[q] + (how >> 4));
	record(2 + q, 1, g->sq_pi[q]);
	bell(g, q);
}

static void op_link(struct guest *g)
{
	g_link(wqe_u8(g) & 1);
	step(g, 4);
}

static void (*const ops[])(struct guest *g) = {
	op_post,    op_receive, op_run,	   op_post, op_umr,	op_run,	   op_share,   op_consume,
	op_time,    op_fault,	op_resume, op_post, op_state,	op_run,	   op_destroy, op_arm,
	op_garbage, op_link,	op_post,   op_time, op_receive, op_resume, op_share,   op_post_long,
};

/* ---- what is promised ---- */

static void all_let_go(struct nic_table *t, bool (*free)(struct nic_obj *o), const char *what)
{
	uint32_t i, left = t->used;

	for (i = 0; i < t->cap && left; i++) {
		if (!t->own[i])
			continue;
		left--;
		fuzz_promise(free(t->own[i]), what);
	}
}

static bool key_free(struct nic_obj *o)
{
	pthread_rwlock_t *l = &((struct nic_mkey *)o)->lock;

	return !pthread_rwlock_trywrlock(l) && !pthread_rwlock_unlock(l);
}

static bool qp_free(struct nic_obj *o)
{
	struct nic_qp *qp = (struct nic_qp *)o;

	return !pthread_mutex_trylock(&qp->req.lock) && !pthread_mutex_unlock(&qp->req.lock) &&
	       !pthread_mutex_trylock(&qp->rsp.lock) && !pthread_mutex_unlock(&qp->rsp.lock);
}

/* Between two slices nobody holds anything. */
static void check(void)
{
	all_let_go(&g_nic->table[NIC_T_MKEY], key_free, "keys are let go after use");
	all_let_go(&g_nic->table[NIC_T_QP], qp_free, "queue pairs are let go after use");
}

/* FUZZ_PLANT: take back memory a key has; right requests must then be found out. */
static void plant(void)
{
	if (getenv("FUZZ_PLANT"))
		g_give(ALL, EDGE + 8, 1, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct guest g;

	memset(&g, 0, sizeof(g));
	g.in = (struct fuzz_input){ data, size };
	g_begin();
	wqe_set_up(&g);
	plant();
	while (g.in.left)
		ops[wqe_u8(&g) % (sizeof(ops) / sizeof(ops[0]))](&g);
	step(&g, 64);
	g_pass(1000000000);
	step(&g, 64);
	check();
	g_end();
	return 0;
}
