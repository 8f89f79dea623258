/* SPDX-License-Identifier: MIT */
/* Captured machines in one file, through the program peerdma-archive and a directory of our own. */
#ifndef PEERDMA_CLI_CAPTURE_H
#define PEERDMA_CLI_CAPTURE_H

#include "cli/cli.h"

#define CLI_CAPTURE_PATH 4096

/* Does a path name a file, or would it, by its ending? */
bool cli_capture_is_file(const char *path);
bool cli_capture_is_file_name(const char *path);

/*
 * A new directory that only we may look into, for cli_capture_end(). buf of CLI_CAPTURE_PATH.
 * Ctrl-C does not end the program meanwhile. Return: CLI_DONE, or told.
 */
enum cli_status cli_capture_begin(char *buf);
/* Remove it with all that is in it. */
void cli_capture_end(const char *dir);

/*
 * Fill dir from file, or write the new file from dir. An archive of one directory is as good as of
 * what is in it: ret_root, of CLI_CAPTURE_PATH, is where the machine lies.
 * Return: CLI_DONE, or told.
 */
enum cli_status cli_capture_extract(const char *file, const char *dir, char *ret_root);
enum cli_status cli_capture_create(const char *file, const char *dir);

#endif
