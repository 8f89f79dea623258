// SPDX-License-Identifier: MIT
#include "lib/sysfs/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/core/error.h"
#include "lib/sysfs/attr.h"

#define DEPTH_MAX   32
#define CONFIG_SIZE 4096

/* PCI Local Bus 3.0 and PCI Express Base, configuration space. */
#define PCI_STATUS		0x06
#define PCI_STATUS_CAP_LIST	0x10
#define PCI_CAP_POINTER		0x34
#define PCI_CAP_ID_EXPRESS	0x10
#define EXPRESS_TYPE(flags)	(((flags) >> 4) & 0xf)
#define EXPRESS_TYPE_UPSTREAM	5
#define EXPRESS_TYPE_DOWNSTREAM 6
#define PCI_EXT_CAPS		0x100
#define PCI_EXT_CAP_ID_ACS	0x000d
#define ACS_CONTROL		6
#define ACS_REQUEST_REDIRECT	0x04

/* The functions from the host bridge down to one, itself included. */
struct chain {
	struct pdmai_bdf at[DEPTH_MAX];
	unsigned n;
};

static int read_chain(const char *root, const struct pdmai_bdf *bdf, struct chain *c)
{
	char path[PDMAI_PATH_MAX], real[PATH_MAX], *part, *save = NULL;

	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s", root, bdf->text);
	if (!realpath(path, real))
		return pdmai_fail(ENODEV, "there is no PCI device %s", bdf->text);
	c->n = 0;
	for (part = strtok_r(real, "/", &save); part; part = strtok_r(NULL, "/", &save))
		if (strchr(part, '.') && c->n < DEPTH_MAX && !pdmai_bdf_parse(part, &c->at[c->n]))
			c->n++;
	return c->n ? 0 : pdmai_fail(ENODEV, "there is no PCI device %s", bdf->text);
}

static int read_config(const char *root, const struct pdmai_bdf *bdf, uint8_t config[CONFIG_SIZE])
{
	char path[PDMAI_PATH_MAX];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/config", root, bdf->text);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return pdmai_fail(EIO, "cannot open config space of %s", bdf->text);
	memset(config, 0, CONFIG_SIZE);
	n = read(fd, config, CONFIG_SIZE);
	close(fd);
	/* Ordinary users get the first 64 bytes only. */
	if (n <= 64)
		return pdmai_fail(EIO, "cannot read all of config space of %s", bdf->text);
	return 0;
}

static unsigned word(const uint8_t *config, unsigned off)
{
	return config[off] | (unsigned)config[off + 1] << 8;
}

/* Port type of the Express capability, -1 when there is none. */
static int express_type(const uint8_t *config)
{
	unsigned off = config[PCI_CAP_POINTER] & 0xfc;

	if (!(word(config, PCI_STATUS) & PCI_STATUS_CAP_LIST))
		return -1;
	/* A list that runs in a circle has no more than 48 places to go round. */
	for (int i = 0; i < 48 && off >= 0x40; i++) {
		if (config[off] == PCI_CAP_ID_EXPRESS)
			return EXPRESS_TYPE(word(config, off + 2));
		off = config[off + 1] & 0xfc;
	}
	return -1;
}

static bool redirects(const uint8_t *config)
{
	unsigned off = PCI_EXT_CAPS;

	for (int i = 0; i < CONFIG_SIZE / 8 && off >= PCI_EXT_CAPS && off <= CONFIG_SIZE - 8; i++) {
		if (word(config, off) == PCI_EXT_CAP_ID_ACS)
			return word(config, off + ACS_CONTROL) & ACS_REQUEST_REDIRECT;
		off = (word(config, off + 2) >> 4) & 0xffc;
	}
	return false;
}

/* Below common, on the way to from, is the port that decides. */
static int decide(const char *root, const struct chain *from, unsigned common,
		  enum pdmai_route *ret_route)
{
	uint8_t config[CONFIG_SIZE];
	int ret;

	*ret_route = PDMAI_ROUTE_BRIDGE;
	if (!common || common >= from->n)
		return 0;
	ret = read_config(root, &from->at[common - 1], config);
	if (ret || express_type(config) != EXPRESS_TYPE_UPSTREAM)
		return ret;
	ret = read_config(root, &from->at[common], config);
	if (ret)
		return ret;
	if (express_type(config) == EXPRESS_TYPE_DOWNSTREAM && !redirects(config))
		*ret_route = PDMAI_ROUTE_SWITCH;
	return 0;
}

int pdmai_pci_route(const char *root, const struct pdmai_bdf *from, const struct pdmai_bdf *to,
		    enum pdmai_route *ret_route)
{
	struct chain a, b;
	unsigned common = 0;
	int ret;

	if (!strcmp(from->text, to->text))
		return pdmai_fail(EINVAL, "%s is one device, not two", from->text);
	ret = read_chain(root, from, &a);
	ret = ret ? ret : read_chain(root, to, &b);
	if (ret)
		return ret;
	while (common < a.n && common < b.n && !strcmp(a.at[common].text, b.at[common].text))
		common++;
	return decide(root, &a, common, ret_route);
}
