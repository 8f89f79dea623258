// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/guest/nic_mix.h"

#define QKEY	 0x11111111u
#define LIMIT_S	 30
#define CQ_DEPTH 8192
#define SQ_DEPTH 32
#define INLINE	 64

void mix_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

/* ---- the other side ---- */

static void must_io(ssize_t n, size_t want)
{
	if (n != (ssize_t)want)
		mix_fail("the other side is gone");
}

static void swap(struct mix *m, const void *mine, void *theirs, size_t len)
{
	must_io(send(m->sock, mine, len, MSG_NOSIGNAL), len);
	must_io(recv(m->sock, theirs, len, MSG_WAITALL), len);
}

void mix_meet(struct mix *m)
{
	char mine = 'm', theirs = 0;

	swap(m, &mine, &theirs, 1);
}

static int listen_once(const struct addrinfo *a)
{
	int one = 1, s = socket(a->ai_family, SOCK_STREAM, 0), c;

	if (s < 0 || setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(s, a->ai_addr, a->ai_addrlen) || listen(s, 1))
		mix_fail("listen: %s", strerror(errno));
	c = accept(s, NULL, NULL);
	close(s);
	return c;
}

static int connect_to(const struct addrinfo *a)
{
	int s = socket(a->ai_family, SOCK_STREAM, 0);

	return s >= 0 && !connect(s, a->ai_addr, a->ai_addrlen) ? s : -1;
}

static void open_socket(struct mix *m, const char *port, const char *host)
{
	struct addrinfo hints = { .ai_family = AF_INET,
				  .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_PASSIVE };
	struct timeval limit = { .tv_sec = LIMIT_S };
	struct addrinfo *a;

	if (getaddrinfo(host, port, &hints, &a))
		mix_fail("%s:%s is no address", host ? host : "", port);
	m->sock = m->server ? listen_once(a) : connect_to(a);
	freeaddrinfo(a);
	if (m->sock < 0 || setsockopt(m->sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)))
		mix_fail("connect: %s", strerror(errno));
}

/* ---- verbs ---- */

static void *must(void *p, const char *what)
{
	if (!p)
		mix_fail("%s: %s", what, strerror(errno));
	return p;
}

/* The first InfiniBand device. */
static struct ibv_context *open_device(void)
{
	struct ibv_device **list = must(ibv_get_device_list(NULL), "list devices");
	struct ibv_context *ctx = NULL;
	struct ibv_port_attr port;
	int i;

	for (i = 0; list[i] && !ctx; i++) {
		ctx = ibv_open_device(list[i]);
		if (ctx && !ibv_query_port(ctx, 1, &port) &&
		    port.link_layer == IBV_LINK_LAYER_INFINIBAND)
			break;
		if (ctx)
			ibv_close_device(ctx);
		ctx = NULL;
	}
	ibv_free_device_list(list);
	return must(ctx, "open an InfiniBand device");
}

static void open_srqs(struct mix *m)
{
	struct ibv_xrcd_init_attr x = { .comp_mask =
						IBV_XRCD_INIT_ATTR_FD | IBV_XRCD_INIT_ATTR_OFLAGS,
					.fd = -1,
					.oflags = O_CREAT };
	struct ibv_srq_init_attr_ex a = { .attr = { .max_wr = 512, .max_sge = 1 },
					  .comp_mask =
						  IBV_SRQ_INIT_ATTR_TYPE | IBV_SRQ_INIT_ATTR_PD |
						  IBV_SRQ_INIT_ATTR_XRCD | IBV_SRQ_INIT_ATTR_CQ,
					  .srq_type = IBV_SRQT_XRC,
					  .pd = m->pd,
					  .cq = m->cq };
	unsigned i;

	m->xrcd = must(ibv_open_xrcd(m->ctx, &x), "open an XRC domain");
	a.xrcd = m->xrcd;
	for (i = 0; i < MIX_SRQS; i++)
		m->srq[i] = must(ibv_create_srq_ex(m->ctx, &a), "create an XRC receive queue");
}

static struct ibv_qp *create_qp(struct mix *m, enum mix_kind kind)
{
	static const enum ibv_qp_type types[] = { [MIX_RC] = IBV_QPT_RC,
						  [MIX_UC] = IBV_QPT_UC,
						  [MIX_XRC] = IBV_QPT_XRC_SEND,
						  [MIX_UD] = IBV_QPT_UD };
	struct ibv_qp_init_attr_ex a = { .qp_type = types[kind],
					 .send_cq = m->cq,
					 .recv_cq = m->cq,
					 .comp_mask = IBV_QP_INIT_ATTR_PD,
					 .pd = m->pd,
					 .cap = { .max_send_wr = SQ_DEPTH,
						  .max_recv_wr = kind == MIX_XRC ? 0 : MIX_SENDS,
						  .max_send_sge = 2,
						  .max_recv_sge = kind == MIX_XRC ? 0 : 1,
						  .max_inline_data = INLINE } };

	if (kind == MIX_XRC && m->server) {
		a.qp_type = IBV_QPT_XRC_RECV;
		a.comp_mask = IBV_QP_INIT_ATTR_XRCD;
		a.xrcd = m->xrcd;
	}
	return must(ibv_create_qp_ex(m->ctx, &a), "create a queue pair");
}

static void modify(struct mix_end *e, struct ibv_qp_attr *a, int mask, const char *what)
{
	int err = ibv_modify_qp(e->qp, a, mask);

	if (err)
		mix_fail("queue pair of kind %d to %s: %s", e->kind, what, strerror(err));
}

static void to_init(struct mix_end *e)
{
	struct ibv_qp_attr a = { .qp_state = IBV_QPS_INIT,
				 .port_num = 1,
				 .qkey = QKEY,
				 .qp_access_flags = IBV_ACCESS_REMOTE_WRITE };

	if (mix_reads(e))
		a.qp_access_flags |= IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC;
	modify(e, &a,
	       IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
		       (e->kind == MIX_UD ? IBV_QP_QKEY : IBV_QP_ACCESS_FLAGS),
	       "INIT");
}

static void to_rtr(struct mix *m, struct mix_end *e)
{
	struct ibv_qp_attr a = { .qp_state = IBV_QPS_RTR,
				 .path_mtu = IBV_MTU_1024,
				 .dest_qp_num = e->peer_qpn,
				 .rq_psn = 7,
				 .max_dest_rd_atomic = 4,
				 .min_rnr_timer = 12,
				 .ah_attr = { .dlid = m->peer_lid, .port_num = 1 } };
	int mask = IBV_QP_STATE;

	if (e->kind != MIX_UD)
		mask |= IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN;
	if (mix_reads(e))
		mask |= IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER;
	modify(e, &a, mask, "RTR");
}

static void to_rts(struct mix_end *e)
{
	struct ibv_qp_attr a = { .qp_state = IBV_QPS_RTS,
				 .timeout = 18,
				 .retry_cnt = 7,
				 .rnr_retry = 7,
				 .sq_psn = 7,
				 .max_rd_atomic = 4 };
	int mask = IBV_QP_STATE | IBV_QP_SQ_PSN;

	if (mix_reads(e))
		mask |= IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
			IBV_QP_MAX_QP_RD_ATOMIC;
	modify(e, &a, mask, "RTS");
}

struct card {
	uint16_t lid;
	uint32_t rkey;
	uint64_t addr;
	uint32_t qpn[MIX_ENDS], srqn[MIX_SRQS];
};

static void make_card(struct mix *m, struct card *c)
{
	struct ibv_port_attr port;
	unsigned i;

	if (ibv_query_port(m->ctx, 1, &port))
		mix_fail("query the port: %s", strerror(errno));
	*c = (struct card){ .lid = port.lid, .rkey = m->mr->rkey, .addr = (uintptr_t)m->mem };
	for (i = 0; i < MIX_ENDS; i++)
		c->qpn[i] = m->end[i].qp->qp_num;
	for (i = 0; i < MIX_SRQS; i++)
		if (ibv_get_srq_num(m->srq[i], &c->srqn[i]))
			mix_fail("number of a receive queue: %s", strerror(errno));
}

static void connect_ends(struct mix *m)
{
	struct ibv_ah_attr ah = { .port_num = 1 };
	struct card mine, theirs;
	unsigned i;

	make_card(m, &mine);
	swap(m, &mine, &theirs, sizeof(mine));
	m->peer_lid = ah.dlid = theirs.lid;
	m->peer_rkey = theirs.rkey;
	m->peer_counter = theirs.addr + MIX_COUNTER;
	m->ah = must(ibv_create_ah(m->pd, &ah), "create an address handle");
	for (i = 0; i < MIX_ENDS; i++) {
		struct mix_end *e = &m->end[i];

		e->peer_qpn = theirs.qpn[i];
		e->peer_srqn = theirs.srqn[i % MIX_SRQS];
		e->peer_mem = theirs.addr + (uint64_t)i * MIX_STRIDE;
		to_init(e);
		to_rtr(m, e);
		to_rts(e);
	}
}

void mix_open(struct mix *m, const char *port, const char *host)
{
	unsigned i;

	*m = (struct mix){ .server = !host };
	open_socket(m, port, host);
	m->ctx = open_device();
	m->pd = must(ibv_alloc_pd(m->ctx), "allocate a protection domain");
	m->cq = must(ibv_create_cq(m->ctx, CQ_DEPTH, NULL, NULL, 0), "create a completion queue");
	m->mem = mmap(NULL, MIX_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m->mem == MAP_FAILED)
		mix_fail("memory: %s", strerror(errno));
	m->mr = must(ibv_reg_mr(m->pd, m->mem, MIX_SIZE,
				IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE |
					IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC),
		     "register memory");
	open_srqs(m);
	for (i = 0; i < MIX_ENDS; i++) {
		struct mix_end *e = &m->end[i];

		e->kind = (enum mix_kind)(i % MIX_KINDS);
		e->mem = m->mem + (size_t)i * MIX_STRIDE;
		e->qp = create_qp(m, e->kind);
	}
	connect_ends(m);
}

void mix_close(struct mix *m)
{
	int err = 0;
	unsigned i;

	for (i = 0; i < MIX_ENDS; i++)
		err |= ibv_destroy_qp(m->end[i].qp);
	for (i = 0; i < MIX_SRQS; i++)
		err |= ibv_destroy_srq(m->srq[i]);
	err |= ibv_destroy_ah(m->ah) | ibv_close_xrcd(m->xrcd) | ibv_dereg_mr(m->mr);
	err |= ibv_destroy_cq(m->cq) | ibv_dealloc_pd(m->pd) | ibv_close_device(m->ctx);
	if (err)
		mix_fail("an object cannot be destroyed");
	munmap(m->mem, MIX_SIZE);
	close(m->sock);
}

void mix_next(struct mix *m, struct ibv_wc *wc)
{
	time_t end = time(NULL) + LIMIT_S;
	int n;

	do {
		n = ibv_poll_cq(m->cq, 1, wc);
	} while (!n && time(NULL) < end);
	if (n != 1)
		mix_fail("no completion in %d s", LIMIT_S);
	if (wc->status)
		mix_fail("a request ended with: %s", ibv_wc_status_str(wc->status));
}
