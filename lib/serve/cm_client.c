// SPDX-License-Identifier: MIT
/* The client's end of a connection by the connection manager. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>

#include "lib/core/error.h"
#include "lib/serve/client.h"
#include "lib/serve/net.h"
#include "util/clock.h"

#define RESOLVE_MS 3000

/* Wait for an event of that type. Return: 0; -errno. */
static int await(struct pdmai_client *c, enum rdma_cm_event_type type, int64_t end_ns)
{
	struct pollfd p = { .fd = c->cm->fd, .events = POLLIN };
	int64_t left = (end_ns - util_now_ns()) / 1000000;
	struct rdma_cm_event *ev;
	int n = poll(&p, 1, left > 0 ? (int)left : 0);
	bool good;

	if (n <= 0)
		return n ? pdmai_fail_errno(errno, "waiting for the connection manager") :
			   pdmai_fail(ETIMEDOUT, "the connection manager does not answer");
	if (rdma_get_cm_event(c->cm, &ev))
		return pdmai_fail_errno(errno, "the connection manager");
	good = ev->event == type;
	if (!good)
		pdmai_fail(EREMOTEIO, "the connection manager says %s, %d",
			   rdma_event_str(ev->event), ev->status);
	rdma_ack_cm_event(ev);
	return good ? 0 : -EREMOTEIO;
}

static void set_port(struct sockaddr_storage *sa, uint16_t port)
{
	if (sa->ss_family == AF_INET6)
		((struct sockaddr_in6 *)sa)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)sa)->sin_port = htons(port);
}

/* The server's address on the control channel is the one to try. */
static int resolve(struct pdmai_client *c, struct rdma_cm_id *id, const char *nic, int64_t end_ns)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	int err;

	if (getpeername(c->chan->fd, (struct sockaddr *)&sa, &len) < 0)
		return pdmai_fail_errno(errno, "the server's address");
	set_port(&sa, c->cm_port);
	if (rdma_resolve_addr(id, NULL, (struct sockaddr *)&sa, RESOLVE_MS))
		return pdmai_fail_errno(errno, "no RDMA device leads to the server");
	err = await(c, RDMA_CM_EVENT_ADDR_RESOLVED, end_ns);
	if (err)
		return err;
	if (!id->verbs || (nic && strcmp(ibv_get_device_name(id->verbs->device), nic)))
		return pdmai_fail(ENODEV, "another RDMA device leads to the server");
	if (rdma_resolve_route(id, RESOLVE_MS))
		return pdmai_fail_errno(errno, "no route to the server");
	err = await(c, RDMA_CM_EVENT_ROUTE_RESOLVED, end_ns);
	return err ? err : pdmai_rc_device_of(id->verbs, id->port_num, &c->device);
}

static int connect_id(struct pdmai_client *c, int64_t end_ns)
{
	struct pdmai_sp_msg ask = { .type = PDMAI_SP_CONNECT }, m;
	struct rdma_conn_param param = {
		.private_data_len = sizeof(m.connect.cookie),
		.initiator_depth = c->device.max_reads,
		.retry_count = 7,
		.rnr_retry_count = 7,
	};
	int err;

	ask.connect.way = PDMAI_SP_WAY_CM;
	err = pdmai_client_ask(c, &ask, PDMAI_SP_CONNECTED, &m, end_ns);
	if (err)
		return err;
	param.private_data = m.connect.cookie;
	if (rdma_connect(c->rc.id, &param))
		return pdmai_fail_errno(errno, "cannot connect by the connection manager");
	return await(c, RDMA_CM_EVENT_ESTABLISHED, end_ns);
}

static int attach(struct pdmai_client *c, const char *nic, int64_t end_ns)
{
	struct rdma_cm_id *id;
	int err;

	c->cm = rdma_create_event_channel();
	if (!c->cm)
		return pdmai_fail_errno(errno, "there is no connection manager");
	if (rdma_create_id(c->cm, &id, NULL, RDMA_PS_TCP))
		return pdmai_fail_errno(errno, "there is no connection manager");
	err = resolve(c, id, nic, end_ns);
	err = err ? err : pdmai_rc_create(&c->device, false, id, NULL, &c->rc);
	if (err) {
		rdma_destroy_id(id);
		return err;
	}
	return connect_id(c, end_ns);
}

int pdmai_client_attach_cm(struct pdmai_client *c, const char *nic, int64_t end_ns)
{
	int err = attach(c, nic, end_ns);

	if (!err)
		return 0;
	pdmai_rc_destroy(&c->rc);
	if (c->cm)
		rdma_destroy_event_channel(c->cm);
	c->cm = NULL;
	memset(&c->device, 0, sizeof(c->device));
	return err;
}
