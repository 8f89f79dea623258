/* SPDX-License-Identifier: MIT */
/* Config space of a PCI function, as bytes that may be cut short or lie. */
#ifndef PEERDMA_LIB_PATH_CONFIG_H
#define PEERDMA_LIB_PATH_CONFIG_H

#include <stdint.h>

#include "peerdma/topo.h"

#define PDMAI_CONFIG_SIZE 4096

/* What the path rules need beside struct pdma_function. */
struct pdmai_ports {
	uint8_t number;	    /* of this port, Link Capabilities */
	bool is_multi;	    /* one of several functions of a device */
	uint8_t egress[32]; /* egress control vector, by port number of the target */
	uint16_t n_egress;  /* valid bits */
};

/* Fill what config space tells; fields about registers beyond len become PDMA_NOT_READ. */
void pdmai_config_parse(const uint8_t *config, unsigned len, struct pdma_function *f,
			struct pdmai_ports *ports);

/* Offset of an extended capability, 0 for none. */
unsigned pdmai_config_ext_cap(const uint8_t *config, unsigned len, uint16_t id);

#endif
