/* SPDX-License-Identifier: MIT */
#ifndef PEERDMA_LAB_AGENT_H
#define PEERDMA_LAB_AGENT_H

#include <stddef.h>

/*
 * The device file of the virtio-serial port of that name, found without udev. Return: 0, or -errno.
 */
int agent_find_port(const char *name, char *path, size_t size);

/* Return: fd, or -errno. */
int agent_open_port(const char *name);

/* Serves the launcher until it asks for the end or goes away. */
void agent_serve(int port);

#endif
