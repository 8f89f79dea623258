// SPDX-License-Identifier: MIT
#include "lib/serve/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/core/error.h"
#include "util/clock.h"

static const uint8_t v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

/* Return: bits of the address family, 0: no address. */
static unsigned parse_address(const char *text, uint8_t addr[16])
{
	if (inet_pton(AF_INET6, text, addr) == 1)
		return 128;
	memcpy(addr, v4_prefix, sizeof(v4_prefix));
	return inet_pton(AF_INET, text, addr + 12) == 1 ? 32 : 0;
}

static bool parse_bits(const char *text, unsigned max, unsigned *ret_bits)
{
	size_t n = strspn(text, "0123456789");
	unsigned long bits = n && n < 4 && !text[n] ? strtoul(text, NULL, 10) : max + 1;

	*ret_bits = (unsigned)bits;
	return bits <= max;
}

/* Bits behind the network's must be 0: a typing mistake would let in more than was meant. */
static bool is_masked(const struct pdmai_cidr *c)
{
	for (unsigned i = c->bits; i < 128; i++)
		if (c->addr[i / 8] >> (7 - i % 8) & 1)
			return false;
	return true;
}

int pdmai_cidr_parse(const char *text, struct pdmai_cidr *ret)
{
	struct pdmai_cidr c = { .bits = 0 };
	size_t n = strcspn(text, "/");
	char address[64];
	unsigned max, bits;

	if (n >= sizeof(address))
		return pdmai_fail(EINVAL, "'%.60s' is no network", text);
	memcpy(address, text, n);
	address[n] = 0;
	max = parse_address(address, c.addr);
	bits = max;
	if (!max || (text[n] && !parse_bits(text + n + 1, max, &bits)))
		return pdmai_fail(EINVAL, "'%.60s' is no network as 10.0.0.0/8 or fd00::/8", text);
	c.bits = bits + (128 - max);
	if (!is_masked(&c))
		return pdmai_fail(EINVAL, "'%.60s' has bits set behind the first %u", text, bits);
	*ret = c;
	return 0;
}

static bool address_of(const struct sockaddr *sa, uint8_t addr[16])
{
	if (sa->sa_family == AF_INET6) {
		memcpy(addr, &((const struct sockaddr_in6 *)sa)->sin6_addr, 16);
		return true;
	}
	if (sa->sa_family != AF_INET)
		return false;
	memcpy(addr, v4_prefix, sizeof(v4_prefix));
	memcpy(addr + 12, &((const struct sockaddr_in *)sa)->sin_addr, 4);
	return true;
}

bool pdmai_cidr_has(const struct pdmai_cidr *c, const struct sockaddr *sa)
{
	unsigned whole = c->bits / 8, rest = c->bits % 8;
	uint8_t addr[16];

	if (!address_of(sa, addr) || memcmp(addr, c->addr, whole))
		return false;
	return !rest || !((addr[whole] ^ c->addr[whole]) >> (8 - rest));
}

void pdmai_net_text(const struct sockaddr *sa, char *buf)
{
	uint8_t addr[16];
	char text[INET6_ADDRSTRLEN] = "?";
	unsigned port = 0;
	bool v4;

	if (!address_of(sa, addr)) {
		snprintf(buf, 64, "?");
		return;
	}
	v4 = !memcmp(addr, v4_prefix, sizeof(v4_prefix));
	port = ntohs(sa->sa_family == AF_INET6 ? ((const struct sockaddr_in6 *)sa)->sin6_port :
						 ((const struct sockaddr_in *)sa)->sin_port);
	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? addr + 12 : addr, text, sizeof(text));
	snprintf(buf, 64, v4 ? "%s:%u" : "[%s]:%u", text, port);
}

static int bind_any(int fd, uint16_t port)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int off = 0;

	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	return bind(fd, (struct sockaddr *)&sa, sizeof(sa));
}

static int bind_v4(int fd, const uint8_t addr[16], uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };

	if (addr)
		memcpy(&sa.sin_addr, addr + 12, 4);
	return bind(fd, (struct sockaddr *)&sa, sizeof(sa));
}

static int bind_v6(int fd, const uint8_t addr[16], uint16_t port)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	memcpy(&sa.sin6_addr, addr, 16);
	return bind(fd, (struct sockaddr *)&sa, sizeof(sa));
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		return 0;
	return ntohs(sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sa)->sin6_port :
						((struct sockaddr_in *)&sa)->sin_port);
}

static int open_socket(const char *address, unsigned bits, bool *ret_v6)
{
	int fd = -1;

	/* A kernel without IPv6 is served too. */
	*ret_v6 = !address || bits == 128;
	if (*ret_v6)
		fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 && bits != 128) {
		*ret_v6 = false;
		fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	}
	return fd;
}

int pdmai_net_listen(const char *address, uint16_t port, int *ret_fd, uint16_t *ret_port)
{
	uint8_t addr[16];
	unsigned bits = address ? parse_address(address, addr) : 0;
	int fd, on = 1, ret, err;
	bool v6;

	if (address && !bits)
		return pdmai_fail(EINVAL, "'%.60s' is no numeric address", address);
	fd = open_socket(address, bits, &v6);
	if (fd < 0)
		return pdmai_fail_errno(errno, "no socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (!address)
		ret = v6 ? bind_any(fd, port) : bind_v4(fd, NULL, port);
	else
		ret = v6 ? bind_v6(fd, addr, port) : bind_v4(fd, addr, port);
	if (ret < 0 || listen(fd, 512) < 0) {
		err = errno;
		close(fd);
		return pdmai_fail_errno(err, "cannot listen on %s port %u",
					address ? address : "any address,", port);
	}
	*ret_port = port_of(fd);
	*ret_fd = fd;
	return 0;
}

void pdmai_net_tune(int fd)
{
	int on = 1, idle = 10, interval = 5, count = 3, timeout_ms = 25000;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
}

/* Return: 0; positive errno. */
static int finish_connect(int fd, int64_t end_ns)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int64_t left = (end_ns - util_now_ns()) / 1000000;
	int err = 0, n;
	socklen_t len = sizeof(err);

	n = poll(&p, 1, left > 0 ? (int)left : 0);
	if (n <= 0)
		return n ? errno : ETIMEDOUT;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0 ? errno : err;
}

/* Return: 0; positive errno. */
static int connect_one(const struct addrinfo *a, int64_t end_ns, int *ret_fd)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err = 0;

	if (fd < 0)
		return errno;
	if (connect(fd, a->ai_addr, a->ai_addrlen) < 0)
		err = errno == EINPROGRESS ? finish_connect(fd, end_ns) : errno;
	if (err)
		close(fd);
	else
		*ret_fd = fd;
	return err;
}

int pdmai_net_connect(const char *host, const char *port, int64_t end_ns, int *ret_fd)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list, *a;
	int ret = getaddrinfo(host, port, &hints, &list), err = EHOSTUNREACH;

	if (ret)
		return pdmai_fail(EHOSTUNREACH, "%s: %s", host, gai_strerror(ret));
	for (a = list; a; a = a->ai_next) {
		err = connect_one(a, end_ns, ret_fd);
		if (!err || err == EINTR)
			break;
	}
	freeaddrinfo(list);
	if (err)
		return pdmai_fail_errno(err, "cannot connect to %s port %s", host, port);
	pdmai_net_tune(*ret_fd);
	return 0;
}
