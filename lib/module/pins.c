// SPDX-License-Identifier: MIT
#include "peerdma/pins.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/core/error.h"
#include "lib/module/module.h"
#include "uapi/peerdma/ioctl.h"

struct pdma_pins {
	size_t n;
	struct pdma_pin pins[];
};

static const struct {
	uint32_t kind;
	const char *name;
} kinds[] = {
	[PDMA_PIN_UNKNOWN] = { 0, "unknown" },
	[PDMA_PIN_CPU_MAPPING] = { PEERDMA_PIN_CPU_MAPPING, "cpu-mapping" },
	[PDMA_PIN_EXPORT] = { PEERDMA_PIN_EXPORT, "export" },
	[PDMA_PIN_ATTACHMENT] = { PEERDMA_PIN_ATTACHMENT, "attachment" },
	[PDMA_PIN_IMPORT] = { PEERDMA_PIN_IMPORT, "import" },
	[PDMA_PIN_HELD] = { PEERDMA_PIN_HELD, "held" },
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const struct {
	uint32_t from, to;
} flags[] = {
	{ PEERDMA_PIN_REVOCABLE, PDMA_PIN_REVOCABLE },
	{ PEERDMA_PIN_FORCED, PDMA_PIN_FORCED },
	{ PEERDMA_PIN_OWNER_GONE, PDMA_PIN_OWNER_GONE },
	{ PEERDMA_PIN_PROVIDER_GONE, PDMA_PIN_PROVIDER_GONE },
};

const char *pdma_pin_kind_name(enum pdma_pin_kind kind)
{
	return kinds[(size_t)kind < N_KINDS ? kind : PDMA_PIN_UNKNOWN].name;
}

static enum pdma_pin_kind to_kind(uint32_t kind)
{
	for (size_t i = 1; i < N_KINDS; i++)
		if (kinds[i].kind == kind)
			return (enum pdma_pin_kind)i;
	return PDMA_PIN_UNKNOWN;
}

static void fill(struct pdma_pin *pin, const struct peerdma_pin_row *row)
{
	const struct peerdma_pci *f = &row->exporter;

	*pin = (struct pdma_pin){ .id = row->id,
				  .kind = to_kind(row->kind),
				  .pid = row->pid,
				  .uid = row->uid,
				  .cgroup = row->cgroup,
				  .bytes = row->bytes,
				  .age_ns = row->age_ns };
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (row->flags & flags[i].from)
			pin->flags |= flags[i].to;
	snprintf(pin->exporter, sizeof(pin->exporter), "%04x:%02x:%02x.%x", f->domain, f->bus,
		 f->devfn >> 3, f->devfn & 7u);
	snprintf(pin->driver, sizeof(pin->driver), "%.15s", row->driver);
	snprintf(pin->command, sizeof(pin->command), "%.15s", row->command);
	snprintf(pin->importer, sizeof(pin->importer), "%.31s", row->importer);
}

int pdma_pins_read(struct pdma_ctx *ctx, struct pdma_pins **ret_pins)
{
	int fd = pdmai_module_open(ctx), err;
	struct peerdma_pin_row *rows;
	struct pdma_pins *pins;
	void *data;
	size_t n;

	if (fd < 0)
		return fd;
	err = pdmai_module_list(fd, PEERDMA_IOC_PINS, 0, sizeof(*rows), &data, &n);
	close(fd);
	if (err)
		return err;
	pins = malloc(sizeof(*pins) + n * sizeof(pins->pins[0]));
	if (pins) {
		rows = data;
		pins->n = n;
		for (size_t i = 0; i < n; i++)
			fill(&pins->pins[i], &rows[i]);
		*ret_pins = pins;
	}
	free(data);
	return pins ? 0 : pdmai_fail(ENOMEM, "out of memory");
}

size_t pdma_pins_count(const struct pdma_pins *pins)
{
	return pins->n;
}

const struct pdma_pin *pdma_pins_get(const struct pdma_pins *pins, size_t i)
{
	return i < pins->n ? &pins->pins[i] : NULL;
}

void pdma_pins_destroy(struct pdma_pins *pins)
{
	free(pins);
}
