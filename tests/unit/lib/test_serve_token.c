// SPDX-License-Identifier: MIT
/* Token files, and networks that may connect. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/core/error.h"
#include "lib/serve/net.h"
#include "lib/serve/token.h"
#include "peerdma/serve.h"

#define KEY16 "00112233445566778899aAbBcCdDeEfF"

static int parse(const char *text, struct pdmai_tokens *ret)
{
	char *copy = strdup(text);
	int err = pdmai_tokens_parse(copy, "file", ret);

	free(copy);
	return err;
}

static void two_tokens(void **state)
{
	struct pdmai_tokens tokens;
	const struct pdmai_token *t;

	assert_int_equal(parse("# who\n\nalice:" KEY16 "\r\nbob:" KEY16 KEY16 KEY16 KEY16, &tokens),
			 0);
	assert_int_equal(tokens.n, 2);
	t = pdmai_tokens_find(&tokens, "bob");
	assert_non_null(t);
	assert_int_equal(t->len, 64);
	assert_int_equal(tokens.token[0].len, 16);
	assert_int_equal(tokens.token[0].key[1], 0x11);
	assert_int_equal(tokens.token[0].key[15], 0xff);
	assert_null(pdmai_tokens_find(&tokens, "bo"));
	assert_null(pdmai_tokens_find(&tokens, "bobb"));
	pdmai_tokens_clear(&tokens);
}

static void bad_tokens(void **state)
{
	static const char *const bad[] = {
		"",
		"# nothing\n",
		KEY16 "\n",
		":" KEY16 "\n",
		"a b:" KEY16 "\n",
		"a:00112233445566778899aabbccddee\n",
		"a:" KEY16 "0\n",
		"a:" KEY16 "0g\n",
		"a:" KEY16 KEY16 KEY16 KEY16 "00\n",
		"a:" KEY16 "\na:" KEY16 "\n",
	};
	struct pdmai_tokens tokens;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse(bad[i], &tokens), -EINVAL);
	assert_int_equal(parse("a:" KEY16 "\n\nb\n", &tokens), -EINVAL);
	assert_non_null(strstr(pdmai_error(), "line 3"));
}

static void made_and_read(void **state)
{
	char dir[] = "/tmp/token-XXXXXX", path[64], other[64];
	struct pdmai_tokens one, two;
	struct stat st;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a", dir);
	snprintf(other, sizeof(other), "%s/b", dir);
	assert_int_equal(pdma_token_create(path, "me"), 0);
	assert_int_equal(pdma_token_create(path, "me"), -EEXIST);
	assert_int_equal(pdma_token_create(other, "m e"), -EINVAL);
	assert_int_equal(pdma_token_create(other, "me"), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(pdmai_tokens_load(path, &one), 0);
	assert_int_equal(pdmai_tokens_load(other, &two), 0);
	assert_string_equal(one.token->name, "me");
	assert_int_equal(one.token->len, 32);
	assert_memory_not_equal(one.token->key, two.token->key, 32);
	pdmai_tokens_clear(&one);
	pdmai_tokens_clear(&two);

	/* Others may read it: then it is no secret. */
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(pdmai_tokens_load(path, &one), -EACCES);
	assert_int_equal(chmod(path, 0604), 0);
	assert_int_equal(pdmai_tokens_load(path, &one), -EACCES);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(pdmai_tokens_load(path, &one), -ENOENT);
	assert_int_equal(pdmai_tokens_load(dir, &one), -EACCES);
	assert_int_equal(pdmai_tokens_load(NULL, &one), -EACCES);
	assert_int_equal(unlink(other), 0);
	assert_int_equal(rmdir(dir), 0);
}

static bool in(const char *network, const char *address)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct pdmai_cidr c;

	assert_int_equal(pdmai_cidr_parse(network, &c), 0);
	if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
		return pdmai_cidr_has(&c, (struct sockaddr *)&v4);
	assert_int_equal(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
	return pdmai_cidr_has(&c, (struct sockaddr *)&v6);
}

static void networks(void **state)
{
	assert_true(in("10.0.0.0/8", "10.1.2.3"));
	assert_false(in("10.0.0.0/8", "11.0.0.0"));
	assert_true(in("10.8.0.0/13", "10.15.255.255"));
	assert_false(in("10.8.0.0/13", "10.16.0.0"));
	assert_true(in("192.168.1.7", "192.168.1.7"));
	assert_false(in("192.168.1.7", "192.168.1.6"));
	/* As a socket for both families sees it. */
	assert_true(in("10.0.0.0/8", "::ffff:10.1.2.3"));
	assert_true(in("0.0.0.0/0", "1.2.3.4"));
	assert_false(in("0.0.0.0/0", "fd00::1"));
	assert_true(in("::/0", "1.2.3.4"));
	assert_true(in("fd00::/9", "fd7f::1"));
	assert_false(in("fd00::/9", "fd80::1"));
}

static void no_networks(void **state)
{
	static const char *const bad[] = {
		"",
		"/",
		"10",
		"10.0.0.0/33",
		"10.0.0.0/",
		"10.0.0.0/8x",
		"10.0.0.0/-1",
		"::/129",
		"10.0.0.1/8",
		"fd00::1/64",
		"host",
		"10.0.0.0/0008",
		"1111111111111111111111111111111111111111111111111111111111111111111/8",
	};
	struct pdmai_cidr c;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(pdmai_cidr_parse(bad[i], &c), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_tokens),	 cmocka_unit_test(bad_tokens),
		cmocka_unit_test(made_and_read), cmocka_unit_test(networks),
		cmocka_unit_test(no_networks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
