/* SPDX-License-Identifier: MIT */
#ifndef PEERDMA_LAB_AGENT_H
#define PEERDMA_LAB_AGENT_H

/* Finds the virtio-serial port of that name, without udev. Return: fd, or -errno. */
int agent_open_port(const char *name);

/* Serves the launcher until it asks for the end or goes away. */
void agent_serve(int port);

#endif
