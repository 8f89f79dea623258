// SPDX-License-Identifier: MIT
/* An RDMA device that only keeps books: domains, queue pairs, keys, events. */
#include "tests/unit/lib/serve_fake.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "lib/reg/verbs.h"

#undef ibv_query_port
#undef ibv_reg_mr

#define EVENTS 64

struct serve_nic serve_nic;

static struct ibv_device device = { .name = "fake0" };
static struct ibv_device *devices[] = { &device, NULL };
static int post(struct ibv_qp *qp, struct ibv_send_wr *wr, struct ibv_send_wr **bad);
static int poll_cq(struct ibv_cq *cq, int n, struct ibv_wc *wc);
static struct ibv_context context = {
	.device = &device,
	.ops = { .post_send = post, .poll_cq = poll_cq },
	.async_fd = -1,
};
static struct ibv_async_event waiting[EVENTS];
static unsigned n_waiting;
static uint32_t next_number;

/* ---- the device ---- */

struct ibv_device **ibv_get_device_list(int *n)
{
	return devices;
}

void ibv_free_device_list(struct ibv_device **list)
{
}

struct ibv_context *ibv_open_device(struct ibv_device *d)
{
	return &context;
}

int ibv_close_device(struct ibv_context *c)
{
	return 0;
}

int ibv_query_device(struct ibv_context *c, struct ibv_device_attr *attr)
{
	*attr = (struct ibv_device_attr){ .phys_port_cnt = 1, .max_qp_rd_atom = 16 };
	return 0;
}

int ibv_query_port(struct ibv_context *c, uint8_t port, struct _compat_ibv_port_attr *compat)
{
	struct ibv_port_attr *attr = (void *)compat;

	attr->state = serve_nic.no_port ? IBV_PORT_DOWN : IBV_PORT_ACTIVE;
	attr->link_layer = IBV_LINK_LAYER_INFINIBAND;
	attr->active_mtu = IBV_MTU_4096;
	attr->lid = 7;
	return 0;
}

int ibv_query_gid(struct ibv_context *c, uint8_t port, int index, union ibv_gid *gid)
{
	memset(gid, 7, sizeof(*gid));
	return 0;
}

void serve_nic_event(enum ibv_event_type type, struct ibv_qp *qp)
{
	assert(n_waiting < EVENTS);
	waiting[n_waiting++] = (struct ibv_async_event){ .event_type = type, .element.qp = qp };
	eventfd_write(context.async_fd, 1);
}

unsigned serve_nic_waiting(void)
{
	return n_waiting;
}

int ibv_get_async_event(struct ibv_context *c, struct ibv_async_event *event)
{
	eventfd_t count;

	if (!n_waiting) {
		(void)!eventfd_read(c->async_fd, &count);
		return -1;
	}
	*event = waiting[0];
	memmove(waiting, waiting + 1, --n_waiting * sizeof(waiting[0]));
	return 0;
}

void ibv_ack_async_event(struct ibv_async_event *event)
{
}

/* ---- domains and queue pairs ---- */

struct ibv_pd *ibv_alloc_pd(struct ibv_context *c)
{
	struct ibv_pd *pd;

	errno = serve_nic.pd_err;
	if (errno)
		return NULL;
	pd = calloc(1, sizeof(*pd));
	assert(pd);
	pd->context = c;
	serve_nic.pds++;
	return pd;
}

/* With keys of it left the real one would say EBUSY, and stay. */
int ibv_dealloc_pd(struct ibv_pd *pd)
{
	struct serve_key *k;

	LIST_FOREACH(k, &serve_nic.keys, entry)
		assert(k->mr.pd != pd);
	serve_nic.pds--;
	free(pd);
	return 0;
}

struct ibv_cq *ibv_create_cq(struct ibv_context *c, int n, void *arg,
			     struct ibv_comp_channel *channel, int vector)
{
	struct ibv_cq *cq = calloc(1, sizeof(*cq));

	assert(cq);
	cq->context = c;
	serve_nic.cqs++;
	return cq;
}

int ibv_destroy_cq(struct ibv_cq *cq)
{
	serve_nic.cqs--;
	free(cq);
	return 0;
}

struct ibv_qp *ibv_create_qp(struct ibv_pd *pd, struct ibv_qp_init_attr *init)
{
	struct ibv_qp *qp;

	errno = serve_nic.qp_err;
	if (errno)
		return NULL;
	qp = calloc(1, sizeof(*qp));
	assert(qp);
	qp->context = pd->context;
	qp->qp_context = init->qp_context;
	qp->pd = pd;
	qp->qp_num = ++next_number & 0xffffff;
	serve_nic.qps++;
	return qp;
}

int ibv_destroy_qp(struct ibv_qp *qp)
{
	serve_nic.qps--;
	/* The real one waits until its events are acknowledged, and drops those not taken. */
	for (unsigned i = 0; i < n_waiting; i++)
		if (waiting[i].element.qp == qp)
			waiting[i] = (struct ibv_async_event){ .event_type = IBV_EVENT_SM_CHANGE };
	free(qp);
	return 0;
}

int ibv_modify_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr, int mask)
{
	if (serve_nic.modify_err && attr->qp_state != IBV_QPS_ERR)
		return serve_nic.modify_err;
	qp->state = attr->qp_state;
	return 0;
}

int ibv_query_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr, int mask,
		 struct ibv_qp_init_attr *init)
{
	attr->qp_state = qp->state;
	return 0;
}

/* ---- work requests of a client ---- */

static int post(struct ibv_qp *qp, struct ibv_send_wr *wr, struct ibv_send_wr **bad)
{
	serve_nic.asked_addr = wr->wr.rdma.remote_addr;
	serve_nic.asked_rkey = wr->wr.rdma.rkey;
	serve_nic.asked_len = wr->sg_list[0].length;
	return 0;
}

static int poll_cq(struct ibv_cq *cq, int n, struct ibv_wc *wc)
{
	wc->status = serve_nic.answer;
	return 1;
}

/* ---- keys ---- */

static struct ibv_mr *new_key(struct ibv_pd *pd, size_t len, int access)
{
	struct serve_key *k = calloc(1, sizeof(*k));

	assert(k);
	k->mr.pd = pd;
	k->mr.context = pd->context;
	k->mr.lkey = k->mr.rkey = ++next_number;
	k->len = len;
	k->access = access;
	LIST_INSERT_HEAD(&serve_nic.keys, k, entry);
	return &k->mr;
}

struct ibv_mr *ibv_reg_mr(struct ibv_pd *pd, void *addr, size_t len, int access)
{
	struct ibv_mr *mr;

	errno = serve_nic.reg_err;
	if (errno)
		return NULL;
	mr = new_key(pd, len, access);
	((struct serve_key *)mr)->addr = addr;
	return mr;
}

static struct ibv_mr *reg_dmabuf(struct ibv_pd *pd, uint64_t off, size_t len, uint64_t iova, int fd,
				 int access)
{
	struct serve_key *k;

	errno = serve_nic.reg_err;
	if (errno)
		return NULL;
	k = (struct serve_key *)new_key(pd, len, access);
	k->memory = serve_dmabuf_memory;
	k->off = serve_dmabuf_off + off;
	return &k->mr;
}

int ibv_dereg_mr(struct ibv_mr *mr)
{
	LIST_REMOVE((struct serve_key *)mr, entry);
	free(mr);
	return 0;
}

static bool no_odp(struct ibv_context *c)
{
	return false;
}

static void no_driver(struct ibv_context *c, char *buf, size_t size)
{
	buf[0] = 0;
}

static struct ibv_mr *reg_mr(struct ibv_pd *pd, void *addr, size_t len, int access)
{
	return ibv_reg_mr(pd, addr, len, access);
}

static const struct pdmai_verbs books = {
	.reg_mr = reg_mr,
	.reg_dmabuf_mr = reg_dmabuf,
	.dereg_mr = ibv_dereg_mr,
	.has_odp = no_odp,
	.driver = no_driver,
};

void serve_nic_reset(void)
{
	if (context.async_fd < 0)
		context.async_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert(context.async_fd >= 0);
	memset(&serve_nic, 0, sizeof(serve_nic));
	LIST_INIT(&serve_nic.keys);
	serve_nic.cm_port = 4711;
	n_waiting = 0;
	pdmai_verbs = &books;
}
