// SPDX-License-Identifier: MIT
#include "cli/ports.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLASS "/sys/class/infiniband"

static bool read_text(const struct cli_port *p, const char *name, char *buf, int size)
{
	char path[192];
	bool good;
	FILE *f;

	snprintf(path, sizeof(path), CLASS "/%s/ports/%u/%s", p->device, p->number, name);
	f = fopen(path, "re");
	if (!f)
		return false;
	good = fgets(buf, size, f);
	fclose(f);
	return good;
}

static uint64_t read_counter(const struct cli_port *p, const char *name)
{
	char buf[64];

	/* "N/A (no PMA)" and the like count as nothing. */
	return read_text(p, name, buf, sizeof(buf)) ? strtoull(buf, NULL, 10) : 0;
}

static void fill(struct cli_port *p)
{
	static const char *const errors[] = {
		"counters/symbol_error",
		"counters/port_rcv_errors",
		"counters/port_xmit_discards",
		"counters/port_rcv_remote_physical_errors",
		"counters/port_rcv_switch_relay_errors",
		"counters/local_link_integrity_errors",
		"counters/excessive_buffer_overrun_errors",
		"counters/link_downed",
	};
	char state[64];

	p->active = read_text(p, "state", state, sizeof(state)) && strtol(state, NULL, 10) == 4;
	/* Data counts in words of four bytes. */
	p->sent = 4 * read_counter(p, "counters/port_xmit_data");
	p->received = 4 * read_counter(p, "counters/port_rcv_data");
	p->sent_packets = read_counter(p, "counters/port_xmit_packets");
	p->received_packets = read_counter(p, "counters/port_rcv_packets");
	p->errors = 0;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		p->errors += read_counter(p, errors[i]);
}

static int read_device(const char *name, struct cli_port *ports, int n)
{
	char path[128];
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), CLASS "/%.63s/ports", name);
	dir = opendir(path);
	while (dir && n < CLI_PORTS_MAX && (e = readdir(dir))) {
		unsigned long number = strtoul(e->d_name, NULL, 10);

		if (!number || number > 255)
			continue;
		memset(&ports[n], 0, sizeof(ports[n]));
		snprintf(ports[n].device, sizeof(ports[n].device), "%.63s", name);
		ports[n].number = (unsigned)number;
		fill(&ports[n++]);
	}
	if (dir)
		closedir(dir);
	return n;
}

static int by_name(const void *a, const void *b)
{
	const struct cli_port *x = a, *y = b;
	int order = strcmp(x->device, y->device);

	return order ? order : (x->number > y->number) - (x->number < y->number);
}

int cli_ports_read(struct cli_port *ports)
{
	DIR *dir = opendir(CLASS);
	struct dirent *e;
	int n = 0;

	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			n = read_device(e->d_name, ports, n);
	if (dir)
		closedir(dir);
	qsort(ports, (size_t)n, sizeof(*ports), by_name);
	return n;
}
