// SPDX-License-Identifier: MIT
#include "cli/cli.h"

#include <json-c/json.h>
#include <libsmartcols.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRAM "peerdma"

enum cli_status cli_error(enum cli_status status, const char *try, const char *why,
			  const char *what, ...)
{
	va_list ap;

	/* What was printed so far comes first where both go to one place. */
	fflush(stdout);
	fputs(PROGRAM ": ", stderr);
	va_start(ap, what);
	vfprintf(stderr, what, ap);
	va_end(ap);
	if (why && why[0])
		fprintf(stderr, ": %s", why);
	if (try && try[0])
		fprintf(stderr, ": try %s", try);
	fputc('\n', stderr);
	return status;
}

static const char *const escapes[CLI_STYLES] = {
	[CLI_PLAIN] = "\033[0m", [CLI_BOLD] = "\033[1m",  [CLI_DIM] = "\033[2m",
	[CLI_GOOD] = "\033[32m", [CLI_WARN] = "\033[33m", [CLI_BAD] = "\033[31m",
};

const char *cli_style(const struct cli *cli, enum cli_style style)
{
	return cli->color ? escapes[style] : "";
}

struct cli_table {
	struct libscols_table *scols;
	struct libscols_line *line;
	size_t cell;
	bool failed;
};

struct cli_table *cli_table_new(const struct cli *cli)
{
	struct cli_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	scols_init_debug(0);
	t->scols = scols_new_table();
	if (!t->scols) {
		free(t);
		return NULL;
	}
	scols_table_enable_colors(t->scols, cli->color);
	return t;
}

static void add_column(struct cli_table *t, const char *name, double width, int flags)
{
	if (t && !scols_table_new_column(t->scols, name, width, flags))
		t->failed = true;
}

void cli_table_column(struct cli_table *t, const char *name, enum cli_align align)
{
	add_column(t, name, 0, align == CLI_RIGHT ? SCOLS_FL_RIGHT : 0);
}

void cli_table_column_wrap(struct cli_table *t, const char *name)
{
	add_column(t, name, 0.5, SCOLS_FL_WRAP);
}

void cli_table_column_tree(struct cli_table *t, const char *name)
{
	add_column(t, name, 0, SCOLS_FL_TREE);
}

void *cli_table_row_below(struct cli_table *t, void *row)
{
	if (!t)
		return NULL;
	t->line = scols_table_new_line(t->scols, row);
	t->cell = 0;
	if (!t->line)
		t->failed = true;
	return t->line;
}

void cli_table_row(struct cli_table *t)
{
	cli_table_row_below(t, NULL);
}

static void put_cell(struct cli_table *t, enum cli_style style, char *text)
{
	struct libscols_cell *cell;

	/* The line takes the text over, also when it fails to store it. */
	if (!t->line || scols_line_refer_data(t->line, t->cell, text)) {
		t->failed = true;
		free(text);
		return;
	}
	cell = scols_line_get_cell(t->line, t->cell++);
	if (style != CLI_PLAIN && cell)
		scols_cell_set_color(cell, escapes[style]);
}

void cli_table_cell(struct cli_table *t, enum cli_style style, const char *format, ...)
{
	char *text;
	va_list ap;
	int n;

	if (!t)
		return;
	va_start(ap, format);
	n = vasprintf(&text, format, ap);
	va_end(ap);
	if (n < 0)
		t->failed = true;
	else
		put_cell(t, style, text);
}

void cli_table_free(struct cli_table *t)
{
	if (!t)
		return;
	scols_unref_table(t->scols);
	free(t);
}

enum cli_status cli_table_print(struct cli_table *t)
{
	bool failed = !t || t->failed || scols_print_table(t->scols);

	cli_table_free(t);
	if (failed)
		return cli_error(CLI_FAILED, NULL, "out of memory", "cannot print a table");
	return CLI_DONE;
}

enum cli_status cli_json_print(struct json_object *object)
{
	const char *text = json_object_to_json_string_ext(
		object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
	enum cli_status status = CLI_DONE;

	if (text)
		puts(text);
	else
		status = cli_error(CLI_FAILED, NULL, "out of memory", "cannot print JSON");
	json_object_put(object);
	return status;
}

const char *cli_size_text(uint64_t bytes, char *buf)
{
	static const char units[] = "BKMGTPE";
	double value = (double)bytes;
	size_t unit = 0;

	for (; value >= 1024 && units[unit + 1]; unit++)
		value /= 1024;
	if (!unit || value == (double)(uint64_t)value)
		snprintf(buf, 16, "%.0f%c", value, units[unit]);
	else
		snprintf(buf, 16, "%.1f%c", value, units[unit]);
	return buf;
}
