/* SPDX-License-Identifier: MIT */
/*
 * What the commands of `peerdma` share. To add one: cli/cmd_NAME.c that defines the struct
 * cli_cmd_NAME, its line in commands.h, in commands.c, and in meson.build. Options, help text and
 * shell completion come from the struct; docs/man/peerdma-NAME.1.rst is its man page.
 */
#ifndef PEERDMA_CLI_CLI_H
#define PEERDMA_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;

/* Exit status of the program. */
enum cli_status {
	CLI_DONE = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_MISMATCH = 10,   /* data is not what was sent */
	CLI_IMPOSSIBLE = 20, /* not possible on this system */
};

/* What the shell offers for an argument. */
enum cli_complete {
	CLI_COMPLETE_NONE,
	CLI_COMPLETE_FILE,
	CLI_COMPLETE_DIR,
	CLI_COMPLETE_BDF,    /* PCI functions of this machine */
	CLI_COMPLETE_REGION, /* beginnings of region URIs */
	CLI_COMPLETE_COMMAND,
	CLI_COMPLETE_USER,
	CLI_COMPLETE_CGROUP, /* directories of cgroup2 */
	CLI_COMPLETE_LIMIT,  /* what `limit` can do */
};

struct cli_option {
	const char *name; /* "sysroot"; NULL ends a table */
	char letter;	  /* 0: long form only */
	const char *arg;  /* "DIR"; NULL: takes none. "a|b|c" is offered by the shell as such */
	const char *what; /* for --help; lines separated by '\n' */
	enum cli_complete complete;
};

#define CLI_OPTIONS_MAX 32 /* given on one command line */

struct cli;

struct cli_command {
	const char *name;
	const char *args;		  /* "A B", "" for none */
	const char *summary;		  /* one line, no full stop */
	const char *help;		  /* what it does and how to read its output */
	const char *examples;		  /* lines without indentation */
	const struct cli_option *options; /* its own; may be NULL */
	int min_args, max_args;
	enum cli_complete complete; /* of its arguments */
	/* Return: the exit status. Errors were told by cli_error(). */
	enum cli_status (*run)(struct cli *cli);
};

struct cli {
	const struct cli_command *command;
	int argc; /* arguments that are no options */
	char **argv;
	bool json;
	bool color;
	struct {
		const char *name, *value;
	} given[CLI_OPTIONS_MAX]; /* the command's options, in order */
	int n_given;
};

/* ---- commands.c ---- */

/* Ended by NULL. */
extern const struct cli_command *const cli_commands[];
/* Options every command has: --json, --color, --help. */
extern const struct cli_option cli_common_options[];

const struct cli_command *cli_command_find(const char *name);

/* ---- options.c ---- */

/* Fill cli from the words behind the command's name. Return: false after telling the mistake. */
bool cli_parse(struct cli *cli, int argc, char **argv, bool *ret_help);

/* Value of the last one given, "" for one that takes none; NULL: not given. */
const char *cli_option(const struct cli *cli, const char *name);
/* Value of the i-th one given (options that may be repeated), NULL behind the last. */
const char *cli_option_at(const struct cli *cli, const char *name, int i);

/* ---- help.c ---- */

void cli_help_all(void);
void cli_help_command(const struct cli_command *command);

/* ---- output.c ---- */

/*
 * "peerdma: what: why: what to try" on stderr. why or try may be NULL. Return: status, for the
 * caller to return.
 */
enum cli_status cli_error(enum cli_status status, const char *try, const char *why,
			  const char *what, ...) __attribute__((format(printf, 4, 5)));

/* Escape sequences, "" where there is no colour. */
enum cli_style { CLI_PLAIN, CLI_BOLD, CLI_DIM, CLI_GOOD, CLI_WARN, CLI_BAD, CLI_STYLES };
const char *cli_style(const struct cli *cli, enum cli_style style);

/* A table by libsmartcols. Failures (memory) end in cli_table_print(). */
struct cli_table;
enum cli_align { CLI_LEFT, CLI_RIGHT };
struct cli_table *cli_table_new(const struct cli *cli);
void cli_table_column(struct cli_table *table, const char *name, enum cli_align align);
/* The last column takes what is left of the terminal's width, and wraps there. */
void cli_table_column_wrap(struct cli_table *table, const char *name);
void cli_table_row(struct cli_table *table);
/* A column that shows which row is below which. */
void cli_table_column_tree(struct cli_table *table, const char *name);
/* A row below the given one (NULL: at the top). Return: to be given for rows below it. */
void *cli_table_row_below(struct cli_table *table, void *row);
/* The next cell of the last row. */
void cli_table_cell(struct cli_table *table, enum cli_style style, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Print on stdout and free. */
enum cli_status cli_table_print(struct cli_table *table);
/* Free without printing. */
void cli_table_free(struct cli_table *table);

/* Print a JSON object on stdout and put it. */
enum cli_status cli_json_print(struct json_object *object);

/* "64.0M"; buf of 16 bytes at least, and returned. */
const char *cli_size_text(uint64_t bytes, char *buf);

/* ---- interrupt.c ---- */

/*
 * From now on Ctrl-C (and SIGTERM) only sets a flag, and blocking calls give EINTR; a second one
 * kills. main() ends the program by the signal once the command has cleaned up and returned.
 */
void cli_interrupt_catch(void);
bool cli_interrupted(void);
/* The signal that came, 0 for none. */
int cli_interrupt_signal(void);

/* ---- completion.c ---- */

void cli_completion_bash(void);

#endif
