/* SPDX-License-Identifier: MIT */
/* Sockets of the control channel, and networks that may connect. */
#ifndef PEERDMA_LIB_SERVE_NET_H
#define PEERDMA_LIB_SERVE_NET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* A network; IPv4 as IPv6 addresses that map it. */
struct pdmai_cidr {
	uint8_t addr[16];
	unsigned bits;
};

/* "10.0.0.0/8", "fd00::/8", an address alone. Return: 0; -EINVAL with a sentence. */
int pdmai_cidr_parse(const char *text, struct pdmai_cidr *ret_cidr);
bool pdmai_cidr_has(const struct pdmai_cidr *cidr, const struct sockaddr *addr);

/*
 * address: numeric, NULL: every one, IPv4 too. port: 0: a free one.
 * Return: 0 with a socket that does not block, and the port; or of the kernel.
 */
int pdmai_net_listen(const char *address, uint16_t port, int *ret_fd, uint16_t *ret_port);
/* Keep-alive and no delay; a peer that is gone is known within half a minute. */
void pdmai_net_tune(int fd);
/*
 * Connect until CLOCK_MONOTONIC is end_ns. Return: 0 with a socket that does not block;
 * -EHOSTUNREACH: no such name; -ETIMEDOUT; -EINTR; or of the kernel.
 */
int pdmai_net_connect(const char *host, const char *port, int64_t end_ns, int *ret_fd);
/* "10.0.0.7:41234". buf of 64 bytes. */
void pdmai_net_text(const struct sockaddr *addr, char *buf);

#endif
