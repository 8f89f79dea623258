// SPDX-License-Identifier: MIT
#include "boot.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LAB_INTERFACE "eth0"
/* Node number n of a lab has address 10.77.0.n, counted from 1. */
#define LAB_NET	 0x0a4d0000u
#define LAB_MASK 0xffffff00u

static int interface_up(int s, const char *name)
{
	struct ifreq r = { 0 };

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (ioctl(s, SIOCGIFFLAGS, &r) < 0)
		return -errno;
	r.ifr_flags |= IFF_UP | IFF_RUNNING;
	return ioctl(s, SIOCSIFFLAGS, &r) < 0 ? -errno : 0;
}

static int interface_set(int s, const char *name, unsigned long request, uint32_t addr)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(addr) };
	struct ifreq r = { 0 };

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	memcpy(&r.ifr_addr, &in, sizeof(in));
	return ioctl(s, request, &r) < 0 ? -errno : 0;
}

static int interface_configure(uint32_t number)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int ret;

	if (s < 0)
		return boot_fail(errno, "open", "a socket");
	ret = interface_up(s, "lo");
	/* A lab of one node has no network between nodes. */
	if (!ret && number && if_nametoindex(LAB_INTERFACE)) {
		ret = interface_set(s, LAB_INTERFACE, SIOCSIFADDR, LAB_NET + number);
		ret = ret ? ret : interface_set(s, LAB_INTERFACE, SIOCSIFNETMASK, LAB_MASK);
		ret = ret ? ret : interface_up(s, LAB_INTERFACE);
	}
	close(s);
	return ret ? boot_fail(-ret, "configure", "the network") : 0;
}

/* Return: the number of @node, or 0 when it is not among them. */
static uint32_t write_hosts(const char *node, const char *nodes)
{
	char list[1024], *save = NULL;
	uint32_t number = 0, n = 0;
	FILE *f;

	f = fopen("/etc/hosts", "we");
	if (!f)
		return 0;
	fprintf(f, "127.0.0.1 localhost\n");
	snprintf(list, sizeof(list), "%s", nodes);
	for (char *name = strtok_r(list, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		struct in_addr addr = { .s_addr = htonl(LAB_NET + ++n) };

		fprintf(f, "%s %s\n", inet_ntoa(addr), name);
		if (!strcmp(name, node))
			number = n;
	}
	fclose(f);
	return number;
}

int boot_network(const char *node, const char *nodes)
{
	if (sethostname(node, strlen(node)) < 0)
		return boot_fail(errno, "set the host name", node);
	return interface_configure(write_hosts(node, nodes));
}
