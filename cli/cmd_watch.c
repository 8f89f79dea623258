// SPDX-License-Identifier: MIT
/* peerdma watch: what moves, and what is taken away, while it happens. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/ports.h"
#include "cli/progress.h"
#include "cli/region.h"
#include "cli/servers.h"
#include "util/clock.h"

#define REGIONS_MAX 64

struct watching {
	struct cli *cli;
	struct pdma_ctx *ctx;
	struct pdma_region *region[REGIONS_MAX];
	bool gone[REGIONS_MAX];
	int n;
	uint64_t interval_ms, rounds; /* rounds 0: without end */
	struct cli_port ports[CLI_PORTS_MAX];
	int n_ports;
	int64_t read_ns;
	struct cli_lines log; /* of peerdma serve --json, or of fd -1 */
	struct cli_servers servers;
};

static const char *clock_text(char buf[16])
{
	time_t now = time(NULL);
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(buf, 16, "%H:%M:%S", &tm);
	return buf;
}

static void print_line(struct json_object *o)
{
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
						       JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
}

/* ---- ports ---- */

static const struct cli_port *earlier(const struct watching *w, const struct cli_port *p)
{
	for (int i = 0; i < w->n_ports; i++)
		if (!strcmp(w->ports[i].device, p->device) && w->ports[i].number == p->number)
			return &w->ports[i];
	return NULL;
}

/* A counter that went back was reset: everything it shows is new. */
static uint64_t since(uint64_t before, uint64_t after)
{
	return after >= before ? after - before : after;
}

static void print_port_json(const struct cli_port *p, const struct cli_port *was, int64_t time_ns)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "event", json_object_new_string("port"));
	json_object_object_add(o, "device", json_object_new_string(p->device));
	json_object_object_add(o, "port", json_object_new_int((int)p->number));
	json_object_object_add(o, "active", json_object_new_boolean(p->active));
	json_object_object_add(o, "time_ns", json_object_new_int64(time_ns));
	json_object_object_add(o, "sent", json_object_new_uint64(since(was->sent, p->sent)));
	json_object_object_add(o, "received",
			       json_object_new_uint64(since(was->received, p->received)));
	json_object_object_add(o, "sent_packets",
			       json_object_new_uint64(since(was->sent_packets, p->sent_packets)));
	json_object_object_add(
		o, "received_packets",
		json_object_new_uint64(since(was->received_packets, p->received_packets)));
	json_object_object_add(o, "errors", json_object_new_uint64(since(was->errors, p->errors)));
	print_line(o);
}

static void print_port(const struct watching *w, const struct cli_port *p,
		       const struct cli_port *was, int64_t time_ns)
{
	char clock[16], out[24], in[24];
	uint64_t errors = since(was->errors, p->errors);

	if (w->cli->json) {
		print_port_json(p, was, time_ns);
		return;
	}
	printf("%s  %s/%u %s  sent %s  received %s  packets %" PRIu64 "/%" PRIu64,
	       clock_text(clock), p->device, p->number, p->active ? "active" : "down",
	       cli_rate_text(since(was->sent, p->sent), time_ns, out),
	       cli_rate_text(since(was->received, p->received), time_ns, in),
	       since(was->sent_packets, p->sent_packets),
	       since(was->received_packets, p->received_packets));
	if (errors)
		printf("  %serrors %" PRIu64 "%s", cli_style(w->cli, CLI_BAD), errors,
		       cli_style(w->cli, CLI_PLAIN));
	putchar('\n');
}

static void look_at_ports(struct watching *w)
{
	struct cli_port ports[CLI_PORTS_MAX];
	int n = cli_ports_read(ports);
	int64_t now = util_now_ns();

	for (int i = 0; i < n; i++) {
		const struct cli_port *was = earlier(w, &ports[i]);

		if (was)
			print_port(w, &ports[i], was, now - w->read_ns);
	}
	memcpy(w->ports, ports, (size_t)n * sizeof(*ports));
	w->n_ports = n;
	w->read_ns = now;
}

/* ---- regions ---- */

static void print_event(const struct watching *w, const char *event, const char *region,
			const char *text)
{
	struct json_object *o;
	char clock[16];

	if (!w->cli->json) {
		printf("%s  %s%s%s  %s%s%s\n", clock_text(clock), cli_style(w->cli, CLI_WARN),
		       event, cli_style(w->cli, CLI_PLAIN), region, region[0] ? ": " : "", text);
		return;
	}
	o = json_object_new_object();
	json_object_object_add(o, "event", json_object_new_string(event));
	if (region[0])
		json_object_object_add(o, "region", json_object_new_string(region));
	json_object_object_add(o, "text", json_object_new_string(text));
	print_line(o);
}

static void take_events(struct watching *w)
{
	struct pdma_event e;

	while (pdma_event_next(w->ctx, &e) > 0) {
		print_event(w, pdma_event_name(e.type), e.region ? pdma_region_uri(e.region) : "",
			    e.text);
		for (int i = 0; i < w->n; i++)
			w->gone[i] |=
				e.region == w->region[i] && e.type == PDMA_EVENT_REGION_REVOKED;
	}
}

static bool all_gone(const struct watching *w)
{
	int gone = 0;

	for (int i = 0; i < w->n; i++)
		gone += w->gone[i];
	return w->n && gone == w->n;
}

static void check_regions(struct watching *w)
{
	for (int i = 0; i < w->n; i++)
		if (!w->gone[i])
			pdma_region_check(w->region[i]);
	take_events(w);
}

/* ---- what a server writes down ---- */

static const char *member(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) ? json_object_get_string(v) : "";
}

static void print_served(const struct watching *w, const char *line)
{
	struct json_object *o = json_tokener_parse(line);
	char what[96];

	if (!json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		return;
	}
	if (w->cli->json) {
		print_line(o);
		return;
	}
	snprintf(what, sizeof(what), "serve %.40s", member(o, "event"));
	print_event(w, what, member(o, member(o, "peer")[0] ? "peer" : "nic"), member(o, "text"));
	json_object_put(o);
}

static void on_line(const char *line, void *arg)
{
	print_served(arg, line);
}

static void read_log(struct watching *w)
{
	if (w->log.fd >= 0)
		cli_lines_read(&w->log, on_line, w);
}

/* ---- servers of this machine ---- */

static void on_server(const struct cli_server *server, void *arg)
{
	print_event(arg, server->stale ? "serve stale" : "serve found", server->path,
		    server->stale ? "nobody listens there any more: it was killed" :
				    "a server of this machine");
}

static void read_servers(struct watching *w)
{
	struct cli_server *server;

	cli_servers_look(&w->servers, on_server, w);
	for (int i = w->servers.n; i-- > 0;) {
		server = w->servers.server[i];
		if (server->stale || cli_lines_read(&server->lines, on_line, w))
			continue;
		print_event(w, "serve gone", server->path, "the server has ended");
		cli_servers_drop(&w->servers, i);
	}
}

/* ---- the work ---- */

/* Until the next round is due, a region is taken away, or Ctrl-C. */
static void wait_round(struct watching *w, int64_t end)
{
	struct pollfd p = { .fd = pdma_event_fd(w->ctx), .events = POLLIN };
	int64_t left;

	while ((left = end - util_now_ns()) > 0 && !cli_interrupted() && !all_gone(w)) {
		if (poll(&p, 1, (int)((left + 999999) / 1000000)) > 0)
			take_events(w);
		fflush(stdout);
	}
}

static enum cli_status watch(struct watching *w)
{
	int64_t due;

	w->n_ports = cli_ports_read(w->ports);
	w->read_ns = due = util_now_ns();
	read_servers(w);
	if (!w->n_ports && !w->n && w->log.fd < 0 && !w->servers.n)
		return cli_error(CLI_IMPOSSIBLE, "peerdma doctor",
				 "there is no RDMA device and no server, and no region was named",
				 "watch");
	for (uint64_t i = 0; !w->rounds || i < w->rounds; i++) {
		due += (int64_t)w->interval_ms * 1000000;
		wait_round(w, due);
		if (cli_interrupted())
			break;
		look_at_ports(w);
		check_regions(w);
		read_log(w);
		read_servers(w);
		fflush(stdout);
		if (all_gone(w))
			return cli_error(CLI_FAILED, NULL, "every region was revoked", "watch");
	}
	return CLI_DONE;
}

static bool take_options(struct watching *w)
{
	w->interval_ms = 1000;
	if (!cli_size_option(w->cli, "interval", &w->interval_ms) ||
	    !cli_size_option(w->cli, "count", &w->rounds))
		return false;
	if (w->interval_ms < 10 || w->interval_ms > 3600000) {
		cli_error(CLI_USAGE, NULL, "is from 10 to 3600000 ms", "--interval");
		return false;
	}
	return true;
}

static enum cli_status open_all(struct watching *w)
{
	const char *log = cli_option(w->cli, "serve-log");
	enum cli_status status = CLI_DONE;

	if (!take_options(w))
		return CLI_USAGE;
	w->log.fd = log ? open(log, O_RDONLY | O_CLOEXEC) : -1;
	if (log && w->log.fd < 0)
		return cli_error(CLI_FAILED, NULL, strerror(errno), "%s", log);
	for (int i = 0; !status && i < w->cli->argc; i++) {
		status = cli_region_open(w->cli, w->ctx, w->cli->argv[i], PDMA_OPEN_READONLY,
					 &w->region[i]);
		w->n += !status;
	}
	return status;
}

static enum cli_status run(struct cli *cli)
{
	struct watching *w = calloc(1, sizeof(*w));
	enum cli_status status;

	if (!w)
		return cli_error(CLI_FAILED, NULL, "out of memory", "watch");
	w->cli = cli;
	w->log.fd = -1;
	cli_interrupt_catch();
	status = cli_ctx_open(&w->ctx);
	if (!status) {
		status = open_all(w);
		if (!status)
			status = watch(w);
		for (int i = 0; i < w->n; i++)
			pdma_region_close(w->region[i]);
		pdma_ctx_destroy(w->ctx);
	}
	if (w->log.fd >= 0)
		close(w->log.fd);
	cli_servers_clear(&w->servers);
	free(w);
	return status;
}

static const struct cli_option options[] = {
	{ "interval", 'i', "MS", "time between looks at the counters (default: 1000)",
	  CLI_COMPLETE_NONE },
	{ "count", 'c', "N", "end after so many (default: never)", CLI_COMPLETE_NONE },
	{ "serve-log", 0, "FILE", "show also what `peerdma serve --json >FILE` writes",
	  CLI_COMPLETE_FILE },
	CLI_OPTION_TOKEN,
	CLI_OPTION_NIC,
	{ NULL, 0, NULL, NULL, CLI_COMPLETE_NONE },
};

const struct cli_command cli_cmd_watch = {
	.name = "watch",
	.args = "[REGION...]",
	.summary = "show port counters, revoked regions and sessions of a server, live",
	.help = "Bytes and packets of each RDMA port since the last look, errors if there are\n"
		"any, and at once whatever takes one of the regions away. Ends when all have\n"
		"gone, with status 1. What servers of this machine say is shown, too; they\n"
		"are found by themselves. With --json: one object a line.",
	.examples = "peerdma watch\n"
		    "peerdma watch --token-file key rdma://b/vram\n"
		    "peerdma watch --serve-log serve.log",
	.options = options,
	.max_args = REGIONS_MAX,
	.complete = CLI_COMPLETE_REGION,
	.run = run,
};
