/* SPDX-License-Identifier: MIT */
#ifndef PEERDMA_LAB_KLOG_H
#define PEERDMA_LAB_KLOG_H

/* Opens /dev/kmsg at its first record. Return: fd, or -errno. */
int klog_open(void);

/* Sends every record that exists by now. */
void klog_pass_on(int klog_fd, int port);

#endif
