// SPDX-License-Identifier: MIT
#include "lib/path/config.h"

#include <string.h>

/* PCI Local Bus 3.0 and PCI Express Base 6.0, configuration space. */
#define PCI_COMMAND	   0x04
#define COMMAND_MEMORY	   0x0002
#define COMMAND_MASTER	   0x0004
#define PCI_STATUS	   0x06
#define STATUS_CAP_LIST	   0x0010
#define PCI_HEADER_TYPE	   0x0e
#define HEADER_MULTI	   0x80
#define PCI_CAP_POINTER	   0x34
#define CAP_ID_EXPRESS	   0x10
#define EXPRESS_FLAGS	   0x02
#define EXPRESS_DEVCTL	   0x08
#define DEVCTL_RELAXED	   0x0010
#define EXPRESS_LINK_CAP   0x0c
#define PCI_EXT_CAPS	   0x100
#define EXT_CAP_ACS	   0x000d
#define ACS_EGRESS	   0x08
#define EXT_CAP_ATS	   0x000f
#define ATS_CONTROL	   0x06
#define ATS_ENABLE	   0x8000
#define EXT_CAP_RESIZABLE  0x0015
#define RESIZABLE_ENTRY(i) (4 + 8 * (i))

/* What ordinary users get of config space. */
#define UNPRIVILEGED_LEN 64

struct config {
	const uint8_t *b;
	unsigned len;
};

/* Beyond what could be read there is nothing. */
static unsigned byte_at(const struct config *c, unsigned off)
{
	return off < c->len ? c->b[off] : 0;
}

static unsigned word_at(const struct config *c, unsigned off)
{
	return byte_at(c, off) | byte_at(c, off + 1) << 8;
}

static uint32_t dword_at(const struct config *c, unsigned off)
{
	return word_at(c, off) | (uint32_t)word_at(c, off + 2) << 16;
}

static unsigned find_cap(const struct config *c, unsigned id)
{
	unsigned off = byte_at(c, PCI_CAP_POINTER) & 0xfc;

	if (!(word_at(c, PCI_STATUS) & STATUS_CAP_LIST))
		return 0;
	/* A list that runs in a circle has no more than 48 places to go round. */
	for (int i = 0; i < 48 && off >= 0x40; i++) {
		if (byte_at(c, off) == id)
			return off;
		off = byte_at(c, off + 1) & 0xfc;
	}
	return 0;
}

unsigned pdmai_config_ext_cap(const uint8_t *config, unsigned len, uint16_t id)
{
	struct config c = { config, len };
	unsigned off = PCI_EXT_CAPS;

	for (int i = 0; i < PDMAI_CONFIG_SIZE / 8 && off >= PCI_EXT_CAPS; i++) {
		if (off + 8 > len || !dword_at(&c, off) || dword_at(&c, off) == UINT32_MAX)
			return 0;
		if (word_at(&c, off) == id)
			return off;
		off = (word_at(&c, off + 2) >> 4) & 0xffc;
	}
	return 0;
}

static enum pdma_known known(const struct config *c, unsigned off, bool on)
{
	if (off + 2 > c->len)
		return PDMA_NOT_READ;
	return on ? PDMA_ON : PDMA_OFF;
}

static enum pdma_function_kind kind_of(const struct config *c, unsigned express)
{
	static const enum pdma_function_kind kinds[16] = {
		[4] = PDMA_FUNCTION_ROOT_PORT,	[5] = PDMA_FUNCTION_UPSTREAM,
		[6] = PDMA_FUNCTION_DOWNSTREAM, [7] = PDMA_FUNCTION_BRIDGE,
		[8] = PDMA_FUNCTION_BRIDGE,
	};

	enum pdma_function_kind kind = PDMA_FUNCTION_ENDPOINT;

	if (express)
		kind = kinds[(word_at(c, express + EXPRESS_FLAGS) >> 4) & 0xf];
	if (kind == PDMA_FUNCTION_ENDPOINT && (byte_at(c, PCI_HEADER_TYPE) & 0x7f) == 1)
		kind = PDMA_FUNCTION_BRIDGE;
	return kind;
}

static void parse_acs(const struct config *c, struct pdma_function *f, struct pdmai_ports *ports)
{
	unsigned off = pdmai_config_ext_cap(c->b, c->len, EXT_CAP_ACS), bits;

	f->acs = c->len <= UNPRIVILEGED_LEN ? PDMA_NOT_READ : off ? PDMA_ON : PDMA_OFF;
	if (!off)
		return;
	f->acs_capability = (uint16_t)word_at(c, off + 4);
	f->acs_control = (uint16_t)word_at(c, off + 6);
	if (!(f->acs_capability & PDMA_ACS_EGRESS_CONTROL))
		return;
	/* The vector's size, where 0 means 256. */
	bits = f->acs_capability >> 8;
	ports->n_egress = (uint16_t)(bits ? bits : 256);
	for (unsigned i = 0; i < sizeof(ports->egress); i++)
		ports->egress[i] = (uint8_t)byte_at(c, off + ACS_EGRESS + i);
}

/* Bit n stands for 1 MiB << n, from bit 4 of the capability on. */
static uint64_t largest_size(uint32_t capability)
{
	uint32_t sizes = capability >> 4;

	return sizes ? 1ull << (20 + 31 - __builtin_clz(sizes)) : 0;
}

static void parse_resizable(const struct config *c, struct pdma_function *f)
{
	unsigned off = pdmai_config_ext_cap(c->b, c->len, EXT_CAP_RESIZABLE), n;

	if (!off)
		return;
	n = (word_at(c, off + RESIZABLE_ENTRY(0) + 4) >> 5) & 7;
	for (unsigned i = 0; i < n && i < PDMA_BARS; i++) {
		unsigned bar = byte_at(c, off + RESIZABLE_ENTRY(i) + 4) & 7;

		if (bar < PDMA_BARS)
			f->bar[bar].max_len = largest_size(dword_at(c, off + RESIZABLE_ENTRY(i)));
	}
}

void pdmai_config_parse(const uint8_t *config, unsigned len, struct pdma_function *f,
			struct pdmai_ports *ports)
{
	struct config c = { config, len };
	unsigned express = find_cap(&c, CAP_ID_EXPRESS), ats;

	memset(ports, 0, sizeof(*ports));
	f->config_len = len;
	f->kind = kind_of(&c, express);
	f->decode = known(&c, PCI_COMMAND, word_at(&c, PCI_COMMAND) & COMMAND_MEMORY);
	f->master = known(&c, PCI_COMMAND, word_at(&c, PCI_COMMAND) & COMMAND_MASTER);
	ports->is_multi = byte_at(&c, PCI_HEADER_TYPE) & HEADER_MULTI;
	f->relaxed_ordering = f->ats = len <= UNPRIVILEGED_LEN ? PDMA_NOT_READ : PDMA_OFF;
	if (express) {
		ports->number = (uint8_t)byte_at(&c, express + EXPRESS_LINK_CAP + 3);
		if (word_at(&c, express + EXPRESS_DEVCTL) & DEVCTL_RELAXED)
			f->relaxed_ordering = PDMA_ON;
	}
	ats = pdmai_config_ext_cap(config, len, EXT_CAP_ATS);
	if (ats && (word_at(&c, ats + ATS_CONTROL) & ATS_ENABLE))
		f->ats = PDMA_ON;
	parse_acs(&c, f, ports);
	parse_resizable(&c, f);
}
