// SPDX-License-Identifier: MIT
#include "lib/sysfs/bind.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/core/error.h"
#include "lib/sysfs/attr.h"

#define DEVICE "%s/bus/pci/devices/%s"
#define DRIVER "%s/bus/pci/drivers/%s"

static int release(const struct pdmai_binding *b)
{
	char driver[64];
	int ret;

	ret = pdmai_pci_driver(b->root, &b->bdf, driver, sizeof(driver));
	if (ret || !driver[0])
		return ret;
	ret = pdmai_attr_put(b->bdf.text, DRIVER "/unbind", b->root, driver);
	if (ret)
		return pdmai_fail_errno(-ret, "cannot take %s from driver %s", b->bdf.text, driver);
	return 0;
}

/* An empty override is written as a newline: the kernel takes no empty write. */
static int set_override(const struct pdmai_binding *b, const char *driver)
{
	int ret;

	ret = pdmai_attr_put(driver[0] ? driver : "\n", DEVICE "/driver_override", b->root,
			     b->bdf.text);
	if (ret)
		return pdmai_fail_errno(-ret, "cannot set driver_override of %s", b->bdf.text);
	return 0;
}

/* "bind" tells why a probe failed; "drivers_probe" would not. */
static int attach(const struct pdmai_binding *b, const char *driver)
{
	char now[64];
	int ret;

	ret = pdmai_pci_driver(b->root, &b->bdf, now, sizeof(now));
	/* The kernel may have probed by itself as soon as the override changed. */
	if (!ret && !strcmp(now, driver))
		return 0;
	ret = pdmai_attr_put(b->bdf.text, DRIVER "/bind", b->root, driver);
	if (ret)
		return pdmai_fail_errno(-ret, "the kernel does not bind %s to %s", b->bdf.text,
					driver);
	return 0;
}

static int look(struct pdmai_binding *b)
{
	int ret;

	ret = pdmai_pci_driver(b->root, &b->bdf, b->old_driver, sizeof(b->old_driver));
	if (ret)
		return ret;
	ret = pdmai_attr_get(b->old_override, sizeof(b->old_override), DEVICE "/driver_override",
			     b->root, b->bdf.text);
	if (ret)
		return pdmai_fail_errno(-ret, "cannot read driver_override of %s", b->bdf.text);
	if (!strcmp(b->old_override, "(null)"))
		b->old_override[0] = 0;
	return 0;
}

int pdmai_bind(const char *root, const struct pdmai_bdf *bdf, const char *driver,
	       struct pdmai_binding *ret_binding)
{
	struct pdmai_binding b = { .root = root, .bdf = *bdf };
	char path[PDMAI_PATH_MAX];
	int ret;

	ret = look(&b);
	if (ret)
		return ret;
	if (!strcmp(b.old_driver, driver)) {
		*ret_binding = b;
		return 0;
	}
	snprintf(path, sizeof(path), DRIVER, root, driver);
	if (access(path, F_OK))
		return pdmai_fail(ENOENT, "the driver %s is not loaded", driver);
	b.changed = true;
	ret = release(&b);
	ret = ret ? ret : set_override(&b, driver);
	ret = ret ? ret : attach(&b, driver);
	if (ret) {
		char why[256];

		/* The reason is the news, whatever the way back says. */
		snprintf(why, sizeof(why), "%s", pdmai_error());
		pdmai_unbind(&b);
		return pdmai_fail(-ret, "%s", why);
	}
	*ret_binding = b;
	return 0;
}

int pdmai_unbind(struct pdmai_binding *b)
{
	int ret, ret2;

	if (!b->changed)
		return 0;
	b->changed = false;
	ret = release(b);
	ret2 = set_override(b, b->old_override);
	ret = ret ? ret : ret2;
	ret2 = b->old_driver[0] ? attach(b, b->old_driver) : 0;
	return ret ? ret : ret2;
}
