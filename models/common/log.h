/* SPDX-License-Identifier: MIT */
/* Messages of the models, to stderr, each line with time and device. Limited per device. */
#ifndef PEERDMA_MODELS_COMMON_LOG_H
#define PEERDMA_MODELS_COMMON_LOG_H

struct mdl_device;

enum mdl_level { MDL_ERROR, MDL_WARN, MDL_INFO, MDL_DEBUG };

void mdl_log_set_level(enum mdl_level level); /* default MDL_INFO */

/*
 * dev may be NULL. More than 100 lines in a second from one device are dropped and the number
 * dropped is told when the second is over, so a guest cannot fill the disk.
 */
void mdl_log(struct mdl_device *dev, enum mdl_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
