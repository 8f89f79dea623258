// SPDX-License-Identifier: MIT
#include "lib/serve/token.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/core/error.h"
#include "peerdma/serve.h"

#define FILE_MAX 65536

static int digit(char c)
{
	if (isdigit((unsigned char)c))
		return c - '0';
	return isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

/* Return: 0; -EINVAL: not the right number of digits, or something else between them. */
static int parse_key(const char *hex, struct pdmai_token *t)
{
	size_t n = strlen(hex);

	if (n % 2 || n < 2 * PDMAI_TOKEN_MIN || n > 2 * PDMAI_TOKEN_MAX)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (digit(hex[i]) < 0)
			return -EINVAL;
		t->key[i / 2] = (uint8_t)(t->key[i / 2] << 4 | digit(hex[i]));
	}
	t->len = n / 2;
	return 0;
}

static const char *parse_line(char *line, struct pdmai_token *t)
{
	char *colon = strchr(line, ':');

	if (!colon)
		return "NAME:HEX is expected";
	*colon = 0;
	if (pdmai_sp_name_check(line))
		return "a name has 1 to 63 letters, digits, '.', '_' and '-'";
	memcpy(t->name, line, strlen(line) + 1);
	if (parse_key(colon + 1, t))
		return "a key has 32 to 128 hexadecimal digits";
	return NULL;
}

static int add_line(char *line, const char *path, unsigned number, struct pdmai_tokens *tokens)
{
	struct pdmai_token t = { .len = 0 };
	const char *wrong;

	line[strcspn(line, "\r \t")] = 0;
	if (!line[0] || line[0] == '#')
		return 0;
	wrong = parse_line(line, &t);
	if (!wrong && pdmai_tokens_find(tokens, t.name))
		wrong = "this name was there before";
	if (!wrong && tokens->n == PDMAI_TOKENS)
		wrong = "there are too many tokens";
	if (!wrong)
		tokens->token[tokens->n++] = t;
	explicit_bzero(&t, sizeof(t));
	return wrong ? pdmai_fail(EINVAL, "%s, line %u: %s", path, number, wrong) : 0;
}

int pdmai_tokens_parse(char *text, const char *path, struct pdmai_tokens *ret)
{
	struct pdmai_tokens tokens = { .token = calloc(PDMAI_TOKENS, sizeof(*tokens.token)) };
	char *rest = text, *line;
	int err = 0;

	if (!tokens.token)
		return pdmai_fail(ENOMEM, "no memory for tokens");
	for (unsigned number = 1; !err && (line = strsep(&rest, "\n")); number++)
		err = add_line(line, path, number, &tokens);
	if (!err && !tokens.n)
		err = pdmai_fail(EINVAL, "%s: there is no token in it", path);
	if (err)
		pdmai_tokens_clear(&tokens);
	else
		*ret = tokens;
	return err;
}

static int open_private(const char *path, int *ret_fd)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return pdmai_fail_errno(errno, "%s", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (st.st_mode & 077)) {
		close(fd);
		return pdmai_fail(EACCES,
				  "%s: a token is a file that its owner alone may read "
				  "(chmod 600)",
				  path);
	}
	*ret_fd = fd;
	return 0;
}

static int load(int fd, char *buf, const char *path, struct pdmai_tokens *ret)
{
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, buf + len, FILE_MAX - len)) > 0)
		len += (size_t)n;
	if (n < 0)
		return pdmai_fail_errno(errno, "%s", path);
	if (len == FILE_MAX)
		return pdmai_fail(EINVAL, "%s: too long for tokens", path);
	if (memchr(buf, 0, len))
		return pdmai_fail(EINVAL, "%s: this is no text", path);
	buf[len] = 0;
	return pdmai_tokens_parse(buf, path, ret);
}

int pdmai_tokens_load(const char *path, struct pdmai_tokens *ret)
{
	char *buf;
	int fd = -1, err;

	if (!path)
		return pdmai_fail(EACCES, "a token is needed: name a token file");
	err = open_private(path, &fd);
	if (err)
		return err;
	buf = malloc(FILE_MAX);
	err = buf ? load(fd, buf, path, ret) : pdmai_fail(ENOMEM, "no memory for tokens");
	if (buf)
		explicit_bzero(buf, FILE_MAX);
	free(buf);
	close(fd);
	return err;
}

const struct pdmai_token *pdmai_tokens_find(const struct pdmai_tokens *tokens, const char *name)
{
	for (unsigned i = 0; i < tokens->n; i++)
		if (!strcmp(tokens->token[i].name, name))
			return &tokens->token[i];
	return NULL;
}

void pdmai_tokens_clear(struct pdmai_tokens *tokens)
{
	if (tokens->token)
		explicit_bzero(tokens->token, PDMAI_TOKENS * sizeof(*tokens->token));
	free(tokens->token);
	*tokens = (struct pdmai_tokens){ NULL, 0 };
}

static int write_token(int fd, const char *name, const uint8_t *key, size_t len)
{
	char line[PDMAI_SP_NAME + 2 * PDMAI_TOKEN_MAX + 3];
	size_t at = (size_t)sprintf(line, "%s:", name);
	ssize_t n;

	for (size_t i = 0; i < len; i++)
		at += (size_t)sprintf(line + at, "%02x", key[i]);
	line[at++] = '\n';
	n = write(fd, line, at);
	explicit_bzero(line, sizeof(line));
	if (n == (ssize_t)at && !fsync(fd))
		return 0;
	return n < 0 ? -errno : -EIO;
}

int pdma_token_create(const char *path, const char *name)
{
	uint8_t key[32];
	int fd, err;

	if (pdmai_sp_name_check(name))
		return pdmai_fail(EINVAL,
				  "'%.70s' is no name for a token: 1 to 63 letters, "
				  "digits, '.', '_' and '-'",
				  name);
	if (getrandom(key, sizeof(key), 0) != sizeof(key))
		return pdmai_fail_errno(errno, "no random bytes");
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return pdmai_fail_errno(errno, "%s", path);
	err = write_token(fd, name, key, sizeof(key));
	explicit_bzero(key, sizeof(key));
	close(fd);
	if (!err)
		return 0;
	unlink(path);
	return pdmai_fail_errno(-err, "%s", path);
}
