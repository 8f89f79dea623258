// SPDX-License-Identifier: MIT
/*
 * Clients that connect by the connection manager. Who may is decided on the control channel: there
 * a client was given a cookie, which its request must carry.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>

#include "lib/core/error.h"
#include "lib/serve/server.h"

/* Events in one run. */
#define BATCH 64

static struct pdmai_session *find_cookie(struct pdma_serve *s, const void *data, size_t len)
{
	struct pdmai_session *c, *found = NULL;

	if (!data || len < PDMAI_COOKIE)
		return NULL;
	/* Compared to the end, whatever differs: time tells nothing about a cookie. */
	TAILQ_FOREACH(c, &s->sessions, entry)
		if (c->cookie_valid && !gnutls_memcmp(c->cookie, data, PDMAI_COOKIE))
			found = c;
	return found && found->state == PDMAI_SESSION_UP ? found : NULL;
}

static uint8_t least(uint8_t a, uint8_t b)
{
	return a < b ? a : b;
}

static int accept_it(struct pdma_serve *s, struct pdmai_session *c, struct rdma_cm_event *ev)
{
	const struct rdma_conn_param *asked = &ev->param.conn;
	struct rdma_conn_param param = {
		.responder_resources = least(asked->responder_resources, s->device.max_reads),
		.initiator_depth = 0,
		.rnr_retry_count = 7,
	};
	struct pdmai_rc rc;
	int err;

	if (ev->id->verbs != s->device.verbs)
		return pdmai_fail(ENODEV, "not by this device");
	err = pdmai_rc_create(&s->device, true, ev->id, c, &rc);
	if (err)
		return err;
	ev->id->context = c;
	if (rdma_accept(ev->id, &param)) {
		err = errno;
		rc.id = NULL; /* the caller's again */
		rdma_destroy_qp(ev->id);
		rc.qp = NULL;
		pdmai_rc_destroy(&rc);
		return pdmai_fail_errno(err, "accepting failed");
	}
	c->rc = rc;
	c->connected = true;
	c->cookie_valid = false;
	return 0;
}

/* Return: the id to destroy once the event is acknowledged, or NULL. */
static struct rdma_cm_id *on_request(struct pdma_serve *s, struct rdma_cm_event *ev)
{
	const struct rdma_conn_param *p = &ev->param.conn;
	struct pdmai_session *c = find_cookie(s, p->private_data, p->private_data_len);

	if (c && !accept_it(s, c, ev))
		return NULL;
	if (!c)
		s->stats.denied++;
	rdma_reject(ev->id, NULL, 0);
	return ev->id;
}

static void on_end(struct pdma_serve *s, const struct rdma_cm_id *id)
{
	struct pdmai_session *c;

	TAILQ_FOREACH(c, &s->sessions, entry)
		if (c->rc.id && c->rc.id == id) {
			pdmai_session_end(c, "its RDMA connection ended");
			return;
		}
}

static void on_event(struct pdma_serve *s, struct rdma_cm_event *ev)
{
	struct rdma_cm_id *gone = NULL, *ended = NULL;

	switch (ev->event) {
	case RDMA_CM_EVENT_CONNECT_REQUEST:
		gone = on_request(s, ev);
		break;
	case RDMA_CM_EVENT_DISCONNECTED:
	case RDMA_CM_EVENT_CONNECT_ERROR:
	case RDMA_CM_EVENT_UNREACHABLE:
		ended = ev->id;
		break;
	case RDMA_CM_EVENT_DEVICE_REMOVAL:
		s->device_gone = true;
		break;
	default:
		break;
	}
	rdma_ack_cm_event(ev);
	if (gone)
		rdma_destroy_id(gone);
	if (ended)
		on_end(s, ended);
}

static void ready(struct pdmai_serve_source *source, struct pdma_serve *s)
{
	struct rdma_cm_event *ev;

	for (int i = 0; i < BATCH && !rdma_get_cm_event(s->cm_channel, &ev); i++)
		on_event(s, ev);
}

static int listen_any(struct pdma_serve *s)
{
	struct sockaddr_in6 any6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in any4 = { .sin_family = AF_INET };

	if (rdma_bind_addr(s->cm_id, (struct sockaddr *)&any6) &&
	    rdma_bind_addr(s->cm_id, (struct sockaddr *)&any4))
		return -errno;
	return rdma_listen(s->cm_id, 256) ? -errno : 0;
}

int pdmai_serve_cm_start(struct pdma_serve *s)
{
	int flags, err;

	if (s->device.owned)
		return -ENODEV;
	s->cm_channel = rdma_create_event_channel();
	if (!s->cm_channel)
		return -errno;
	flags = fcntl(s->cm_channel->fd, F_GETFL);
	if (fcntl(s->cm_channel->fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    rdma_create_id(s->cm_channel, &s->cm_id, NULL, RDMA_PS_TCP))
		err = -errno;
	else
		err = listen_any(s);
	if (!err) {
		s->cm_port = ntohs(rdma_get_src_port(s->cm_id));
		s->cm = (struct pdmai_serve_source){ ready, s->cm_channel->fd };
		err = pdmai_serve_watch(s, &s->cm, POLLIN);
	}
	if (err)
		pdmai_serve_cm_stop(s);
	return err;
}

void pdmai_serve_cm_stop(struct pdma_serve *s)
{
	if (s->cm_id)
		rdma_destroy_id(s->cm_id);
	if (s->cm_channel)
		rdma_destroy_event_channel(s->cm_channel);
	s->cm_id = NULL;
	s->cm_channel = NULL;
	s->cm_port = 0;
}
