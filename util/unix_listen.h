/* SPDX-License-Identifier: MIT */
#ifndef PEERDMA_UTIL_UNIX_LISTEN_H
#define PEERDMA_UTIL_UNIX_LISTEN_H

/*
 * Listen on a Unix stream socket at path. A socket file of an earlier run that is in the way goes;
 * anything else at the path stays and is an error. The caller closes the fd and removes the file.
 * Return: the fd, close-on-exec; -ENAMETOOLONG; -errno of socket, bind, listen.
 */
int util_unix_listen(const char *path, int backlog);

#endif
