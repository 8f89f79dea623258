// SPDX-License-Identifier: MIT
/* peerdma serve: publish regions over RDMA until it is told to stop. */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/region.h"
#include "cli/servers.h"

#define REGIONS_MAX 64
#define LINE_MAX_   256

struct serving {
	struct cli *cli;
	struct pdma_ctx *ctx;
	struct pdma_serve *serve;
	struct cli_announce *announce; /* NULL: nobody can find us */
	struct pdma_region *region[REGIONS_MAX];
	char name[REGIONS_MAX][PDMA_SERVE_NAME_MAX + 1];
	bool ended[REGIONS_MAX];
	int n, n_ended;
	bool control, quit, failed;
	char line[LINE_MAX_];
	size_t line_len;
};

static volatile sig_atomic_t hangup;

static void on_hangup(int sig)
{
	hangup = 1;
}

/* ---- what is printed ---- */

static const char *line_of(struct json_object *o)
{
	return json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
							 JSON_C_TO_STRING_NOSLASHESCAPE);
}

static void print_line(struct json_object *o)
{
	puts(line_of(o));
	fflush(stdout);
	json_object_put(o);
}

/* To who watches, and on stdout where that is asked for. */
static void tell(const struct serving *s, struct json_object *o)
{
	cli_announce_say(s->announce, line_of(o));
	if (s->cli->json)
		print_line(o);
	else
		json_object_put(o);
}

static void add(struct json_object *o, const char *key, const char *text)
{
	if (text[0])
		json_object_object_add(o, key, json_object_new_string(text));
}

static void add_number(struct json_object *o, const char *key, uint64_t n)
{
	json_object_object_add(o, key, json_object_new_uint64(n));
}

static struct json_object *stats_json(const struct serving *s, const char *what)
{
	struct pdma_serve_stats st = { .size = sizeof(st) };
	struct json_object *o = json_object_new_object();

	pdma_serve_get_stats(s->serve, &st);
	add(o, "event", what);
	add_number(o, "port", st.port);
	add(o, "nic", st.nic);
	json_object_object_add(o, "connection_manager", json_object_new_boolean(st.cm));
	add_number(o, "exports", st.exports);
	add_number(o, "clients", st.clients);
	add_number(o, "pending", st.pending);
	add_number(o, "opens", st.opens);
	add_number(o, "joined", st.joined);
	add_number(o, "refused", st.refused);
	add_number(o, "denied", st.denied);
	add_number(o, "violations", st.violations);
	return o;
}

static void print_stats(const struct serving *s)
{
	struct pdma_serve_stats st = { .size = sizeof(st) };

	if (s->cli->json) {
		print_line(stats_json(s, "stats"));
		return;
	}
	pdma_serve_get_stats(s->serve, &st);
	printf("%u clients, %u ranges open; %" PRIu64 " joined, %" PRIu64 " refused, %" PRIu64
	       " denied, %" PRIu64 " violations so far\n",
	       st.clients, st.opens, st.joined, st.refused, st.denied, st.violations);
	fflush(stdout);
}

static void print_beginning(const struct serving *s)
{
	struct pdma_serve_stats st = { .size = sizeof(st) };
	char size[16];

	if (s->cli->json) {
		print_line(stats_json(s, "listening"));
		return;
	}
	pdma_serve_get_stats(s->serve, &st);
	for (int i = 0; i < s->n; i++)
		printf("serving %s (%s) as %s\n", pdma_region_uri(s->region[i]),
		       cli_size_text(cli_region_len(s->region[i]), size), s->name[i]);
	printf("listening on port %u by %s, %s\n", st.port, st.nic,
	       st.cm ? "with the connection manager" : "without a connection manager");
	fflush(stdout);
}

static void print_event_text(const struct pdma_serve_event *e)
{
	if (e->client)
		printf("#%" PRIu64 " %s%s%s ", e->client, e->peer, e->token[0] ? " " : "",
		       e->token);
	printf("%s", pdma_serve_event_name(e->type));
	if (e->name[0])
		printf(" %s+0x%" PRIx64 ":0x%" PRIx64, e->name, e->off, e->len);
	printf(": %s\n", e->text);
	fflush(stdout);
}

static void print_event(const struct serving *s, const struct pdma_serve_event *e)
{
	struct json_object *o = json_object_new_object();

	if (!s->cli->json)
		print_event_text(e);
	add(o, "event", pdma_serve_event_name(e->type));
	if (e->client)
		add_number(o, "client", e->client);
	add(o, "peer", e->peer);
	add(o, "token", e->token);
	add(o, "name", e->name);
	if (e->name[0]) {
		add_number(o, "off", e->off);
		add_number(o, "len", e->len);
		json_object_object_add(o, "write", json_object_new_boolean(e->write));
	}
	add(o, "text", e->text);
	tell(s, o);
}

static void print_region_event(const struct serving *s, const struct pdma_event *e)
{
	struct json_object *o = json_object_new_object();

	if (!s->cli->json) {
		printf("%s: %s\n", pdma_event_name(e->type), e->text);
		fflush(stdout);
	}
	add(o, "event", pdma_event_name(e->type));
	add(o, "text", e->text);
	tell(s, o);
}

/* ---- ending exports ---- */

static int index_of(const struct serving *s, const char *name)
{
	for (int i = 0; i < s->n; i++)
		if (!strcmp(s->name[i], name))
			return i;
	return -1;
}

static void revoke_one(struct serving *s, int i, const char *why)
{
	if (!s->ended[i])
		pdma_region_revoke(s->region[i], why);
}

static void revoke_all(struct serving *s, const char *why)
{
	for (int i = 0; i < s->n; i++)
		revoke_one(s, i, why);
}

/* ---- commands on standard input ---- */

static bool of_region(struct serving *s, const char *verb, const char *name)
{
	int i = index_of(s, name);

	if (i < 0) {
		cli_error(CLI_USAGE, NULL, "there is no such export", "%s", name);
		return true;
	}
	if (!strcmp(verb, "revoke"))
		revoke_one(s, i, "revoked by the operator");
	else if (strcmp(verb, "reset"))
		return false;
	else if (pdma_region_reset(s->region[i]))
		cli_error(CLI_FAILED, NULL, pdma_error(), "reset %s", name);
	return true;
}

static void command(struct serving *s, char *line)
{
	char *name = strchr(line, ' ');

	if (name)
		*name++ = 0;
	if (!strcmp(line, "quit") && !name)
		s->quit = true;
	else if (!strcmp(line, "stats") && !name)
		print_stats(s);
	else if (!name || !of_region(s, line, name))
		cli_error(CLI_USAGE, NULL, "is revoke NAME, reset NAME, stats or quit", "%s", line);
}

static void read_commands(struct serving *s)
{
	ssize_t n = read(STDIN_FILENO, s->line + s->line_len, sizeof(s->line) - 1 - s->line_len);
	char *end;

	/* Whoever drives us has gone. */
	if (n <= 0) {
		s->quit |= n == 0 || errno != EINTR;
		return;
	}
	s->line_len += (size_t)n;
	while ((end = memchr(s->line, '\n', s->line_len))) {
		*end++ = 0;
		command(s, s->line);
		s->line_len -= (size_t)(end - s->line);
		memmove(s->line, end, s->line_len);
	}
	if (s->line_len == sizeof(s->line) - 1)
		s->line_len = 0;
}

/* ---- the work ---- */

static void note_end(struct serving *s, const char *text)
{
	char name[PDMA_SERVE_NAME_MAX + 1];
	int i;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(text, ":"), text);
	i = index_of(s, name);
	if (i < 0 || s->ended[i])
		return;
	s->ended[i] = true;
	s->n_ended++;
}

static void drain(struct serving *s)
{
	struct pdma_serve_event se;
	struct pdma_event e;

	while (pdma_event_next(s->ctx, &e) > 0)
		print_region_event(s, &e);
	if (pdma_serve_run(s->serve)) {
		cli_error(CLI_FAILED, NULL, pdma_error(), "serving ends");
		s->failed = s->quit = true;
	}
	while (pdma_serve_event_next(s->serve, &se)) {
		print_event(s, &se);
		if (se.type == PDMA_SERVE_EXPORT_END)
			note_end(s, se.text);
	}
}

/* Who begins to watch hears first what is served. */
static void take_watchers(const struct serving *s)
{
	struct json_object *o = stats_json(s, "listening"), *names = json_object_new_array();
	char text[4096];

	for (int i = 0; i < s->n; i++)
		if (!s->ended[i])
			json_object_array_add(names, json_object_new_string(s->name[i]));
	json_object_object_add(o, "names", names);
	/* With 64 of the longest names it is too long for a line: then without them. */
	if (strlen(line_of(o)) >= sizeof(text) - 1)
		json_object_object_del(o, "names");
	snprintf(text, sizeof(text), "%s\n", line_of(o));
	cli_announce_accept(s->announce, text);
	json_object_put(o);
}

static void loop(struct serving *s)
{
	struct pollfd p[4] = {
		{ .fd = pdma_serve_fd(s->serve), .events = POLLIN },
		{ .fd = pdma_event_fd(s->ctx), .events = POLLIN },
		{ .fd = s->control ? STDIN_FILENO : -1, .events = POLLIN },
		{ .fd = cli_announce_fd(s->announce), .events = POLLIN },
	};

	while (!s->quit && s->n_ended < s->n && !cli_interrupted()) {
		/* The server's own timer ends the wait often enough to see a signal. */
		if (poll(p, 4, 1000) < 0 && errno != EINTR)
			s->quit = s->failed = true;
		if (hangup)
			revoke_all(s, "revoked by a hang-up signal");
		hangup = 0;
		if (p[2].revents)
			read_commands(s);
		if (p[3].revents)
			take_watchers(s);
		drain(s);
	}
}

static bool port_option(const struct cli *cli, struct pdma_serve_options *opt)
{
	uint64_t port;

	if (!cli_option(cli, "port"))
		return true;
	port = 65536;
	if (!cli_size_option(cli, "port", &port))
		return false;
	if (port > 65535) {
		cli_error(CLI_USAGE, NULL, "is a number up to 65535", "--port");
		return false;
	}
	opt->port = (uint16_t)port;
	if (!port)
		opt->flags |= PDMA_SERVE_ANY_PORT;
	return true;
}

static bool count_option(const struct cli *cli, const char *name, unsigned *ret)
{
	uint64_t n = *ret;

	if (!cli_size_option(cli, name, &n))
		return false;
	if (n > 65536) {
		cli_error(CLI_USAGE, NULL, "is at most 65536", "--%s", name);
		return false;
	}
	*ret = (unsigned)n;
	return true;
}

static enum cli_status start(struct serving *s)
{
	const char *allow[CLI_OPTIONS_MAX + 1] = { NULL };
	struct pdma_serve_options opt = {
		.size = sizeof(opt),
		.address = cli_option(s->cli, "address"),
		.token_file = cli_token_file(s->cli),
		.nic = cli_option(s->cli, "nic"),
	};
	int err;

	for (int i = 0; (allow[i] = cli_option_at(s->cli, "allow", i)); i++)
		opt.allow = allow;
	if (cli_option(s->cli, "no-cm"))
		opt.flags |= PDMA_SERVE_NO_CM;
	if (!port_option(s->cli, &opt) || !count_option(s->cli, "max-clients", &opt.max_clients))
		return CLI_USAGE;
	if (!opt.token_file)
		return cli_error(CLI_USAGE, "peerdma serve --new-token FILE",
				 "clients must prove a token: --token-file is needed", "serve");
	err = pdma_serve_create(s->ctx, &opt, &s->serve);
	if (err == -EINVAL)
		return cli_error(CLI_USAGE, NULL, pdma_error(), "cannot serve");
	return err ? cli_library_error(err, "cannot serve") : CLI_DONE;
}

static enum cli_status publish(struct serving *s, int i)
{
	const char *name = cli_option_at(s->cli, "name", i);
	bool read_only = cli_option(s->cli, "read-only");
	enum cli_status status;
	int err;

	status = cli_region_open(s->cli, s->ctx, s->cli->argv[i],
				 read_only ? PDMA_OPEN_READONLY : 0, &s->region[i]);
	if (status)
		return status;
	s->n++;
	if (name)
		snprintf(s->name[i], sizeof(s->name[i]), "%s", name);
	else
		snprintf(s->name[i], sizeof(s->name[i]), "mem%d", i);
	err = pdma_serve_export(s->serve, s->region[i], name ? name : s->name[i],
				read_only ? PDMA_EXPORT_READONLY : 0);
	return err ? cli_library_error(err, s->cli->argv[i]) : CLI_DONE;
}

/* Each client is a descriptor, or some. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static enum cli_status serve(struct serving *s)
{
	struct sigaction action = { .sa_handler = on_hangup };
	enum cli_status status;

	raise_limit();
	status = start(s);

	for (int i = 0; !status && i < s->cli->argc; i++)
		status = publish(s, i);
	if (status)
		return status;
	s->control = cli_option(s->cli, "control");
	cli_interrupt_catch();
	sigaction(SIGHUP, &action, NULL);
	s->announce = cli_announce_open();
	print_beginning(s);
	loop(s);
	cli_announce_close(s->announce);
	/* Ended by the memory's end and not by its owner's wish: that is no success. */
	return s->failed || (s->n_ended == s->n && !s->quit && !cli_interrupted()) ? CLI_FAILED :
										     CLI_DONE;
}

static enum cli_status new_token(struct cli *cli, const char *path)
{
	const char *name = cli_option(cli, "name");
	int err = pdma_token_create(path, name ? name : "peerdma");

	if (err)
		return cli_library_error(err, "no token was made");
	if (!cli->json)
		printf("%s: a new token '%s'; copy it to those who may connect, privately\n", path,
		       name ? name : "peerdma");
	return CLI_DONE;
}

static enum cli_status run(struct cli *cli)
{
	const char *path = cli_option(cli, "new-token");
	struct serving *s;
	enum cli_status status;

	if (path)
		return new_token(cli, path);
	if (!cli->argc)
		return cli_error(CLI_USAGE, "peerdma serve --help", "arguments are missing",
				 "REGION...");
	s = calloc(1, sizeof(*s));
	if (!s)
		return cli_error(CLI_FAILED, NULL, "out of memory", "serve");
	s->cli = cli;
	status = cli_ctx_open(&s->ctx);
	if (!status) {
		status = serve(s);
		pdma_serve_destroy(s->serve);
		for (int i = 0; i < s->n; i++)
			pdma_region_close(s->region[i]);
		pdma_ctx_destroy(s->ctx);
	}
	free(s);
	return status;
}

static const struct cli_option options[] = {
	{ "name", 'n', "NAME", "name of the export, one for each REGION (default: mem0, mem1 ...)",
	  CLI_COMPLETE_NONE },
	{ "read-only", 'r', NULL, "clients may read only", CLI_COMPLETE_NONE },
	{ "token-file", 't', "FILE", "tokens of the clients (default: $PEERDMA_TOKEN_FILE)",
	  CLI_COMPLETE_FILE },
	{ "new-token", 0, "FILE", "make a token file and end", CLI_COMPLETE_FILE },
	{ "allow", 0, "NETWORK", "only from there, as 10.0.0.0/8; may be repeated",
	  CLI_COMPLETE_NONE },
	{ "address", 0, "ADDRESS", "numeric address to listen on (default: all)",
	  CLI_COMPLETE_NONE },
	{ "port", 'p', "PORT", "TCP port (default: 19500; 0: a free one)", CLI_COMPLETE_NONE },
	CLI_OPTION_NIC,
	{ "no-cm", 0, NULL, "do not use the connection manager", CLI_COMPLETE_NONE },
	{ "max-clients", 0, "N", "clients at once (default: 256)", CLI_COMPLETE_NONE },
	{ "control", 0, NULL,
	  "take commands from standard input:\nrevoke NAME, reset NAME, stats, quit",
	  CLI_COMPLETE_NONE },
	{ NULL, 0, NULL, NULL, CLI_COMPLETE_NONE },
};

const struct cli_command cli_cmd_serve = {
	.name = "serve",
	.args = "REGION...",
	.summary = "publish device memory to other machines over RDMA",
	.help = "Clients that prove a token read and write the regions with RDMA; this machine's\n"
		"processor takes no part in it. Prints what happens until it is interrupted, or\n"
		"the last region is revoked. SIGHUP revokes all. With --json: one object a line.",
	.examples = "peerdma serve --new-token key\n"
		    "peerdma serve --token-file key --name vram accel:0000:03:00.0\n"
		    "peerdma copy --token-file key ./data rdma://thishost/vram",
	.options = options,
	.max_args = REGIONS_MAX,
	.complete = CLI_COMPLETE_REGION,
	.run = run,
};
