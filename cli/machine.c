// SPDX-License-Identifier: MIT
#include "cli/machine.h"

#include <peerdma/region.h>
#include <stdio.h>
#include <string.h>

#include "cli/capture.h"

static enum cli_status machine_open(struct cli_machine *m, const char *sysroot)
{
	struct pdma_ctx_options options = { .size = sizeof(options), .sysroot = sysroot };

	if (pdma_ctx_create(&options, &m->ctx))
		return cli_error(CLI_FAILED, NULL, pdma_error(), "%s", sysroot ? sysroot : "/");
	if (pdma_topo_load(m->ctx, &m->topo)) {
		pdma_ctx_destroy(m->ctx);
		return cli_error(
			CLI_FAILED, sysroot ? "a directory made by peerdma topo --save" : NULL,
			pdma_error(), "cannot look at %s", sysroot ? sysroot : "this machine");
	}
	m->system.size = sizeof(m->system);
	pdma_topo_system(m->topo, &m->system);
	return CLI_DONE;
}

static enum cli_status run_at(struct cli *cli, cli_machine_fn fn, const char *sysroot)
{
	enum cli_status status;
	struct cli_machine m;

	status = machine_open(&m, sysroot);
	if (status)
		return status;
	status = fn(cli, &m);
	pdma_topo_destroy(m.topo);
	pdma_ctx_destroy(m.ctx);
	return status;
}

enum cli_status cli_machine_run(struct cli *cli, cli_machine_fn fn)
{
	const char *sysroot = cli_option(cli, "sysroot");
	char dir[CLI_CAPTURE_PATH], root[CLI_CAPTURE_PATH];
	enum cli_status status;

	if (!sysroot || !cli_capture_is_file(sysroot))
		return run_at(cli, fn, sysroot);
	status = cli_capture_begin(dir);
	if (status)
		return status;
	status = cli_capture_extract(sysroot, dir, root);
	if (!status)
		status = run_at(cli, fn, root);
	cli_capture_end(dir);
	return status;
}

struct pdma_function cli_function(const struct cli_machine *m, uint32_t index)
{
	struct pdma_function f = { .size = sizeof(f) };

	pdma_topo_function(m->topo, index, &f);
	return f;
}

struct pdma_host cli_host(const struct cli_machine *m, uint32_t index)
{
	struct pdma_host h = { .size = sizeof(h) };

	pdma_topo_host(m->topo, index, &h);
	return h;
}

const char *cli_bdf(const struct cli_machine *m, uint32_t index)
{
	static char texts[4][PDMA_BDF_LEN];
	static unsigned turn;
	struct pdma_function f;

	if (index == PDMA_NO_FUNCTION)
		return "-";
	f = cli_function(m, index);
	turn = (turn + 1) % 4;
	memcpy(texts[turn], f.bdf, sizeof(f.bdf));
	return texts[turn];
}

/* ---- what a function has ---- */

const char *cli_link_text(const struct pdma_function *f, char *buf)
{
	int n;

	if (!f->speed_mts || !f->width)
		return strcpy(buf, "-");
	n = snprintf(buf, 64, "%.1f GT/s x%u", f->speed_mts / 1000.0, f->width);
	if (f->max_speed_mts > f->speed_mts || f->max_width > f->width)
		snprintf(buf + n, 64 - (size_t)n, " of %.1f GT/s x%u", f->max_speed_mts / 1000.0,
			 f->max_width);
	return buf;
}

/* ---- what a person calls a device ---- */

static enum cli_status no_device(const char *text)
{
	return cli_error(CLI_USAGE, "peerdma list --all", pdma_error(), "%s", text);
}

static bool parse_range(const char *text, struct pdma_target *target)
{
	char off[32], *len;

	if (!*text)
		return true;
	if (*text != '+' || strlen(text) >= sizeof(off))
		return false;
	strcpy(off, text + 1);
	len = strchr(off, ':');
	if (len)
		*len++ = 0;
	return !pdma_size_parse(off, &target->off) && (!len || !pdma_size_parse(len, &target->len));
}

/* Behind "vfio:BDF": "/barN[+OFF[:LEN]]". */
static bool parse_bar(const char *text, struct pdma_target *target)
{
	int n = 0;

	if (!*text)
		return true;
	if (sscanf(text, "/bar%1d%n", &target->bar, &n) != 1)
		return false;
	return parse_range(text + n, target);
}

enum cli_status cli_device(const struct cli_machine *m, const char *text,
			   struct pdma_target *ret_target)
{
	static const char *const kinds[] = { "vfio:", "accel:", "cmb:", "dm:" };
	struct pdma_target target = { .bar = -1 };
	const char *rest = text;
	char name[64];
	size_t n;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strncmp(text, kinds[i], strlen(kinds[i])))
			rest = text + strlen(kinds[i]);
	n = strcspn(rest, "/+");
	snprintf(name, sizeof(name), "%.*s", (int)(n < sizeof(name) ? n : 0), rest);
	if (pdma_topo_find(m->topo, name, &target.function))
		return no_device(text);
	/* Of the other kinds the range says nothing about the path. */
	if (!strncmp(text, "vfio:", 5) && !parse_bar(rest + n, &target))
		return cli_error(CLI_USAGE, "vfio:BDF/barN+OFF:LEN", "this is no range of a BAR",
				 "%s", text);
	*ret_target = target;
	return CLI_DONE;
}

size_t cli_devices(const struct cli_machine *m, uint32_t *list, size_t max)
{
	size_t n = 0;

	for (uint32_t i = 0; i < m->system.functions && n < max; i++) {
		struct pdma_function f = cli_function(m, i);

		if (f.is_importer || f.is_exporter)
			list[n++] = i;
	}
	for (uint32_t i = 0; !n && i < m->system.functions && n < max; i++)
		if (cli_function(m, i).kind == PDMA_FUNCTION_ENDPOINT)
			list[n++] = i;
	return n;
}
