/* SPDX-License-Identifier: MIT */
/*
 * Token files: lines "NAME:HEX", a name and 16 to 64 random bytes, as psktool writes them. Blank
 * lines and lines beginning with "#" are skipped. Only its owner may read it.
 */
#ifndef PEERDMA_LIB_SERVE_TOKEN_H
#define PEERDMA_LIB_SERVE_TOKEN_H

#include <stddef.h>
#include <stdint.h>

#include "lib/serve/proto.h"

#define PDMAI_TOKEN_MIN 16
#define PDMAI_TOKEN_MAX 64
#define PDMAI_TOKENS	256

struct pdmai_token {
	char name[PDMAI_SP_NAME];
	uint8_t key[PDMAI_TOKEN_MAX];
	size_t len;
};

struct pdmai_tokens {
	struct pdmai_token *token;
	unsigned n;
};

/*
 * Read a file; all or nothing.
 * Return: 0 with at least one token, for pdmai_tokens_clear(); -EACCES: others may read it, or we
 * may not; -EINVAL: what is in it; -ENOENT; -ENOMEM; or of reading.
 */
int pdmai_tokens_load(const char *path, struct pdmai_tokens *ret_tokens);
/* The same of memory; path is for the sentences. text is changed. */
int pdmai_tokens_parse(char *text, const char *path, struct pdmai_tokens *ret_tokens);
/* NULL: there is none of that name. */
const struct pdmai_token *pdmai_tokens_find(const struct pdmai_tokens *tokens, const char *name);
/* Wipes them. */
void pdmai_tokens_clear(struct pdmai_tokens *tokens);

#endif
