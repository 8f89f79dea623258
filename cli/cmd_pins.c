// SPDX-License-Identifier: MIT
/* peerdma pins: who uses memory of which device. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cgroup.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/region.h"

#define NS_PER_S UINT64_C(1000000000)

struct view {
	struct cli *cli;
	struct cli_cgroups groups;
	bool by_user;
	uint64_t uid;
	const char *device;
};

/* "04:00.0" means "0000:04:00.0". */
static bool is_address(const char *address, const char *text)
{
	size_t a = strlen(address), n = strlen(text);

	return n && n <= a && !strcasecmp(address + a - n, text) &&
	       (n == a || address[a - n - 1] == ':');
}

static bool is_shown(const struct view *v, const struct pdma_pin *pin)
{
	if (v->by_user && pin->uid != v->uid)
		return false;
	return !v->device || is_address(pin->exporter, v->device) ||
	       is_address(pin->importer, v->device);
}

/* "45s", "3m07s", "5h12m", "8d03h": what matters of an age. */
static const char *age_text(uint64_t ns, char buf[24])
{
	uint64_t s = ns / NS_PER_S;

	if (s < 60)
		snprintf(buf, 24, "%" PRIu64 ".%" PRIu64 "s", s, ns % NS_PER_S / (NS_PER_S / 10));
	else if (s < 3600)
		snprintf(buf, 24, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, 24, "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s / 60 % 60);
	else
		snprintf(buf, 24, "%" PRIu64 "d%02" PRIu64 "h", s / 86400, s / 3600 % 24);
	return buf;
}

static const char *note_of(const struct pdma_pin *pin)
{
	if (pin->flags & PDMA_PIN_PROVIDER_GONE)
		return "driver gone";
	if (pin->flags & PDMA_PIN_OWNER_GONE)
		return "process gone";
	return pin->flags & PDMA_PIN_REVOCABLE ? "revocable" : "-";
}

static const char *importer_of(const struct pdma_pin *pin)
{
	if (pin->importer[0])
		return pin->importer;
	return pin->kind == PDMA_PIN_CPU_MAPPING ? "cpu" : "-";
}

static void add_row(const struct view *v, struct cli_table *t, const struct pdma_pin *pin)
{
	char age[24], size[16], user[64], group[PATH_MAX];
	bool gone = pin->flags & (PDMA_PIN_OWNER_GONE | PDMA_PIN_PROVIDER_GONE);

	cli_table_row(t);
	cli_table_cell(t, CLI_PLAIN, "%s", pin->age_ns ? age_text(pin->age_ns, age) : "-");
	cli_table_cell(t, CLI_PLAIN, "%s", pdma_pin_kind_name(pin->kind));
	cli_table_cell(t, CLI_PLAIN, "%s", cli_size_text(pin->bytes, size));
	cli_table_cell(t, CLI_PLAIN, "%s", pin->exporter);
	cli_table_cell(t, CLI_PLAIN, "%s", importer_of(pin));
	if (pin->pid)
		cli_table_cell(t, CLI_PLAIN, "%d", pin->pid);
	else
		cli_table_cell(t, CLI_DIM, "-");
	cli_table_cell(t, CLI_PLAIN, "%s", pin->command[0] ? pin->command : "-");
	if (pin->command[0])
		cli_table_cell(t, CLI_PLAIN, "%s", cli_user_name(pin->uid, user));
	else
		cli_table_cell(t, CLI_DIM, "-");
	cli_table_cell(t, CLI_PLAIN, "%s",
		       pin->cgroup ? cli_cgroup_name(&v->groups, pin->cgroup, pin->pid, group) :
				     "-");
	cli_table_cell(t, gone ? CLI_WARN : CLI_PLAIN, "%s", note_of(pin));
}

static enum cli_status print_table(const struct view *v, const struct pdma_pins *pins)
{
	static const struct {
		const char *name;
		enum cli_align align;
	} columns[] = {
		{ "AGE", CLI_RIGHT },	  { "KIND", CLI_LEFT },	    { "SIZE", CLI_RIGHT },
		{ "EXPORTER", CLI_LEFT }, { "IMPORTER", CLI_LEFT }, { "PID", CLI_RIGHT },
		{ "COMMAND", CLI_LEFT },  { "USER", CLI_LEFT },	    { "CGROUP", CLI_LEFT },
		{ "NOTE", CLI_LEFT },
	};
	struct cli_table *t = cli_table_new(v->cli);
	const struct pdma_pin *pin;
	bool any = false;

	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
		cli_table_column(t, columns[i].name, columns[i].align);
	for (size_t i = 0; (pin = pdma_pins_get(pins, i)); i++) {
		if (!is_shown(v, pin))
			continue;
		add_row(v, t, pin);
		any = true;
	}
	if (any)
		return cli_table_print(t);
	cli_table_free(t);
	puts("No pins of device memory.");
	return CLI_DONE;
}

static void add_flag(struct json_object *o, const struct pdma_pin *pin, const char *key,
		     uint32_t flag)
{
	json_object_object_add(o, key, json_object_new_boolean(pin->flags & flag));
}

static struct json_object *json_of(const struct view *v, const struct pdma_pin *pin)
{
	struct json_object *o = json_object_new_object();
	char user[64], group[PATH_MAX];
	bool known = pin->command[0];

	cli_json_number(o, "id", pin->id);
	cli_json_text(o, "kind", pdma_pin_kind_name(pin->kind));
	cli_json_number(o, "bytes", pin->bytes);
	cli_json_number(o, "age_ns", pin->age_ns);
	cli_json_text(o, "exporter", pin->exporter);
	cli_json_text(o, "driver", pin->driver);
	cli_json_text(o, "importer", pin->importer[0] ? pin->importer : NULL);
	json_object_object_add(o, "pid", pin->pid ? json_object_new_int(pin->pid) : NULL);
	cli_json_text(o, "command", known ? pin->command : NULL);
	json_object_object_add(o, "uid", known ? json_object_new_uint64(pin->uid) : NULL);
	cli_json_text(o, "user", known ? cli_user_name(pin->uid, user) : NULL);
	json_object_object_add(o, "cgroup_id", known ? json_object_new_uint64(pin->cgroup) : NULL);
	cli_json_text(o, "cgroup",
		      known ? cli_cgroup_name(&v->groups, pin->cgroup, pin->pid, group) : NULL);
	add_flag(o, pin, "revocable", PDMA_PIN_REVOCABLE);
	add_flag(o, pin, "forced", PDMA_PIN_FORCED);
	add_flag(o, pin, "process_gone", PDMA_PIN_OWNER_GONE);
	add_flag(o, pin, "driver_gone", PDMA_PIN_PROVIDER_GONE);
	return o;
}

static enum cli_status print_json(const struct view *v, const struct pdma_pins *pins)
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();
	const struct pdma_pin *pin;

	for (size_t i = 0; (pin = pdma_pins_get(pins, i)); i++)
		if (is_shown(v, pin))
			json_object_array_add(list, json_of(v, pin));
	json_object_object_add(o, "pins", list);
	return cli_json_print(o);
}

static enum cli_status show(struct view *v)
{
	enum cli_status status;
	struct pdma_pins *pins;
	struct pdma_ctx *ctx;
	int err;

	status = cli_ctx_open(&ctx);
	if (status)
		return status;
	err = pdma_pins_read(ctx, &pins);
	pdma_ctx_destroy(ctx);
	if (err)
		return cli_module_error(err, "cannot list pins");
	cli_cgroups_open(&v->groups);
	status = v->cli->json ? print_json(v, pins) : print_table(v, pins);
	cli_cgroups_close(&v->groups);
	pdma_pins_destroy(pins);
	return status;
}

static enum cli_status run(struct cli *cli)
{
	struct view v = { .cli = cli, .device = cli_option(cli, "device") };
	const char *user = cli_option(cli, "user");
	enum cli_status status;

	v.by_user = user;
	if (user) {
		status = cli_user_find(user, &v.uid);
		if (status)
			return status;
	}
	return show(&v);
}

static const struct cli_option options[] = {
	{ "user", 'u', "USER", "only those of this user, by name or number", CLI_COMPLETE_USER },
	{ "device", 'd', "ADDRESS", "only those of memory of this device, or used by it",
	  CLI_COMPLETE_BDF },
	{ NULL, 0, NULL, NULL, CLI_COMPLETE_NONE },
};

const struct cli_command cli_cmd_pins = {
	.name = "pins",
	.args = "",
	.summary = "who uses memory of which device, and for how long",
	.help = "Each line is one thing that keeps or uses device memory, the oldest first:\n"
		"  cpu-mapping  the memory is in the address space of a process\n"
		"  export       a dma-buf of it exists; no device uses it by that alone\n"
		"  attachment   a device may map a dma-buf\n"
		"  import       a device has a dma-buf mapped and may access it now\n"
		"  held         pages kept by transfers under way (such as O_DIRECT); who\n"
		"               started them is a guess\n"
		"PID, COMMAND, USER and CGROUP are those of the process that began it, at that\n"
		"time. NOTE is \"revocable\" where the exporter can take the memory away alone,\n"
		"so that a reset needn't wait for the user; \"process gone\" where something else\n"
		"than its process keeps the pin. Without root you see your own pins only.\n"
		"It needs the kernel module peerdma, and sees what drivers tell that module.",
	.examples =
		"sudo peerdma pins\n"
		"sudo peerdma pins --device 04:00.0\n"
		"peerdma pins --json | jq '[.pins[] | select(.kind == \"import\").bytes] | add'",
	.options = options,
	.run = run,
};
