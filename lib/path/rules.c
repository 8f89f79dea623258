// SPDX-License-Identifier: MIT
/*
 * Rules by release of the mainline kernel; distributions carry some of them further back.
 *
 * The list of host bridges, the processor rule and the ACS bits were compared with the table and
 * the code of a stock 7.2.12 binary. Rows since 7.3 were read in development trees of 2026.
 */
#include "lib/path/rules.h"

#include <stdio.h>
#include <string.h>

#define NEWEST	PDMAI_VERSION(7, 2)
#define FOREVER UINT32_MAX
#define ANY	(-1)

#define INTEL	0x8086
#define AMD	0x1022
#define GOOGLE	0x1ae0
#define NVIDIA	0x10de
#define ZHAOXIN 0x1d17

/* The function that stands for a host bridge: device 00.0 of its bus, or the first root port. */
static const struct {
	unsigned since, until; /* until: first release without the row */
	uint16_t vendor;
	int device;
	enum pdmai_listed listed;
} hosts[] = {
	/* Zen by its host bridge, before the processor rule. */
	{ PDMAI_VERSION(5, 2), PDMAI_VERSION(5, 9), AMD, 0x1450, PDMAI_LISTED },
	/* Xeon E5: between bridges of two sockets requests get lost. */
	{ PDMAI_VERSION(5, 4), FOREVER, INTEL, 0x3c00, PDMAI_LISTED_ALONE },
	{ PDMAI_VERSION(5, 4), FOREVER, INTEL, 0x3c01, PDMAI_LISTED_ALONE },
	/* Xeon E5 v3, E7 v3. */
	{ PDMAI_VERSION(5, 4), FOREVER, INTEL, 0x2f00, PDMAI_LISTED_ALONE },
	{ PDMAI_VERSION(5, 4), FOREVER, INTEL, 0x2f01, PDMAI_LISTED_ALONE },
	/* Skylake-E. */
	{ PDMAI_VERSION(5, 4), FOREVER, INTEL, 0x2030, PDMAI_LISTED },
	{ PDMAI_VERSION(5, 4), FOREVER, INTEL, 0x2031, PDMAI_LISTED },
	{ PDMAI_VERSION(5, 4), FOREVER, INTEL, 0x2032, PDMAI_LISTED },
	{ PDMAI_VERSION(5, 4), FOREVER, INTEL, 0x2033, PDMAI_LISTED },
	{ PDMAI_VERSION(5, 4), FOREVER, INTEL, 0x2020, PDMAI_LISTED },
	/* Ice Lake Xeon and all Xeons after it. */
	{ PDMAI_VERSION(5, 18), FOREVER, INTEL, 0x09a2, PDMAI_LISTED },
	/* Root buses of accelerators in Xeons: DSA, IAA, QAT. 7.1 got them by a stable update. */
	{ PDMAI_VERSION(7, 2), FOREVER, INTEL, 0x0b25, PDMAI_LISTED },
	{ PDMAI_VERSION(7, 2), FOREVER, INTEL, 0x0cfe, PDMAI_LISTED },
	{ PDMAI_VERSION(7, 2), FOREVER, INTEL, 0x11fb, PDMAI_LISTED },
	{ PDMAI_VERSION(7, 2), FOREVER, INTEL, 0x1212, PDMAI_LISTED },
	{ PDMAI_VERSION(7, 2), FOREVER, INTEL, 0x1216, PDMAI_LISTED },
	{ PDMAI_VERSION(7, 2), FOREVER, INTEL, 0x4940, PDMAI_LISTED },
	{ PDMAI_VERSION(7, 2), FOREVER, INTEL, 0x4942, PDMAI_LISTED },
	{ PDMAI_VERSION(7, 2), FOREVER, INTEL, 0x4944, PDMAI_LISTED },
	{ PDMAI_VERSION(7, 2), FOREVER, INTEL, 0x4946, PDMAI_LISTED },
	{ PDMAI_VERSION(7, 2), FOREVER, INTEL, 0x4948, PDMAI_LISTED },
	/* Present in 7.1; when it came was not looked up. */
	{ PDMAI_VERSION(7, 1), FOREVER, GOOGLE, ANY, PDMAI_LISTED },
	{ PDMAI_VERSION(7, 3), FOREVER, NVIDIA, 0x2f95, PDMAI_LISTED },
	{ PDMAI_VERSION(7, 3), FOREVER, NVIDIA, 0x2f96, PDMAI_LISTED },
	{ PDMAI_VERSION(7, 3), FOREVER, NVIDIA, 0x2f97, PDMAI_LISTED },
	{ PDMAI_VERSION(7, 3), FOREVER, NVIDIA, 0x2f98, PDMAI_LISTED },
	{ PDMAI_VERSION(7, 3), FOREVER, ZHAOXIN, 0x1003, PDMAI_LISTED_ALONE },
	{ PDMAI_VERSION(7, 3), FOREVER, ZHAOXIN, 0x1005, PDMAI_LISTED_ALONE },
	{ PDMAI_VERSION(7, 3), FOREVER, ZHAOXIN, 0x1006, PDMAI_LISTED_ALONE },
	{ PDMAI_VERSION(7, 3), FOREVER, ZHAOXIN, 0x1007, PDMAI_LISTED_ALONE },
	{ PDMAI_VERSION(7, 3), FOREVER, ZHAOXIN, 0x1008, PDMAI_LISTED },
};

/* Processors whose root complex forwards between all its ports. */
static const struct {
	unsigned since;
	const char *vendor;
	unsigned family; /* this one and later ones */
} cpus[] = {
	{ PDMAI_VERSION(5, 9), "AuthenticAMD", 0x17 },
};

#define SINCE_P2PDMA	    PDMAI_VERSION(4, 20)
#define SINCE_PORT_IS_HOST  PDMAI_VERSION(5, 18)
#define SINCE_ACS_BY_TARGET PDMAI_VERSION(7, 3)

unsigned pdmai_rules_version(const char *release)
{
	unsigned major, minor;

	if (sscanf(release, "%4u.%4u", &major, &minor) != 2 || major > 0xffff || minor > 0xffff)
		return 0;
	return PDMAI_VERSION(major, minor);
}

void pdmai_rules_choose(const char *release, const char *cpu_vendor, unsigned cpu_family,
			struct pdmai_rules *ret_rules)
{
	unsigned version = pdmai_rules_version(release);
	struct pdmai_rules r = { .version = version ? version : NEWEST };

	r.has_p2pdma = r.version >= SINCE_P2PDMA;
	r.acs_by_target = r.version >= SINCE_ACS_BY_TARGET;
	r.port_is_host = r.version >= SINCE_PORT_IS_HOST;
	for (size_t i = 0; i < sizeof(cpus) / sizeof(*cpus); i++)
		if (r.version >= cpus[i].since && !strcmp(cpu_vendor, cpus[i].vendor) &&
		    cpu_family >= cpus[i].family)
			r.cpu_forwards = true;
	*ret_rules = r;
}

enum pdmai_listed pdmai_rules_host(const struct pdmai_rules *rules, uint16_t vendor,
				   uint16_t device)
{
	for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++)
		if (rules->version >= hosts[i].since && rules->version < hosts[i].until &&
		    vendor == hosts[i].vendor &&
		    (hosts[i].device == ANY || device == hosts[i].device))
			return hosts[i].listed;
	return PDMAI_NOT_LISTED;
}
