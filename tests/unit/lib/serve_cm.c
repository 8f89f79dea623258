// SPDX-License-Identifier: MIT
/* A connection manager whose network is the test. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/unit/lib/serve_fake.h"

#define EVENTS 64

struct waiting {
	struct rdma_cm_event event; /* first */
	uint8_t data[64];
};

static struct rdma_event_channel *listening; /* the latest one there is */
static struct waiting *waiting[EVENTS];
static unsigned n_waiting;

static struct ibv_context *the_device(void)
{
	return ibv_open_device(NULL);
}

struct ibv_context **rdma_get_devices(int *n)
{
	struct ibv_context **list = serve_nic.no_cm ? NULL : calloc(2, sizeof(*list));

	if (list)
		list[0] = the_device();
	return list;
}

void rdma_free_devices(struct ibv_context **list)
{
	free(list);
}

struct rdma_event_channel *rdma_create_event_channel(void)
{
	errno = ENODEV;
	if (serve_nic.no_cm)
		return NULL;
	listening = calloc(1, sizeof(*listening));
	assert(listening);
	listening->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert(listening->fd >= 0);
	return listening;
}

static void forget(unsigned i)
{
	free(waiting[i]);
	n_waiting--;
	memmove(&waiting[i], &waiting[i + 1], (n_waiting - i) * sizeof(waiting[0]));
}

/* The first event of a channel, -1: none. */
static int find(const struct rdma_event_channel *c)
{
	for (unsigned i = 0; i < n_waiting; i++)
		if (waiting[i]->event.id->channel == c)
			return (int)i;
	return -1;
}

void rdma_destroy_event_channel(struct rdma_event_channel *c)
{
	/* What nobody took: ids of requests nobody heard of, too. */
	for (int i = find(c); i >= 0; i = find(c)) {
		if (waiting[i]->event.event == RDMA_CM_EVENT_CONNECT_REQUEST)
			rdma_destroy_id(waiting[i]->event.id);
		else
			forget((unsigned)i);
	}
	close(c->fd);
	free(c);
}

static struct waiting *queue(enum rdma_cm_event_type type, struct rdma_cm_id *id)
{
	struct waiting *w = calloc(1, sizeof(*w));

	assert(w && n_waiting < EVENTS);
	w->event.event = type;
	w->event.id = id;
	waiting[n_waiting++] = w;
	eventfd_write(id->channel->fd, 1);
	return w;
}

int rdma_get_cm_event(struct rdma_event_channel *c, struct rdma_cm_event **ret)
{
	eventfd_t count;
	int i = find(c);

	errno = EAGAIN;
	if (i < 0) {
		(void)!eventfd_read(c->fd, &count);
		return -1;
	}
	*ret = &waiting[i]->event;
	n_waiting--;
	memmove(&waiting[i], &waiting[i + 1], (n_waiting - (unsigned)i) * sizeof(waiting[0]));
	return 0;
}

int rdma_ack_cm_event(struct rdma_cm_event *event)
{
	free(event);
	return 0;
}

int rdma_create_id(struct rdma_event_channel *c, struct rdma_cm_id **ret, void *arg,
		   enum rdma_port_space ps)
{
	struct rdma_cm_id *id = calloc(1, sizeof(*id));

	assert(id);
	id->channel = c;
	id->context = arg;
	id->verbs = the_device();
	id->port_num = 1;
	serve_nic.ids++;
	*ret = id;
	return 0;
}

int rdma_destroy_id(struct rdma_cm_id *id)
{
	/* The real one loses events and leaks where a queue pair is left. */
	assert(!id->qp);
	for (unsigned i = n_waiting; i-- > 0;)
		if (waiting[i]->event.id == id)
			forget(i);
	serve_nic.ids--;
	free(id);
	return 0;
}

int rdma_create_qp(struct rdma_cm_id *id, struct ibv_pd *pd, struct ibv_qp_init_attr *init)
{
	id->qp = ibv_create_qp(pd, init);
	return id->qp ? 0 : -1;
}

void rdma_destroy_qp(struct rdma_cm_id *id)
{
	ibv_destroy_qp(id->qp);
	id->qp = NULL;
}

/* ---- a server's ---- */

int rdma_bind_addr(struct rdma_cm_id *id, struct sockaddr *addr)
{
	return 0;
}

int rdma_listen(struct rdma_cm_id *id, int backlog)
{
	return 0;
}

__be16 rdma_get_src_port(struct rdma_cm_id *id)
{
	return htons((uint16_t)serve_nic.cm_port);
}

void serve_cm_request(const void *data, uint8_t len)
{
	struct rdma_cm_id *id;
	struct waiting *w;

	assert(len <= sizeof(w->data));
	rdma_create_id(listening, &id, NULL, RDMA_PS_TCP);
	w = queue(RDMA_CM_EVENT_CONNECT_REQUEST, id);
	memcpy(w->data, data, len);
	w->event.param.conn.private_data = w->data;
	w->event.param.conn.private_data_len = len;
	w->event.param.conn.responder_resources = 255;
}

void serve_cm_end(struct rdma_cm_id *id)
{
	queue(RDMA_CM_EVENT_DISCONNECTED, id);
}

int rdma_accept(struct rdma_cm_id *id, struct rdma_conn_param *param)
{
	errno = serve_nic.modify_err;
	if (errno)
		return -1;
	id->qp->state = IBV_QPS_RTS;
	return 0;
}

int rdma_reject(struct rdma_cm_id *id, const void *data, uint8_t len)
{
	return 0;
}

/* ---- a client's ---- */

int rdma_resolve_addr(struct rdma_cm_id *id, struct sockaddr *src, struct sockaddr *dst, int ms)
{
	queue(RDMA_CM_EVENT_ADDR_RESOLVED, id);
	return 0;
}

int rdma_resolve_route(struct rdma_cm_id *id, int ms)
{
	queue(RDMA_CM_EVENT_ROUTE_RESOLVED, id);
	return 0;
}

int rdma_connect(struct rdma_cm_id *id, struct rdma_conn_param *param)
{
	errno = serve_nic.modify_err;
	if (errno)
		return -1;
	id->qp->state = IBV_QPS_RTS;
	queue(RDMA_CM_EVENT_ESTABLISHED, id);
	return 0;
}
