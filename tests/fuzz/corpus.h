/* SPDX-License-Identifier: MIT */
/* A set of inputs kept in memory. */
#ifndef PEERDMA_TESTS_FUZZ_CORPUS_H
#define PEERDMA_TESTS_FUZZ_CORPUS_H

#include <stddef.h>
#include <stdint.h>

struct fuzz_file {
	char *path;
	uint8_t *data; /* malloc()ed to the byte */
	size_t len;
};

struct fuzz_corpus {
	struct fuzz_file *files;
	size_t n;
};

/*
 * Add the file at path, or the regular files of the folder at path in order of their names (the
 * order of a folder differs between machines). Return: 0 or -errno; what was added stays.
 */
int fuzz_corpus_add(struct fuzz_corpus *c, const char *path);

void fuzz_corpus_free(struct fuzz_corpus *c);

#endif
