/* SPDX-License-Identifier: MIT */
/* Counters of RDMA ports, from sysfs. */
#ifndef PEERDMA_CLI_PORTS_H
#define PEERDMA_CLI_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#define CLI_PORTS_MAX 64

struct cli_port {
	char device[64];
	unsigned number;
	bool active;
	uint64_t sent, received; /* bytes */
	uint64_t sent_packets, received_packets;
	uint64_t errors; /* of all kinds */
};

/* Read all ports, at most CLI_PORTS_MAX. Return: how many. */
int cli_ports_read(struct cli_port *ports);

#endif
