// SPDX-License-Identifier: MIT
#include "datarig.h"
#include "models/nic/dct.h"
#include "models/nic/sig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct mdl_worker {
	int unused;
};
struct mdl_device {
	struct nic *nic;
	uint64_t count[NIC_C_COUNT];
};

struct fault {
	enum mdl_fault_action action;
	uint64_t arg;
	unsigned after, count, permille;
};

uint8_t rig_mem[RIG_MEM] __attribute__((aligned(4096)));
struct nic rig_nic[2];
uint64_t rig_now;
struct rig_done rig_log[4096];
unsigned rig_logged;
struct rig_event rig_events[256];
unsigned rig_n_events;

static struct mdl_device dev[2];
static struct mdl_worker worker;
static struct fault fault[2][NIC_F_COUNT];
static uint64_t bad_addr, bad_len, zone;
static bool link_up;
static uint32_t rng;
static struct nic_eq fault_eq;

static uint32_t next_random(void)
{
	rng = rng * 1664525 + 1013904223;
	return rng >> 8;
}

/* ---- models/common ---- */

void *mdl_device_priv(const struct mdl_device *d)
{
	return d->nic;
}

void mdl_count_add(struct mdl_device *d, unsigned idx, uint64_t n)
{
	d->count[idx] += n;
}

uint64_t mdl_now_ns(void)
{
	return rig_now;
}

void mdl_worker_kick(struct mdl_worker *w)
{
}

void mdl_worker_after(struct mdl_worker *w, uint64_t ns)
{
}

bool mdl_fault(struct mdl_device *d, unsigned idx, struct mdl_fault_hit *hit)
{
	struct fault *f = &fault[d - dev][idx];

	if (!f->action || !f->count)
		return false;
	if (f->after) {
		f->after--;
		return false;
	}
	if (f->permille && next_random() % 1000 >= f->permille)
		return false;
	f->count--;
	*hit = (struct mdl_fault_hit){ f->action, f->arg };
	return true;
}

bool mdl_dma_valid(const struct mdl_dma *d)
{
	return d->dev;
}

static int resolve(struct mdl_dma *d, uint64_t addr, uint64_t len, uint8_t **ret)
{
	if (len > RIG_MEM || addr > RIG_MEM - len ||
	    (bad_len && addr < bad_addr + bad_len && bad_addr < addr + len)) {
		d->fault_addr = addr;
		return -EFAULT;
	}
	*ret = rig_mem + addr;
	return 0;
}

int mdl_dma_read(struct mdl_dma *d, enum mdl_space space, uint64_t addr, void *buf, size_t len,
		 enum mdl_class cls)
{
	uint8_t *m;
	int err = resolve(d, addr, len, &m);

	if (!err)
		memcpy(buf, m, len);
	return err;
}

int mdl_dma_write(struct mdl_dma *d, enum mdl_space space, uint64_t addr, const void *buf,
		  size_t len, enum mdl_class cls)
{
	uint8_t *m;
	int err = resolve(d, addr, len, &m);

	if (!err)
		memcpy(m, buf, len);
	return err;
}

int mdl_dma_load(struct mdl_dma *d, enum mdl_space space, uint64_t addr, size_t size, uint64_t *val)
{
	*val = 0;
	return mdl_dma_read(d, space, addr, val, size, MDL_CTRL);
}

int mdl_dma_cmp_swap(struct mdl_dma *d, enum mdl_space space, uint64_t addr, size_t size,
		     uint64_t compare, uint64_t swap, uint64_t *ret_old)
{
	int err = mdl_dma_load(d, space, addr, size, ret_old);

	if (!err && *ret_old == compare)
		err = mdl_dma_write(d, space, addr, &swap, size, MDL_CTRL);
	return err;
}

int mdl_dma_fetch_add(struct mdl_dma *d, enum mdl_space space, uint64_t addr, size_t size,
		      uint64_t add, uint64_t *ret_old)
{
	int err = mdl_dma_load(d, space, addr, size, ret_old);
	uint64_t sum = *ret_old + add;

	return err ? err : mdl_dma_write(d, space, addr, &sum, size, MDL_CTRL);
}

static uint64_t sum(const struct mdl_seg *s, unsigned n)
{
	uint64_t len = 0;

	while (n--)
		len += s[n].len;
	return len;
}

int mdl_dma_copyv(struct mdl_dma *dd, const struct mdl_seg *d, unsigned nd, struct mdl_dma *ds,
		  const struct mdl_seg *s, unsigned ns, enum mdl_class cls, uint64_t *ret_done)
{
	uint64_t off_d = 0, off_s = 0, n;
	uint8_t *to, *from;

	if (sum(d, nd) != sum(s, ns))
		return -EINVAL;
	while (nd) {
		n = d->len - off_d < s->len - off_s ? d->len - off_d : s->len - off_s;
		if (resolve(ds, s->addr + off_s, n, &from) || resolve(dd, d->addr + off_d, n, &to))
			return -EFAULT;
		memmove(to, from, n);
		off_d += n;
		off_s += n;
		if (off_d == d->len) {
			d++, nd--;
			off_d = 0;
		}
		if (off_s == s->len) {
			s++;
			off_s = 0;
		}
	}
	return 0;
}

/* ---- the rest of the NIC ---- */

int nic_cq_post(struct nic_cq *cq, const struct nic_cqe *e)
{
	static uint8_t kept[4096][64];
	static struct nic_sig_err kept_sig[4096];

	if (rig_logged == 4096)
		return 0;
	rig_log[rig_logged] = (struct rig_done){ cq, *e };
	if (e->inline_len) {
		memcpy(kept[rig_logged], e->inline_data, e->inline_len);
		rig_log[rig_logged].e.inline_data = kept[rig_logged];
	}
	if (e->sig) {
		kept_sig[rig_logged] = *e->sig;
		rig_log[rig_logged].e.sig = &kept_sig[rig_logged];
	}
	rig_logged++;
	return 0;
}

static void log_event(uint8_t type, uint8_t subtype, uint32_t num, const void *data)
{
	struct rig_event *e = &rig_events[rig_n_events];

	if (rig_n_events == 256)
		return;
	rig_n_events++;
	*e = (struct rig_event){ .type = type, .subtype = subtype, .num = num };
	if (data)
		memcpy(e->data, data, sizeof(e->data));
}

void nic_event(struct nic *nic, uint8_t type, uint8_t subtype, const void *data)
{
	log_event(type, subtype, 0, data);
}

void nic_event_qp(struct nic *nic, uint8_t type, uint32_t qpn)
{
	log_event(type, 0, qpn, NULL);
}

void nic_event_srq(struct nic *nic, uint8_t type, uint32_t srqn)
{
	log_event(type, 0, srqn, NULL);
}

void nic_qp_kick(struct nic_qp *qp)
{
	nic_dbset_add(&qp->dw->qps, qp->obj.id);
}

void nic_qp_error(struct nic_qp *qp, uint8_t event)
{
	if (atomic_exchange(&qp->state, NIC_QPS_ERR) == NIC_QPS_ERR)
		return;
	if (event)
		nic_event_qp(qp->nic, event, qp->obj.id);
	nic_qp_kick(qp);
}

void nic_qp_send_error(struct nic_qp *qp)
{
	if (qp->type != NIC_QP_UD && qp->type != NIC_QP_UC) {
		nic_qp_error(qp, 0);
		return;
	}
	atomic_store(&qp->state, NIC_QPS_SQER);
	nic_qp_kick(qp);
}

struct nic_qp *nic_find_special(struct nic *nic, unsigned which)
{
	return NULL;
}

struct nic *nic_net_find_lid(struct nic *from, uint16_t lid)
{
	if (!link_up && lid != atomic_load(&from->port.lid))
		return NULL;
	return lid == 2 || lid == 3 ? &rig_nic[lid - 2] : NULL;
}

void nic_net_mcast(struct nic *from, const uint8_t mgid[16], uint16_t mlid,
		   void (*fn)(void *arg, struct nic *nic, uint32_t qpn), void *arg)
{
	fn(arg, &rig_nic[0], 0x60);
	fn(arg, &rig_nic[1], 0x61);
}

bool nic_mad_wire(const struct nic_mad_from *from, struct nic *to, const uint8_t in[NIC_MAD_SIZE],
		  uint8_t out[NIC_MAD_SIZE])
{
	return false;
}

bool nic_mad_next(const struct nic_mad_from *from, uint8_t out[NIC_MAD_SIZE])
{
	return false;
}

int nic_mkey_alloc_xlt(struct nic_mkey *mk, uint8_t mode, uint32_t octo)
{
	return -ENOMEM;
}

/* ---- objects ---- */

static void *object(struct nic *nic, enum nic_type type, uint32_t id, size_t size)
{
	struct nic_obj *o = calloc(1, size);

	o->type = (uint8_t)type;
	o->id = id;
	nic_table_reserve_id(&nic->table[type], id);
	nic_table_publish(&nic->table[type], o);
	return o;
}

static uint64_t new_zone(struct nic_buf *b)
{
	uint8_t pas[16 * 8];
	uint64_t base = zone;
	unsigned i;

	zone += 0x10000;
	for (i = 0; i < 16; i++)
		mlx5_set64(pas, i * 8, base + i * 4096);
	nic_buf_init(b, pas, 15, 12, 0, 15 * 4096);
	return base + 15 * 4096; /* the last page holds the doorbell record */
}

struct nic_qp *rig_qp(unsigned n, uint32_t qpn, uint8_t type, unsigned peer, uint32_t dqpn)
{
	struct nic_qp *qp = object(&rig_nic[n], NIC_T_QP, qpn, sizeof(*qp));

	qp->nic = &rig_nic[n];
	qp->dw = &rig_nic[n].dw[0];
	qp->dma.dev = &dev[n];
	qp->type = type;
	qp->pd = RIG_PD;
	qp->user_index = qpn + 0x1000;
	qp->db_addr = new_zone(&qp->buf);
	qp->rq = (struct nic_ring){ .off = 0, .log_stride = 6, .log_size = 6 };
	qp->sq = (struct nic_ring){ .off = 4096, .log_stride = 6, .log_size = 6 };
	qp->scq = calloc(1, sizeof(*qp->scq));
	qp->rcq = calloc(1, sizeof(*qp->rcq));
	qp->attr = (struct nic_qp_attr){ .dqpn = dqpn,
					 .mtu = RIG_MTU,
					 .log_msg_max = 30,
					 .retry_count = 7,
					 .rnr_retry = 7,
					 .min_rnr_nak = 1,
					 .rre = true,
					 .rwe = true,
					 .rae = true,
					 .qkey = 0x1234 };
	qp->attr.path.rlid = (uint16_t)(2 + peer);
	qp->attr.path.ack_timeout = 8;
	pthread_mutex_init(&qp->req.lock, NULL);
	pthread_mutex_init(&qp->rsp.lock, NULL);
	nic_req_init(qp);
	nic_rsp_init(qp);
	qp->state = NIC_QPS_RTS;
	/* Close to where sequence numbers wrap. */
	qp->attr.sq_psn = qp->attr.rq_psn = 0xfffff0;
	nic_req_modified(qp, true);
	nic_rsp_modified(qp, NIC_QPS_INIT, true);
	return qp;
}

void rig_pair(uint8_t type, struct nic_qp **a, struct nic_qp **b)
{
	*a = rig_qp(0, 0x40, type, 1, 0x41);
	*b = rig_qp(1, 0x41, type, 0, 0x40);
}

struct nic_mkey *rig_mkey(unsigned n, uint32_t key, uint32_t pd, uint8_t access, uint64_t start,
			  uint64_t len)
{
	struct nic_mkey *mk = object(&rig_nic[n], NIC_T_MKEY, key >> 8, sizeof(*mk));
	uint32_t i;

	mk->nic = &rig_nic[n];
	mk->variant = (uint8_t)key;
	mk->mode = NIC_MKEY_MTT;
	mk->access = access;
	mk->pd = pd;
	mk->qpn = 0xffffff;
	mk->start = start;
	mk->len = len;
	mk->log_page = 12;
	mk->n_xlt = (uint32_t)(((start & 4095) + len + 4095) >> 12);
	mk->cap_octo = (mk->n_xlt + 1) / 2;
	mk->mtt = calloc(mk->cap_octo ? mk->cap_octo : 1, 16);
	for (i = 0; i < mk->n_xlt; i++)
		mk->mtt[i] = ((start & ~4095ull) + i * 4096ull) | NIC_MTT_READ | NIC_MTT_WRITE;
	pthread_rwlock_init(&mk->lock, NULL);
	return mk;
}

struct nic_srq *rig_srq(unsigned n, uint32_t id, uint8_t kind)
{
	struct nic_srq *s = object(&rig_nic[n], NIC_T_SRQ, id, sizeof(*s));

	s->nic = &rig_nic[n];
	s->dma.dev = &dev[n];
	s->kind = kind;
	s->log_size = 4;
	s->log_stride = 6;
	s->pd = RIG_PD;
	s->cq = calloc(1, sizeof(*s->cq));
	s->db_addr = new_zone(&s->buf);
	pthread_mutex_init(&s->lock, NULL);
	return s;
}

static void free_object(struct nic_obj *o)
{
	if (o->type == NIC_T_QP) {
		struct nic_qp *qp = (struct nic_qp *)o;

		nic_req_fini(qp);
		nic_rsp_fini(qp);
		nic_dct_fini(qp);
		nic_buf_fini(&qp->buf);
		free(qp->scq);
		free(qp->rcq);
	} else if (o->type == NIC_T_MKEY) {
		free(((struct nic_mkey *)o)->xlt);
		free(((struct nic_mkey *)o)->sig);
	} else {
		nic_buf_fini(&((struct nic_srq *)o)->buf);
		free(((struct nic_srq *)o)->cq);
	}
	free(o);
}

static const enum nic_type types[] = { NIC_T_QP, NIC_T_SRQ, NIC_T_MKEY };

int rig_setup(void **state)
{
	unsigned i, t;

	memset(rig_mem, 0, sizeof(rig_mem));
	memset(rig_nic, 0, sizeof(rig_nic));
	memset(dev, 0, sizeof(dev));
	memset(fault, 0, sizeof(fault));
	rig_now = 1000;
	rig_logged = rig_n_events = 0;
	bad_len = 0;
	zone = 0x1000;
	zone = 0x10000;
	link_up = true;
	rng = 1;
	for (i = 0; i < 2; i++) {
		struct nic *nic = &rig_nic[i];

		nic->dev = &dev[i];
		dev[i].nic = nic;
		for (t = 0; t < 3; t++)
			nic_table_init(&nic->table[types[t]], 0, 1024);
		nic->dw[0].nic = nic;
		nic->dw[0].worker = &worker;
		nic_dbset_init(&nic->dw[0].qps, 4096);
		nic_timers_init(&nic->dw[0]);
		nic_cable_init(nic);
		nic->port.lid = (uint16_t)(2 + i);
		nic->port.pkey[0] = 0xffff;
		nic->event_eq[NIC_EV_PAGE_FAULT] = &fault_eq;
		rig_mkey(i, RIG_KEY, RIG_PD, 0x1f, 0, RIG_MEM);
	}
	return 0;
}

int rig_teardown(void **state)
{
	unsigned i, t;
	uint32_t k;

	for (i = 0; i < 2; i++) {
		for (t = 0; t < 3; t++) {
			struct nic_table *tab = &rig_nic[i].table[types[t]];

			for (k = 0; k < tab->cap; k++)
				if (tab->slot[k])
					free_object(tab->slot[k]);
			nic_table_fini(tab);
		}
		nic_timers_fini(&rig_nic[i].dw[0]);
		nic_dbset_fini(&rig_nic[i].dw[0].qps);
		nic_cable_fini(&rig_nic[i]);
	}
	return 0;
}

/* ---- requests ---- */

void rig_begin(struct rig_wqe *w, struct nic_qp *qp, uint8_t opcode, uint32_t imm)
{
	memset(w, 0, sizeof(*w));
	w->b[3] = opcode;
	mlx5_set32(w->b, 4, qp->obj.id << 8);
	w->b[11] = 2 << 2;
	mlx5_set32(w->b, 12, imm);
	w->len = 16;
}

void rig_raw(struct rig_wqe *w, const void *p, unsigned len)
{
	memcpy(w->b + w->len, p, len);
	w->len += len;
}

void rig_remote(struct rig_wqe *w, uint64_t addr, uint32_t key)
{
	uint8_t s[16] = { 0 };

	mlx5_set64(s, 0, addr);
	mlx5_set32(s, 8, key);
	rig_raw(w, s, 16);
}

void rig_atomic(struct rig_wqe *w, uint64_t swap_add, uint64_t compare)
{
	uint8_t s[16];

	mlx5_set64(s, 0, swap_add);
	mlx5_set64(s, 8, compare);
	rig_raw(w, s, 16);
}

void rig_sge(struct rig_wqe *w, uint64_t addr, uint32_t len, uint32_t key)
{
	uint8_t s[16];

	mlx5_set32(s, 0, len);
	mlx5_set32(s, 4, key);
	mlx5_set64(s, 8, addr);
	rig_raw(w, s, 16);
}

void rig_inline(struct rig_wqe *w, const void *p, uint32_t len)
{
	mlx5_set32(w->b, w->len, 0x80000000u | len);
	memcpy(w->b + w->len + 4, p, len);
	w->len += (4 + len + 15) / 16 * 16;
}

void rig_post(struct nic_qp *qp, struct rig_wqe *w)
{
	uint16_t pi = (uint16_t)mlx5_get32(rig_mem, (uint32_t)qp->db_addr + 4);
	unsigned i, nbb = (w->len + 63) / 64;

	mlx5_set32(w->b, 0, (uint32_t)pi << 8 | w->b[3]);
	mlx5_set32(w->b, 4, qp->obj.id << 8 | w->len / 16);
	for (i = 0; i < nbb; i++)
		memcpy(rig_mem + nic_buf_addr(&qp->buf, qp->sq.off + (pi + i) % RIG_RING * 64),
		       w->b + i * 64, 64);
	mlx5_set32(rig_mem, (uint32_t)qp->db_addr + 4, (uint16_t)(pi + nbb));
	nic_qp_kick(qp);
}

void rig_recv(struct nic_qp *qp, uint64_t addr, uint32_t len, uint32_t key)
{
	uint16_t pi = (uint16_t)mlx5_get32(rig_mem, (uint32_t)qp->db_addr);
	uint8_t *p = rig_mem + nic_buf_addr(&qp->buf, qp->rq.off + pi % RIG_RING * 64);

	mlx5_set32(p, 0, len);
	mlx5_set32(p, 4, key);
	mlx5_set64(p, 8, addr);
	mlx5_set32(p, 16, 0);
	mlx5_set32(p, 20, 0x100);
	mlx5_set64(p, 24, 0);
	mlx5_set32(rig_mem, (uint32_t)qp->db_addr, (uint16_t)(pi + 1));
}

void rig_srq_post(struct nic_srq *srq, uint16_t idx, uint16_t next, uint64_t addr, uint32_t len)
{
	uint8_t *p = rig_mem + nic_buf_addr(&srq->buf, idx * 64u);

	memset(p, 0, 64);
	p[2] = (uint8_t)(next >> 8);
	p[3] = (uint8_t)next;
	mlx5_set32(p, 16, len);
	mlx5_set32(p, 20, RIG_KEY);
	mlx5_set64(p, 24, addr);
	mlx5_set32(p, 36, 0x100);
	mlx5_set32(rig_mem, (uint32_t)srq->db_addr,
		   mlx5_get32(rig_mem, (uint32_t)srq->db_addr) + 1);
}

void rig_send(struct nic_qp *qp, uint8_t op, uint64_t addr, uint32_t len, uint64_t raddr,
	      uint32_t rkey)
{
	struct rig_wqe w;

	rig_begin(&w, qp, op, 0xabcd1234);
	if (op != NIC_OP_SEND && op != NIC_OP_SEND_IMM && op != NIC_OP_SEND_INVAL)
		rig_remote(&w, raddr, rkey);
	if (len)
		rig_sge(&w, addr, len, RIG_KEY);
	rig_post(qp, &w);
}

/* ---- running ---- */

static bool run_nic(struct nic *nic)
{
	bool any = false;
	uint32_t idx;

	while (nic_dbset_take(&nic->dw[0].qps, &idx)) {
		struct nic_qp *qp = nic_find_qp(nic, idx);

		any = true;
		if (nic_req_run(qp))
			nic_qp_kick(qp);
		if (qp->state == NIC_QPS_ERR)
			nic_rsp_flush(qp);
	}
	return nic_cable_run(&nic->dw[0]) || any;
}

void rig_run_now(void)
{
	while (run_nic(&rig_nic[0]) || run_nic(&rig_nic[1]))
		;
}

unsigned rig_run(void)
{
	unsigned n;

	for (n = 0; n < 100000; n++) {
		uint64_t a, b;

		rig_run_now();
		a = nic_timers_run(&rig_nic[0].dw[0]);
		b = nic_timers_run(&rig_nic[1].dw[0]);
		if (run_nic(&rig_nic[0]) || run_nic(&rig_nic[1]))
			continue;
		if (!a && !b && n)
			break;
		/* Small steps, so that late packets meet the timers in a natural order. */
		rig_now += 50000;
	}
	return n;
}

static const struct nic_cqe *find(const struct nic_qp *qp, bool recv, unsigned i, unsigned *ret_n)
{
	const struct nic_cqe *e = NULL;
	unsigned k, n = 0;

	for (k = 0; k < rig_logged; k++) {
		if (rig_log[k].cq != (recv ? qp->rcq : qp->scq))
			continue;
		if (n++ == i)
			e = &rig_log[k].e;
	}
	*ret_n = n;
	return e;
}

const struct nic_cqe *rig_cqe(const struct nic_qp *qp, bool recv, unsigned i)
{
	unsigned n;

	return find(qp, recv, i, &n);
}

unsigned rig_cqes(const struct nic_qp *qp, bool recv)
{
	unsigned n;

	find(qp, recv, 0, &n);
	return n;
}

void rig_fault(unsigned n, unsigned point, enum mdl_fault_action action, uint64_t arg,
	       unsigned after, unsigned count, unsigned permille)
{
	fault[n][point] = (struct fault){ action, arg, after, count, permille };
}

static uint8_t pattern(uint64_t i, unsigned seed)
{
	return (uint8_t)((i + seed) * 0x9e3779b1u >> 13);
}

void rig_fill(uint64_t addr, uint64_t len, unsigned seed)
{
	uint64_t i;

	for (i = 0; i < len; i++)
		rig_mem[addr + i] = pattern(i, seed);
}

bool rig_is_filled(uint64_t addr, uint64_t len, unsigned seed)
{
	uint64_t i;

	for (i = 0; i < len; i++)
		if (rig_mem[addr + i] != pattern(i, seed))
			return false;
	return true;
}

uint64_t rig_count(unsigned n, unsigned counter)
{
	return dev[n].count[counter];
}

void rig_bad(uint64_t addr, uint64_t len)
{
	bad_addr = addr;
	bad_len = len;
}

void rig_link(bool up)
{
	link_up = up;
}
