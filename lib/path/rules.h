/* SPDX-License-Identifier: MIT */
/* What a release of the kernel thinks of peer-to-peer, as tables. */
#ifndef PEERDMA_LIB_PATH_RULES_H
#define PEERDMA_LIB_PATH_RULES_H

#include <stdbool.h>
#include <stdint.h>

#define PDMAI_VERSION(major, minor) ((major) << 16 | (minor))

struct pdmai_rules {
	unsigned version;   /* the kernel's, PDMAI_VERSION(); the newest known one if not told */
	bool has_p2pdma;    /* knows PCI peer-to-peer at all */
	bool acs_by_target; /* egress control counts for the target alone */
	bool port_is_host;  /* a root port at any place of the root bus can stand for the bridge */
	bool cpu_forwards;  /* every host bridge of this processor forwards */
};

/* What the kernel's list says of a host bridge. */
enum pdmai_listed { PDMAI_NOT_LISTED, PDMAI_LISTED_ALONE, PDMAI_LISTED };

/* release: "7.2.12+deb13-amd64"; "" if not known. */
void pdmai_rules_choose(const char *release, const char *cpu_vendor, unsigned cpu_family,
			struct pdmai_rules *ret_rules);

/* vendor, device: of the function that stands for the bridge. */
enum pdmai_listed pdmai_rules_host(const struct pdmai_rules *rules, uint16_t vendor,
				   uint16_t device);

/* Version of a release, 0 if it is not understood. */
unsigned pdmai_rules_version(const char *release);

#endif
