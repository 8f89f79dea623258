/* SPDX-License-Identifier: MIT */
/*
 * A raw vfio-user client. Its numbers are typed from models/common/SPEC.rst; it must not include
 * anything of the server.
 */
#ifndef PEERDMA_TESTS_PROTO_VFU_CLIENT_H
#define PEERDMA_TESTS_PROTO_VFU_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	C_VERSION = 1,
	C_DMA_MAP = 2,
	C_DMA_UNMAP = 3,
	C_GET_INFO = 4,
	C_REGION_INFO = 5,
	C_IRQ_INFO = 7,
	C_SET_IRQS = 8,
	C_REGION_READ = 9,
	C_REGION_WRITE = 10,
	C_DMA_READ = 11,
	C_DMA_WRITE = 12,
	C_RESET = 13,
	C_WRITE_MULTI = 15,
};
#define C_REPLY	   1u
#define C_NO_REPLY 0x10u
#define C_ERROR	   0x20u
#define C_CONFIG   7u
#define C_MAX_MSG  1052672u

struct c_header {
	uint16_t id, cmd;
	uint32_t size, flags, error;
};

/* Memory the client moves for the server; addresses [base, base + len). */
struct c_memory {
	uint64_t base, len;
	uint8_t *mem;
	unsigned reads, writes;
	bool silent;	      /* take requests and do not answer them */
	bool refuse;	      /* answer with an error */
	struct c_header held; /* the last request not answered */
	uint8_t held_payload[16];
};

struct client {
	int fd;
	uint16_t next_id;
	struct c_memory *memory;
};

struct reply {
	struct c_header h;
	size_t len;
	uint8_t data[C_MAX_MSG];
	int fds[16];
	unsigned n_fds;
};

/* Return: 0 or -errno. No read waits longer than 20 s. */
int c_connect(struct client *c, const char *path);
void c_close(struct client *c);

int c_send_bytes(struct client *c, const void *buf, size_t len, const int *fds, unsigned n_fds);
/* Return: the id, or -errno. */
int c_send(struct client *c, uint16_t cmd, uint32_t flags, const void *payload, size_t len,
	   const int *fds, unsigned n_fds);
/* The next message, whatever it is. Return: 0, -EPIPE at the end, -errno. */
int c_receive(struct client *c, struct reply *r);
/* Serve requests of the server until the reply to id is there. */
int c_await(struct client *c, int id, struct reply *r);
/* Serve one request of the server. */
int c_serve_one(struct client *c);
/* Answer a request that was held back. */
int c_answer_held(struct client *c);
/* Return: 0, -errno of the socket, or the positive errno of an error reply. */
int c_call(struct client *c, uint16_t cmd, const void *payload, size_t len, const int *fds,
	   unsigned n_fds, struct reply *r);
/* True when the server has closed and nothing more comes. */
bool c_at_end(struct client *c);

int c_hello(struct client *c);
int c_get_info(struct client *c);
int c_map(struct client *c, uint64_t addr, uint64_t size, uint32_t prot, int fd, uint64_t off);
int c_unmap(struct client *c, uint64_t addr, uint64_t size);
int c_read(struct client *c, uint32_t region, uint64_t off, void *buf, uint32_t len);
int c_write(struct client *c, uint32_t region, uint64_t off, const void *buf, uint32_t len);
int c_post(struct client *c, uint32_t region, uint64_t off, const void *buf, uint32_t len);
uint64_t c_read64(struct client *c, uint32_t region, uint64_t off);
uint32_t c_read32(struct client *c, uint32_t region, uint64_t off);
int c_write64(struct client *c, uint32_t region, uint64_t off, uint64_t val);
int c_write16(struct client *c, uint32_t region, uint64_t off, uint16_t val);
/* data: 1 none, 4 eventfd */
int c_set_irqs(struct client *c, uint32_t data, uint32_t index, uint32_t start, uint32_t count,
	       const int *fds, unsigned n_fds);
/* A memfd of size bytes. */
int c_memfd(uint64_t size, bool sealed);

#endif
