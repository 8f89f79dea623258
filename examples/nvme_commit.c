// SPDX-License-Identifier: MIT
/*
 * A drive of one machine, used by another: data, command, doorbell and completion go over RDMA, no
 * code runs for it on the owner's side (docs/howto-nvme-remote-commit.md).
 *   nvme_commit serve ADDRESS PORT BDF        owner: the drive is bound to vfio-pci; ends with EOF
 *   nvme_commit put ADDRESS PORT LBA < DATA   the other machine; whole blocks, 1 MiB at most
 */
#include <peerdma/peerdma.h>
#include <rdma/rdma_cma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOM (1u << 20) /* of the buffer, for data */

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "nvme_commit: %s: %s\n", what, pdma_error());
	exit(1);
}

static struct rdma_cm_id *endpoint(char **argv, int flags)
{
	struct rdma_addrinfo hints = { .ai_port_space = RDMA_PS_TCP, .ai_flags = flags }, *info;
	struct ibv_qp_init_attr attr = {
		.cap = { .max_send_wr = 8, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1 },
		.sq_sig_all = 0,
	};
	struct rdma_cm_id *id;

	if (rdma_getaddrinfo(argv[2], argv[3], &hints, &info) ||
	    rdma_create_ep(&id, info, NULL, &attr))
		die("no RDMA device for that address");
	rdma_freeaddrinfo(info);
	return id;
}

/* One client at a time; it gets a queue of its own, 1 MiB of the buffer, and namespace 1. */
static void serve_one(struct pdma_nvme *nvme, struct pdma_region *data, struct rdma_cm_id *listener)
{
	struct rdma_conn_param param = { .responder_resources = 1, .initiator_depth = 1 };
	struct pdma_nvme_queue *queue;
	struct pdma_nvme_grant grant;
	struct rdma_cm_id *id;
	char c;

	if (rdma_get_request(listener, &id))
		die("no client");
	if (pdma_nvme_queue_create(nvme, 16, PDMA_NVME_REMOTE, &queue) ||
	    pdma_nvme_grant(queue, id->pd, data, 1, &grant))
		die("no queue for the client");
	param.private_data = &grant;
	param.private_data_len = sizeof(grant);
	if (rdma_accept(id, &param))
		die("the client is gone");
	puts("granted");
	fflush(stdout);
	/* Until our user says what he thinks of it: "r" ends the grant, "q" or EOF all. */
	while (read(0, &c, 1) > 0 && c != 'q')
		if (c == 'r' && !pdma_nvme_revoke(queue, NULL))
			puts("revoked"), fflush(stdout);
	pdma_nvme_queue_destroy(queue);
	rdma_destroy_ep(id);
}

static int serve(char **argv)
{
	struct rdma_cm_id *listener = endpoint(argv, RAI_PASSIVE);
	struct pdma_region *data;
	struct pdma_nvme *nvme;
	struct pdma_ctx *ctx;

	if (pdma_ctx_create(NULL, &ctx) || pdma_nvme_open(ctx, argv[4], &nvme) ||
	    pdma_nvme_cmb(nvme, ROOM, NULL, &data))
		die(argv[4]);
	if (rdma_listen(listener, 1))
		die("cannot listen");
	serve_one(nvme, data, listener);
	rdma_destroy_ep(listener);
	pdma_region_close(data);
	pdma_nvme_close(nvme);
	pdma_ctx_destroy(ctx);
	return 0;
}

static void run(struct pdma_nvme_remote *remote, const struct pdma_nvme_remote_cmd *cmd)
{
	struct pdma_nvme_done done;

	if (pdma_nvme_remote_run(remote, cmd, 10000, &done))
		die("no answer");
	if (done.err) {
		fprintf(stderr, "nvme_commit: the drive says: %s\n", done.text);
		exit(1);
	}
}

static int put(char **argv)
{
	struct rdma_conn_param param = { .responder_resources = 1, .initiator_depth = 1 };
	struct pdma_nvme_remote_cmd write = { .op = PDMA_NVME_WRITE }, flush = { 0 };
	struct rdma_cm_id *id = endpoint(argv, 0);
	struct pdma_nvme_remote *remote;
	struct pdma_nvme_grant grant;
	static char buf[ROOM];
	struct ibv_mr *mr;

	mr = ibv_reg_mr(id->pd, buf, sizeof(buf), IBV_ACCESS_LOCAL_WRITE);
	if (!mr || rdma_connect(id, &param))
		die("the owner does not answer");
	if (id->event->param.conn.private_data_len < sizeof(grant))
		die("the owner grants nothing");
	memcpy(&grant, id->event->param.conn.private_data, sizeof(grant));
	if (pdma_nvme_remote_create(&grant, id->qp, id->send_cq, id->pd, &remote))
		die("a bad grant");
	fputs("connected\n", stderr);
	write.lba = strtoull(argv[4], NULL, 0);
	write.len = fread(buf, 1, sizeof(buf), stdin);
	write.buf = buf;
	write.lkey = mr->lkey;
	run(remote, &write);
	run(remote, &flush);
	printf("%llu bytes are on the drive from block %llu\n", (unsigned long long)write.len,
	       (unsigned long long)write.lba);
	pdma_nvme_remote_destroy(remote);
	ibv_dereg_mr(mr);
	rdma_destroy_ep(id);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "serve"))
		return serve(argv);
	if (argc == 5 && !strcmp(argv[1], "put"))
		return put(argv);
	return fprintf(stderr, "usage: nvme_commit serve|put ADDRESS PORT BDF|LBA\n"), 2;
}
