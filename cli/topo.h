/* SPDX-License-Identifier: MIT */
/* Views of a topology. */
#ifndef PEERDMA_CLI_TOPO_H
#define PEERDMA_CLI_TOPO_H

#include <stdio.h>

#include "cli/machine.h"

#define CLI_DEVICES_MAX 256 /* in one matrix */

/* "Linux 7.2.12, AMD EPYC (AuthenticAMD family 0x17), in a virtual machine" */
void cli_print_system(const struct cli_machine *machine);

enum cli_status cli_topo_tree(struct cli *cli, const struct cli_machine *machine);
enum cli_status cli_topo_matrix(struct cli *cli, const struct cli_machine *machine);

/* Drawings, self-contained. Errors of writing show in file. */
void cli_topo_svg(const struct cli_machine *machine, FILE *file);
void cli_topo_dot(const struct cli_machine *machine, FILE *file);

/* "SV RR CR UF" of an ACS control register, "off" for 0; buf of 32 bytes. */
const char *cli_acs_text(const struct pdma_function *f, char *buf);

/* Verdicts of all devices. Return: CLI_DONE, with *ret_n and lists to free(); or told. */
enum cli_status cli_matrix(const struct cli_machine *machine, uint32_t **ret_list,
			   struct pdma_cell **ret_cells, size_t *ret_n);
/* "bus", "host", "iova", "no 3", "? 26". buf of 16 bytes. */
const char *cli_cell_text(const struct pdma_cell *cell, char *buf);

#endif
