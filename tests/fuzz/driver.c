// SPDX-License-Identifier: MIT
/*
 * Runs a fuzzer without libFuzzer: replays the corpus, then a fixed number of inputs made from it
 * by a seeded generator. Blind (no coverage), but the same everywhere and with every compiler.
 * Prints TAP.
 */
#include "tests/fuzz/corpus.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/mutate.h"
#include "tests/fuzz/watch.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct options {
	unsigned long runs, seed, max_len, timeout_s;
	const char *artifacts;
};

static const char usage_text[] =
	"usage: %s [--runs N] [--seed N] [--max-len BYTES] [--timeout SECONDS] [--artifacts DIR]\n"
	"       [FILE or FOLDER]...\n"
	"Replay the inputs given, then run N inputs made from them.\n";

static int usage(const char *name)
{
	fprintf(stderr, usage_text, name);
	return 2;
}

static int parse_number(const char *text, unsigned long min, unsigned long *ret_val)
{
	char *end;

	errno = 0;
	*ret_val = strtoul(text, &end, 0);
	return errno || end == text || *end || *text == '-' || *ret_val < min ? -EINVAL : 0;
}

static int parse_option(int opt, struct options *o)
{
	switch (opt) {
	case 'r':
		return parse_number(optarg, 0, &o->runs);
	case 's':
		return parse_number(optarg, 0, &o->seed);
	case 'l':
		return parse_number(optarg, 1, &o->max_len);
	case 't':
		return parse_number(optarg, 1, &o->timeout_s);
	case 'a':
		o->artifacts = optarg;
		return 0;
	default:
		return -EINVAL;
	}
}

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "runs", required_argument, NULL, 'r' },
		{ "seed", required_argument, NULL, 's' },
		{ "max-len", required_argument, NULL, 'l' },
		{ "timeout", required_argument, NULL, 't' },
		{ "artifacts", required_argument, NULL, 'a' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (parse_option(opt, o))
			return -EINVAL;
	}
	return 0;
}

/* Each input gets memory of its own and of its exact size: an overrun is then seen. */
static int run_one(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, data, len);
	fuzz_watch_input(copy, len);
	LLVMFuzzerTestOneInput(copy, len);
	fuzz_watch_stop();
	free(copy);
	return 0;
}

static int replay(const struct fuzz_corpus *c)
{
	size_t i;
	int ret;

	for (i = 0; i < c->n; i++) {
		ret = run_one(c->files[i].data, c->files[i].len);
		if (ret)
			return ret;
	}
	return 0;
}

static const struct fuzz_file *pick(struct fuzz_rng *rng, const struct fuzz_corpus *c)
{
	static const struct fuzz_file none = { .data = (uint8_t *)"", .len = 0 };

	return c->n ? &c->files[fuzz_below(rng, c->n)] : &none;
}

static void next_input(struct fuzz_rng *rng, const struct fuzz_corpus *c, struct fuzz_input *in)
{
	const struct fuzz_file *base = pick(rng, c), *piece = pick(rng, c);
	struct fuzz_input other = { .data = piece->data, .len = piece->len };

	if (!c->n || fuzz_below(rng, 64) == 0) {
		fuzz_generate(rng, in);
		return;
	}
	in->len = base->len < in->max ? base->len : in->max;
	memcpy(in->data, base->data, in->len);
	fuzz_mutate(rng, in, &other);
}

static int run_mutated(const struct options *o, const struct fuzz_corpus *c)
{
	struct fuzz_rng rng = { .state = o->seed };
	struct fuzz_input in = { .data = malloc(o->max_len), .max = o->max_len };
	unsigned long i;
	int ret = in.data ? 0 : -ENOMEM;

	for (i = 0; !ret && i < o->runs; i++) {
		next_input(&rng, c, &in);
		ret = run_one(in.data, in.len);
	}
	free(in.data);
	return ret;
}

/* Not clock_gettime(): a fuzzer may have taken its place. */
static double seconds(void)
{
	struct timespec t;

	timespec_get(&t, TIME_UTC);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int bail_out(const char *what, int err)
{
	printf("Bail out! %s: %s\n", what, strerror(-err));
	return 1;
}

static int run_all(const struct options *o, const struct fuzz_corpus *c)
{
	double start, took;
	int ret;

	printf("1..2\n");
	fflush(stdout);
	fuzz_watch_start(o->artifacts, (unsigned)o->timeout_s);
	ret = replay(c);
	if (ret)
		return bail_out("replay", ret);
	printf("ok 1 - replay of %zu inputs\n", c->n);
	fflush(stdout);
	start = seconds();
	ret = run_mutated(o, c);
	if (ret)
		return bail_out("run", ret);
	took = seconds() - start;
	printf("ok 2 - %lu runs, seed %lu\n", o->runs, o->seed);
	printf("# %.1f s, %.0f a second\n", took, took > 0 ? (double)o->runs / took : 0.0);
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = { .runs = 0, .seed = 1, .max_len = 4096, .timeout_s = 10 };
	struct fuzz_corpus c = { 0 };
	int i, ret = 0;

	o.artifacts = ".";
	if (parse_options(argc, argv, &o))
		return usage(argv[0]);
	for (i = optind; !ret && i < argc; i++) {
		ret = fuzz_corpus_add(&c, argv[i]);
		if (ret)
			ret = bail_out(argv[i], ret);
	}
	if (!ret)
		ret = run_all(&o, &c);
	fuzz_corpus_free(&c);
	return ret;
}
