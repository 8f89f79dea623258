/* SPDX-License-Identifier: MIT */
/* All nodes and devices of one lab, built from its configuration. */
#ifndef PEERDMA_MODELS_FABRIC_LAB_H
#define PEERDMA_MODELS_FABRIC_LAB_H

#include <stddef.h>

#include "models/fabric/config.h"

struct mdl_device;
struct mdl_node;
struct fab_lab;

/*
 * Create nodes and devices, join links, and listen on every device's socket.
 * On failure everything is undone and why holds one sentence. cfg must outlive the lab.
 * Return: 0 or -errno.
 */
int fab_lab_create(const struct fab_config *cfg, struct fab_lab **ret_lab, char *why, size_t n);
void fab_lab_destroy(struct fab_lab *lab);

unsigned fab_lab_nodes(const struct fab_lab *lab);
struct mdl_node *fab_lab_node(const struct fab_lab *lab, unsigned i);

/* By "node/device", or by "device" where one node only has it. NULL if none or several. */
struct mdl_device *fab_lab_find(const struct fab_lab *lab, const char *name);

/* Names of the models this program has, NULL after the last. */
const char *fab_model_name(unsigned i);

#endif
